//! What every planner returns.

use jiff::SignedDuration;

/// A planner's answer: what to do, in order, and when to look again.
///
/// `A` is the controller's own closed set of actions; there is no universal one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan<A> {
    /// Steps in the order in which they must run. The executor stops at the first that fails.
    pub actions: Vec<A>,
    /// When the clock alone changes the answer (a pod turns available, a deadline passes).
    pub requeue_after: Option<SignedDuration>,
    /// Events that describe the decision itself; events about the outcome of an action
    /// (`SuccessfulCreate`, `FailedCreate`) belong to the executor.
    pub events: Vec<Event>,
}

impl<A> Default for Plan<A> {
    fn default() -> Self {
        Self {
            actions: Vec::new(),
            requeue_after: None,
            events: Vec::new(),
        }
    }
}

impl<A> Plan<A> {
    /// Asks to be called again after `delay` at the latest; the earliest request wins.
    pub fn requeue_within(&mut self, delay: SignedDuration) {
        self.requeue_after = Some(self.requeue_after.map_or(delay, |known| known.min(delay)));
    }
}

/// Severity of an event, as in core/v1 `Event.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Something expected happened.
    Normal,
    /// A user may have to act.
    Warning,
}

impl EventType {
    /// The text of `Event.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event to post about the object that was planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Severity.
    pub severity: EventType,
    /// Upstream's machine-readable reason, for example `ScalingReplicaSet`.
    pub reason: &'static str,
    /// Upstream's message.
    pub message: String,
}

impl Event {
    /// An event of severity `Normal`.
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: EventType::Normal,
            reason,
            message: message.into(),
        }
    }

    /// An event of severity `Warning`.
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: EventType::Warning,
            reason,
            message: message.into(),
        }
    }
}
