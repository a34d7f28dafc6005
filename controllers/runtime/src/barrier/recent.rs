//! A bounded memory of UIDs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A delete is recorded within milliseconds of its watch event; the largest sync deletes 500.
const CAPACITY: usize = 4096;

/// How an object was seen last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It is being deleted.
    Begun,
    /// It is not there any more.
    Over,
}

/// The last UIDs that were inserted, oldest forgotten first.
#[derive(Default)]
pub(super) struct Recent {
    order: VecDeque<Arc<str>>,
    known: HashMap<Arc<str>, Departure>,
}

impl Recent {
    pub(super) fn insert(&mut self, uid: &str, departure: Departure) {
        if let Some(known) = self.known.get_mut(uid) {
            *known = departure;
            return;
        }
        if self.order.len() >= CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let uid: Arc<str> = uid.into();
        self.order.push_back(Arc::clone(&uid));
        self.known.insert(uid, departure);
    }

    pub(super) fn get(&self, uid: &str) -> Option<Departure> {
        self.known.get(uid).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_beyond_its_capacity() {
        let mut recent = Recent::default();
        for number in 0..=CAPACITY {
            recent.insert(&number.to_string(), Departure::Begun);
            recent.insert(&number.to_string(), Departure::Over);
        }
        assert_eq!(recent.get("0"), None);
        assert_eq!(recent.get("1"), Some(Departure::Over));
        assert_eq!(recent.get(&CAPACITY.to_string()), Some(Departure::Over));
        assert_eq!(recent.order.len(), CAPACITY);
        assert_eq!(recent.known.len(), CAPACITY);
    }
}
