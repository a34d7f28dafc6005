//! What is going to happen, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::sync::oneshot;

use super::requests::Travelling;
use crate::network::Reply;

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Next {
    /// A request reaches the API server.
    Arrive(Box<Travelling>),
    /// An answer reaches a process.
    Answer(Box<Answer>),
    /// A watch may show what was committed up to a version.
    Show {
        /// The watch.
        stream: u64,
        /// The version.
        up_to: u64,
    },
    /// A watch is due for a bookmark.
    Bookmark(u64),
    /// The time of a watch is over.
    TimeOver(u64),
    /// An actor wants to be called.
    Actor(usize),
    /// The garbage collector takes a step.
    Collect,
    /// A process starts in a replica's place.
    Start(usize),
    /// The process of a replica is stopped in its tracks once it has done all that it can do now.
    Freeze {
        /// The replica.
        replica: usize,
        /// Number of the process that was meant.
        process: u32,
        /// When it goes on.
        until: u64,
    },
    /// It goes on.
    Thaw(usize),
    /// A fault of the plan strikes, by its place there.
    Strike(usize),
    /// The watch cache of a replica's API server may have caught up.
    CatchUp(usize),
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answer {
    /// The process.
    pub(super) process: u32,
    /// Where it goes.
    pub(super) to: oneshot::Sender<Reply>,
    /// What it is.
    pub(super) reply: Reply,
    /// When the request was sent, if it was a lease's and had success: what the process may count its right from.
    pub(super) renewed: Option<(u64, bool)>,
}

/// The queue. What is due at one time comes out in the order in which it went in.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    arrival: u64,
    next: Next,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.arrival) == (other.at, other.arrival)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.arrival).cmp(&(other.at, other.arrival))
    }
}

impl Queue {
    /// Has `next` happen at `at`.
    pub(super) fn push(&mut self, at: u64, next: Next) {
        self.arrivals += 1;
        self.heap.push(Reverse(Entry {
            at,
            arrival: self.arrivals,
            next,
        }));
    }

    /// When the next thing happens.
    pub(super) fn due(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next thing, if it is due at `now`.
    pub(super) fn pop(&mut self, now: u64) -> Option<Next> {
        if self.due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_by_time_and_then_in_turn() {
        let mut queue = Queue::default();
        for (at, number) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            queue.push(at, Next::Actor(number));
        }
        assert!(queue.pop(2).is_none());
        let mut order = Vec::new();
        while let Some(Next::Actor(number)) = queue.pop(5) {
            order.push(number);
        }
        assert_eq!(order, [1, 3, 0, 2]);
        assert_eq!(queue.due(), None);
    }
}
