//! The work queue of one controller, with the semantics of client-go's workqueue.
//!
//! A key is queued once, however often it is added; it is never handed out twice at a time,
//! and if it is added while it is worked on it runs once more afterwards. Keys leave in the
//! order in which they became due, in two lanes: where a thousand objects wait for their first
//! reconcile, what follows from one reconcile (its pods are seen, its status can be written) does
//! not wait behind them, but every other key is of those. What woke a key travels with it, so that a reconcile can
//! say why it ran. There is no overall rate limit (client-go adds 10 keys per second, burst
//! 100, to retries): the client bounds what is in flight.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::Key;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::queue_metrics::{InProgress, QueueHandles, QueueMetrics};

mod why;

#[cfg(test)]
mod tests;

pub use self::why::{Reason, Why};

/// Delay before the first retry of a key; doubled with each further failure.
const BASE_DELAY: Duration = Duration::from_millis(5);
/// Longest delay before a retry.
const MAX_DELAY: Duration = Duration::from_secs(1000);

/// A key handed out by [`Queue::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The object to reconcile.
    pub key: Key,
    /// What woke it since it was last handed out.
    pub why: Why,
}

/// The work queue of one controller. Clones share the content.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    state: Mutex<State>,
    /// Tells every waiting `next` to look again.
    changed: Notify,
    metrics: QueueHandles,
}

#[derive(Default)]
struct State {
    /// Keys that are due.
    ready: Lanes,
    /// Keys that are due, worked on, or both.
    active: HashMap<Arc<Key>, Active>,
    /// Keys that become due later, by time and then by order of arrival.
    timers: BTreeMap<(Instant, u64), Arc<Key>>,
    /// The one timer of a key and what set it.
    delayed: HashMap<Arc<Key>, (Instant, u64, Why)>,
    failures: HashMap<Key, u32>,
    arrivals: u64,
    /// Takes no keys yet.
    closed: bool,
    shut_down: bool,
}

/// Keys in the order in which they are handed out: from either lane in turn.
#[derive(Default)]
struct Lanes {
    /// Of objects that changed, are retried or are looked at for the first time.
    news: VecDeque<Arc<Key>>,
    /// Of objects for which something is going on already.
    follow_ups: VecDeque<Arc<Key>>,
    /// Whether the last key was one of `news`.
    news_were_served: bool,
}

impl Lanes {
    fn push(&mut self, key: Arc<Key>, why: Why) {
        if why.is_follow_up() {
            self.follow_ups.push_back(key);
        } else {
            self.news.push_back(key);
        }
    }

    fn pop(&mut self) -> Option<Arc<Key>> {
        let lanes = [&mut self.news, &mut self.follow_ups];
        let first = usize::from(self.news_were_served);
        let lane = if lanes[first].is_empty() {
            1 - first
        } else {
            first
        };
        self.news_were_served = lane == 0;
        lanes[lane].pop_front()
    }

    fn len(&self) -> usize {
        self.news.len() + self.follow_ups.len()
    }

    fn clear(&mut self) {
        self.news.clear();
        self.follow_ups.clear();
    }
}

#[derive(Default)]
struct Active {
    /// What the next run is for, and since when it is due; `None` when none is due.
    due: Option<(Why, Instant)>,
    /// Since when the key is worked on.
    started: Option<Instant>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.lock();
        f.debug_struct("Queue")
            .field("name", &self.inner.name)
            .field("ready", &state.ready.len())
            .field("delayed", &state.delayed.len())
            .finish_non_exhaustive()
    }
}

impl Queue {
    /// An empty queue. `name` is the label of its metrics: upstream's, for example `replicaset`.
    /// Queues of the same name (native and custom kind) are summed there.
    pub fn new(name: &'static str, metrics: &QueueMetrics) -> Self {
        let inner = Arc::new(Inner {
            name,
            state: Mutex::default(),
            changed: Notify::new(),
            metrics: metrics.handles(name),
        });
        let watched: Arc<dyn InProgress> = inner.clone();
        metrics.watch(name, &watched);
        Self { inner }
    }

