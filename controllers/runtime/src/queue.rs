//! The work queue of one controller.
#![allow(clippy::todo)]
use crate::queue_metrics::QueueMetrics;
use ironkeel_plan::meta::Key;
use std::time::Duration;

/// What woke a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The object itself was added or changed.
    Changed = 1,
    /// An object that it controls changed.
    Dependent = 2,
    /// An orphan that it may adopt changed.
    Orphan = 4,
    /// The store caught up with the object's own writes.
    CaughtUp = 8,
    /// A plan asked for this moment.
    Timer = 16,
    /// The last reconcile failed.
    Retry = 32,
    /// The shell asked: leadership was gained, or a whole kind is looked at again.
    Resync = 64,
}

/// The set of reasons that woke a key since it was last handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Why(u8);

/// A key handed out by [`Queue::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The object to reconcile.
    pub key: Key,
    /// What woke it.
    pub why: Why,
}

/// A fair queue of keys: each is queued once, and never handed out twice at a time. Clones share the content.
#[derive(Clone, Debug)]
pub struct Queue {}

impl Queue {
    /// An empty queue; `name` labels its metrics.
    pub fn new(_name: &'static str, _metrics: &QueueMetrics) -> Self {
        todo!()
    }
    /// Queues a key now.
    pub fn add(&self, _key: Key, _reason: Reason) {
        todo!()
    }
    /// Queues a key after `delay`; of several the earliest wins. Counted as a retry, as upstream does.
    pub fn add_after(&self, _key: Key, _delay: Duration, _reason: Reason) {
        todo!()
    }
    /// As `add_after`, not counted as a retry: collects what happens within `window` into one reconcile.
    pub fn add_within(&self, _key: Key, _window: Duration, _reason: Reason) {
        todo!()
    }
    /// Queues a key after its back-off: 5 ms, doubled with each failure, at most 1000 s. Returns the delay.
    pub fn add_rate_limited(&self, _key: Key) -> Duration {
        todo!()
    }
    /// Resets the back-off of a key: after a success, and when the object is gone.
    pub fn forget(&self, _key: &Key) {
        todo!()
    }
    /// The next key; `None` once the queue is shut down. Follow up with [`Queue::done`].
    pub async fn next(&self) -> Option<Work> {
        todo!()
    }
    /// Ends the work on a key; it runs again if it was added meanwhile.
    pub fn done(&self, _key: &Key) {
        todo!()
    }
    /// Drops all queued keys, takes no more, and ends every `next`.
    pub fn shut_down(&self) {
        todo!()
    }
}
