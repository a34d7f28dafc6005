//! Strings and label sets that many pods share are stored once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// One label.
type Label = (Arc<str>, Arc<str>);

/// A label set as pods store it.
pub(super) type Labels = Arc<[Label]>;

/// Below this many entries a sweep is not worth its time.
const SMALLEST_SWEEP: usize = 1024;

/// Hands out one shared copy of equal strings and of equal label sets.
///
/// Entries that nobody else holds are swept when the number of entries has doubled since
/// the last sweep, so that the names of pods and nodes long gone do not pile up.
#[derive(Debug, Default)]
pub struct Interner {
    strings: Mutex<Pool<str>>,
    labels: Mutex<Pool<[Label]>>,
}

#[derive(Debug)]
struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            sweep_at: SMALLEST_SWEEP,
        }
    }
}

impl<T: ?Sized + std::hash::Hash + Eq> Pool<T> {
    fn share<'v>(&mut self, value: &'v T) -> Arc<T>
    where
        Arc<T>: From<&'v T>,
    {
        if let Some(known) = self.known.get(value) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|entry| Arc::strong_count(entry) > 1);
            self.sweep_at = SMALLEST_SWEEP.max(self.known.len() * 2);
        }
        let fresh = Arc::from(value);
        self.known.insert(Arc::clone(&fresh));
        fresh
    }
}

impl Interner {
    /// An empty interner.
    pub fn new() -> Self {
        Self::default()
    }

    /// The shared copy of `text`.
    pub fn share(&self, text: &str) -> Arc<str> {
        // A poisoned pool is still a valid set: the worst is a string that is stored twice.
        self.strings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .share(text)
    }

    /// The shared copy of a label set; `labels` must be sorted by key.
    pub(super) fn share_labels(&self, labels: &[Label]) -> Labels {
        self.labels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .share(labels)
    }

    /// How many strings and label sets are stored now.
    pub fn len(&self) -> usize {
        let strings = self.strings.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        strings.known.len() + labels.known.len()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
