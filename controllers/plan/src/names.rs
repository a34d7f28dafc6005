//! Names of pods: `<set>-` and five random characters, chosen here and not by the server.
//!
//! With a name of our own a create that is repeated after a lost answer meets
//! `AlreadyExists`; with `generateName` alone it would make a second pod.

/// Upstream's alphabet for generated names: no vowels and no look-alikes.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Characters of a random suffix.
const SUFFIX: usize = 5;

/// Longest generated name, as the API server's `SimpleNameGenerator` has it.
const MAX_NAME: usize = 63;

/// Where random suffixes come from: an argument, so that a plan stays reproducible.
pub trait NameSource {
    /// Five characters of the alphabet `bcdfghjklmnpqrstvwxz2456789`.
    fn suffix(&mut self) -> String;
}

/// SplitMix64: a tiny generator whose whole state is the seed that the shell supplies.
#[derive(Clone, Debug)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator that starts at `seed`; equal seeds give equal suffixes.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

impl NameSource for SplitMix64 {
    fn suffix(&mut self) -> String {
        // 27^5 goes 1.3e12 times into 2^64, so the remainder's bias cannot be noticed.
        let mut word = self.next();
        (0..SUFFIX)
            .map(|_| {
                let at = (word % ALPHABET.len() as u64) as usize;
                word /= ALPHABET.len() as u64;
                char::from(ALPHABET[at])
            })
            .collect()
    }
}

/// What upstream puts into `metadata.generateName` of a set's pods.
pub fn prefix(set: &str) -> String {
    format!("{set}-")
}

/// `base` and `suffix` as one name of at most 63 characters; `base` gives way.
pub fn generated(base: &str, suffix: &str) -> String {
    let keep = MAX_NAME.saturating_sub(suffix.len()).min(base.len());
    // Names are ASCII by validation; anything else is cut before the broken character.
    let keep = (0..=keep).rev().find(|at| base.is_char_boundary(*at));
    format!("{}{suffix}", &base[..keep.unwrap_or_default()])
}

#[cfg(test)]
mod tests;
