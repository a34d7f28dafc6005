//! Which places of a set of ranges are taken, a bit each, so that the next free one is found without asking for files.
//!
//! It is a hint: a place counts as free only when its reservation could be made, and when none seems free, the files are
//! looked at again.

/// Sets with more places have no such map: so many addresses of one node are never taken, that looking for a free one
/// would take long. That of a set with as many is 512 KiB.
pub const MOST_PLACES: u128 = 1 << 22;

/// A map of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    words: Vec<u64>,
    places: usize,
}

const BITS: usize = u64::BITS as usize;

impl Taken {
    /// A map of so many places, all of them free. `None` if there are more than [`MOST_PLACES`].
    pub fn new(places: u128) -> Option<Self> {
        if places > MOST_PLACES {
            return None;
        }
        let places = places as usize;
        Some(Self {
            words: vec![0; places.div_ceil(BITS)],
            places,
        })
    }

    /// Reads a map of so many places. `None` if it is not one of so many.
    pub fn from_bytes(places: u128, bytes: &[u8]) -> Option<Self> {
        let mut map = Self::new(places)?;
        if bytes.len() != map.words.len() * 8 {
            return None;
        }
        for (word, bytes) in map.words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().ok()?);
        }
        Some(map)
    }

    /// What is kept of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    }

    /// Marks a place.
    pub fn set(&mut self, place: usize, is_taken: bool) {
        let bit = 1 << (place % BITS);
        if let Some(word) = self.words.get_mut(place / BITS) {
            *word = if is_taken { *word | bit } else { *word & !bit };
        }
    }

    /// The first free place from `start` on, and then from the beginning.
    pub fn next_free(&self, start: usize) -> Option<usize> {
        self.free_from(start)
            .or_else(|| self.free_from(0).filter(|place| *place < start))
    }

    fn free_from(&self, start: usize) -> Option<usize> {
        let first = start / BITS;
        let before = (1_u64 << (start % BITS)) - 1;
        for (at, word) in self.words.iter().enumerate().skip(first) {
            let free = !(word | if at == first { before } else { 0 });
            if free != 0 {
                let place = at * BITS + free.trailing_zeros() as usize;
                return Some(place).filter(|place| *place < self.places);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_free_place_is_that_of_a_set_of_places(
            places in 1_usize..300,
            taken in proptest::collection::btree_set(0_usize..300, 0..300),
            start in 0_usize..300,
        ) {
            let taken: BTreeSet<usize> = taken.into_iter().filter(|place| *place < places).collect();
            let start = start % places;
            let mut map = Taken::new(places as u128).unwrap();
            for place in &taken {
                map.set(*place, true);
            }
            let expected = (start..places).chain(0..start).find(|place| !taken.contains(place));
            prop_assert_eq!(map.next_free(start), expected);
            let read = Taken::from_bytes(places as u128, &map.to_bytes());
            prop_assert_eq!(read.as_ref(), Some(&map));
            for place in &taken {
                map.set(*place, false);
            }
            prop_assert_eq!(map.next_free(start), Some(start));
        }
    }

    #[test]
    fn a_map_of_another_size_is_none() {
        assert_eq!(Taken::from_bytes(64, &[0; 16]), None);
        assert_eq!(Taken::new(MOST_PLACES + 1), None);
    }
}
