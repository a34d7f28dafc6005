//! Values over time, and how far back a controller may look.

use jiff::Timestamp;

/// A place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) version: u64,
    pub(crate) at: Timestamp,
}

/// The oldest state that somebody may still act on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    /// It knows every commit up to this one.
    pub(crate) version: u64,
    /// It knows every commit up to this time, if that can be said.
    pub(crate) at: Option<Timestamp>,
}

impl Horizon {
    /// Whether a commit of this moment must be known.
    pub(crate) fn covers(&self, moment: Moment) -> bool {
        moment.version <= self.version || self.at.is_some_and(|at| moment.at <= at)
    }
}

/// What a value was, from when on.
#[derive(Clone, Debug)]
pub(crate) struct Timeline<T> {
    entries: Vec<(Moment, T)>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T: PartialEq> Timeline<T> {
    /// The value from `moment` on; the same value again is no change.
    pub(crate) fn push(&mut self, moment: Moment, value: T) {
        if self.last() != Some(&value) {
            self.entries.push((moment, value));
        }
    }

    /// The value now.
    pub(crate) fn last(&self) -> Option<&T> {
        self.entries.last().map(|(_, value)| value)
    }

    /// Since when the value is as it is.
    pub(crate) fn start(&self) -> Option<Moment> {
        self.entries.last().map(|(start, _)| *start)
    }

    /// The values that somebody who knows everything up to the horizon may still hold, newest first.
    pub(crate) fn since(&self, horizon: Horizon) -> impl Iterator<Item = &T> {
        let mut ended = false;
        self.entries.iter().rev().map_while(move |(start, value)| {
            if ended {
                return None;
            }
            ended = horizon.covers(*start);
            Some(value)
        })
    }

    /// All values, newest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().rev().map(|(_, value)| value)
    }

    /// Whether there was a value at the horizon already.
    pub(crate) fn is_known(&self, horizon: Horizon) -> bool {
        self.entries
            .first()
            .is_some_and(|(start, _)| horizon.covers(*start))
    }
}
