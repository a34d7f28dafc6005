//! List and watch of one resource on raw requests.
//!
//! kube's watcher hides the versions of lists and bookmarks, which the own-write barrier
//! needs, and does not say what vanished during a gap. This one follows client-go's
//! reflector: a consistent list (never from an arbitrarily old cache, kubernetes#59848), then
//! events from its version on; a watch that ends is resumed where it was; 410 means a new
//! list, of which the store hands out the differences. Kinds that can be read from protobuf
//! are asked for in it, and are read in whatever the server answers.
//!
//! Lists come in pages, and not as a stream of events (KEP-3157), as client-go has it: the API
//! server writes each event of a stream for itself, which costs it twice the CPU for JSON and a
//! fifth more for protobuf.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use ironkeel_plan::meta::Stored;
use ironkeel_plan::pod::{Pod, ProtobufError};
use ironkeel_plan::workload::Workload;
use kube::Client;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::metrics::WatchMetrics;

use self::backoff::Backoff;
use self::frames::Frames;
use self::metrics::Counters;
use self::request::{Failure, Target};
use self::wire::{Decoded, Event, IdentityMeta};
use crate::protobuf::Encoding;
use crate::request::Unreadable;
use crate::resource::Resource;
use crate::store::{Change, Store};

mod backoff;
mod frames;
mod list;
mod metrics;
mod request;
mod wire;

#[cfg(test)]
mod tests;

/// Objects per page of a list. Each page costs the API server about 1.5 ms beside its objects,
/// and a page of pods of the usual size is some 10 MB here until it is read.
const PAGE: u32 = 2000;
/// The server is asked to end a watch after a random time in this range, so that watches
/// opened together do not end together.
const WATCH_TIME: (Duration, Duration) = (Duration::from_mins(5), Duration::from_mins(10));
/// Bookmarks come every minute: a watch silent for longer than this is dead and reopened.
const SILENCE: Duration = Duration::from_secs(150);
/// A watch that lived this long was a good one, even if nothing happened.
const HEALTHY: Duration = Duration::from_secs(10);
/// A missing CRD is looked for at least this often.
const MISSING_CAP: Duration = Duration::from_secs(10);
/// After so many useless watches in a row from one version, a new list is made.
const STUCK: u32 = 4;

/// An object that a watch can read.
pub trait Readable: Stored + DeserializeOwned {
    /// Reads the object's message, without its envelope; `None`: it is always asked for as JSON.
    const FROM_PROTOBUF: Option<fn(Bytes) -> Result<Self, ProtobufError>> = None;
}

/// There are more pods than anything else, and protobuf costs the API server a quarter of JSON.
impl Readable for Pod {
    const FROM_PROTOBUF: Option<fn(Bytes) -> Result<Self, ProtobufError>> =
        Some(Self::from_protobuf);
}

/// Custom resources have no protobuf, and planners compare templates as JSON.
impl<Spec, Status> Readable for Workload<Spec, Status> where
    Workload<Spec, Status>: Stored + DeserializeOwned
{
}

/// What a watch of `V` says that it can read, as client-go says it.
const fn accept<V: Readable>() -> &'static str {
    if V::FROM_PROTOBUF.is_some() {
        "application/vnd.kubernetes.protobuf, application/json"
    } else {
        "application/json"
    }
}

/// Which objects a watch sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this namespace; `None` is all.
    pub namespace: Option<String>,
    /// Only objects that this label selector matches, in the API's text form.
    pub labels: Option<String>,
    /// Only objects that this field selector matches, in the API's text form.
    pub fields: Option<String>,
}

/// Where a watch stands; for readiness and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// The list is being read.
    Listing,
    /// Events arrive.
    Live,
    /// The API server does not serve the resource in this version: the CRD is missing or too
    /// old. Retried.
    Missing,
    /// The last attempt failed for this reason. Retried; the store keeps what it has.
    Failing(String),
}

impl fmt::Display for WatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listing => f.write_str("listing"),
            Self::Live => f.write_str("live"),
            Self::Missing => {
                f.write_str("not served: its CustomResourceDefinition is missing or too old")
            }
            Self::Failing(why) => write!(f, "failing: {why}"),
        }
    }
}

/// A list-and-watch of one resource.
#[derive(Debug)]
pub struct Watch {
    resource: Resource,
    source: Source,
    state: tokio::sync::watch::Sender<WatchState>,
    counters: Counters,
    backoff: Backoff,
    /// Objects per page; `None` after a list expired between two pages.
    page: Option<u32>,
}

/// What is asked of whom.
struct Source {
    client: Client,
    resource: Resource,
    scope: Scope,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("resource", &self.resource)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// What happens after `version`.
    async fn watch<V: Readable>(&self, version: u64, time: Duration) -> Result<Frames, Failure> {
        let target = self
            .target()
            .with("resourceVersion", version)
            .with("watch", "true")
            .with("allowWatchBookmarks", "true")
            .with("timeoutSeconds", time.as_secs());
        let reply = request::get(&self.client, self.resource, &target, accept::<V>()).await?;
        Ok(Frames::of(reply))
    }

