//! One attempt to acquire, renew or release, against the API server.

use std::time::Duration;

use http::Method;
use ironkeel_plan::Event;
use kube::Client;
use tokio::time::Instant;

use super::record::{Lease, Term};
use super::settings::{JITTER, LeaseSettings};
use crate::clock::Clock;
use crate::events::{Recorder, Regarding};
use crate::jitter::Jitter;
use crate::metrics::LeaseMetrics;
use crate::request::{Accept, Content, Failure, send};

/// What one attempt found.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The lease is held; the write that says so was sent then.
    Held(Instant),
    HeldByAnother,
    Failed(String),
}

/// The lease as it was last seen, and since when it is unchanged.
#[derive(Debug)]
pub(super) struct Seen {
    lease: Lease,
    since: Instant,
}

pub(super) struct Contest {
    pub(super) client: Client,
    pub(super) settings: LeaseSettings,
    pub(super) clock: Clock,
    pub(super) jitter: Jitter,
    pub(super) metrics: LeaseMetrics,
    pub(super) recorder: Option<Recorder>,
    pub(super) seen: Option<Seen>,
    /// The holder that was last logged.
    pub(super) reported: String,
}

impl Contest {
    /// One round of client-go's `tryAcquireOrRenew`.
    pub(super) async fn acquire_or_renew(&mut self) -> Attempt {
        // The holder renews against the version it wrote last, without reading first.
        if let Some(seen) = &self.seen
            && self.is_mine(&seen.lease)
            && seen.is_valid()
        {
            let renewed = seen.lease.with_term(&self.term(Some(&seen.lease)));
            match self.put(renewed).await {
                Ok(sent) => return Attempt::Held(sent),
                Err(failure) => {
                    tracing::debug!(error = %failure, "lease not renewed at once, reading it first");
                    self.metrics.count_slow_path(&self.settings.name);
                }
            }
        }
        let lease = match self.read().await {
            Ok(Some(lease)) => lease,
            Ok(None) => {
                let fresh = Lease::new(
                    &self.settings.namespace,
                    &self.settings.name,
                    &self.term(None),
                );
                return match self.post_lease(fresh).await {
                    Ok(sent) => Attempt::Held(sent),
                    Err(failure) => Attempt::Failed(failure.to_string()),
                };
            }
            Err(failure) => return Attempt::Failed(failure.to_string()),
        };
        let seen = self.observe(lease);
        let lease = seen.lease.clone();
        if !lease.holder().is_empty() && seen.is_valid() && !self.is_mine(&lease) {
            return Attempt::HeldByAnother;
        }
        let taken = lease.with_term(&self.term(Some(&lease)));
        match self.put(taken).await {
            Ok(sent) => Attempt::Held(sent),
            Err(failure) => Attempt::Failed(failure.to_string()),
        }
    }

    /// Gives the lease up, once more after each conflict: a renewal may have been in flight.
    pub(super) async fn release(&mut self) -> Result<(), String> {
        loop {
            let Some(lease) = self.read().await.map_err(|failure| failure.to_string())? else {
                return Ok(());
            };
            if !self.is_mine(&lease) {
                return Ok(());
            }
            let now = self.clock.now();
            let term = Term {
                holder: String::new(),
                seconds: 1,
                acquired: now,
                renewed: now,
                transitions: lease.transitions(),
            };
            match self.put(lease.with_term(&term)).await {
                Ok(_) => return Ok(()),
                Err(failure) if failure.code() == Some(409) => {}
                Err(failure) => return Err(failure.to_string()),
            }
        }
    }

    /// How long to wait before the next attempt to acquire: a retry period with upstream's jitter, and no longer than the
    /// other's lease lasts. A leader that died is then followed when its lease ends, not up to two periods later.
    pub(super) fn pause(&mut self) -> Duration {
        let period = self.settings.retry_period;
        let pause = period.mul_f64(1.0 + JITTER * self.jitter.fraction());
        let Some(seen) = self.seen.as_ref().filter(|seen| seen.is_valid()) else {
            return pause;
        };
        // Standbys that wait for the same moment shall not all write at once.
        let apart = period.mul_f64(0.1 * self.jitter.fraction());
        pause.min(seen.until() - Instant::now() + apart)
    }

