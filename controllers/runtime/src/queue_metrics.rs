//! Upstream's `workqueue_*` metrics.
#![allow(clippy::todo)]
/// The metrics of all queues, by the label `name`.
#[derive(Clone, Debug)]
pub struct QueueMetrics {}

impl QueueMetrics {
    /// Registers the metrics.
    pub fn register(_registry: &mut prometheus_client::registry::Registry) -> Self {
        todo!()
    }
}
