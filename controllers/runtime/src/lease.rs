//! Leader election on a `coordination.k8s.io/v1` Lease, as client-go does it.
//!
//! Whether another holder's lease has run out is judged by how long this process has seen
//! it unchanged, on the monotonic clock; the times in the Lease are for people. The one
//! deliberate difference: a leader counts its renew deadline from the moment its last
//! successful renewal was *sent* and never resumes after it, where client-go counts from
//! the start of the next attempt. A process that was stopped for longer than the renew
//! deadline therefore ends, and until it has ended its [`Leader`] token refuses.

mod contest;
mod leader;
mod record;
mod settings;
#[cfg(test)]
mod tests;

use kube::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::events::Recorder;
use crate::jitter::Jitter;
use crate::metrics::LeaseMetrics;
use contest::{Attempt, Contest};

pub use leader::{Leader, NotLeading};
pub use settings::{LeaseError, LeaseSettings};

/// One that wants to lead.
pub struct Candidate {
    contest: Contest,
    answered: Option<Box<dyn FnOnce() + Send>>,
}

/// One that leads, until [`Tenure::hold`] says otherwise.
#[must_use = "a lease that nobody holds on to runs out"]
pub struct Tenure {
    contest: Contest,
    leader: Leader,
    since: Instant,
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
            answered: None,
        })
    }

    /// Calls `answered` when the first attempt is over, whatever came of it. What is listed from then
    /// on holds everything that a leader before wrote, if the attempt was successful.
    #[must_use]
    pub fn when_answered(mut self, answered: impl FnOnce() + Send + 'static) -> Self {
        self.answered = Some(Box::new(answered));
        self
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
            let attempt = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                attempt = self.contest.acquire_or_renew() => attempt,
            };
            let since = Instant::now();
            self.contest.report_holder();
            if let Some(answered) = self.answered.take() {
                answered();
            }
            match attempt {
                Attempt::Held(sent) => {
                    let until = sent + self.contest.settings.renew_deadline;
                    tracing::info!(%lease, %identity, "became leader");
                    self.contest.post("became leader");
                    self.contest
                        .metrics
                        .set_leading(&self.contest.settings.name, true);
                    return Some(Tenure {
                        contest: self.contest,
                        leader: Leader::elected(lease, until),
                        since,
                    });
                }
                Attempt::HeldByAnother => {}
                Attempt::Failed(why) => {
                    tracing::warn!(%lease, error = %why, "cannot acquire the lease");
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(self.contest.pause()) => {}
            }
        }
    }
}

impl Tenure {
    /// Since when this process leads: everything that a leader before it wrote was committed by then,
    /// but a watch may not have shown it yet.
    pub const fn since(&self) -> Instant {
        self.since
    }

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
                Ok(Attempt::Held(sent)) => {
                    if !self.leader.extend(sent + renew_deadline) {
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
