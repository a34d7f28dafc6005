//! One deterministic run: processes of the manager, the cluster's other actors, faults, checks.
//!
//! Discrete events on one thread. What lies between a process and the API server is a queue of events by time; a process
//! runs on a runtime of its own, whose paused time this moves from event to event.

mod config;

pub use config::{Counts, Outcome, Pace, RunConfig};
