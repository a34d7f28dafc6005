//! What goes wrong in a run, as data: which fault, and at which write, watch event or time.
//!
//! A plan has a text of one line, so that a failure can be repeated from a report, and is a plain list, so that a failure
//! can be shrunk by leaving faults out.

mod draw;
mod text;

use std::time::Duration;

pub use draw::{Extent, draw};
pub use text::FaultError;

/// Everything that goes wrong in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// The faults, in no order: each says itself when it strikes.
    pub faults: Vec<Fault>,
    /// When every fault that lasts ends, from the start of the run. `None`: as soon as nothing happens any more.
    pub heal: Option<Duration>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it strikes.
    pub at: Point,
    /// What it is.
    pub what: What,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// At the n-th write that controllers send, from 1. Leases, events and dry runs do not count.
    Write(u32),
    /// At the n-th watch event that is about to reach a controller, from 1. Bookmarks do not count.
    Event(u32),
    /// So long after the start, at the n-th replica of the manager, from 0.
    Time(Duration, usize),
}

/// A kind of fault. Which kinds can strike at which [`Point`] is [`What::fits`]'s to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The process dies and the write is never sent; at an event or a time: it dies.
    Crash,
    /// The write is committed, then the process dies without having seen the answer.
    CrashAfter,
    /// The write is answered with this HTTP status.
    Answer {
        /// 409, 404, 429, 500, 503 or 504.
        code: u16,
        /// Whether it is committed all the same.
        applied: bool,
    },
    /// No answer ever comes.
    Silence {
        /// Whether the write is committed.
        applied: bool,
    },
    /// The connection breaks. At an event: that of the watch, in front of the event.
    Cut {
        /// Whether the write is committed.
        applied: bool,
    },
    /// Something on the way sends the write twice; the process sees the second answer.
    Repeat,
    /// The process does not run for so long, right after it has sent the write; then it goes on.
    Freeze {
        /// How long.
        pause: Duration,
        /// Whether what it had sent reaches the API server only when it goes on.
        late: bool,
    },
    /// The server ends the watch in front of the event, as it does when its time is over.
    Close,
    /// The watch ends with 410 in place of the event.
    Gone,
    /// The watch shows nothing more, this event included, until faults end.
    Hold {
        /// Whether bookmarks keep it alive.
        bookmarks: bool,
    },
    /// This event and those behind it come so much later.
    Delay(Duration),
    /// The process is asked to stop (SIGTERM), and starts again.
    Stop,
    /// No request of the process reaches the API server for so long, and no answer and no event reaches it.
    Partition(Duration),
    /// The watch cache of the process's API server gets no further for so long.
    Lag(Duration),
    /// Events of one kind come so much later than those of the others, until faults end.
    Slow(Kind, Duration),
    /// The process's wall clock jumps by so many seconds.
    Clock(i64),
    /// Every write of every process is answered with this HTTP status for so long, and none is committed.
    Outage(u16, Duration),
    /// The history before now is compacted: a watch that asks for an older version gets 410.
    Compact,
}

/// A kind that is watched, whichever group it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pods.
    Pods,
    /// ReplicaSets.
    Sets,
    /// Deployments.
    Deployments,
}

impl Kind {
    /// Name of the collections.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Sets => "replicasets",
            Self::Deployments => "deployments",
        }
    }
}

impl What {
    /// Whether it can strike at `point`.
    pub const fn fits(self, point: Point) -> bool {
        match self {
            Self::Crash | Self::Freeze { .. } => true,
            Self::CrashAfter | Self::Answer { .. } | Self::Silence { .. } | Self::Repeat => {
                matches!(point, Point::Write(_))
            }
            Self::Cut { applied } => match point {
                Point::Write(_) => true,
                Point::Event(_) => !applied,
                Point::Time(..) => false,
            },
            Self::Close | Self::Gone | Self::Hold { .. } | Self::Delay(_) => {
                matches!(point, Point::Event(_))
            }
            Self::Stop
            | Self::Partition(_)
            | Self::Lag(_)
            | Self::Slow(..)
            | Self::Clock(_)
            | Self::Outage(..)
            | Self::Compact => matches!(point, Point::Time(..)),
        }
    }
}

impl FaultPlan {
    /// A plan of one fault.
    pub fn one(at: Point, what: What) -> Self {
        Self {
            faults: vec![Fault { at, what }],
            heal: None,
        }
    }
}

#[cfg(test)]
mod tests;
