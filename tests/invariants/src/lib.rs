//! The safety properties of the workload controllers, judged on the history of what was committed.
//!
//! A [`Checker`] takes every committed write in the order in which the store took it, whoever wrote it, and answers with
//! the rules that the write broke. It knows nothing of caches, queues or requests that failed: only the true state. The
//! simulator feeds it as it commits; the crash campaign feeds it with what an independent watch of a real cluster saw.
//!
//! Rules bind the controllers under test alone, and only by what a process must know: a view may be late, a request may
//! be under way, a user may change the spec meanwhile. `world` keeps what a process may still hold as a horizon; a rule
//! takes the mildest of all states behind it. [`Rules`] says how far that is.
//!
//! One file holds the rules of one kind, so that the next controller brings one file. [`catalogue`] lists them.

mod catalogue;
mod checker;
mod commit;
mod deployment;
mod general;
mod lease;
mod replicaset;
#[cfg(test)]
mod tests;
mod world;

pub use catalogue::{RuleText, catalogue};
pub use checker::{Checker, Rules, Violation};
pub use commit::{Commit, Writer};
