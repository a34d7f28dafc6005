//! How long a watch waits before it tries again.

use std::time::Duration;

use tokio::time::Instant;

use crate::jitter::Jitter;

const FIRST: Duration = Duration::from_millis(100);
/// An API server that restarts is back within seconds: until then ask often.
const SHORT_CAP: Duration = Duration::from_millis(1600);
/// Upstream's reflector waits as long at most.
const LONG_CAP: Duration = Duration::from_secs(30);

/// Doubles from 100 ms to 1.6 s, and beyond that to a sixteenth of the outage so far, at most
/// 30 s: recovery comes fast after a short outage, and a long one costs little.
#[derive(Debug)]
pub(super) struct Backoff {
    attempts: u32,
    since: Option<Instant>,
    jitter: Jitter,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            attempts: 0,
            since: None,
            jitter: Jitter::new(seed),
        }
    }

    /// The next delay: between half of the computed one and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let now = Instant::now();
        let outage = now - *self.since.get_or_insert(now);
        let cap = (outage / 16).clamp(SHORT_CAP, LONG_CAP);
        let delay = FIRST.saturating_mul(1 << self.attempts.min(16)).min(cap);
        self.attempts = self.attempts.saturating_add(1);
        delay.mul_f64(0.5 + self.jitter.fraction() / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.attempts = 0;
        self.since = None;
    }

    /// A duration between `least` and `most`, so that watches opened together end apart.
    pub(super) fn between(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.jitter.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_fast_and_grows_with_the_outage() {
        let mut backoff = Backoff::new(7);
        let started = Instant::now();
        let mut longest_by_age = [Duration::ZERO; 3];
        while started.elapsed() < Duration::from_mins(20) {
            let delay = backoff.next();
            let age = match started.elapsed().as_secs() {
                0..25 => 0,
                25..240 => 1,
                _ => 2,
            };
            longest_by_age[age] = longest_by_age[age].max(delay);
            tokio::time::advance(delay).await;
        }
        assert!(longest_by_age[0] <= SHORT_CAP, "{longest_by_age:?}");
        assert!(
            longest_by_age[1] <= Duration::from_secs(15),
            "{longest_by_age:?}"
        );
        assert!(longest_by_age[2] <= LONG_CAP, "{longest_by_age:?}");
        assert!(longest_by_age[2] > LONG_CAP / 2, "{longest_by_age:?}");
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
