//! Whose objects the controllers create, adopt, release and delete.

use std::sync::Arc;

use ironkeel_plan::meta::{Meta, OwnerReference};
use ironkeel_plan::pod::Pod;
use ironkeel_plan::workload::ReplicaSet;
use serde_json::Value;

use crate::Rules;
use crate::checker::Findings;
use crate::world::{Change, Moment, Step, World};

/// Judges by owner references.
pub(super) fn judge(rules: &Rules, world: &World, step: &Step<'_>, findings: &mut Findings) {
    let commit = step.commit;
    if matches!(step.change, Change::Deployment(..)) {
        if commit.before.is_none() || commit.after.is_none() {
            let verb = if commit.before.is_none() {
                "creates"
            } else {
                "deletes"
            };
            findings.add(
                "G1-owner",
                format!(
                    "{} {verb} {} {}",
                    commit.writer, commit.resource, commit.key
                ),
            );
        }
        return;
    }
    match (commit.before.as_deref(), commit.after.as_deref()) {
        (None, Some(after)) => judge_create(world, step, after, findings),
        (Some(before), None) => judge_delete(world, step, before, findings),
        (Some(before), Some(after)) => {
            if !is_deleting(before) && is_deleting(after) {
                judge_delete(world, step, before, findings);
            }
            judge_owners(rules, world, step, (before, after), findings);
        }
        (None, None) => {}
    }
}

/// Every object is born with exactly one managing controller, which is one of ours.
fn judge_create(world: &World, step: &Step<'_>, after: &Value, findings: &mut Findings) {
    let commit = step.commit;
    let controllers: Vec<OwnerReference> = owners(after)
        .into_iter()
        .filter(|owner| owner.controller == Some(true))
        .collect();
    let [owner] = &controllers[..] else {
        findings.add(
            "G2-controller",
            format!(
                "{} {} is created with {} managing controllers",
                commit.resource,
                commit.key,
                controllers.len()
            ),
        );
        return;
    };
    if identity(world, step, &owner.uid).is_none_or(|known| {
        known
            != (
                owner.api_version.clone(),
                owner.kind.clone(),
                owner.name.clone(),
            )
    }) {
        findings.add(
            "G2-controller",
            format!(
                "{} {} is created for {} {} {} with UID {}, which there never was in its namespace",
                commit.resource, commit.key, owner.api_version, owner.kind, owner.name, owner.uid
            ),
        );
    }
}

/// API version, kind and name of the object of that UID that may control this one.
fn identity(world: &World, step: &Step<'_>, uid: &str) -> Option<(String, String, String)> {
    let (resource, key) = match step.change {
        Change::Pod(..) => {
            let set = world.sets.get(uid)?;
            (set.resource, &set.key)
        }
        Change::Set(..) => {
            let deployment = world.deployments.get(uid)?;
            let group = step.commit.resource;
            (
                ironkeel_runtime::resource::Resource {
                    kind: "Deployment",
                    plural: "deployments",
                    ..group
                },
                &deployment.key,
            )
        }
        Change::Deployment(..) | Change::Other => return None,
    };
    (key.namespace == step.commit.key.namespace).then(|| {
        (
            resource.api_version(),
            resource.kind.to_owned(),
            key.name.clone(),
        )
    })
}

fn judge_delete(world: &World, step: &Step<'_>, before: &Value, findings: &mut Findings) {
    let owner = owners(before)
        .into_iter()
        .find(|owner| owner.controller == Some(true));
    let ours = owner
        .as_ref()
        .is_some_and(|owner| identity(world, step, &owner.uid).is_some());
    if !ours {
        let commit = step.commit;
        let whose = owner.map_or_else(
            || "nobody controls".to_owned(),
            |owner| format!("{} {} controls", owner.kind, owner.name),
        );
        findings.add(
            "G1-owner",
            format!(
                "{} deletes {} {}, which {whose}",
                commit.writer, commit.resource, commit.key
            ),
        );
    }
}

