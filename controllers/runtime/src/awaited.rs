//! A value that tasks wait for.
//!
//! As tokio's `watch` channel, but tasks go on in the order in which they began to wait: that
//! channel wakes its receivers in random order, and the same run would not be the same twice.

use std::pin::pin;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A value that changes, and wakes who waits for it.
#[derive(Debug, Default)]
pub struct Awaited<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T> Awaited<T> {
    /// A value that nobody waits for yet.
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Notify::new(),
        }
    }

    /// Replaces the value.
    pub fn set(&self, value: T) {
        *self.value.lock() = value;
        self.changed.notify_waiters();
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.lock())
    }

    /// Waits until the value is one that `wanted` takes.
    pub async fn wait_for(&self, wanted: impl Fn(&T) -> bool) {
        loop {
            let mut changed = pin!(self.changed.notified());
            // From here on no change goes unnoticed.
            changed.as_mut().enable();
            if self.read(&wanted) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_waits_goes_on_in_the_order_of_arrival() {
        let door = Arc::new(Awaited::new(false));
        let passed = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..32 {
            let (door, passed) = (Arc::clone(&door), Arc::clone(&passed));
            tasks.push(tokio::spawn(async move {
                door.wait_for(|open| *open).await;
                passed.lock().push(number);
            }));
        }
        tokio::task::yield_now().await;
        assert!(passed.lock().is_empty());
        door.set(true);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*passed.lock(), (0..32).collect::<Vec<_>>());
    }
}
