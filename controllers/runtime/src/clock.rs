//! Wall-clock time, handed in so that a simulator can pass its own.
//!
//! Time limits and back-off use `tokio::time::Instant` instead: it is monotonic, and tests
//! pause it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time that goes into planners and written objects.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(Timestamp::now)
    }

    /// A clock that answers with `now`.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that starts at `origin` and moves with the runtime's own time, so that a test
    /// which pauses and advances that moves this one too.
    ///
    /// Must be called inside a tokio runtime.
    pub fn starting_at(origin: Timestamp) -> Self {
        let started = tokio::time::Instant::now();
        Self::from_fn(move || {
            origin
                .checked_add(started.elapsed())
                .unwrap_or(Timestamp::MAX)
        })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn follows_the_paused_runtime() {
        let origin: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(origin);
        assert_eq!(clock.now(), origin);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().to_string(), "2026-11-21T10:01:30Z");
    }
}
