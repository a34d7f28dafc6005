//! A bounded memory of UIDs.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// A delete is recorded within milliseconds of its watch event; the largest sync deletes 500.
const CAPACITY: usize = 4096;

/// The last UIDs that were inserted, oldest forgotten first.
#[derive(Default)]
pub(super) struct Recent {
    order: VecDeque<Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Recent {
    pub(super) fn insert(&mut self, uid: &str) {
        if self.known.contains(uid) {
            return;
        }
        if self.order.len() >= CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let uid: Arc<str> = uid.into();
        self.order.push_back(Arc::clone(&uid));
        self.known.insert(uid);
    }

    pub(super) fn contains(&self, uid: &str) -> bool {
        self.known.contains(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_beyond_its_capacity() {
        let mut recent = Recent::default();
        for number in 0..=CAPACITY {
            recent.insert(&number.to_string());
            recent.insert(&number.to_string());
        }
        assert!(!recent.contains("0"));
        assert!(recent.contains("1"));
        assert!(recent.contains(&CAPACITY.to_string()));
        assert_eq!(recent.order.len(), CAPACITY);
        assert_eq!(recent.known.len(), CAPACITY);
    }
}
