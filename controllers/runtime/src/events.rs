//! core/v1 Events, correlated as client-go does it and posted in the background.
//!
//! [`Recorder::event`] never waits: it puts the event into a bounded queue, and a full
//! queue drops it and counts that. One task per recorder correlates and posts, in order,
//! with the controller's own identity.

mod correlate;
mod lru;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use ironkeel_plan::Event;
use ironkeel_plan::meta::Meta;
use kube::Client;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::jitter::Jitter;
use crate::metrics::{Dropped, EventMetrics};
use crate::request::{Accept, Content, Failure, REQUEST_TIMEOUT, send};
use crate::resource::Resource;
use correlate::{Correlator, Note, Posting};

/// Events that may wait to be posted (client-go `maxQueuedEvents`).
const QUEUE: usize = 1000;
/// Attempts to post one event while the API server cannot be reached (`maxTriesPerEvent`).
const TRIES: u32 = 12;
/// Pause between such attempts; the first one is a random part of it.
const PAUSE: Duration = Duration::from_secs(10);

/// The object that an event is about (`involvedObject`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Regarding {
    /// Group and version.
    pub api_version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
    /// Namespace; the event is stored in it.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// UID.
    pub uid: Arc<str>,
    /// Version of the object that the event speaks of.
    pub resource_version: Arc<str>,
}

impl Regarding {
    /// An object of `resource` with the metadata that a planner sees.
    pub fn of(resource: Resource, meta: &Meta) -> Self {
        Self {
            api_version: resource.api_version().into(),
            kind: resource.kind.into(),
            namespace: meta.namespace.as_str().into(),
            name: meta.name.as_str().into(),
            uid: meta.uid.as_str().into(),
            resource_version: meta.resource_version.to_string().into(),
        }
    }
}

/// Takes events of one component. Clones feed the same queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    component: &'static str,
    queue: mpsc::Sender<Queued>,
    clock: Clock,
    metrics: EventMetrics,
}

#[derive(Debug)]
struct Queued {
    note: Note,
    at: Instant,
}

/// The half that posts; it does nothing until [`Poster::run`] is polled.
#[must_use = "no event is posted unless this runs"]
pub struct Poster {
    component: &'static str,
    queue: mpsc::Receiver<Queued>,
    client: Client,
    correlator: Correlator,
    jitter: Jitter,
    metrics: EventMetrics,
}

impl Recorder {
    /// A recorder and the task that posts what it takes.
    ///
    /// `component` is `source.component` and `reportingComponent`, for example
    /// `replicaset-controller`; `client` acts with that controller's identity; `seed` spreads
    /// retries.
    pub fn new(
        component: &'static str,
        client: Client,
        clock: Clock,
        seed: u64,
        metrics: EventMetrics,
    ) -> (Self, Poster) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let recorder = Self {
            component,
            queue: sender,
            clock,
            metrics: metrics.clone(),
        };
        let poster = Poster {
            component,
            queue: receiver,
            client,
            correlator: Correlator::new(component),
            jitter: Jitter::new(seed),
            metrics,
        };
        (recorder, poster)
    }

    /// Queues an event about `object`. Never waits: if the queue is full, the event is
    /// dropped and `ironkeel_events_dropped_total` counts it.
    pub fn event(&self, object: &Regarding, event: &Event) {
        let note = Note {
            object: object.clone(),
            severity: event.severity.as_str(),
            reason: event.reason,
            message: event.message.clone(),
            time: self.clock.now(),
        };
        let queued = Queued {
            note,
            at: Instant::now(),
        };
        if let Err(error) = self.queue.try_send(queued) {
            self.metrics.drop_one(self.component, Dropped::QueueFull);
            let (mpsc::error::TrySendError::Full(queued)
            | mpsc::error::TrySendError::Closed(queued)) = error;
            let note = queued.note;
            tracing::warn!(
                object = %format_args!("{}/{}", note.object.namespace, note.object.name),
                reason = note.reason,
                "event dropped, too many wait to be posted"
            );
        }
    }
}

impl Recorder {
    /// Counts an event that its controller left out, among many.
    pub fn leave_out(&self) {
        self.metrics.drop_one(self.component, Dropped::LeftOut);
    }
}

impl Poster {
    /// Correlates and posts until every recorder is gone or `stop` is cancelled. What still
    /// waits in the queue then is not posted, as in client-go.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let queued = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                queued = self.queue.recv() => queued,
            };
            let Some(Queued { note, at }) = queued else {
                return;
            };
            match self.correlator.correlate(note, at) {
                None => self.metrics.drop_one(self.component, Dropped::Spam),
                Some(posting) => {
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return,
                        () = self.post(&posting) => {}
                    }
                }
            }
        }
    }

    /// Posts one event. A refusal is final; without a reply it is tried again, and the
    /// events behind it wait.
    async fn post(&self, posting: &Posting) {
        for attempt in 1..=TRIES {
            let failure = match self.send(posting).await {
                Ok(()) => return self.metrics.post_one(self.component),
                Err(failure) => failure,
            };
            let (event, reason) = (&posting.name, posting.reason());
            match failure {
                Failure::Refused(_) | Failure::Unbuildable { .. } => {
                    tracing::debug!(event, reason, error = %failure, "event refused");
                    return self.metrics.drop_one(self.component, Dropped::Refused);
                }
                Failure::TimedOut(_) | Failure::Transport(_) => {
                    tracing::warn!(event, reason, attempt, error = %failure, "event not posted yet");
                }
            }
            if attempt < TRIES {
                let part = if attempt == 1 {
                    self.jitter.fraction()
                } else {
                    1.0
                };
                tokio::time::sleep(PAUSE.mul_f64(part)).await;
            }
        }
        self.metrics.drop_one(self.component, Dropped::Unreachable);
    }

    async fn send(&self, posting: &Posting) -> Result<(), Failure> {
        let collection = format!("/api/v1/namespaces/{}/events", posting.namespace);
        if let Some(patch) = posting.patch() {
            let path = format!("{collection}/{}", posting.name);
            let sent = send(
                &self.client,
                Method::PATCH,
                &path,
                Content::StrategicMergePatch,
                Accept::Metadata,
                patch,
                REQUEST_TIMEOUT,
            )
            .await;
            match sent {
                // The API server keeps events for an hour only: start over.
                Err(failure) if failure.code() == Some(404) => {}
                other => return other.map(drop),
            }
        }
        send(
            &self.client,
            Method::POST,
            &collection,
            Content::Json,
            Accept::Metadata,
            posting.body(),
            REQUEST_TIMEOUT,
        )
        .await
        .map(drop)
    }
}