    /// A queue that drops every key until [`Queue::open`], for a controller that does not run
    /// yet: on a follower nobody works keys off, and one for each object that ever was would
    /// stay.
    pub fn closed(name: &'static str, metrics: &QueueMetrics) -> Self {
        let queue = Self::new(name, metrics);
        queue.inner.state.lock().closed = true;
        queue
    }

    /// Takes keys from now on. Add those that were missed afterwards, not before.
    pub fn open(&self) {
        self.inner.state.lock().closed = false;
    }

    /// Queues a key now.
    pub fn add(&self, key: Key, reason: Reason) {
        let mut state = self.inner.state.lock();
        if !state.takes_keys() {
            return;
        }
        let woken = self
            .inner
            .make_due(&mut state, Arc::new(key), reason.into());
        drop(state);
        if woken {
            self.inner.changed.notify_waiters();
        }
    }

    /// Queues a key after `delay`; of several the earliest wins. Counts as a retry, as upstream.
    pub fn add_after(&self, key: Key, delay: Duration, reason: Reason) {
        self.inner.metrics.retries.inc();
        self.add_delayed(key, delay, reason, false);
    }

    /// Queues a key after `window`, unless it is due before: what happens within the window is
    /// collected into one reconcile. Not counted as a retry.
    pub fn add_within(&self, key: Key, window: Duration, reason: Reason) {
        self.add_delayed(key, window, reason, true);
    }

    fn add_delayed(&self, key: Key, delay: Duration, reason: Reason, joins_due: bool) {
        if delay.is_zero() {
            self.add(key, reason);
            return;
        }
        let due = Instant::now() + delay;
        let mut state = self.inner.state.lock();
        if !state.takes_keys() {
            return;
        }
        if joins_due
            && let Some(active) = state.active.get_mut(&key)
            && let Some((why, _)) = &mut active.due
        {
            *why |= reason.into();
            return;
        }
        let earliest = state.timers.keys().next().is_none_or(|(at, _)| due < *at);
        state.set_timer(key, due, reason.into());
        drop(state);
        if earliest {
            self.inner.changed.notify_waiters();
        }
    }

    /// Queues a key after its back-off: 5 ms, doubled with each failure, at most 1000 s
    /// (client-go's item exponential failure limiter), or `at_least` (what a 429 asked for) if
    /// that is longer. Returns the delay.
    pub fn add_rate_limited(&self, key: Key, at_least: Duration) -> Duration {
        let delay = {
            let mut state = self.inner.state.lock();
            let failures = state.failures.entry(key.clone()).or_default();
            let delay = back_off(*failures).max(at_least);
            *failures = failures.saturating_add(1);
            delay
        };
        self.add_after(key, delay, Reason::Retry);
        delay
    }

    /// How often a key failed in a row.
    pub fn failures(&self, key: &Key) -> u32 {
        self.inner
            .state
            .lock()
            .failures
            .get(key)
            .copied()
            .unwrap_or(0)
    }

    /// Resets the back-off of a key: after a success, and when the object is gone, so that one
    /// recreated under the same name starts afresh (kubernetes#132042).
    pub fn forget(&self, key: &Key) {
        self.inner.state.lock().failures.remove(key);
    }

