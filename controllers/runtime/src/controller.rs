//! The worker loop of one controller.
//!
//! Keys run as tasks, a bounded number at a time, so that a key that waits for the API
//! server holds nobody back. Each run has one span that says what woke it, what it decided
//! and how it ended.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::Key;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::barrier::{Barrier, Readiness};
use crate::queue::{Queue, Reason, Work};

#[cfg(test)]
mod tests;

/// How often the barrier looks for watches that owe an own write.
const HURRY: Duration = Duration::from_secs(10);

/// What one controller does with one key.
pub trait Reconcile: Send + Sync + 'static {
    /// Why a reconcile failed.
    type Error: Display + Send + 'static;

    /// UID of the object of that key in the store; `None` when it is gone.
    fn uid(&self, key: &Key) -> Option<Arc<str>>;

    /// Observes, plans, executes.
    ///
    /// Called only when the barrier lets the object pass, and never twice at a time for one
    /// key. `Ok(Some(after))` asks for another run by then. The current span has an empty field
    /// `decided`: record the plan in a few words there.
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
    /// Reconciles in flight at a time, at least 1.
    pub concurrency: usize,
}

impl Controller {
    /// Hands out keys until `cancel` or until the queue is shut down, then waits for the
    /// reconciles in flight.
    pub async fn run<R: Reconcile>(self, reconciler: Arc<R>, cancel: CancellationToken) {
        let mut running = JoinSet::new();
        let mut keys: HashMap<Id, Key> = HashMap::new();
        let mut hurry = tokio::time::interval(HURRY);
        hurry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let has_room = running.len() < self.concurrency.max(1);
            let work = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(ended) = running.join_next_with_id() => {
                    self.finish(&mut keys, ended);
                    continue;
                }
                _ = hurry.tick() => {
                    self.barrier.hurry();
                    continue;
                }
                work = self.queue.next(), if has_room => work,
            };
            let Some(work) = work else { break };
            let key = work.key.clone();
            let run = self.start(Arc::clone(&reconciler), work);
            keys.insert(running.spawn(run).id(), key);
        }
        while let Some(ended) = running.join_next_with_id().await {
            self.finish(&mut keys, ended);
        }
    }

    /// Gives a key back. A panic is no reason to lose a key, nor to hide it: it was printed by
    /// the panic hook, and is named here with its key. (Release builds abort instead.)
    fn finish(&self, keys: &mut HashMap<Id, Key>, ended: Result<(Id, ()), JoinError>) {
        let (id, error) = match ended {
            Ok((id, ())) => (id, None),
            Err(error) => (error.id(), Some(error)),
        };
        let Some(key) = keys.remove(&id) else { return };
        if let Some(error) = error {
            let Key { namespace, name } = &key;
            tracing::error!(controller = self.name, namespace, name, %error, "reconcile panicked");
            self.queue.add_rate_limited(key.clone(), Duration::ZERO);
        }
        self.queue.done(&key);
    }

    /// One run of one key, in its span.
    fn start<R: Reconcile>(
        &self,
        reconciler: Arc<R>,
        work: Work,
    ) -> impl Future<Output = ()> + Send + use<R> {
        let uid = reconciler.uid(&work.key);
        let span = tracing::info_span!(
            "reconcile",
            controller = self.name,
            namespace = work.key.namespace,
            name = work.key.name,
            uid = uid.as_deref(),
            why = %work.why,
            decided = Empty,
        );
        let (queue, barrier) = (self.queue.clone(), self.barrier.clone());
        async move {
            let waits = uid.as_deref().map(|uid| barrier.check(uid));
            if let Some(Readiness::Waiting { what }) = waits {
                Span::current().record("decided", "wait");
                tracing::debug!(what, "skipped: own writes are not observed yet");
                return;
            }
            let started = Instant::now();
            let result = reconciler.reconcile(&work).await;
            let took = started.elapsed();
            match result {
                Ok(again) => {
                    tracing::debug!(?took, ?again, "reconciled");
                    queue.forget(&work.key);
                    if let Some(after) = again {
                        queue.add_after(work.key, after, Reason::Timer);
                    }
                }
                Err(error) => {
                    let asked = reconciler.retry_after(&error).unwrap_or_default();
                    let retry = queue.add_rate_limited(work.key, asked);
                    tracing::warn!(?took, %error, ?retry, "reconcile failed");
                }
            }
        }
        .instrument(span)
    }
}
