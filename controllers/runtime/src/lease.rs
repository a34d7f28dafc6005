//! Leader election on a `coordination.k8s.io/v1` Lease, as client-go does it.
//!
//! Whether another holder's lease has run out is judged by how long this process has seen
//! it unchanged, on the monotonic clock; the times in the Lease are for people. The one
//! deliberate difference: a leader counts its renew deadline from the moment its last
//! successful renewal was *sent* and never resumes after it, where client-go counts from
//! the start of the next attempt. A process that was stopped for longer than the renew
//! deadline therefore ends, and until it has ended its [`Leader`] token refuses.

mod record;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use ironkeel_plan::Event;
use kube::Client;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::events::{Recorder, Regarding};
use crate::jitter::Jitter;
use crate::metrics::LeaseMetrics;
use crate::request::{Content, Failure, send};
use record::{Lease, Term};

/// Spread of the period between attempts to acquire: up to this much longer (client-go
/// `JitterFactor`).
const JITTER: f64 = 1.2;

/// Which Lease, for whom, and how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// `holderIdentity` of this process: unique among all that ever contend, restarts of the
    /// same pod included.
    pub identity: String,
    /// How long others wait for a renewal before they take over.
    pub lease_duration: Duration,
    /// How long the holder goes on without a renewal before it gives up.
    pub renew_deadline: Duration,
    /// Time between two attempts to acquire or renew.
    pub retry_period: Duration,
}

impl LeaseSettings {
    /// Upstream's periods: 15 s, 10 s, 2 s.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    /// Checks the rules of client-go's `NewLeaderElector`.
    pub fn validate(&self) -> Result<(), LeaseError> {
        let rule = |field, value: Duration, rule: String| {
            Err(LeaseError {
                lease: self.lease(),
                field,
                value: format!("{value:?}"),
                rule,
            })
        };
        for (field, value) in [
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("identity", &self.identity),
        ] {
            if value.is_empty() {
                return Err(LeaseError {
                    lease: self.lease(),
                    field,
                    value: "\"\"".to_owned(),
                    rule: "must not be empty".to_owned(),
                });
            }
        }
        if self.retry_period.is_zero() {
            return rule(
                "retry period",
                self.retry_period,
                "must be above zero".to_owned(),
            );
        }
        if self.lease_duration.as_secs() < 1 {
            return rule(
                "lease duration",
                self.lease_duration,
                "must be at least 1s, the unit of a Lease".to_owned(),
            );
        }
        if self.lease_duration <= self.renew_deadline {
            return rule(
                "lease duration",
                self.lease_duration,
                format!(
                    "must be greater than the renew deadline, {:?}",
                    self.renew_deadline
                ),
            );
        }
        let longest_retry = self.retry_period.mul_f64(JITTER);
        if self.renew_deadline <= longest_retry {
            return rule(
                "renew deadline",
                self.renew_deadline,
                format!("must be greater than {JITTER} times the retry period, {longest_retry:?}"),
            );
        }
        Ok(())
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    fn path(&self) -> String {
        let Self {
            namespace, name, ..
        } = self;
        format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")
    }

    fn collection(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.namespace
        )
    }

    /// Limit of one request: half the renew deadline and at least a second, as upstream's
    /// `resourcelock.NewFromKubeconfig` sets it, so that one lost reply does not cost the
    /// leadership.
    fn request_limit(&self) -> Duration {
        (self.renew_deadline / 2).max(Duration::from_secs(1))
    }
}

/// Settings that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease {lease}: {field} {value} {rule}")]
pub struct LeaseError {
    lease: String,
    field: &'static str,
    value: String,
    rule: String,
}

/// The right to write: valid while the lease behind it is.
///
/// Only [`Candidate::acquire`] and [`Leader::without_election`] make one.
#[derive(Clone, Debug)]
pub struct Leader(Arc<Right>);

#[derive(Debug)]
enum Right {
    /// `--leader-elect=false`: whoever started the process answers for there being one.
    Unelected,
    Elected {
        lease: String,
        /// When the right ends unless it is renewed; `None` once it was given up or lost.
        until: Mutex<Option<Instant>>,
    },
}

/// This process does not hold the lease (any more), so nothing may be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease {lease} is not held: it was not renewed within the renew deadline, or was given up")]
pub struct NotLeading {
    lease: String,
}

impl Leader {
    /// A right that never ends, for `--leader-elect=false`.
    pub fn without_election() -> Self {
        Self(Arc::new(Right::Unelected))
    }

    fn elected(lease: String, until: Instant) -> Self {
        Self(Arc::new(Right::Elected {
            lease,
            until: Mutex::new(Some(until)),
        }))
    }