/// Adoption and release.
fn judge_owners(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    (before, after): (&Value, &Value),
    findings: &mut Findings,
) {
    let references = |object: &Value| object.pointer("/metadata/ownerReferences").cloned();
    if references(before) == references(after) {
        return;
    }
    let commit = step.commit;
    let (before, after) = (owners(before), owners(after));
    let gained: Vec<&OwnerReference> = after.iter().filter(|one| !before.contains(one)).collect();
    let lost: Vec<&OwnerReference> = before.iter().filter(|one| !after.contains(one)).collect();
    let name = format_args!("{} {}", commit.resource, commit.key).to_string();
    match (&gained[..], &lost[..]) {
        ([new], []) if new.controller == Some(true) => {
            if before.iter().any(|owner| owner.controller == Some(true)) {
                findings.add(
                    "G3-steal",
                    format!("{name} gets a second managing controller"),
                );
            }
            judge_adoption(rules, world, step, new, findings);
        }
        ([], [old]) => {
            if old.controller != Some(true) || identity(world, step, &old.uid).is_none() {
                findings.add(
                    "G1-owner",
                    format!(
                        "{name} loses its owner {} {}, which is not ours",
                        old.kind, old.name
                    ),
                );
            } else {
                judge_release(rules, world, step, old, findings);
            }
        }
        _ => findings.add(
            "G3-steal",
            format!(
                "{name} gets {} owners and loses {} in one write",
                gained.len(),
                lost.len()
            ),
        ),
    }
}

/// A matching orphan, and an owner that was read live before.
fn judge_adoption(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    owner: &OwnerReference,
    findings: &mut Findings,
) {
    let name = format_args!("{} {}", step.commit.resource, step.commit.key).to_string();
    if identity(world, step, &owner.uid).is_none() {
        findings.add(
            "G1-adopt",
            format!(
                "{name} is adopted by {} {}, which there never was",
                owner.kind, owner.name
            ),
        );
        return;
    }
    let live = world.live_horizon(rules.adopting);
    let ended = |gone: Option<Moment>| gone.is_some_and(|gone| live.covers(gone));
    let is_over = match step.change {
        Change::Pod(..) => world
            .sets
            .get(&*owner.uid)
            .is_some_and(|set| ended(set.gone) || set.specs.since(live).all(|spec| spec.deleting)),
        _ => world
            .deployments
            .get(&*owner.uid)
            .is_some_and(|deployment| {
                let deleting = |spec: &Option<_>| -> bool {
                    spec.as_ref()
                        .is_some_and(|spec: &crate::world::Limits| spec.deleting)
                };
                ended(deployment.gone) || deployment.specs.since(live).all(deleting)
            }),
    };
    if is_over {
        findings.add(
            "G1-adopt",
            format!(
                "{name} is adopted by {} {}, which was being deleted or gone for longer than {:.1} s",
                owner.kind,
                owner.name,
                rules.adopting.as_secs_f64()
            ),
        );
    }
    let Some(process) = step.process else { return };
    let relabelled = match &step.change {
        Change::Pod(_, Some(pod)) => world.pods.get(&*pod.uid).and_then(|pod| pod.relabelled),
        _ => None,
    };
    // A label may have changed behind the controller's back.
    let sure = relabelled.is_none_or(|moment| world.horizon(rules, process).covers(moment));
    if sure && !matches(world, step, &owner.uid) {
        findings.add(
            "G1-adopt",
            format!(
                "{name} is adopted by {} {}, whose selector misses it",
                owner.kind, owner.name
            ),
        );
    }
}

fn judge_release(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    owner: &OwnerReference,
    findings: &mut Findings,
) {
    let Some(process) = step.process else { return };
    let relabelled = match &step.change {
        Change::Pod(_, Some(pod)) => world.pods.get(&*pod.uid).and_then(|pod| pod.relabelled),
        // A set is read right before; its selector is compared as it is.
        _ => None,
    };
    let reselected = world
        .sets
        .get(&*owner.uid)
        .is_some_and(|set| set.reselected);
    let sure = relabelled.is_none_or(|moment| world.horizon(rules, process).covers(moment));
    if sure
        && !reselected
        && matches!(step.change, Change::Pod(..))
        && matches(world, step, &owner.uid)
    {
        findings.add(
            "G1-release",
            format!(
                "{} {} is released by {} {}, whose selector picks it",
                step.commit.resource, step.commit.key, owner.kind, owner.name
            ),
        );
    }
}

/// Whether the object is picked by the selector of the owner with this UID.
fn matches(world: &World, step: &Step<'_>, uid: &str) -> bool {
    let pod = |pod: &Arc<Pod>| {
        world
            .sets
            .get(uid)
            .is_some_and(|set| set.selects(pod) || set.reselected)
    };
    let set = |set: &Arc<ReplicaSet>| {
        let meta: &Meta = &set.metadata;
        world
            .deployments
            .get(uid)
            .is_some_and(|deployment| deployment.object.spec.selector.matches_map(&meta.labels))
    };
    match &step.change {
        Change::Pod(_, Some(after)) => pod(after),
        Change::Set(_, Some(after)) => set(after),
        _ => true,
    }
}

fn owners(object: &Value) -> Vec<OwnerReference> {
    object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|owner| serde::Deserialize::deserialize(owner).ok())
        .collect()
}

fn is_deleting(object: &Value) -> bool {
    object
        .pointer("/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null())
}
