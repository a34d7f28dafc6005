//! Rules of sizes: surge, availability, Recreate.

use ironkeel_plan::revision;
use ironkeel_plan::workload::{PodReplacementPolicy, ReplicaSet};

use super::SetWrite;
use crate::checker::Findings;
use crate::world::{SetState, size};

/// Judges a changed ReplicaSet.
pub(super) fn judge(
    write: &SetWrite<'_>,
    (before, after): (&ReplicaSet, &ReplicaSet),
    findings: &mut Findings,
) {
    if size(after) > size(before) {
        judge_growth(write, findings);
    }
    if size(after) < size(before) {
        judge_shrinking(write, (before, after), findings);
    }
}

/// Growth keeps to the surge, and under Recreate waits for the old pods.
pub(super) fn judge_growth(write: &SetWrite<'_>, findings: &mut Findings) {
    judge_surge(write, findings);
    judge_recreate(write, findings);
}

fn judge_surge(write: &SetWrite<'_>, findings: &mut Findings) {
    let Some(most) = write.specs.iter().map(|spec| spec.most).max() else {
        return;
    };
    let horizon = write.world.horizon(write.rules, write.process);
    // Somebody else may have resized a set, and the process may not know yet.
    let counted = |set: &SetState| {
        let unknown = set
            .resized_by_others
            .is_some_and(|moment| !horizon.covers(moment));
        let now = size(&set.object);
        if unknown { now.min(set.own_size) } else { now }
    };
    let own = size(&write.set.object);
    if own == 0 {
        return;
    }
    let total: i64 = own + write.others().map(counted).sum::<i64>();
    if total > most {
        findings.add(
            "D-surge",
            format!(
                "{} grows to {own}: all together have {total}, replicas and surge are {most}",
                write.name()
            ),
        );
    }
}

fn judge_recreate(write: &SetWrite<'_>, findings: &mut Findings) {
    let template = &write.set.object.spec.template;
    let specs = &write.specs;
    let is_new_set = |set: &ironkeel_plan::template::Template| {
        specs
            .iter()
            .all(|spec| spec.recreate && spec.template.same_pods(set))
    };
    if specs.is_empty() || size(&write.set.object) == 0 || !is_new_set(template) {
        return;
    }
    let ignores_terminating = specs
        .iter()
        .any(|spec| spec.replacement == Some(PodReplacementPolicy::TerminationStarted));
    let runs = write
        .others()
        .filter(|other| !other.object.spec.template.same_pods(template))
        .flat_map(|other| write.world.pods_of(&other.uid))
        .find(|pod| {
            pod.runs() && !pod.foreign && !(ignores_terminating && pod.pod.deleting.is_some())
        });
    if let Some(pod) = runs {
        findings.add(
            "D-recreate",
            format!(
                "{} grows to {} while the old pod {} still runs",
                write.name(),
                size(&write.set.object),
                pod.pod.name
            ),
        );
    }
}

/// What is taken away leaves enough pods, by every view that the process may have.
///
/// Whatever does not work may go first, but not more of it than leaves `fewest` with the available new pods: old ones may
/// have begun to work. What works may go while `fewest` are available.
fn judge_shrinking(
    write: &SetWrite<'_>,
    (before, after): (&ReplicaSet, &ReplicaSet),
    findings: &mut Findings,
) {
    let specs = &write.specs;
    let Some(fewest) = specs.iter().map(|spec| spec.fewest).min() else {
        return;
    };
    let template = &after.spec.template;
    let is_free = specs
        .iter()
        .any(|spec| spec.recreate || spec.paused || spec.template.same_pods(template));
    if is_free || is_scaling(before, after) {
        return;
    }
    let horizon = write.world.horizon(write.rules, write.process);
    let available = |set: &SetState| set.ready(horizon).1.min(set.largest(horizon));
    let is_new = |set: &SetState| {
        let template = &set.object.spec.template;
        specs.iter().all(|spec| spec.template.same_pods(template))
    };
    let left = |set: &SetState| {
        if is_new(set) {
            available(set)
        } else {
            set.largest(horizon)
        }
    };
    let kept = size(after);
    let all_left = kept + write.others().map(left).sum::<i64>();
    if all_left < fewest {
        findings.add(
            "D-available",
            format!(
                "{} shrinks from {} to {kept}: old pods and available new ones are {all_left}, {fewest} must stay",
                write.name(),
                size(before),
            ),
        );
        return;
    }
    let works = write.set.ready(horizon).0;
    let all_available = kept + write.others().map(available).sum::<i64>();
    let is_aged = before.spec.min_ready_seconds > 0 || after.spec.min_ready_seconds > 0;
    if works > kept && !is_aged && all_available < fewest {
        findings.add(
            "D-available",
            format!(
                "{} shrinks from {} to {kept} with {works} available: {all_available} stay available, {fewest} must",
                write.name(),
                size(before),
            ),
        );
    }
}

/// A change of `spec.replicas` shrinks every set by its share, whatever is available; the note of the target tells.
fn is_scaling(before: &ReplicaSet, after: &ReplicaSet) -> bool {
    let note = |set: &ReplicaSet, key: &str| set.metadata.annotations.get(key).cloned();
    [revision::DESIRED_REPLICAS, revision::MAX_REPLICAS]
        .iter()
        .any(|key| note(before, key) != note(after, key))
        || [before, after]
            .iter()
            .any(|set| note(set, revision::BEFORE_SCALE).is_some())
}