    fn target(&self) -> Target {
        Target::new(self.resource, &self.scope)
    }
}

/// Where observations go.
struct Sink<'a, V, OnChange, OnProgress> {
    store: &'a Store<V>,
    on_change: OnChange,
    on_progress: OnProgress,
}

impl<V, OnChange, OnProgress> Sink<'_, V, OnChange, OnProgress>
where
    V: Stored,
    OnChange: Fn(&Change<V>),
    OnProgress: Fn(Progress),
{
    /// The store has come so far, and `changes` led there.
    ///
    /// Progress comes first: an owner that a change wakes then finds the barrier open.
    fn tell(&self, progress: Progress, changes: &[Change<V>]) {
        (self.on_progress)(progress);
        for change in changes {
            (self.on_change)(change);
        }
    }
}

/// How far a store is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// An event or a bookmark led to this version.
    Followed(u64),
    /// A consistent list at `version`, asked for at `began`: everything that was committed before is in the store.
    Listed {
        /// Version of the list.
        version: u64,
        /// The moment before its first request.
        began: Instant,
    },
}

/// How far the watch has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// A list is needed.
    Unknown,
    /// Everything up to this version is in the store.
    At(u64),
}

impl Watch {
    /// A watch of `resource`. `seed` feeds the jitter of delays and timeouts.
    pub fn new(
        client: Client,
        resource: Resource,
        scope: Scope,
        metrics: &WatchMetrics,
        seed: u64,
    ) -> Self {
        Self {
            resource,
            source: Source {
                client,
                resource,
                scope,
            },
            state: tokio::sync::watch::Sender::new(WatchState::Listing),
            counters: metrics.counters(resource),
            backoff: Backoff::new(seed),
            page: Some(PAGE),
        }
    }

    /// Where the watch stands; the receiver lives on when `run` has taken the watch.
    pub fn state(&self) -> tokio::sync::watch::Receiver<WatchState> {
        self.state.subscribe()
    }

    /// Keeps `store` current until `cancel`.
    ///
    /// After each step `on_progress` gets how far the store is, then `on_change` each change.
    /// Wire the first to `Barrier::seen` and `Barrier::listed`, the second to `Barrier::observe` and
    /// the queues. When the store wants a new list, the watch is left for one.
    /// Both are called on the watch's own task and must not block.
    pub async fn run<V: Readable>(
        mut self,
        store: Store<V>,
        on_change: impl Fn(&Change<V>) + Send + Sync,
        on_progress: impl Fn(Progress) + Send + Sync,
        cancel: CancellationToken,
    ) {
        let sink = Sink {
            store: &store,
            on_change,
            on_progress,
        };
        cancel.run_until_cancelled(self.keep_current(&sink)).await;
    }

