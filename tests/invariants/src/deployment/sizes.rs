//! Rules of sizes: surge, availability, Recreate.

use ironkeel_plan::revision;
use ironkeel_plan::workload::{PodReplacementPolicy, ReplicaSet};

use super::SetWrite;
use crate::checker::Findings;
use crate::world::{SetState, available, size};

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

/// What is taken away leaves enough available pods, by what the sets report.
fn judge_shrinking(
    write: &SetWrite<'_>,
    (before, after): (&ReplicaSet, &ReplicaSet),
    findings: &mut Findings,
) {
    let kept = available(before).clamp(0, size(after));
    let victims = available(before).clamp(0, size(before)) - kept;
    let Some(fewest) = write.specs.iter().map(|spec| spec.fewest).min() else {
        return;
    };
    let any_free = write.specs.iter().any(|spec| spec.recreate || spec.paused);
    if victims <= 0 || any_free || is_scaling(before, after) {
        return;
    }
    let horizon = write.world.horizon(write.rules, write.process);
    let others: i64 = write
        .others()
        .map(|other| other.kept.since(horizon).max().copied().unwrap_or(0))
        .sum();
    if kept + others < fewest {
        findings.add(
            "D-available",
            format!(
                "{} shrinks from {} to {} with {} available: {} are left, {fewest} must be",
                write.name(),
                size(before),
                size(after),
                available(before),
                kept + others
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
