//! The shell around the planners: watches, stores, queue, writes, lease, metrics.

pub mod barrier;
pub mod clock;
pub mod controller;
pub mod queue;
pub mod queue_metrics;
pub mod resource;
pub mod store;
pub mod watch;