    fn is_mine(&self, lease: &Lease) -> bool {
        lease.holder() == self.settings.identity
    }

    /// The term to write over `lease`: a renewal if it is ours, else a new one.
    fn term(&self, lease: Option<&Lease>) -> Term {
        let now = self.clock.now();
        let mine = lease.is_some_and(|lease| self.is_mine(lease));
        Term {
            holder: self.settings.identity.clone(),
            seconds: i32::try_from(self.settings.lease_duration.as_secs()).unwrap_or(i32::MAX),
            acquired: lease
                .filter(|_| mine)
                .and_then(Lease::acquired)
                .unwrap_or(now),
            renewed: now,
            transitions: lease.map_or(0, |lease| {
                lease.transitions().saturating_add(i32::from(!mine))
            }),
        }
    }

    /// Takes note of what was read; an unchanged lease keeps the time it was first seen so.
    fn observe(&mut self, lease: Lease) -> &Seen {
        let since = match &self.seen {
            Some(seen) if seen.lease.same_term(&lease) => seen.since,
            _ => Instant::now(),
        };
        self.seen.insert(Seen { lease, since })
    }

    async fn read(&self) -> Result<Option<Lease>, Failure> {
        match self.call(Method::GET, &self.settings.path(), None).await {
            Ok(lease) => Ok(Some(lease)),
            Err(failure) if failure.code() == Some(404) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn put(&mut self, lease: Lease) -> Result<Instant, Failure> {
        let path = self.settings.path();
        self.store(Method::PUT, &path, lease).await
    }

    async fn post_lease(&mut self, lease: Lease) -> Result<Instant, Failure> {
        let path = self.settings.collection();
        self.store(Method::POST, &path, lease).await
    }

    /// Writes the lease, and returns when that was sent.
    async fn store(
        &mut self,
        method: Method,
        path: &str,
        lease: Lease,
    ) -> Result<Instant, Failure> {
        // From before the request: the lease is ours no longer than the server counts.
        let since = Instant::now();
        let lease = self.call(method, path, Some(lease)).await?;
        self.seen = Some(Seen { lease, since });
        Ok(since)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        lease: Option<Lease>,
    ) -> Result<Lease, Failure> {
        let body = lease.map_or_else(Vec::new, Lease::into_json);
        let limit = self.settings.request_limit();
        let (content, accept) = (Content::Json, Accept::Json);
        let answer = send(&self.client, method, path, content, accept, body, limit).await?;
        let lease = answer.json().map(Lease::of);
        lease.map_err(|error| Failure::Transport(kube::Error::SerdeError(error)))
    }

    pub(super) fn report_holder(&mut self) {
        let holder = self.seen.as_ref().map_or("", |seen| seen.lease.holder());
        if holder != self.reported {
            holder.clone_into(&mut self.reported);
            tracing::info!(lease = %self.settings.lease(), holder, "new leader elected");
        }
    }

    pub(super) fn post(&self, what: &str) {
        let (Some(recorder), Some(seen)) = (&self.recorder, &self.seen) else {
            return;
        };
        recorder.event(
            &Regarding {
                api_version: "coordination.k8s.io/v1".into(),
                kind: "Lease".into(),
                namespace: self.settings.namespace.as_str().into(),
                name: self.settings.name.as_str().into(),
                uid: seen.lease.uid().into(),
                resource_version: seen.lease.resource_version().into(),
            },
            &Event::normal(
                "LeaderElection",
                format!("{} {what}", self.settings.identity),
            ),
        );
    }
}

impl Seen {
    /// Whether the holder still has the lease, by this process's own watch.
    fn is_valid(&self) -> bool {
        Instant::now() < self.until()
    }

    /// When the holder has the lease no more unless it is seen to renew it.
    fn until(&self) -> Instant {
        self.since + self.lease.duration()
    }
}
