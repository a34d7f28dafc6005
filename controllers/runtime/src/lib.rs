//! The shell around the planners: watches, stores, queue, writes, lease, metrics.

pub mod awaited;
pub mod barrier;
pub mod batches;
pub mod client;
pub mod clock;
pub mod controller;
pub mod events;
#[cfg(test)]
mod fake;
pub mod http;
pub mod identity;
mod jitter;
pub mod lease;
pub mod limit;
pub mod logging;
pub mod metrics;
mod protobuf;
pub mod queue;
pub mod queue_metrics;
mod request;
pub mod resource;
pub mod store;
pub mod watch;
pub mod write;
