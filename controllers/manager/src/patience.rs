//! How long things may wait so that one write tells what several would.
//!
//! Nothing here holds back a pod that is to be created or deleted because another one came or
//! went. What waits is what starts nothing: counts in a status, events, and the steps of a rollout
//! while pods of one batch turn ready one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The shortest window.
const SHORTEST: Duration = Duration::from_millis(20);
/// The longest window of a step; those of counts are twice as long.
const LONGEST: Duration = Duration::from_millis(500);
/// The longest window for the sake of the time that a look takes.
const LONGEST_LOOK: Duration = Duration::from_millis(250);
/// How many writes' time a window lasts. What the API server needs a tenth of a second for it does
/// not get done sooner by being sent more of it.
const ROUND_TRIPS: u32 = 3;
/// What one look at a set costs per pod, with a wide margin: a set of 5,000 is counted five times a
/// second while its pods turn ready, not fifty times.
const PER_OBJECT: Duration = Duration::from_micros(40);

/// The windows in which changes are collected. Clones share what was measured.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// How long writes take, smoothed, in microseconds.
    round_trip: Arc<AtomicU64>,
}

impl Windows {
    /// Runs a write and takes note of how long it took.
    pub async fn time<T>(&self, write: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = write.await;
        // One slow request must not count for many.
        let took = started.elapsed().min(LONGEST).as_micros() as u64;
        let known = self.round_trip.load(Ordering::Relaxed);
        let smoothed = (known * 7 + took) / 8;
        self.round_trip.store(smoothed, Ordering::Relaxed);
        result
    }

    /// For changes that let a rollout take its next step.
    pub fn step(&self) -> Duration {
        let round_trip = Duration::from_micros(self.round_trip.load(Ordering::Relaxed));
        (round_trip * ROUND_TRIPS).clamp(SHORTEST, LONGEST)
    }

    /// For changes that only count differently, in a set of `pods`. Longer than a step, so that the
    /// status after the step tells of both.
    pub fn count(&self, pods: i32) -> Duration {
        (self.step() * 2).max(self.look(pods))
    }

    /// So that looking at `pods` again and again takes little of the time.
    pub fn look(&self, pods: i32) -> Duration {
        PER_OBJECT
            .saturating_mul(pods.unsigned_abs())
            .min(LONGEST_LOOK)
    }
}

/// Statuses that wait, by the UID of their object.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: BTreeMap<Arc<str>, Entry>,
    /// At how many entries those are dropped that nobody asked for again.
    sweep_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Since when there is a status that was not written.
    since: Option<Instant>,
    /// When the object's controller last created or deleted something.
    acted: Instant,
}

impl Patience {
    /// Holds no status back for longer than `limit`.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            waiting: Mutex::default(),
        }
    }

    /// Something was created or deleted for the object: more is about to be seen.
    pub fn acted(&self, uid: &str) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        waiting.sweep(now, self.limit);
        waiting
            .entries
            .entry(uid.into())
            .and_modify(|entry| entry.acted = now)
            .or_insert(Entry {
                since: None,
                acted: now,
            });
    }

    /// How long a status has to wait: until the object's controller has been quiet for `window`,
    /// or, where its planner says that it `may_wait`, for what causes the next sync anyway. `None`:
    /// write it now. Call [`Patience::written`] then.
    pub fn wait(&self, uid: &str, may_wait: bool, window: Duration) -> Option<Duration> {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        if !may_wait && !waiting.entries.contains_key(uid) {
            return None;
        }
        waiting.sweep(now, self.limit);
        let entry = waiting.entries.entry(uid.into()).or_insert(Entry {
            since: None,
            acted: now,
        });
        let since = *entry.since.get_or_insert(now);
        let until = if may_wait {
            since + self.limit
        } else {
            (entry.acted + window).min(since + self.limit)
        };
        let left = until.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// The status is written, or there is nothing to write. After a write the next one waits for a
    /// window: call [`Patience::acted`] too.
    pub fn written(&self, uid: &str) {
        self.waiting.lock().entries.remove(uid);
    }
}

impl Waiting {
    /// Drops what belongs to objects that are gone, now and then.
    fn sweep(&mut self, now: Instant, limit: Duration) {
        if self.entries.len() < self.sweep_at.max(64) {
            return;
        }
        let oldest = limit * 2;
        self.entries.retain(|_, entry| {
            let last = entry
                .since
                .map_or(entry.acted, |since| since.max(entry.acted));
            now.saturating_duration_since(last) < oldest
        });
        self.sweep_at = self.entries.len() * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const WINDOW: Duration = Duration::from_millis(40);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_waits_until_its_object_is_quiet() {
        let patience = Patience::new(ms(1000));
        assert_eq!(patience.wait("a", false, WINDOW), None, "nothing was done");
        patience.acted("a");
        assert_eq!(patience.wait("a", false, WINDOW), Some(ms(40)));
        advance(ms(30)).await;
        patience.acted("a");
        assert_eq!(patience.wait("a", false, WINDOW), Some(ms(40)));
        assert_eq!(patience.wait("b", false, WINDOW), None);
        advance(ms(40)).await;
        assert_eq!(patience.wait("a", false, WINDOW), None);
        patience.written("a");
        assert_eq!(patience.wait("a", false, WINDOW), None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_status_waits_for_ever() {
        let patience = Patience::new(ms(1000));
        assert_eq!(patience.wait("a", true, WINDOW), Some(ms(1000)));
        advance(ms(400)).await;
        assert_eq!(patience.wait("a", true, WINDOW), Some(ms(600)));
        for _ in 0..60 {
            advance(ms(10)).await;
            patience.acted("a");
        }
        assert_eq!(patience.wait("a", true, WINDOW), None);
        assert_eq!(patience.wait("a", false, WINDOW), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_forgotten() {
        let patience = Patience::new(ms(1000));
        for at in 0..10_000 {
            patience.acted(&format!("set-{at}"));
            advance(ms(100)).await;
        }
        let kept = patience.waiting.lock().entries.len();
        assert!(kept <= 128, "{kept}");
    }

    #[tokio::test(start_paused = true)]
    async fn windows_grow_with_the_load_and_with_the_set() {
        let windows = Windows::default();
        assert_eq!((windows.step(), windows.count(10)), (ms(20), ms(40)));
        assert_eq!(windows.count(5000), ms(200));
        assert_eq!(windows.count(50_000), ms(250));
        for _ in 0..50 {
            windows.time(tokio::time::sleep(ms(30))).await;
        }
        assert!(windows.step() > ms(80) && windows.step() <= ms(90));
        windows.time(tokio::time::sleep(ms(9000))).await;
        assert!(windows.step() <= ms(280), "{:?}", windows.step());
        for _ in 0..50 {
            windows.time(tokio::time::sleep(ms(1))).await;
        }
        assert_eq!(windows.step(), ms(20));
    }
}