    async fn keep_current<V, C, P>(&mut self, sink: &Sink<'_, V, C, P>)
    where
        V: Readable,
        C: Fn(&Change<V>) + Send + Sync,
        P: Fn(Progress) + Send + Sync,
    {
        let mut position = Position::Unknown;
        let mut useless = 0;
        loop {
            let started = Instant::now();
            let mut progressed = false;
            let failure = self
                .list_and_follow(sink, &mut position, &mut progressed)
                .await;
            self.counters.restarts.inc();
            let was_good = progressed || started.elapsed() >= HEALTHY;
            if was_good {
                self.backoff.reset();
                useless = 0;
            }
            let Some(failure) = failure else {
                // The server ended the watch in its normal course.
                if !was_good {
                    let delay = self.backoff.next();
                    pause(delay, sink.store, &mut position).await;
                }
                continue;
            };
            let delay = self.delay_after(&failure);
            match &failure {
                Failure::Expired(_) => position = Position::Unknown,
                Failure::Refused { .. } | Failure::Garbled(_) => {
                    useless += 1;
                    if useless >= STUCK {
                        useless = 0;
                        position = Position::Unknown;
                    }
                }
                Failure::Missing(_) | Failure::Transport(_) | Failure::Silent(_) => {}
            }
            self.report(&failure, delay);
            pause(delay, sink.store, &mut position).await;
        }
    }

    fn delay_after(&mut self, failure: &Failure) -> Duration {
        let delay = self.backoff.next();
        match failure {
            Failure::Missing(_) => delay.min(MISSING_CAP),
            Failure::Refused {
                retry_after: Some(asked),
                ..
            } => delay.max(*asked),
            _ => delay,
        }
    }

    /// Names a failure once, not at each attempt.
    fn report(&self, failure: &Failure, delay: Duration) {
        let state = match failure {
            Failure::Expired(_) => WatchState::Listing,
            Failure::Missing(_) => WatchState::Missing,
            other => WatchState::Failing(other.to_string()),
        };
        let resource = self.resource;
        let is_new = self.state.send_if_modified(|known| {
            let is_new = *known != state;
            *known = state;
            is_new
        });
        if is_new {
            tracing::warn!(%resource, %failure, ?delay, "watch interrupted");
        } else {
            tracing::debug!(%resource, %failure, ?delay, "watch interrupted");
        }
    }

    fn report_live(&self) {
        let before = self.state.send_replace(WatchState::Live);
        if matches!(before, WatchState::Missing | WatchState::Failing(_)) {
            tracing::info!(resource = %self.resource, %before, "watch recovered");
        }
    }

    /// One connection's life. `None`: the server ended the watch.
    async fn list_and_follow<V, C, P>(
        &mut self,
        sink: &Sink<'_, V, C, P>,
        position: &mut Position,
        progressed: &mut bool,
    ) -> Option<Failure>
    where
        V: Readable,
        C: Fn(&Change<V>) + Send + Sync,
        P: Fn(Progress) + Send + Sync,
    {
        let follow = async {
            let version = match *position {
                Position::Unknown => self.list(sink).await?,
                Position::At(version) => version,
            };
            *position = Position::At(version);
            let watch = async {
                let mut frames = self.source.watch::<V>(version, self.watch_time()).await?;
                self.report_live();
                let mut at = sink.store.resource_version();
                while let Some(frame) = frames.next(SILENCE).await? {
                    let before = at;
                    at = self.take(frames.encoding, &frame, sink, at)?;
                    *position = Position::At(at);
                    *progressed |= at > before;
                }
                Ok(())
            };
            // A list is finished, a watch is left for one.
            tokio::select! {
                biased;
                () = sink.store.list_wanted() => {
                    *position = Position::Unknown;
                    *progressed = true;
                    Ok(())
                }
                ended = watch => ended,
            }
        };
        let ended: Result<(), Failure> = follow.await;
        ended.err()
    }

    fn watch_time(&self) -> Duration {
        self.backoff.between(WATCH_TIME.0, WATCH_TIME.1)
    }

    /// Takes one event of a watch into the store and returns how far it is complete by that.
    fn take<V, C, P>(
        &self,
        encoding: Encoding,
        frame: &Bytes,
        sink: &Sink<'_, V, C, P>,
        at: u64,
    ) -> Result<u64, Failure>
    where
        V: Readable,
        C: Fn(&Change<V>),
        P: Fn(Progress),
    {
        let event = decode::<V>(encoding, frame)?;
        let version = match &event {
            Event::Put(object) | Event::Deleted(object) => object.resource_version(),
            Event::Bookmark(version) => *version,
            Event::Error(status) => return Err(Failure::of_status(self.resource, status)),
        };
        if version <= at {
            // A replayed event; applying it could bring a deleted object back.
            return Ok(at);
        }
        self.counters.events.inc();
        let changes = match event {
            Event::Put(Decoded::Whole(object)) => sink.store.apply(object),
            Event::Put(Decoded::Broken { identity, error }) => {
                self.report_broken(&identity, &error);
                // Another object of that name cannot be there any more.
                let key = identity.key();
                let known = sink.store.get(&key);
                let replaced = known.filter(|known| known.uid() != identity.uid);
                let removed = replaced.and_then(|known| sink.store.delete(&key, known.uid()));
                removed.map(Change::removed).into_iter().collect()
            }
            Event::Deleted(object) => {
                let removed = sink.store.delete(&object.key(), object.uid());
                removed.map(Change::removed).into_iter().collect()
            }
            Event::Bookmark(_) | Event::Error(_) => Vec::new(),
        };
        sink.store.advance(version);
        sink.tell(Progress::Followed(version), &changes);
        Ok(version)
    }

    /// One object that cannot be decoded is skipped, and named: it does not stall the rest.
    fn report_broken(&self, identity: &IdentityMeta, error: &Unreadable) {
        self.counters.decode_errors.inc();
        tracing::error!(
            resource = %self.resource,
            object = %identity.key(),
            uid = identity.uid,
            %error,
            "object cannot be decoded and is left as it was known"
        );
    }
}

/// Waits before the next attempt. Where a watch is to be resumed and somebody wants a list, there
/// is nothing to wait for; an attempt to list that failed is not repeated sooner.
async fn pause<V: Stored>(delay: Duration, store: &Store<V>, position: &mut Position) {
    let waited = tokio::time::sleep(delay);
    if *position == Position::Unknown {
        return waited.await;
    }
    tokio::select! {
        biased;
        () = store.list_wanted() => *position = Position::Unknown,
        () = waited => {}
    }
}

fn decode<V: Readable>(encoding: Encoding, frame: &Bytes) -> Result<Event<V>, Failure> {
    wire::event(encoding, frame).map_err(|error| {
        let start = frame.get(..frame.len().min(200)).unwrap_or_default();
        Failure::Garbled(format!("{error}, in {:?}", String::from_utf8_lossy(start)))
    })
}
