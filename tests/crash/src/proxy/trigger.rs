//! Counts writes and events, and says at which of them the fault strikes.

use crate::fault::{Counts, Fault};

/// One fault and its moment. Nothing is counted before it is armed.
#[derive(Debug, Default)]
pub struct Trigger {
    armed: bool,
    fault: Option<(Fault, u64)>,
    writes: u64,
    events: u64,
    struck: bool,
}

impl Trigger {
    /// Counts from here on; the fault strikes at its `k`-th write or event, where the first is 1. `None` only counts.
    pub fn arm(&mut self, fault: Option<(Fault, u64)>) {
        *self = Self {
            armed: true,
            fault,
            ..Self::default()
        };
    }

    /// Counts a write: its number, 0 before the trigger was armed, and the fault that strikes it.
    pub fn write(&mut self) -> (u64, Option<Fault>) {
        if !self.armed {
            return (0, None);
        }
        self.writes += 1;
        (self.writes, self.strike(Counts::Writes, self.writes))
    }

    /// Counts an event of a watch: the fault that strikes it.
    pub fn event(&mut self) -> Option<Fault> {
        if !self.armed {
            return None;
        }
        self.events += 1;
        self.strike(Counts::Events, self.events)
    }

    fn strike(&mut self, counts: Counts, number: u64) -> Option<Fault> {
        let (fault, at) = self.fault?;
        (fault.counts() == counts && at == number && !self.struck).then(|| {
            self.struck = true;
            fault
        })
    }

    /// Writes since it was armed.
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// Events since it was armed.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// Whether the fault has struck.
    pub const fn has_struck(&self) -> bool {
        self.struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Applied;

    #[test]
    fn it_strikes_once_and_at_its_number() {
        let mut trigger = Trigger::default();
        assert_eq!(trigger.write(), (0, None), "not armed yet");
        let fault = Fault::Kill(Applied::Yes);
        trigger.arm(Some((fault, 2)));
        assert_eq!(trigger.event(), None, "counts writes, not events");
        assert_eq!(trigger.event(), None);
        assert_eq!(trigger.write(), (1, None));
        assert_eq!(trigger.write(), (2, Some(fault)));
        assert!(trigger.has_struck());
        assert_eq!(trigger.write(), (3, None));
        assert_eq!((trigger.writes(), trigger.events()), (3, 2));
    }

    #[test]
    fn events_have_numbers_of_their_own() {
        let mut trigger = Trigger::default();
        trigger.arm(Some((Fault::WatchGone, 1)));
        assert_eq!(trigger.write(), (1, None));
        assert_eq!(trigger.event(), Some(Fault::WatchGone));
        assert_eq!(trigger.event(), None);
    }
}
