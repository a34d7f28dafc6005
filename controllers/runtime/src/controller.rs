//! The worker loop of one controller.
#![allow(clippy::todo)]
use crate::barrier::Barrier;
use crate::queue::{Queue, Work};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What one controller does with one key.
pub trait Reconcile: Send + Sync + 'static {
    /// Why a reconcile failed.
    type Error: Display + Send + 'static;

    /// UID of the object in the store; `None` when it is gone.
    fn uid(&self, work: &Work) -> Option<Arc<str>>;

    /// Observes, plans, executes. Called only when the barrier lets the object pass; never twice at a time for one key.
    /// `Ok(Some(after))` asks for another run. May record the span's field `decided`.
    fn reconcile(
        &self,
        work: &Work,
    ) -> impl Future<Output = Result<Option<Duration>, Self::Error>> + Send;

    /// The least delay before a retry that the error asks for (429 with Retry-After).
    fn retry_after(&self, _error: &Self::Error) -> Option<Duration> {
        None
    }
}

/// The worker loop of one controller.
#[derive(Debug)]
pub struct Controller {
    /// Upstream's name, for example `replicaset-controller`.
    pub name: &'static str,
    /// Where keys come from.
    pub queue: Queue,
    /// The own-write barrier.
    pub barrier: Barrier,
    /// Reconciles in flight at a time (`--concurrent-*-syncs`).
    pub concurrency: usize,
}

impl Controller {
    /// Runs until `cancel`, then waits for the reconciles in flight.
    pub async fn run<R: Reconcile>(self, _reconciler: Arc<R>, _cancel: CancellationToken) {
        todo!()
    }
}
