//! What the proxy does to one request or to one event of a watch.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A fault. Each strikes once in a run: at the k-th write, or at the k-th event of the watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The manager dies: before the write left, or after the server answered and before the answer came back.
    Kill(Applied),
    /// The manager is answered with this status code instead of the server's answer.
    Code(u16, Applied),
    /// The connection ends without an answer.
    Cut(Applied),
    /// The answer of the watch ends in order, before the event.
    WatchClose,
    /// The connection of the watch breaks in the middle of the event.
    WatchCut,
    /// The watch says 410 instead of the event, and ends.
    WatchGone,
}

/// Whether the server got the write, and carried it out if it was valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Applied {
    /// The server never heard of it.
    No,
    /// The server answered before the fault.
    Yes,
}

/// What a fault counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Requests that change something.
    Writes,
    /// Events of watches, bookmarks left out.
    Events,
}

/// The status codes that an API server refuses a good request with: a race, an object that is gone, too much load, its
/// own failures, and a limit on time.
const CODES: [u16; 6] = [409, 404, 429, 500, 503, 504];

impl Fault {
    /// Every fault, those that kill first.
    pub fn all() -> Vec<Self> {
        let both = [Applied::No, Applied::Yes];
        let mut all: Vec<Self> = both.map(Self::Kill).to_vec();
        all.extend(both.map(Self::Cut));
        for code in CODES {
            all.extend(both.map(|applied| Self::Code(code, applied)));
        }
        all.extend([Self::WatchClose, Self::WatchCut, Self::WatchGone]);
        all
    }

    /// What is counted to find the moment of this fault.
    pub const fn counts(self) -> Counts {
        match self {
            Self::Kill(_) | Self::Code(..) | Self::Cut(_) => Counts::Writes,
            Self::WatchClose | Self::WatchCut | Self::WatchGone => Counts::Events,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = |applied: &Applied| match applied {
            Applied::No => "before",
            Applied::Yes => "after",
        };
        match self {
            Self::Kill(applied) => write!(f, "kill-{}", when(applied)),
            Self::Cut(applied) => write!(f, "cut-{}", when(applied)),
            Self::Code(code, Applied::No) => write!(f, "{code}"),
            Self::Code(code, Applied::Yes) => write!(f, "{code}-applied"),
            Self::WatchClose => f.write_str("watch-close"),
            Self::WatchCut => f.write_str("watch-cut"),
            Self::WatchGone => f.write_str("watch-410"),
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = Self::all();
        let named = |fault: &&Self| fault.to_string() == text;
        all.iter().find(named).copied().ok_or_else(|| {
            let known: Vec<String> = all.iter().map(Self::to_string).collect();
            format!("{text:?} is no fault; there are: {}", known.join(", "))
        })
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        let all = Fault::all();
        assert_eq!(all.len(), 19);
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        let error = "explode".parse::<Fault>().unwrap_err();
        assert!(
            error.contains("explode") && error.contains("504-applied"),
            "{error}"
        );
    }
}