    /// Whether a write may start now.
    ///
    /// Judged by the monotonic clock alone, so it is right even when the task that renews
    /// did not get to run.
    pub fn check(&self) -> Result<(), NotLeading> {
        match &*self.0 {
            Right::Unelected => Ok(()),
            Right::Elected { lease, until } => match *until.lock() {
                Some(until) if Instant::now() < until => Ok(()),
                _ => Err(NotLeading {
                    lease: lease.clone(),
                }),
            },
        }
    }

    /// Moves the end; `false` if the right had already ended, and then it stays ended.
    fn extend(&self, to: Instant) -> bool {
        let Right::Elected { until, .. } = &*self.0 else {
            return true;
        };
        let mut until = until.lock();
        let valid = until.is_some_and(|end| Instant::now() < end);
        *until = valid.then_some(to);
        valid
    }

    fn end(&self) {
        if let Right::Elected { until, .. } = &*self.0 {
            *until.lock() = None;
        }
    }

    fn until(&self) -> Instant {
        match &*self.0 {
            Right::Elected { until, .. } => until.lock().unwrap_or_else(Instant::now),
            Right::Unelected => Instant::now(),
        }
    }
}

/// One that wants to lead.
pub struct Candidate {
    contest: Contest,
}

/// One that leads, until [`Tenure::hold`] says otherwise.
#[must_use = "a lease that nobody holds on to runs out"]
pub struct Tenure {
    contest: Contest,
    leader: Leader,
}

/// How a tenure ended. In every case the process has to end with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenureEnd {
    /// Stopped on request, and the lease was given up, so that another can lead at once.
    Released,
    /// Stopped on request, but the lease could not be given up: others wait until it runs out.
    NotReleased(String),
    /// Lost: not renewed in time or taken by another.
    Lost(String),
}

impl Candidate {
    /// A candidate for the lease of `settings`. `seed` spreads the attempts of replicas.
    pub fn new(
        client: Client,
        settings: LeaseSettings,
        clock: Clock,
        seed: u64,
        metrics: LeaseMetrics,
    ) -> Result<Self, LeaseError> {
        settings.validate()?;
        metrics.set_leading(&settings.name, false);
        Ok(Self {
            contest: Contest {
                client,
                settings,
                clock,
                jitter: Jitter::new(seed),
                metrics,
                recorder: None,
                seen: None,
                reported: String::new(),
            },
        })
    }

    /// Posts upstream's `LeaderElection` events about the Lease.
    #[must_use]
    pub fn with_events(mut self, recorder: Recorder) -> Self {
        self.contest.recorder = Some(recorder);
        self
    }

    /// Contends until this process leads, or `stop` is cancelled: `None` then.
    pub async fn acquire(mut self, stop: &CancellationToken) -> Option<Tenure> {
        let lease = self.contest.settings.lease();
        let identity = self.contest.settings.identity.clone();
        tracing::info!(%lease, %identity, "attempting to acquire leader lease");
        loop {
            let asked = Instant::now();
            let attempt = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                attempt = self.contest.acquire_or_renew() => attempt,
            };
            self.contest.report_holder();
            match attempt {
                Attempt::Held => {
                    let until = asked + self.contest.settings.renew_deadline;
                    tracing::info!(%lease, %identity, "became leader");
                    self.contest.post("became leader");
                    self.contest
                        .metrics
                        .set_leading(&self.contest.settings.name, true);
                    return Some(Tenure {
                        contest: self.contest,
                        leader: Leader::elected(lease, until),
                    });
                }
                Attempt::HeldByAnother => {}
                Attempt::Failed(why) => {
                    tracing::warn!(%lease, error = %why, "cannot acquire the lease")
                }
            }
            let pause = self
                .contest
                .settings
                .retry_period
                .mul_f64(1.0 + JITTER * self.contest.jitter.fraction());
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

impl Tenure {
    /// The token that writes ask for.
    pub fn leader(&self) -> Leader {
        self.leader.clone()
    }

    /// Renews until the lease is lost or `stop` is cancelled, and gives it up in the latter
    /// case (`ReleaseOnCancel`).
    ///
    /// Cancel `stop` only when every worker has ended: from then on another may lead. On
    /// return the token is void, and the caller ends the process.
    pub async fn hold(mut self, stop: &CancellationToken) -> TenureEnd {
        let why = self.renew_until_lost(stop).await;
        self.leader.end();
        let lease = self.contest.settings.lease();
        self.contest
            .metrics
            .set_leading(&self.contest.settings.name, false);
        self.contest.post("stopped leading");
        if let Some(why) = why {
            tracing::error!(%lease, error = %why, "leader election lost, ending the process");
            return TenureEnd::Lost(why);
        }
        let limit = self.contest.settings.renew_deadline;
        match tokio::time::timeout(limit, self.contest.release()).await {
            Ok(Ok(())) => {
                tracing::info!(%lease, "released the lease");
                TenureEnd::Released
            }
            Ok(Err(why)) => {
                tracing::warn!(%lease, error = %why, "cannot release the lease");
                TenureEnd::NotReleased(why)
            }
            Err(_) => TenureEnd::NotReleased(format!("no success within {limit:?}")),
        }
    }

    /// Why the lease was lost; `None` if `stop` was cancelled.
    async fn renew_until_lost(&mut self, stop: &CancellationToken) -> Option<String> {
        let LeaseSettings {
            renew_deadline,
            retry_period,
            ..
        } = self.contest.settings;
        let mut next = Instant::now() + retry_period;
        let mut failure = "the process did not run in time".to_owned();
        loop {
            let deadline = self.leader.until();
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = tokio::time::sleep_until(next.min(deadline)) => {}
            }
            let asked = Instant::now();
            if asked >= deadline {
                return Some(format!("not renewed within {renew_deadline:?}: {failure}"));
            }
            let attempt = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                attempt = tokio::time::timeout_at(deadline, self.contest.acquire_or_renew()) => attempt,
            };
            self.contest.report_holder();
            match attempt {
                Ok(Attempt::Held) => {
                    if !self.leader.extend(asked + renew_deadline) {
                        return Some(format!("renewed later than {renew_deadline:?}"));
                    }
                }
                Ok(Attempt::HeldByAnother) => {
                    return Some(format!("taken by {:?}", self.contest.reported));
                }
                Ok(Attempt::Failed(why)) => {
                    tracing::warn!(lease = %self.contest.settings.lease(), error = %why, "cannot renew the lease");
                    failure = why;
                }
                Err(_) => "no reply from the API server".clone_into(&mut failure),
            }
            next = asked + retry_period;
        }
    }
}

