//! The token that writes ask for.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The right to write: valid while the lease behind it is.
///
/// Only [`Candidate::acquire`](super::Candidate::acquire) and [`Leader::without_election`] make one.
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

    pub(super) fn elected(lease: String, until: Instant) -> Self {
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
    pub(super) fn extend(&self, to: Instant) -> bool {
        let Right::Elected { until, .. } = &*self.0 else {
            return true;
        };
        let mut until = until.lock();
        let valid = until.is_some_and(|end| Instant::now() < end);
        *until = valid.then_some(to);
        valid
    }

    pub(super) fn end(&self) {
        if let Right::Elected { until, .. } = &*self.0 {
            *until.lock() = None;
        }
    }

    pub(super) fn until(&self) -> Instant {
        match &*self.0 {
            Right::Elected { until, .. } => until.lock().unwrap_or_else(Instant::now),
            Right::Unelected => Instant::now(),
        }
    }
}
