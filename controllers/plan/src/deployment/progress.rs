//! The condition `Progressing`: what it says, and when its deadline passes.

use jiff::{SignedDuration, Timestamp};

use super::sets::View;
use super::status::Counts;
use crate::condition::{self, FALSE, TRUE, UNKNOWN};
use crate::workload::{Condition, DeploymentStatus};

/// Clocks of two managers may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

pub(super) const PROGRESSING: &str = "Progressing";

pub(super) const CREATED: &str = "NewReplicaSetCreated";
pub(super) const FOUND: &str = "FoundNewReplicaSet";
pub(super) const UPDATED: &str = "ReplicaSetUpdated";
pub(super) const AVAILABLE: &str = "NewReplicaSetAvailable";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
pub(super) const CREATE_ERROR: &str = "ReplicaSetCreateError";
pub(super) const PAUSED: &str = "DeploymentPaused";
pub(super) const RESUMED: &str = "DeploymentResumed";
pub(super) const INVALID: &str = "InvalidSpec";

fn succeeded(set: &str) -> String {
    format!("ReplicaSet {set:?} has successfully progressed.")
}

fn timed_out(set: &str) -> String {
    format!("ReplicaSet {set:?} has timed out progressing.")
}

/// Whether `known` says that the rollout to the ReplicaSet `set` missed its deadline.
pub(super) fn is_timed_out(known: &Condition, set: &str) -> bool {
    known.reason == TIMED_OUT && known.message == timed_out(set)
}

/// Whether `known`, which quotes the name that it is about, names another one than `set`.
fn is_about_another(known: &Condition, set: &str) -> bool {
    known
        .message
        .split('"')
        .nth(1)
        .is_some_and(|name| name != set)
}

/// The condition as it is before progress is judged: what the user did to the rollout (pause,
/// resume) and what the plan did (found or created a ReplicaSet) restart the clock.
pub(super) fn begin(view: &View<'_>, created: Option<&str>, conditions: &mut Vec<Condition>) {
    if view.target.deadline.is_none() {
        return;
    }
    let now = view.observed.now;
    let mut put = |status: &str, reason: &str, message: String| {
        condition::set(
            conditions,
            condition::new(PROGRESSING, status, reason, message, now),
        );
    };
    let stored = condition::find(&view.deployment.status.conditions, PROGRESSING);
    let reason = stored.map_or("", |known| known.reason.as_str());
    if view.target.paused {
        // A missed deadline stays visible through a pause.
        if reason != TIMED_OUT {
            put(UNKNOWN, PAUSED, "Deployment is paused".to_owned());
        }
    } else if reason == PAUSED {
        put(UNKNOWN, RESUMED, "Deployment is resumed".to_owned());
    }
    if let Some(name) = created {
        put(TRUE, CREATED, format!("Created new replica set {name:?}"));
    } else if let Some(new) = view.sets.new {
        // Upstream notes a ReplicaSet that it finds only where there is no condition at all. A
        // verdict about another ReplicaSet is no verdict about this one: without a fresh start a
        // manual undo would count as failed, or run on what the broken rollout left of the
        // deadline, and a crash behind a create would stop the clock.
        let name = &new.metadata.name;
        let starts = match stored {
            None => true,
            Some(known) => match known.reason.as_str() {
                AVAILABLE => known.message != succeeded(name),
                TIMED_OUT => !is_timed_out(known, name),
                CREATED | FOUND | UPDATED => is_about_another(known, name),
                // What could not be acted on or created is there.
                INVALID | CREATE_ERROR => true,
                _ => false,
            },
        };
        if starts && !view.target.paused {
            let message = format!("Found new replica set {name:?}");
            condition::replace(
                conditions,
                condition::new(PROGRESSING, TRUE, FOUND, message, now),
            );
        }
    }
}