/// What one attempt found.
#[derive(Debug)]
enum Attempt {
    Held,
    HeldByAnother,
    Failed(String),
}

/// The lease as it was last seen, and since when it is unchanged.
#[derive(Debug)]
struct Seen {
    lease: Lease,
    since: Instant,
}

struct Contest {
    client: Client,
    settings: LeaseSettings,
    clock: Clock,
    jitter: Jitter,
    metrics: LeaseMetrics,
    recorder: Option<Recorder>,
    seen: Option<Seen>,
    /// The holder that was last logged.
    reported: String,
}

impl Contest {
    /// One round of client-go's `tryAcquireOrRenew`.
    async fn acquire_or_renew(&mut self) -> Attempt {
        // The holder renews against the version it wrote last, without reading first.
        if let Some(seen) = &self.seen
            && self.is_mine(&seen.lease)
            && seen.is_valid()
        {
            let renewed = seen.lease.with_term(&self.term(Some(&seen.lease)));
            match self.put(renewed).await {
                Ok(()) => return Attempt::Held,
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
                    Ok(()) => Attempt::Held,
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
            Ok(()) => Attempt::Held,
            Err(failure) => Attempt::Failed(failure.to_string()),
        }
    }

    /// Gives the lease up, once more after each conflict: a renewal may have been in flight.
    async fn release(&mut self) -> Result<(), String> {
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
                Ok(()) => return Ok(()),
                Err(failure) if failure.code() == Some(409) => {}
                Err(failure) => return Err(failure.to_string()),
            }
        }
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

    async fn put(&mut self, lease: Lease) -> Result<(), Failure> {
        let path = self.settings.path();
        self.store(Method::PUT, &path, lease).await
    }

    async fn post_lease(&mut self, lease: Lease) -> Result<(), Failure> {
        let path = self.settings.collection();
        self.store(Method::POST, &path, lease).await
    }

    async fn store(&mut self, method: Method, path: &str, lease: Lease) -> Result<(), Failure> {
        // From before the request: the lease is ours no longer than the server counts.
        let since = Instant::now();
        let lease = self.call(method, path, Some(lease)).await?;
        self.seen = Some(Seen { lease, since });
        Ok(())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        lease: Option<Lease>,
    ) -> Result<Lease, Failure> {
        let body = lease.map_or_else(Vec::new, |lease| lease.into_json());
        let limit = self.settings.request_limit();
        let text = send(&self.client, method, path, Content::Json, body, limit).await?;
        Lease::from_json(&text).map_err(|error| Failure::Transport(kube::Error::SerdeError(error)))
    }

    fn report_holder(&mut self) {
        let holder = self.seen.as_ref().map_or("", |seen| seen.lease.holder());
        if holder != self.reported {
            holder.clone_into(&mut self.reported);
            tracing::info!(lease = %self.settings.lease(), holder, "new leader elected");
        }
    }

    fn post(&self, what: &str) {
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
        Instant::now() < self.since + self.lease.duration()
    }
}
