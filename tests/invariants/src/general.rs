//! Rules of every kind: whose objects are touched, what is preserved, what a status may claim.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::Rules;
use crate::checker::Findings;
use crate::world::{Change, Step, World};

mod fields;
mod ownership;

/// Resources that the controllers write at all.
const WRITTEN: [&str; 6] = [
    "pods",
    "replicasets",
    "replicationcontrollers",
    "deployments",
    "events",
    "leases",
];

/// Judges one commit by the rules of every kind.
pub(crate) fn judge(rules: &Rules, world: &World, step: &Step<'_>, findings: &mut Findings) {
    if step.process.is_none() {
        return;
    }
    let commit = step.commit;
    let name = format_args!("{} {}", commit.resource, commit.key).to_string();
    if !WRITTEN.contains(&commit.resource.plural) {
        findings.add("G1-foreign", format!("{} writes {name}", commit.writer));
        return;
    }
    if matches!(step.change, Change::Other) {
        return;
    }
    ownership::judge(rules, world, step, findings);
    match (commit.before.as_deref(), commit.after.as_deref()) {
        (Some(before), Some(after)) => {
            fields::judge(world, step, (before, after), findings);
            judge_status(step, (before, after), findings);
            judge_change(step, (before, after), findings);
        }
        (None, Some(after)) => judge_finalizers(step, after, findings),
        _ => {}
    }
}

/// Judges the end by the rules of every kind.
pub(crate) fn judge_end(world: &World, findings: &mut Findings) {
    for pod in world.pods.values() {
        let Some(owner) = &pod.pod.controller else {
            continue;
        };
        let gone = world
            .sets
            .get(&*owner.uid)
            .is_some_and(|set| set.gone.is_some());
        if gone {
            findings.add(
                "G8-leftover",
                format!(
                    "pod {}/{} is still there, its {} {} is gone",
                    pod.pod.namespace, pod.pod.name, owner.kind, owner.name
                ),
            );
        }
    }
    for set in world.sets.values().filter(|set| set.gone.is_none()) {
        let gone = set
            .owner
            .as_ref()
            .and_then(|owner| world.deployments.get(owner))
            .is_some_and(|owner| owner.gone.is_some());
        if gone {
            findings.add(
                "G8-leftover",
                format!(
                    "{} {} is still there, its Deployment is gone",
                    set.resource, set.key
                ),
            );
        }
    }
}

/// A finalizer of ours would outlive an uninstalled controller.
fn judge_finalizers(step: &Step<'_>, after: &Value, findings: &mut Findings) {
    let ours = after
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|finalizer| finalizer.contains("ironkeel"));
    if let Some(finalizer) = ours {
        findings.add(
            "G8-finalizer",
            format!(
                "{} {} gets the finalizer {finalizer}",
                step.commit.resource, step.commit.key
            ),
        );
    }
}

/// What a status says about generations.
fn judge_status(step: &Step<'_>, (before, after): (&Value, &Value), findings: &mut Findings) {
    let commit = step.commit;
    let generation = |object: &Value, path| object.pointer(path).and_then(Value::as_i64);
    let observed = |object| generation(object, "/status/observedGeneration");
    if before.get("status") == after.get("status") {
        return;
    }
    let (Some(now), Some(current)) = (observed(after), generation(after, "/metadata/generation"))
    else {
        return;
    };
    if now > current {
        findings.add(
            "G5-generation",
            format!(
                "{} {}: status is written with observedGeneration {now}, the generation is {current}",
                commit.resource, commit.key
            ),
        );
    }
    if let Some(was) = observed(before).filter(|was| *was > now) {
        findings.add(
            "G5-monotone",
            format!(
                "{} {}: observedGeneration falls from {was} to {now}",
                commit.resource, commit.key
            ),
        );
    }
}

/// A write has to say something.
fn judge_change(step: &Step<'_>, (before, after): (&Value, &Value), findings: &mut Findings) {
    let commit = step.commit;
    let says_something = fields::changed(before, after).any(|part| match part {
        "metadata" => {
            let metadata = (before.get(part), after.get(part));
            fields::changed_inside(metadata)
                .any(|field| !matches!(field, "resourceVersion" | "managedFields"))
        }
        "status" => timeless(before) != timeless(after) || goes_back(before, after),
        _ => true,
    });
    if !says_something {
        findings.add(
            "G5-noop",
            format!(
                "{} {}: a write that changes nothing but times and versions",
                commit.resource, commit.key
            ),
        );
    }
}

/// Whether a condition's time goes back by more than clocks may differ: the one before was of a clock that was ahead, and a
/// deadline that counts from it would be missed.
fn goes_back(before: &Value, after: &Value) -> bool {
    const SKEW: SignedDuration = SignedDuration::from_mins(1);
    let times = |object: &Value| -> Vec<(Value, Timestamp)> {
        let conditions = object
            .pointer("/status/conditions")
            .and_then(Value::as_array);
        let time = |condition: &Value| {
            let written = condition.get("lastUpdateTime")?.as_str()?.parse().ok()?;
            Some((condition.get("type")?.clone(), written))
        };
        conditions.into_iter().flatten().filter_map(time).collect()
    };
    let was = times(before);
    times(after).iter().any(|(kind, now)| {
        let known = was.iter().find(|(known, _)| known == kind);
        known.is_some_and(|(_, was)| was.duration_since(*now) > SKEW)
    })
}

/// The status without the times of its conditions, which change by themselves.
fn timeless(object: &Value) -> Option<Map<String, Value>> {
    let mut status = object.get("status")?.as_object()?.clone();
    if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
        for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
            condition.remove("lastTransitionTime");
            condition.remove("lastUpdateTime");
        }
    }
    Some(status)
}
