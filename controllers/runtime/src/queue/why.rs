//! The reasons for which a key runs.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// What woke a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The object itself was added or changed.
    Changed = 1,
    /// An object that it controls was added, changed or removed.
    Dependent = 1 << 1,
    /// An orphan that it may adopt appeared or changed.
    Orphan = 1 << 2,
    /// The stores caught up with what was written for it.
    CaughtUp = 1 << 3,
    /// A plan asked for this moment.
    Timer = 1 << 4,
    /// The last reconcile failed.
    Retry = 1 << 5,
    /// The controller starts: every object is looked at once.
    Resync = 1 << 6,
    /// Nothing but the object's status changed: most often by its own reconcile.
    Status = 1 << 7,
}

const TEXTS: [(Reason, &str); 8] = [
    (Reason::Changed, "changed"),
    (Reason::Dependent, "dependent"),
    (Reason::Orphan, "orphan"),
    (Reason::CaughtUp, "caught-up"),
    (Reason::Timer, "timer"),
    (Reason::Retry, "retry"),
    (Reason::Resync, "resync"),
    (Reason::Status, "status"),
];

/// The set of reasons that woke a key since it was last handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Why(u8);

impl Why {
    /// Whether `reason` is among them.
    pub fn contains(self, reason: Reason) -> bool {
        self.0 & reason as u8 != 0
    }

    /// Whether all of it comes of an earlier reconcile of the object: its dependents, its writes,
    /// its timers.
    pub(super) fn is_follow_up(self) -> bool {
        const FOLLOW_UPS: u8 = Reason::Dependent as u8
            | Reason::CaughtUp as u8
            | Reason::Timer as u8
            | Reason::Status as u8;
        self.0 & !FOLLOW_UPS == 0
    }
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        Self(reason as u8)
    }
}

impl BitOr for Why {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Why {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// `changed+dependent`.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (reason, text) in TEXTS {
            if self.contains(reason) {
                write!(f, "{separator}{text}")?;
                separator = "+";
            }
        }
        Ok(())
    }
}