/// Judges progress between the stored status and `counts` (upstream `syncRolloutStatus`, 1.37).
pub(super) fn judge(
    view: &View<'_>,
    created: Option<&str>,
    counts: &Counts,
    conditions: &mut Vec<Condition>,
) {
    if view.target.deadline.is_none() {
        condition::remove(conditions, PROGRESSING);
        return;
    }
    let now = view.observed.now;
    let name = created.or_else(|| view.sets.new.map(|new| new.metadata.name.as_str()));
    let about = |what: &str| match name {
        Some(name) => format!("ReplicaSet {name:?} {what}"),
        None => format!("Deployment {:?} {what}", view.deployment.metadata.name),
    };
    let current = condition::find(conditions, PROGRESSING);
    let is_over =
        counts.replicas == counts.updated && current.is_some_and(|known| known.reason == AVAILABLE);
    if is_over {
        return;
    }
    if counts.is_complete(view) {
        let message = about("has successfully progressed.");
        condition::set(
            conditions,
            condition::new(PROGRESSING, TRUE, AVAILABLE, message, now),
        );
    } else if counts.progressed_since(&view.deployment.status, view.target.waits_for_termination())
    {
        let message = about("is progressing.");
        condition::replace(
            conditions,
            condition::new(PROGRESSING, TRUE, UPDATED, message, now),
        );
    } else if deadline(view, conditions).is_some_and(|at| at <= now) {
        let message = about("has timed out progressing.");
        condition::set(
            conditions,
            condition::new(PROGRESSING, FALSE, TIMED_OUT, message, now),
        );
    } else if let Some(known) = running(view, conditions)
        .filter(|known| is_of_the_future(known, now))
        .cloned()
    {
        condition::replace(
            conditions,
            condition::new(
                PROGRESSING,
                &known.status,
                &known.reason,
                known.message,
                now,
            ),
        );
    }
}

/// Whether the condition was written by a clock that is ahead of this one: counted from there, the
/// deadline might not pass for months.
fn is_of_the_future(known: &Condition, now: Timestamp) -> bool {
    known
        .last_update_time
        .is_some_and(|written| written.duration_since(now) > SKEW)
}

/// Whether progress went unwritten for so long that it must not wait for the counts to settle:
/// in a large rollout some ReplicaSet is always being resized.
pub(super) fn is_overdue(before: &[Condition], after: &[Condition]) -> bool {
    const LONGEST: SignedDuration = SignedDuration::from_secs(30);
    let written = |conditions| condition::find(conditions, PROGRESSING)?.last_update_time;
    written(before)
        .zip(written(after))
        .is_some_and(|(before, after)| after.duration_since(before) >= LONGEST)
}

/// The condition, if its clock runs.
fn running<'a>(view: &View<'_>, conditions: &'a [Condition]) -> Option<&'a Condition> {
    view.target.deadline?;
    condition::find(conditions, PROGRESSING)
        .filter(|known| !matches!(known.reason.as_str(), AVAILABLE | TIMED_OUT))
}

/// When the rollout counts as failed unless it makes progress; `None` when no clock runs.
fn deadline(view: &View<'_>, conditions: &[Condition]) -> Option<Timestamp> {
    let seconds = view.target.deadline?;
    let since = running(view, conditions)?.last_update_time?;
    since
        .checked_add(SignedDuration::from_secs(i64::from(seconds)))
        .ok()
}

/// How long until the deadline of an unfinished rollout passes, by the stored condition.
pub(super) fn time_left(view: &View<'_>) -> Option<SignedDuration> {
    let at = deadline(view, &view.deployment.status.conditions)?;
    // No longer than the deadline itself, for a clock that is set back meanwhile.
    let longest = SignedDuration::from_secs(i64::from(view.target.deadline?));
    let left = at.duration_since(view.observed.now).min(longest);
    (left > SignedDuration::ZERO).then_some(left)
}

/// The condition for a ReplicaSet that could not be created.
pub(super) fn creation_failed(
    view: &View<'_>,
    name: &str,
    message: &str,
    conditions: &mut Vec<Condition>,
) {
    let message = format!("Failed to create new replica set {name:?}: {message}");
    condition::set(
        conditions,
        condition::new(PROGRESSING, FALSE, CREATE_ERROR, message, view.observed.now),
    );
}

impl Counts {
    /// Whether all wanted pods are updated and available, and no other pod is left.
    pub(super) fn is_complete(&self, view: &View<'_>) -> bool {
        let wanted = view.target.replicas;
        self.updated == wanted
            && self.replicas == wanted
            && self.available == wanted
            && !(view.target.waits_for_termination() && view.terminating() > 0)
    }

    /// Whether there are more new, ready or available pods, or fewer old ones, than in `before`.
    fn progressed_since(&self, before: &DeploymentStatus, counts_terminating: bool) -> bool {
        let fewer_terminating = counts_terminating
            && self
                .terminating
                .zip(before.terminating_replicas)
                .is_some_and(|(now, before)| now < before);
        self.updated > before.updated_replicas
            || self.replicas.saturating_sub(self.updated)
                < before.replicas.saturating_sub(before.updated_replicas)
            || self.ready > before.ready_replicas
            || self.available > before.available_replicas
            || fewer_terminating
    }
}
