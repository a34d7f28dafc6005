//! Pure planners: what a controller should do, as data.
//!
//! Nothing here knows a client, a clock, randomness or the environment: time is an
//! argument, random suffixes come from an argument, iteration order is sorted. The same
//! input gives the same plan, byte for byte. The shell (`ironkeel-runtime`) observes,
//! calls a planner, executes the plan and writes the status that the planner computed.

pub mod batch;
pub mod claim;
pub mod deployment;
pub mod meta;
pub mod names;
pub mod plan;
pub mod pod;
pub mod rank;
pub mod replicaset;
pub mod selector;
pub mod template;
pub mod workload;

pub use plan::{Event, EventType, Plan};
