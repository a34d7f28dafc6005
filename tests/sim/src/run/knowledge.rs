//! How old the knowledge of a process may be under the faults of a plan: the invariants are judged by it.

use std::time::Duration;

use ironkeel_invariants::Rules;
use jiff::SignedDuration;

use crate::fault::{FaultPlan, What};

/// A view lags this much without any fault: latency of the watch, a process that runs ahead of the others, and the steps
/// of a plan that are carried out one after the other.
const CALM: Duration = Duration::from_secs(2);
/// What a small fault adds: a request that is tried again, a watch that is opened again.
const ORDINARY: Duration = Duration::from_secs(5);
/// From a live read to the last write that rests on it, without any fault: an answer and a request.
const PROMPT: Duration = Duration::from_millis(25);
/// The same where one of several processes may run ahead of the others.
const PROMPT_OF_MANY: Duration = Duration::from_secs(2);
/// From a live read to the last adoption that rests on it, which come one after the other.
const ADOPTING: Duration = Duration::from_secs(2);
/// A request that nobody answers is given up, the object is looked for, and the plan goes on.
const UNANSWERED: Duration = Duration::from_secs(45);
/// A watch whose connection is dead is noticed and opened again.
const DEAD_WATCH: Duration = Duration::from_mins(3);

/// What the invariants may take for known by so many replicas of the manager under `plan`.
pub(super) fn rules(plan: &FaultPlan, managers: u32) -> Rules {
    let mut view_age = Some(CALM);
    let mut frozen = Duration::ZERO;
    let prompt = if managers > 1 { PROMPT_OF_MANY } else { PROMPT };
    for fault in &plan.faults {
        let (late, unknown) = match fault.what {
            // A new process lists; the others see what they saw.
            What::Crash | What::CrashAfter | What::Stop | What::Repeat | What::Clock(_) => {
                (Duration::ZERO, false)
            }
            What::Answer { .. } | What::Cut { .. } | What::Close | What::Gone | What::Compact => {
                (ORDINARY, false)
            }
            What::Silence { .. } => (UNANSWERED, false),
            What::Hold { .. } => (Duration::ZERO, true),
            What::Delay(delay) | What::Slow(_, delay) => (delay + ORDINARY, false),
            What::Freeze { pause, .. } | What::Partition(pause) | What::Lag(pause) => {
                (pause + DEAD_WATCH, false)
            }
            What::Outage(_, pause) => (pause + UNANSWERED, false),
        };
        view_age = view_age.filter(|_| !unknown).map(|age| age + late);
        // What was sent waits for the process to run on; everything else is lost or in time.
        if let What::Freeze { pause, .. } = fault.what {
            frozen += pause;
        }
    }
    Rules {
        view_age: view_age.map(signed),
        in_flight: signed(prompt + frozen),
        adopting: signed(ADOPTING + frozen),
        requests_fail: plan.faults.iter().any(|fault| loses_requests(fault.what)),
        ..Rules::default()
    }
}

/// Whether a part of a decision may never be carried out: a request fails, or the process ends.
fn loses_requests(what: What) -> bool {
    !matches!(
        what,
        What::Close
            | What::Gone
            | What::Hold { .. }
            | What::Delay(_)
            | What::Lag(_)
            | What::Slow(..)
            | What::Clock(_)
            | What::Compact
    )
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Point;

    #[test]
    fn what_delays_a_view_or_a_write_is_counted() {
        let of = |what| rules(&FaultPlan::one(Point::Event(1), what), 1);
        let calm = rules(&FaultPlan::default(), 1);
        assert!(!calm.requests_fail);
        assert_eq!(calm.view_age, Some(signed(CALM)));
        let delay = Duration::from_secs(30);
        assert_eq!(
            of(What::Delay(delay)).view_age,
            Some(signed(CALM + ORDINARY + delay))
        );
        assert_eq!(of(What::Hold { bookmarks: true }).view_age, None);
        let frozen = of(What::Freeze {
            pause: delay,
            late: true,
        });
        assert_eq!(frozen.in_flight, signed(PROMPT + delay));
    }
}
