//! What a set's status says after a sync.

use jiff::Timestamp;
use serde_json::Value;

use super::same_labels::OnLabels;
use super::{Claimed, Fault, Observed, Outcome, wanted};
use crate::condition::{self, FALSE, TRUE};
use crate::pod::Pod;
use crate::template::Template;
use crate::workload::{Condition, ReplicaSetStatus};

/// Condition of a set whose pods could not all be created or deleted.
const REPLICA_FAILURE: &str = "ReplicaFailure";
/// kstatus: the observed state is on its way to the wanted one.
const RECONCILING: &str = "Reconciling";
/// kstatus: nothing will happen until the user changes something.
const STALLED: &str = "Stalled";
/// kstatus: the observed state is the wanted one.
const READY: &str = "Ready";

/// A status to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWrite {
    /// The status as it will be.
    pub status: ReplicaSetStatus,
    /// Whether it may wait, for seconds at most: the plan made the number of pods right, and
    /// their own events bring the set back at once with more to tell.
    pub may_wait: bool,
}

/// The status to write, or `None` when it is written already.
///
/// It describes what was observed before the plan was carried out, as upstream's does. A set
/// that is so large that more syncs have to follow tells how far it is, but not that it has acted
/// on its generation; nothing is written when it has got no further.
pub fn status(observed: &Observed<'_>, outcome: &Outcome) -> Option<StatusWrite> {
    let old = &observed.set.status;
    let mut status = old.clone();
    status.observed_generation = observed.set.metadata.generation;
    if let Some(fault) = Fault::of(observed) {
        // Upstream writes nothing for a selector that it cannot use.
        if !observed.extras.kstatus {
            return None;
        }
        report_stalled(&mut status, &fault, observed.now);
        return (status != *old).then_some(StatusWrite {
            status,
            may_wait: false,
        });
    }

    let claimed = Claimed::of(observed);
    count(&mut status, observed, &claimed);
    report_failure(&mut status, outcome, observed.now);
    if observed.extras.status_selector {
        status.selector = Some(observed.set.spec.selector.to_string());
    }
    if observed.extras.kstatus {
        report_progress(&mut status, wanted(observed.set), observed.now);
    }

    let acted = outcome.created + outcome.deleted > 0 && outcome.failure.is_none();
    let is_settled = is_settled_by(observed, &claimed, outcome);
    if acted && !is_settled {
        status.observed_generation = old.observed_generation;
    }
    if status == *old || acted && counts(&status) == counts(old) {
        return None;
    }
    Some(StatusWrite {
        status,
        may_wait: acted && is_settled,
    })
}

/// Whether the set has the pods that it wants once what was done is seen.
fn is_settled_by(observed: &Observed<'_>, claimed: &Claimed<'_>, outcome: &Outcome) -> bool {
    let active = claimed.active.len();
    (active + outcome.created).checked_sub(outcome.deleted) == Some(wanted(observed.set))
}

/// Fills in the numbers.
fn count<'a>(status: &mut ReplicaSetStatus, observed: &Observed<'a>, claimed: &Claimed<'a>) {
    let spec = &observed.set.spec;
    let mut is_labelled = OnLabels::new(|pod: &Pod| has_labels_of(pod, &spec.template));
    let [mut labelled, mut ready, mut available] = [0; 3];
    for pod in &claimed.active {
        labelled += usize::from(is_labelled.of(pod));
        ready += usize::from(pod.ready);
        available += usize::from(pod.is_available(spec.min_ready_seconds, observed.now));
    }
    status.replicas = saturate(claimed.active.len());
    status.fully_labeled_replicas = saturate(labelled);
    status.ready_replicas = saturate(ready);
    status.available_replicas = saturate(available);
    status.terminating_replicas = observed
        .extras
        .terminating_replicas
        .then(|| saturate(claimed.terminating));
}

fn saturate(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The numbers of a status, for comparison.
fn counts(status: &ReplicaSetStatus) -> [i32; 5] {
    [
        status.replicas,
        status.fully_labeled_replicas,
        status.ready_replicas,
        status.available_replicas,
        status.terminating_replicas.unwrap_or_default(),
    ]
}

/// Whether the pod has every label of the template.
fn has_labels_of(pod: &Pod, template: &Template) -> bool {
    match template.0.pointer("/metadata/labels") {
        Some(Value::Object(labels)) => labels
            .iter()
            .all(|(key, value)| pod.label(key) == value.as_str()),
        _ => true,
    }
}

/// Sets or removes `ReplicaFailure`. One that is already there stays as it is, with the
/// reason and the message of the first failure, until a sync succeeds (upstream's
/// `calculateStatus`).
fn report_failure(status: &mut ReplicaSetStatus, outcome: &Outcome, now: Timestamp) {
    let conditions = &mut status.conditions;
    match &outcome.failure {
        None => condition::remove(conditions, REPLICA_FAILURE),
        Some(failure) => {
            if condition::find(conditions, REPLICA_FAILURE).is_none() {
                let reason = failure.reason.as_str();
                set(
                    conditions,
                    REPLICA_FAILURE,
                    TRUE,
                    reason,
                    &failure.message,
                    now,
                );
            }
        }
    }
}

/// The kstatus conditions of a set that can be acted on, by the rules by which kstatus
/// judges a native ReplicaSet. Absent means false for `Reconciling` and `Stalled`.
fn report_progress(status: &mut ReplicaSetStatus, wanted: usize, now: Timestamp) {
    let wanted = saturate(wanted);
    let failure = condition::find(&status.conditions, REPLICA_FAILURE);
    let unfinished: Option<(String, String)> = if let Some(failure) = failure {
        Some((failure.reason.clone(), failure.message.clone()))
    } else if status.fully_labeled_replicas < wanted {
        let have = status.fully_labeled_replicas;
        Some((
            "LessLabelled".to_owned(),
            format!("{have} of {wanted} replicas exist"),
        ))
    } else if status.available_replicas < wanted {
        let have = status.available_replicas;
        Some((
            "LessAvailable".to_owned(),
            format!("{have} of {wanted} replicas are available"),
        ))
    } else if status.replicas > wanted {
        let surplus = status.replicas - wanted;
        Some((
            "ExtraPods".to_owned(),
            format!("{surplus} replicas are to be deleted"),
        ))
    } else {
        None
    };
    let conditions = &mut status.conditions;
    condition::remove(conditions, STALLED);
    if let Some((reason, message)) = unfinished {
        set(conditions, RECONCILING, TRUE, &reason, &message, now);
        set(conditions, READY, FALSE, &reason, &message, now);
    } else {
        condition::remove(conditions, RECONCILING);
        let message = format!("{wanted} of {wanted} replicas are available");
        set(
            conditions,
            READY,
            TRUE,
            "AllReplicasAvailable",
            &message,
            now,
        );
    }
}

/// The kstatus conditions of a set that cannot be acted on.
fn report_stalled(status: &mut ReplicaSetStatus, fault: &Fault, now: Timestamp) {
    let conditions = &mut status.conditions;
    condition::remove(conditions, RECONCILING);
    set(conditions, STALLED, TRUE, fault.reason, &fault.message, now);
    set(conditions, READY, FALSE, fault.reason, &fault.message, now);
}

/// Sets a condition in its place; a set's conditions have no update time.
fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let mut fresh = condition::new(kind, status, reason, message.to_owned(), now);
    fresh.last_update_time = None;
    condition::set_exactly(conditions, fresh);
}