    /// The next key; `None` once the queue is shut down. Follow up with [`Queue::done`].
    ///
    /// Dropping the future loses no key. Several callers may wait at a time.
    pub async fn next(&self) -> Option<Work> {
        loop {
            let mut changed = pin!(self.inner.changed.notified());
            // From here on no change goes unnoticed, whatever happens before the await.
            changed.as_mut().enable();
            let next_timer = {
                let mut state = self.inner.state.lock();
                if state.shut_down {
                    return None;
                }
                self.inner.fire_timers(&mut state, Instant::now());
                if let Some(work) = self.inner.hand_out(&mut state) {
                    return Some(work);
                }
                state.timers.keys().next().map(|(at, _)| *at)
            };
            match next_timer {
                Some(at) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Ends the work on a key; it is queued again if it was added meanwhile.
    pub fn done(&self, key: &Key) {
        let mut state = self.inner.state.lock();
        let Some(active) = state.active.get_mut(key) else {
            return;
        };
        let worked = active.started.take().map(|started| started.elapsed());
        let due = active.due.as_ref().map(|(why, _)| *why);
        let again = due.is_some();
        if let Some(why) = due {
            if let Some((key, _)) = state.active.get_key_value(key) {
                let key = Arc::clone(key);
                state.ready.push(key, why);
            }
        } else {
            state.active.remove(key);
        }
        drop(state);
        if let Some(worked) = worked {
            self.inner
                .metrics
                .work_duration
                .observe(worked.as_secs_f64());
        }
        if again {
            self.inner.changed.notify_waiters();
        }
    }

    /// Drops all queued and delayed keys, takes no more and ends every `next`. Keys that are
    /// worked on are not touched. Unlike client-go's, the queue is not worked off first: a
    /// process that ends must not start anything.
    pub fn shut_down(&self) {
        let mut state = self.inner.state.lock();
        state.shut_down = true;
        let queued = state
            .active
            .values()
            .filter(|key| key.due.is_some())
            .count();
        state.ready.clear();
        state.timers.clear();
        state.delayed.clear();
        state.active.retain(|_, active| {
            active.due = None;
            active.started.is_some()
        });
        drop(state);
        self.inner.metrics.depth.dec_by(queued as i64);
        self.inner.changed.notify_waiters();
    }
}

impl Inner {
    /// Marks a key due. Whether it can be handed out by that.
    fn make_due(&self, state: &mut State, key: Arc<Key>, why: Why) -> bool {
        let active = state.active.entry(Arc::clone(&key)).or_default();
        if let Some((known, _)) = &mut active.due {
            *known |= why;
            return false;
        }
        active.due = Some((why, Instant::now()));
        let is_free = active.started.is_none();
        if is_free {
            state.ready.push(key, why);
        }
        self.metrics.adds.inc();
        self.metrics.depth.inc();
        is_free
    }

    fn fire_timers(&self, state: &mut State, now: Instant) {
        while let Some(first) = state.timers.first_entry() {
            if first.key().0 > now {
                break;
            }
            let key = first.remove();
            if let Some((_, _, why)) = state.delayed.remove(&key) {
                self.make_due(state, key, why);
            }
        }
    }

    fn hand_out(&self, state: &mut State) -> Option<Work> {
        let key = state.ready.pop()?;
        let active = state.active.get_mut(&key)?;
        let (why, since) = active.due.take()?;
        let now = Instant::now();
        active.started = Some(now);
        self.metrics.depth.dec();
        self.metrics
            .queue_duration
            .observe((now - since).as_secs_f64());
        Some(Work {
            key: Key::clone(&key),
            why,
        })
    }
}

impl State {
    fn takes_keys(&self) -> bool {
        !self.closed && !self.shut_down
    }

    fn set_timer(&mut self, key: Key, due: Instant, why: Why) {
        let (key, why) = match self.delayed.remove_entry(&key) {
            Some((key, (at, arrival, known))) => {
                let why = known | why;
                if at <= due {
                    self.delayed.insert(key, (at, arrival, why));
                    return;
                }
                self.timers.remove(&(at, arrival));
                (key, why)
            }
            None => (Arc::new(key), why),
        };
        self.arrivals += 1;
        self.timers.insert((due, self.arrivals), Arc::clone(&key));
        self.delayed.insert(key, (due, self.arrivals, why));
    }
}

impl InProgress for Inner {
    fn durations(&self) -> Vec<Duration> {
        let state = self.state.lock();
        let started = state.active.values().filter_map(|key| key.started);
        started.map(|started| started.elapsed()).collect()
    }
}

fn back_off(failures: u32) -> Duration {
    2_u32
        .checked_pow(failures)
        .and_then(|factor| BASE_DELAY.checked_mul(factor))
        .map_or(MAX_DELAY, |delay| delay.min(MAX_DELAY))
}
