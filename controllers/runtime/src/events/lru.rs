//! A map that forgets what was used least recently.

use std::collections::{BTreeMap, HashMap};

/// At most `capacity` entries; inserting one more drops the one that was touched longest ago.
#[derive(Debug)]
pub(super) struct Lru<V> {
    capacity: usize,
    entries: HashMap<String, (u64, V)>,
    /// Key by the tick of its last use.
    order: BTreeMap<u64, String>,
    tick: u64,
}

impl<V> Lru<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            entries: HashMap::new(),
            order: BTreeMap::new(),
            tick: 0,
        }
    }

    /// The entry of `key`, made by `fresh` if there is none; either way it is now the one
    /// used last.
    pub(super) fn touch(&mut self, key: &str, fresh: impl FnOnce() -> V) -> &mut V {
        self.tick += 1;
        let tick = self.tick;
        if let Some((last, _)) = self.entries.get(key) {
            self.order.remove(last);
        } else if self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.order.insert(tick, key.to_owned());
        let (last, value) = self
            .entries
            .entry(key.to_owned())
            .or_insert_with(|| (tick, fresh()));
        *last = tick;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_least_recently_goes() {
        let mut lru = Lru::new(2);
        *lru.touch("a", || 0) = 1;
        *lru.touch("b", || 0) = 2;
        assert_eq!(*lru.touch("a", || 0), 1);
        *lru.touch("c", || 0) = 3;
        assert_eq!(*lru.touch("a", || 0), 1, "a was used after b");
        assert_eq!(*lru.touch("b", || 9), 9, "b was dropped for c");
        assert_eq!(lru.entries.len(), 2);
        assert_eq!(lru.order.len(), 2);
    }
}
