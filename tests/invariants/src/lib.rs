//! The safety properties of the workload controllers, judged on the history of what was committed.
//!
//! A [`Checker`] takes every committed write in the order in which the store took it, whoever wrote it, and answers with
//! the rules that the write broke. It knows nothing of caches, queues or requests that failed: only the true state. The
//! simulator feeds it as it commits; the crash campaign feeds it with what an independent watch of a real cluster saw.
//!
//! One file holds the rules of one kind, so that the next controller brings one file.

mod checker;
mod commit;

pub use checker::{Checker, Rules, Violation};
pub use commit::{Commit, Writer};
