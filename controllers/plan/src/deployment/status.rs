//! The status: counts over the ReplicaSets, and conditions.

use serde_json::{Map, Value, json};

use super::course::{Course, Steps, Turn};
use super::sets::{View, is_unanswered, size};
use super::{Creation, Observed, Outcome, StatusWrite, kstatus, progress, rollback};
use crate::condition::{self, FALSE, TRUE};
use crate::rollout::InvalidField;
use crate::workload::{Condition, DeploymentStatus, ReplicaSet};
use crate::{revision, workload};

pub(super) const AVAILABLE: &str = "Available";
const REPLICA_FAILURE: &str = "ReplicaFailure";
pub(super) const ROLLED_BACK: &str = "RolledBack";
pub(super) const OVERLAP: &str = "SelectorOverlap";

/// Pods, summed over ReplicaSets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) replicas: i32,
    pub(super) updated: i32,
    pub(super) ready: i32,
    pub(super) available: i32,
    pub(super) unavailable: i32,
    pub(super) terminating: Option<i32>,
}

impl Counts {
    /// Sums what the ReplicaSets report.
    pub(super) fn of(view: &View<'_>) -> Self {
        let sum =
            |count: fn(&ReplicaSet) -> i32| view.sets.all().map(count).fold(0, i32::saturating_add);
        let available = sum(|set| set.status.available_replicas);
        Self {
            replicas: sum(|set| set.status.replicas),
            updated: view.sets.new.map_or(0, |set| set.status.replicas),
            ready: sum(|set| set.status.ready_replicas),
            available,
            unavailable: sum(size).saturating_sub(available).max(0),
            terminating: terminating(view),
        }
    }
}

/// Terminating pods, as reported; `None` unless every ReplicaSet that was ever synced reports
/// them. One that was not yet synced has none.
fn terminating(view: &View<'_>) -> Option<i32> {
    if !view.observed.extras.terminating_replicas {
        return None;
    }
    view.sets
        .all()
        .try_fold(0_i32, |sum, set| match set.status.terminating_replicas {
            Some(count) => Some(sum.saturating_add(count)),
            // Our own kind starts at -1, as its schema says; the built-in one at 0.
            None if set.status.observed_generation <= 0 => Some(sum),
            None => None,
        })
}

/// See [`super::status`].
pub(super) fn after(observed: &Observed<'_>, outcome: &Outcome) -> Option<StatusWrite> {
    match super::course::choose(observed) {
        Course::Refused(defect) => refused(observed, &defect),
        Course::Act(steps) => acted(&steps, outcome),
    }
}

/// The status of a Deployment whose spec cannot be acted on: counts stay as they were.
fn refused(observed: &Observed<'_>, defect: &InvalidField) -> Option<StatusWrite> {
    let deployment = observed.deployment;
    if deployment.metadata.is_deleting() {
        return None;
    }
    let mut status = deployment.status.clone();
    status.observed_generation = deployment.metadata.generation;
    let message = super::course::refusal(deployment, defect);
    let condition = condition::new(
        progress::PROGRESSING,
        FALSE,
        progress::INVALID,
        message.clone(),
        observed.now,
    );
    condition::set_exactly(&mut status.conditions, condition);
    if observed.extras.kstatus {
        let verdict = kstatus::Verdict::Stalled(progress::INVALID, message);
        kstatus::write(verdict, observed.now, &mut status.conditions);
    }
    write(observed, status, None)
}

