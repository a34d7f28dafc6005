//! Bounds on what this process asks of the API server.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Writes that may be in flight at once when nothing else is said.
///
/// HTTP/1.1 needs one connection for each, so this also bounds connections.
pub const DEFAULT_IN_FLIGHT: usize = 64;

/// A bound on writes in flight and, if asked for, on writes per second. Clones share it.
#[derive(Clone, Debug)]
pub struct Limits {
    in_flight: Arc<Semaphore>,
    rate: Option<Arc<TokenBucket>>,
}

/// Proof that a write may be sent; the place is free again when this is dropped.
#[derive(Debug)]
#[must_use = "the place in flight is given back as soon as this is dropped"]
pub struct Permit {
    _place: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// At most `in_flight` writes at once (at least 1), without a rate limit.
    pub fn new(in_flight: usize) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(in_flight.max(1))),
            rate: None,
        }
    }

    /// The same bound on writes in flight, and beside it a token bucket of its own, as
    /// `--kube-api-qps` and `--kube-api-burst` mean it: `burst` at once, then `qps` per
    /// second. A `qps` that is not above zero means no rate limit.
    #[must_use]
    pub fn with_rate(&self, qps: f64, burst: u32) -> Self {
        Self {
            in_flight: Arc::clone(&self.in_flight),
            rate: (qps > 0.0).then(|| Arc::new(TokenBucket::new(qps, burst))),
        }
    }

    /// Waits for a token and then for a place in flight.
    ///
    /// A caller that gives up while it waits for its token has still spent it.
    pub async fn acquire(&self) -> Permit {
        if let Some(rate) = &self.rate {
            rate.take().await;
        }
        Permit {
            // The semaphore is never closed, so waiting for it cannot fail.
            _place: Arc::clone(&self.in_flight).acquire_owned().await.ok(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(DEFAULT_IN_FLIGHT)
    }
}

/// A token bucket in which waiters reserve in turn: tokens may go below zero, and how far
/// below says how long the last comer waits.
#[derive(Debug)]
struct TokenBucket {
    per_second: f64,
    burst: f64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    fn new(per_second: f64, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self {
            per_second,
            burst,
            level: Mutex::new(Level {
                tokens: burst,
                at: Instant::now(),
            }),
        }
    }

    async fn take(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn reserve(&self, now: Instant) -> Duration {
        let mut level = self.level.lock();
        let refill = now.saturating_duration_since(level.at).as_secs_f64() * self.per_second;
        level.tokens = (level.tokens + refill).min(self.burst) - 1.0;
        level.at = now;
        if level.tokens >= 0.0 {
            Duration::ZERO
        } else {
            // A rate of almost nothing waits for longer than a duration can say.
            Duration::try_from_secs_f64(-level.tokens / self.per_second).unwrap_or(Duration::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_is_paced() {
        let limits = Limits::new(8).with_rate(10.0, 5);
        let start = Instant::now();
        for _ in 0..5 {
            drop(limits.acquire().await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            drop(limits.acquire().await);
        }
        let elapsed = start.elapsed();
        assert!(
            elapsed >= Duration::from_millis(999) && elapsed <= Duration::from_millis(1020),
            "15 writes with 10/s and a burst of 5 took {elapsed:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_are_served_in_turn_and_not_all_at_once() {
        let limits = Limits::new(8).with_rate(1.0, 1);
        let start = Instant::now();
        let (a, b, c) = tokio::join!(
            async { (limits.acquire().await, start.elapsed()).1 },
            async { (limits.acquire().await, start.elapsed()).1 },
            async { (limits.acquire().await, start.elapsed()).1 },
        );
        assert_eq!([a, b, c].map(|waited| waited.as_secs()), [0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_bucket_holds_no_more_than_its_burst() {
        let limits = Limits::new(8).with_rate(10.0, 2);
        tokio::time::advance(Duration::from_hours(1)).await;
        let start = Instant::now();
        for _ in 0..3 {
            drop(limits.acquire().await);
        }
        assert!(start.elapsed() >= Duration::from_millis(99));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_bound_is_in_flight() {
        let limits = Limits::new(2);
        let first = limits.acquire().await;
        let _second = limits.acquire().await;
        let third = tokio::time::timeout(Duration::from_secs(1), limits.acquire()).await;
        assert!(third.is_err(), "a third write went out beside two");
        drop(first);
        assert!(
            tokio::time::timeout(Duration::from_secs(1), limits.acquire())
                .await
                .is_ok()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn two_rates_share_the_places_in_flight() {
        let one = Limits::new(1);
        let other = one.with_rate(1000.0, 1000);
        let held = one.acquire().await;
        assert!(
            tokio::time::timeout(Duration::from_secs(1), other.acquire())
                .await
                .is_err()
        );
        drop(held);
        drop(other.acquire().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_of_almost_nothing_waits_for_ever() {
        let limits = Limits::new(1).with_rate(f64::MIN_POSITIVE, 1);
        drop(limits.acquire().await);
        let second = tokio::time::timeout(Duration::from_hours(24), limits.acquire()).await;
        assert!(second.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn zero_qps_means_no_rate_limit() {
        let limits = Limits::new(1).with_rate(0.0, 0);
        let start = Instant::now();
        for _ in 0..1000 {
            drop(limits.acquire().await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
