//! What a run is made with, and what came of it.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use ironkeel_invariants::Violation;

use crate::fault::{Extent, FaultPlan};
use crate::history::Entry;

/// What a run is made with, beside its story.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Decides everything that the story and the plan leave open: latencies, names, the order of what happens at once.
    pub seed: u64,
    /// What goes wrong.
    pub plan: FaultPlan,
    /// How fast the network is.
    pub pace: Pace,
    /// How long after the faults have ended the system may take until it is as it should be and silent.
    pub patience: Duration,
    /// Whether the history is kept. Without it a run is faster and everything else is the same.
    pub record: bool,
}

/// Milliseconds that things take on the way, from and to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A request to the API server, and an answer back.
    pub request: RangeInclusive<u64>,
    /// A commit to a watch.
    pub watch: RangeInclusive<u64>,
    /// A deletion to the garbage collector's next step.
    pub garbage: RangeInclusive<u64>,
}

impl Pace {
    /// Everything is there after one millisecond: what a failure is shrunk to.
    pub const fn flat() -> Self {
        Self {
            request: 1..=1,
            watch: 1..=1,
            garbage: 1..=1,
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            request: 1..=8,
            watch: 1..=60,
            garbage: 5..=300,
        }
    }
}

impl RunConfig {
    /// A run of `seed` with these faults, at the ordinary pace.
    pub fn new(seed: u64, plan: FaultPlan) -> Self {
        Self {
            seed,
            plan,
            pace: Pace::default(),
            patience: Duration::from_mins(15),
            record: false,
        }
    }

    /// The same run with its history.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.record = true;
        self
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Rules that were broken, in order. Those of commits are `ironkeel-invariants`', the others `rules`'.
    pub violations: Vec<Violation>,
    /// What happened; empty unless it was asked for.
    pub history: Vec<Entry>,
    /// What was done.
    pub counts: Counts,
    /// Faults of the plan that struck, in the order of the plan.
    pub struck: Vec<bool>,
}

/// What was done in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes that controllers sent, without leases, events and dry runs.
    pub writes: u32,
    /// Watch events that reached controllers, without bookmarks.
    pub events: u32,
    /// Commits of all, leases and events included.
    pub commits: u64,
    /// Pods that controllers created.
    pub pods_created: u32,
    /// Pods that controllers deleted.
    pub pods_deleted: u32,
    /// Processes that were started.
    pub processes: u32,
    /// Simulated time until nothing happened any more, without the silence that proved it.
    pub busy: Duration,
    /// Simulated time in all.
    pub lasted: Duration,
}

impl Counts {
    /// What a random plan has to know of a run.
    pub fn extent(&self, replicas: usize) -> Extent {
        Extent {
            writes: self.writes,
            events: self.events,
            lasted: self.busy,
            replicas,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} writes, {} events, {} commits, {} processes, busy for {:.3} s of {:.3} s",
            self.writes,
            self.events,
            self.commits,
            self.processes,
            self.busy.as_secs_f64(),
            self.lasted.as_secs_f64()
        )
    }
}