fn acted(steps: &Steps<'_>, outcome: &Outcome) -> Option<StatusWrite> {
    let view = &steps.view;
    let deployment = view.deployment;
    let (created, failed) = match &outcome.creation {
        Creation::Created => (steps.create.as_ref().map(|set| set.name.as_str()), None),
        Creation::Failed { message, permanent } => (None, Some((message.as_str(), *permanent))),
        Creation::None | Creation::NameTaken => (None, None),
    };
    let counts = Counts::of(view);
    let mut conditions = deployment.status.conditions.clone();
    match steps.turn {
        // The ReplicaSets that were claimed belong to the next answer.
        Turn::Claim | Turn::Rollback => return None,
        Turn::Delete => {}
        Turn::Scale => progress::begin(view, None, &mut conditions),
        Turn::Rollout => progress::begin(view, created, &mut conditions),
    }
    set_available(view, &counts, &mut conditions);
    if steps.turn == Turn::Rollout {
        match (failed, &steps.create) {
            // A rollout that cannot begin makes no progress, whatever old pods do.
            (Some((message, _)), Some(set)) if view.target.deadline.is_some() => {
                progress::creation_failed(view, &set.name, message, &mut conditions);
            }
            _ => progress::judge(view, created, &counts, &mut conditions),
        }
        copy_failure(view, &mut conditions);
    }
    if view.observed.extras.rollout_extensions {
        note_rollback(steps, &mut conditions);
    }
    note_overlap(view, &mut conditions);
    if view.observed.extras.kstatus && steps.turn != Turn::Delete {
        let refusal = failed.zip(steps.create.as_ref());
        let verdict = kstatus::judge(view, &counts, refusal, &conditions);
        kstatus::write(verdict, view.observed.now, &mut conditions);
    }
    let is_taken = steps.name_taken || outcome.creation == Creation::NameTaken;
    let collisions = deployment.status.collision_count;
    let status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: counts.replicas,
        updated_replicas: counts.updated,
        ready_replicas: counts.ready,
        available_replicas: counts.available,
        unavailable_replicas: counts.unavailable,
        terminating_replicas: counts.terminating,
        collision_count: if is_taken {
            Some(collisions.unwrap_or(0).saturating_add(1))
        } else {
            collisions
        },
        conditions,
        selector: view
            .observed
            .extras
            .status_selector
            .then(|| deployment.spec.selector.to_string()),
    };
    let may_wait = (created.is_some() || reports_are_due(steps))
        && !is_urgent(&deployment.status, &status)
        && !progress::is_overdue(&deployment.status.conditions, &status.conditions);
    let is_new_set_there = view.sets.new.is_some() || created.is_some();
    let revision = steps.revision.filter(|_| is_new_set_there);
    let write = write(&view.observed, status, revision)?;
    Some(StatusWrite { may_wait, ..write })
}

/// Whether a ReplicaSet is about to report: it was, or is being, resized and has not answered
/// yet. Its answer causes the next sync.
fn reports_are_due(steps: &Steps<'_>) -> bool {
    steps.changes.resizes() || steps.view.sets.all().any(is_unanswered)
}

/// Whether somebody may be waiting for what changes, or has to act on it.
///
/// That a rollout begins and goes on, that pods are missing, and which generation that is about,
/// is told as well by the status that follows at once when the ReplicaSets have reported.
fn is_urgent(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let verdict = |conditions, kind: &str| {
        let known = condition::find(conditions, kind)?;
        Some((known.status.clone(), known.reason.clone()))
    };
    let kinds = before.conditions.iter().chain(&after.conditions);
    before.collision_count != after.collision_count
        || kinds.into_iter().any(|condition| {
            let kind = condition.kind.as_str();
            let (was, is) = (
                verdict(&before.conditions, kind),
                verdict(&after.conditions, kind),
            );
            let says = |verdict: &Option<(String, String)>, status: &str| {
                verdict.as_ref().is_some_and(|(known, _)| known == status)
            };
            was != is
                && match kind {
                    AVAILABLE | kstatus::READY => says(&is, TRUE),
                    progress::PROGRESSING => says(&was, FALSE) || says(&is, FALSE),
                    kstatus::RECONCILING => false,
                    _ => true,
                }
        })
}

