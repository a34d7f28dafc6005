//! The conditions that tools outside Kubernetes read: `Ready`, `Reconciling`, `Stalled`.
//!
//! kstatus (cli-utils, used by Helm 4 and Flux) looks at `Reconciling` and `Stalled` first and
//! wants them absent when they do not hold; `kubectl wait` reads `Ready`.

use jiff::Timestamp;

use super::NewSet;
use super::progress::{CREATE_ERROR, PAUSED, PROGRESSING, TIMED_OUT};
use super::sets::View;
use super::status::Counts;
use crate::condition::{self, FALSE, TRUE};
use crate::workload::Condition;

pub(super) const READY: &str = "Ready";
pub(super) const RECONCILING: &str = "Reconciling";
const STALLED: &str = "Stalled";

/// What the three conditions say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything is as the spec wants it.
    Ready(String),
    /// Work is under way.
    Reconciling(&'static str, String),
    /// Nothing gets better unless somebody acts.
    Stalled(&'static str, String),
}

/// Judges a rollout. `refusal` is a ReplicaSet that could not be created, with the API server's
/// message and whether that is for good.
pub(super) fn judge(
    view: &View<'_>,
    counts: &Counts,
    refusal: Option<((&str, bool), &NewSet)>,
    conditions: &[Condition],
) -> Verdict {
    if let Some(((message, permanent), set)) = refusal {
        let message = format!("ReplicaSet {:?} cannot be created: {message}", set.name);
        return if permanent {
            Verdict::Stalled(CREATE_ERROR, message)
        } else {
            Verdict::Reconciling(CREATE_ERROR, message)
        };
    }
    let wanted = view.target.replicas;
    if view.sets.new.is_some() && counts.is_complete(view) {
        return Verdict::Ready(format!(
            "{wanted} of {wanted} pods are updated and available"
        ));
    }
    let progressing = condition::find(conditions, PROGRESSING);
    if let Some(known) = progressing.filter(|known| known.reason == TIMED_OUT) {
        return Verdict::Stalled(TIMED_OUT, known.message.clone());
    }
    if view.target.paused {
        return Verdict::Reconciling(PAUSED, "the rollout is paused".to_owned());
    }
    if let Some(failure) = condition::find(conditions, "ReplicaFailure") {
        return Verdict::Reconciling("ReplicaFailure", failure.message.clone());
    }
    let old = counts.replicas.saturating_sub(counts.updated);
    let (reason, message) = if counts.updated < wanted {
        (
            "LessUpdated",
            format!("{} of {wanted} pods are updated", counts.updated),
        )
    } else if old > 0 {
        ("ExtraPods", format!("{old} old pods are still there"))
    } else if counts.updated > wanted {
        (
            "ExtraPods",
            format!(
                "{} pods are still there beyond {wanted}",
                counts.updated - wanted
            ),
        )
    } else if counts.available < wanted {
        (
            "LessAvailable",
            format!("{} of {wanted} pods are available", counts.available),
        )
    } else {
        (
            "ExtraPods",
            format!("{} pods are still terminating", view.terminating()),
        )
    };
    Verdict::Reconciling(reason, message)
}

/// Writes the three conditions.
pub(super) fn write(verdict: Verdict, now: Timestamp, conditions: &mut Vec<Condition>) {
    let (ready, reason, message, kind) = match verdict {
        Verdict::Ready(message) => (TRUE, "AllReplicasAvailable", message, None),
        Verdict::Reconciling(reason, message) => (FALSE, reason, message, Some(RECONCILING)),
        Verdict::Stalled(reason, message) => (FALSE, reason, message, Some(STALLED)),
    };
    for other in [RECONCILING, STALLED] {
        if kind != Some(other) {
            condition::remove(conditions, other);
        }
    }
    if let Some(kind) = kind {
        let condition = condition::new(kind, TRUE, reason, message.clone(), now);
        condition::set_exactly(conditions, condition);
    }
    condition::set_exactly(
        conditions,
        condition::new(READY, ready, reason, message, now),
    );
}
