//! Slow start: how many creations to attempt at once.

/// Most pods that one sync creates or deletes, upstream's `BurstReplicas`.
pub const BURST: usize = 500;

/// Batch sizes 1, 2, 4, … that add up to `total`.
///
/// The executor runs one batch at a time, and stops after the first batch with a failure:
/// a quota of ten pods then costs a handful of refused requests instead of five hundred
/// (upstream's `slowStartBatch`).
pub fn slow_start(total: usize) -> SlowStart {
    SlowStart {
        next: 1,
        remaining: total,
    }
}

/// Iterator over batch sizes; see [`slow_start`].
#[derive(Clone, Debug)]
pub struct SlowStart {
    next: usize,
    remaining: usize,
}

impl Iterator for SlowStart {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let size = self.next.min(self.remaining);
        if size == 0 {
            return None;
        }
        self.remaining -= size;
        self.next = size.saturating_mul(2);
        Some(size)
    }
}

#[cfg(test)]
mod tests;