fn set_available(view: &View<'_>, counts: &Counts, conditions: &mut Vec<Condition>) {
    let (status, reason, message) = if counts.available >= view.target.min_available() {
        (
            TRUE,
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        )
    } else {
        (
            FALSE,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    };
    let now = view.observed.now;
    condition::set(
        conditions,
        condition::new(AVAILABLE, status, reason, message.to_owned(), now),
    );
}

/// Shows the failure of the new ReplicaSet, or else of the oldest that has one.
fn copy_failure(view: &View<'_>, conditions: &mut Vec<Condition>) {
    let failure = view
        .sets
        .new
        .into_iter()
        .chain(view.sets.old.iter().copied())
        .find_map(|set| condition::find(&set.status.conditions, REPLICA_FAILURE));
    match failure {
        None => condition::remove(conditions, REPLICA_FAILURE),
        Some(known) => condition::set(
            conditions,
            workload::Condition {
                last_update_time: known.last_transition_time,
                ..known.clone()
            },
        ),
    }
}

/// Says what automatic rollback did about the current revision, or why it did nothing.
fn note_rollback(steps: &Steps<'_>, conditions: &mut Vec<Condition>) {
    let view = &steps.view;
    let name = view.sets.new.map_or("", |new| new.metadata.name.as_str());
    let record = rollback::record(view.deployment).filter(|record| record.to == name);
    let (status, reason, message) = match (record, &steps.automatic) {
        (Some(record), _) => (
            TRUE,
            progress::TIMED_OUT,
            format!(
                "returned from revision {} (ReplicaSet {:?}) to revision {} (ReplicaSet {:?})",
                record.from_revision, record.from, record.to_revision, record.to
            ),
        ),
        (None, rollback::Automatic::Spent) => (
            FALSE,
            "AlreadyRolledBack",
            format!("ReplicaSet {name:?} was rolled back before and is not rolled back again"),
        ),
        (None, rollback::Automatic::NowhereToGo) => (
            FALSE,
            "NoCompleteRevision",
            "no earlier revision was ever complete".to_owned(),
        ),
        (None, _) => return condition::remove(conditions, ROLLED_BACK),
    };
    let now = view.observed.now;
    condition::set_exactly(
        conditions,
        condition::new(ROLLED_BACK, status, reason, message, now),
    );
}

fn note_overlap(view: &View<'_>, conditions: &mut Vec<Condition>) {
    match super::course::overlap(view) {
        None => condition::remove(conditions, OVERLAP),
        Some(message) => condition::set_exactly(
            conditions,
            condition::new(OVERLAP, TRUE, "SelectorOverlap", message, view.observed.now),
        ),
    }
}

/// The write of `status`, if anything changes.
fn write(
    observed: &Observed<'_>,
    status: DeploymentStatus,
    revision: Option<i64>,
) -> Option<StatusWrite> {
    let deployment = observed.deployment;
    let mut patch = Map::new();
    let changed = changed_fields(&deployment.status, &status);
    if !changed.is_empty() {
        patch.insert("status".to_owned(), Value::Object(changed));
    }
    let revision = revision
        .filter(|_| observed.extras.annotations_with_status)
        .map(|number| number.to_string());
    if let Some(number) = revision
        && deployment.metadata.annotations.get(revision::REVISION) != Some(&number)
    {
        patch.insert(
            "metadata".to_owned(),
            json!({"annotations": {revision::REVISION: number}}),
        );
    }
    (!patch.is_empty()).then_some(StatusWrite {
        status,
        patch: Value::Object(patch),
        may_wait: false,
    })
}

/// The fields of `after` that differ from `before`, null where they must go.
fn changed_fields(before: &DeploymentStatus, after: &DeploymentStatus) -> Map<String, Value> {
    let fields = |status: &DeploymentStatus| match serde_json::to_value(status) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let before = fields(before);
    let mut changed = fields(after);
    for key in before.keys() {
        if !changed.contains_key(key) {
            changed.insert(key.clone(), Value::Null);
        }
    }
    changed.retain(|key, value| before.get(key) != Some(value));
    changed
}
