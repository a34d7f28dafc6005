//! What the controllers may change in an object, and what they must leave as others wrote it.

use ironkeel_plan::revision;
use serde_json::Value;

use crate::checker::Findings;
use crate::world::{Change, Step, World};

/// Metadata that changes with every write, and with a deletion.
const BY_ITSELF: [&str; 6] = [
    "resourceVersion",
    "managedFields",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
];
/// Fields of a status that the controllers know.
const STATUS: [&str; 11] = [
    "observedGeneration",
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "terminatingReplicas",
    "updatedReplicas",
    "unavailableReplicas",
    "collisionCount",
    "conditions",
    "selector",
];
/// Conditions that the controllers write.
const CONDITIONS: [&str; 8] = [
    "ReplicaFailure",
    "Available",
    "Progressing",
    "Ready",
    "Reconciling",
    "Stalled",
    "RolledBack",
    "SelectorOverlap",
];

/// Judges an update of a pod, a set or a Deployment.
pub(super) fn judge(
    world: &World,
    step: &Step<'_>,
    (before, after): (&Value, &Value),
    findings: &mut Findings,
) {
    let may: &[&str] = match &step.change {
        Change::Pod(..) => &["ownerReferences"],
        Change::Set(..) => &["ownerReferences", "annotations"],
        Change::Deployment(..) => &["annotations"],
        Change::Other => return,
    };
    let mut report = |path: String| {
        findings.add(
            "G9-fields",
            format!(
                "{} changes {path} of {} {}, which is not its to change",
                step.commit.writer, step.commit.resource, step.commit.key
            ),
        );
    };
    for part in changed(before, after) {
        let both = (before.get(part), after.get(part));
        match part {
            "metadata" => {
                for field in changed_inside(both) {
                    if !BY_ITSELF.contains(&field) && !may.contains(&field) {
                        report(format!("metadata.{field}"));
                    }
                }
            }
            "spec" => {
                for field in changed_inside(both) {
                    if !may_change_spec(step, (before, after), field) {
                        report(format!("spec.{field}"));
                    }
                }
            }
            "status" if !matches!(step.change, Change::Pod(..)) => {
                for field in changed_inside(both) {
                    if !STATUS.contains(&field) {
                        report(format!("status.{field}"));
                    }
                }
                for kind in foreign_conditions(before) {
                    if condition(before, kind) != condition(after, kind) {
                        report(format!("status.conditions[{kind}]"));
                    }
                }
            }
            _ => report(part.to_owned()),
        }
    }
    for (key, kept) in changed_annotations(before, after) {
        if !may_annotate(world, step, (before, after), key, kept) {
            report(format!("metadata.annotations[{key}]"));
        }
    }
}

fn may_change_spec(step: &Step<'_>, (before, after): (&Value, &Value), field: &str) -> bool {
    match step.change {
        Change::Set(..) => matches!(field, "replicas" | "minReadySeconds"),
        Change::Deployment(..) => field == "template" && is_rollback(before, after),
        Change::Pod(..) | Change::Other => false,
    }
}

/// Whether somebody asked for the return to an earlier template, or the deadline did.
fn is_rollback(before: &Value, after: &Value) -> bool {
    let annotation = |object: &Value, key: &str| {
        object
            .get("metadata")
            .and_then(|metadata| metadata.get("annotations"))
            .and_then(|annotations| annotations.get(key))
            .cloned()
    };
    annotation(before, revision::ROLLBACK_TO).is_some()
        || annotation(before, revision::ROLLBACK) != annotation(after, revision::ROLLBACK)
}

/// Whether the annotation belongs to the controllers, or is one that a Deployment hands on.
fn may_annotate(
    world: &World,
    step: &Step<'_>,
    (before, after): (&Value, &Value),
    key: &str,
    kept: bool,
) -> bool {
    if revision::is_own(key) && key != revision::LAST_APPLIED {
        return true;
    }
    match &step.change {
        Change::Set(_, after) => {
            let owner = after
                .as_ref()
                .and_then(|set| set.metadata.controller())
                .and_then(|owner| world.deployments.get(&*owner.uid));
            kept && owner.is_some_and(|owner| owner.annotations.contains(key))
        }
        Change::Deployment(..) => is_rollback(before, after),
        Change::Pod(..) | Change::Other => false,
    }
}

/// Keys whose values differ between two objects.
pub(super) fn changed<'a>(before: &'a Value, after: &'a Value) -> impl Iterator<Item = &'a str> {
    changed_inside((Some(before), Some(after)))
}

/// As [`changed`], for parts that may be absent.
pub(super) fn changed_inside<'a>(
    (before, after): (Option<&'a Value>, Option<&'a Value>),
) -> impl Iterator<Item = &'a str> {
    let before = before.and_then(Value::as_object);
    let after = after.and_then(Value::as_object);
    let changed = before
        .into_iter()
        .flatten()
        .filter(move |(key, value)| after.and_then(|after| after.get(*key)) != Some(*value));
    let added = after
        .into_iter()
        .flatten()
        .filter(move |(key, _)| before.is_none_or(|before| !before.contains_key(*key)));
    changed.chain(added).map(|(key, _)| key.as_str())
}

/// Annotations that differ, and whether they are still there.
fn changed_annotations<'a>(
    before: &'a Value,
    after: &'a Value,
) -> impl Iterator<Item = (&'a str, bool)> {
    let of = |object: &'a Value| object.get("metadata")?.get("annotations");
    let after = of(after);
    changed_inside((of(before), after))
        .map(move |key| (key, after.is_some_and(|after| after.get(key).is_some())))
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object
        .get("status")
        .and_then(|status| status.get("conditions"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    conditions(object).find(|condition| condition["type"] == kind)
}

/// Types of conditions that somebody else wrote.
fn foreign_conditions(object: &Value) -> impl Iterator<Item = &str> {
    conditions(object)
        .filter_map(|condition| condition["type"].as_str())
        .filter(|kind| !CONDITIONS.contains(kind))
}
