//! Pure planners: what a controller should do, as data.
//!
//! Nothing here knows a client, a clock, randomness or the environment: time is an
//! argument, random suffixes come from an argument, iteration order is sorted. The same
//! input gives the same plan, byte for byte. The shell (`ironkeel-runtime`) observes,
//! calls a planner, executes the plan and writes the status that the planner computed.

// `check(input, expect![[…]])` takes what it expects by value: that reads best at the call.
// expect-test writes its raw strings with hashes.
#![cfg_attr(
    test,
    allow(clippy::needless_pass_by_value, clippy::needless_raw_string_hashes)
)]

pub mod claim;
pub mod condition;
pub mod deployment;
pub mod hash;
pub mod meta;
pub mod names;
pub mod plan;
pub mod pod;
mod quantity;
pub mod rank;
pub mod replicaset;
pub mod revision;
pub mod rollout;
pub mod selector;
pub mod template;
pub mod workload;

pub use plan::{Event, EventType, Plan};

#[cfg(test)]
mod fixture;
