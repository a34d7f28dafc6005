//! Seeded fractions for back-off, so that a run can be replayed from its seed.

use parking_lot::Mutex;

/// A stream of fractions in `[0, 1)` that a seed determines (SplitMix64).
///
/// Not for secrets: it only keeps replicas that start together from acting together.
#[derive(Debug)]
pub(crate) struct Jitter(Mutex<u64>);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next fraction.
    pub(crate) fn fraction(&self) -> f64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The upper 32 bits fit an f64 exactly.
        f64::from((mixed >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
    }
}
