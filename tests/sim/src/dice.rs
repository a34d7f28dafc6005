//! Chance that repeats itself: everything random in a run follows from its seed.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A stream of numbers that follows from a seed and a name, so that one part of a run that draws more does not move the
/// others.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream `name` of the run with `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a: std's hashers may change with the toolchain, and a seed has to mean the same for long.
        let mut state = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for byte in name.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(state)
    }

    /// The next number (SplitMix64).
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// A number of `range`.
    pub fn within(&mut self, range: RangeInclusive<i32>) -> i32 {
        let width = i64::from(*range.end()) - i64::from(*range.start()) + 1;
        let offset = self.below(u64::try_from(width).unwrap_or(0));
        range
            .start()
            .saturating_add(i32::try_from(offset).unwrap_or(0))
    }

    /// Whether something of this chance, in percent, happens.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`; `None` where there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let index = self.below(choices.len() as u64);
        choices.get(usize::try_from(index).ok()?)
    }

    /// A time of `range`, in whole milliseconds.
    pub fn millis(&mut self, range: RangeInclusive<u64>) -> Duration {
        let width = range.end().saturating_sub(*range.start()) + 1;
        Duration::from_millis(range.start() + self.below(width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_name_repeat_and_differ() {
        let draw = |seed, name| {
            let mut dice = Dice::new(seed, name);
            [dice.draw(), dice.draw(), dice.draw()]
        };
        assert_eq!(draw(7, "kubelet"), draw(7, "kubelet"));
        assert_ne!(draw(7, "kubelet"), draw(8, "kubelet"));
        assert_ne!(draw(7, "kubelet"), draw(7, "user"));
    }

    #[test]
    fn every_number_of_a_range_is_drawn_and_no_other() {
        let mut dice = Dice::new(1, "");
        let mut seen = [0; 4];
        for _ in 0..400 {
            let drawn = dice.within(-1..=2);
            seen[usize::try_from(drawn + 1).unwrap()] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        assert_eq!(dice.within(3..=3), 3);
        assert_eq!(dice.millis(5..=5), Duration::from_millis(5));
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
