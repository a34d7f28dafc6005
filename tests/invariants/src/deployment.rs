//! Rules of Deployments.

use std::sync::Arc;

use ironkeel_plan::revision;
use ironkeel_plan::workload::{Deployment, ReplicaSet};

mod end;
mod sizes;

pub(crate) use end::judge_end;

use crate::Rules;
use crate::checker::Findings;
use crate::world::{DeploymentState, Limits, SetState, Step, World};

const COMPLETE: &str = "NewReplicaSetAvailable";

pub(crate) type Both<'a, T> = (Option<&'a Arc<T>>, Option<&'a Arc<T>>);

/// One write of a ReplicaSet by a process, with what the process may know of its Deployment.
pub(crate) struct SetWrite<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) world: &'a World,
    pub(crate) process: u32,
    pub(crate) deployment: &'a DeploymentState,
    pub(crate) specs: Vec<&'a Limits>,
    /// The set as it is after the write, or as it was before it went.
    pub(crate) set: &'a SetState,
}

impl SetWrite<'_> {
    /// The other sets that the Deployment has.
    pub(crate) fn others(&self) -> impl Iterator<Item = &SetState> {
        self.world.sets_of(self.deployment).filter(|set| {
            set.uid != self.set.uid
                && set.gone.is_none()
                && set.owner.as_ref() == Some(&self.deployment.uid)
        })
    }

    /// Who writes what, for a finding.
    pub(crate) fn name(&self) -> String {
        format!(
            "controller {}, {} {} of Deployment {}",
            self.process, self.set.resource, self.set.key, self.deployment.key.name
        )
    }
}

/// Judges the write of a ReplicaSet by the Deployment that controls it.
pub(crate) fn judge_set(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    (before, after): Both<'_, ReplicaSet>,
    findings: &mut Findings,
) {
    let Some(process) = step.process.filter(|_| !step.late) else {
        return;
    };
    let Some(object) = after.or(before) else {
        return;
    };
    let owner = object.metadata.controller().map(|owner| owner.uid.as_str());
    let deployment = owner.and_then(|owner| world.deployments.get(owner));
    let (Some(deployment), Some(set)) = (deployment, world.sets.get(object.metadata.uid.as_str()))
    else {
        return;
    };
    let write = SetWrite {
        rules,
        world,
        process,
        deployment,
        specs: world.specs_of_deployment(rules, process, deployment),
        set,
    };
    match (before, after) {
        (None, Some(_)) => {
            judge_create(&write, findings);
            sizes::judge_growth(&write, findings);
            judge_revision(&write, None, findings);
        }
        (Some(before), Some(after)) => {
            sizes::judge(&write, (before, after), findings);
            judge_revision(&write, Some(before), findings);
            if !before.metadata.is_deleting() && after.metadata.is_deleting() {
                judge_delete(&write, before, findings);
            }
        }
        (Some(before), None) => {
            if !before.metadata.is_deleting() {
                judge_delete(&write, before, findings);
            }
        }
        (None, None) => {}
    }
}

/// A new ReplicaSet: wanted, not while paused, and the only one of its template.
fn judge_create(write: &SetWrite<'_>, findings: &mut Findings) {
    let specs = &write.specs;
    if !specs.is_empty() && specs.iter().all(|spec| spec.deleting)
        || write
            .deployment
            .gone
            .is_some_and(|gone| write.world.horizon(write.rules, write.process).covers(gone))
    {
        findings.add(
            "G4-deleting",
            format!(
                "{} is created, the Deployment must be known to be deleted",
                write.name()
            ),
        );
        return;
    }
    if !specs.is_empty() && specs.iter().all(|spec| spec.paused) {
        findings.add(
            "D-paused",
            format!("{} is created while the Deployment is paused", write.name()),
        );
    }
    let template = &write.set.object.spec.template;
    let twin = write.others().find(|other| {
        other.made_by_us
            && !other.object.metadata.is_deleting()
            && other.object.spec.template.same_pods(template)
    });
    if let Some(twin) = twin {
        findings.add(
            "D-one-new",
            format!(
                "{} is created beside {}, which has the same template",
                write.name(),
                twin.key.name
            ),
        );
    }
}

/// Revision numbers only rise, and no two sets have the same.
fn judge_revision(write: &SetWrite<'_>, before: Option<&Arc<ReplicaSet>>, findings: &mut Findings) {
    let number = |set: &ReplicaSet| revision_of(set);
    let was = before.and_then(|before| number(before));
    let Some(is) = number(&write.set.object) else {
        return;
    };
    if was == Some(is) {
        return;
    }
    if let Some(was) = was.filter(|was| *was > is) {
        findings.add(
            "D-revision",
            format!("{}: revision falls from {was} to {is}", write.name()),
        );
    }
    let twin = write
        .others()
        .filter(|other| !other.annotated_by_others && other.made_by_us)
        .find(|other| number(&other.object).is_some_and(|number| number >= is));
    if let Some(twin) = twin {
        findings.add(
            "D-revision",
            format!(
                "{} gets revision {is}, {} has {} already",
                write.name(),
                twin.key.name,
                number(&twin.object).unwrap_or_default()
            ),
        );
    }
}

/// The revision number of a set, read without the planner.
fn revision_of(set: &ReplicaSet) -> Option<i64> {
    set.metadata
        .annotations
        .get(revision::REVISION)?
        .parse()
        .ok()
}

/// Only what is old, empty, answered and beyond the limit goes.
fn judge_delete(write: &SetWrite<'_>, before: &ReplicaSet, findings: &mut Findings) {
    let status = &before.status;
    let size = crate::world::size(before);
    let pods = write
        .world
        .pods_of(&write.set.uid)
        .filter(|pod| pod.member && !pod.foreign)
        .count();
    if size > 0
        || status.replicas > 0
        || status.observed_generation < before.metadata.generation
        || pods > 0
    {
        findings.add(
            "D-history",
            format!(
                "{} is deleted with a size of {size}, {} reported and {pods} true pods, generation {} of {} answered",
                write.name(),
                status.replicas,
                status.observed_generation,
                before.metadata.generation
            ),
        );
    }
    if write.specs.is_empty() {
        return;
    }
    let template = &before.spec.template;
    if write
        .specs
        .iter()
        .all(|spec| spec.template.same_pods(template))
        && !write
            .others()
            .any(|other| other.object.spec.template.same_pods(template))
    {
        findings.add(
            "D-history",
            format!(
                "{} is deleted and is the set of the current template",
                write.name()
            ),
        );
    }
    let horizon = write.world.horizon(write.rules, write.process);
    let taken = write.deployment.sets_taken;
    if taken.is_some_and(|moment| !horizon.covers(moment)) {
        return;
    }
    let least = write.specs.iter().map(|spec| spec.history).min();
    let least = least.unwrap_or(0);
    let is_current = |set: &SetState| {
        let template = &set.object.spec.template;
        write
            .specs
            .iter()
            .all(|spec| spec.template.same_pods(template))
    };
    let kept = write.others().filter(|other| !is_current(other)).count();
    if kept < least {
        findings.add(
            "D-history",
            format!(
                "{} is deleted, {kept} old ones are left and {least} are to be kept",
                write.name()
            ),
        );
    }
}

/// Judges the write of a Deployment.
pub(crate) fn judge(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    (before, after): Both<'_, Deployment>,
    findings: &mut Findings,
) {
    let (Some(process), Some(before), Some(after)) = (step.process, before, after) else {
        return;
    };
    let Some(state) = world.deployments.get(after.metadata.uid.as_str()) else {
        return;
    };
    if before.status.observed_generation != after.status.observed_generation {
        judge_acted(rules, world, process, state, findings);
    }
    let says = |deployment: &Deployment| {
        deployment.status.conditions.iter().any(|condition| {
            condition.kind == "Progressing" && condition.reason == COMPLETE
                || condition.kind == "Ready" && condition.status == "True"
        })
    };
    if says(after) && !says(before) {
        judge_complete(world, state, findings);
    }
}

/// A generation is observed once it was acted on: its ReplicaSet is there, and has its size.
fn judge_acted(
    rules: &Rules,
    world: &World,
    process: u32,
    state: &DeploymentState,
    findings: &mut Findings,
) {
    let Some(Some(spec)) = state.specs.last() else {
        return;
    };
    let status = &state.object.status;
    let horizon = world.horizon(rules, process);
    let told = |reasons: &[&str]| {
        status
            .conditions
            .iter()
            .any(|condition| reasons.contains(&condition.reason.as_str()))
    };
    let excused = spec.deleting
        || spec.paused
        || spec.recreate
        || world.is_ending(&state.key)
        || status.observed_generation != state.object.metadata.generation
        || state
            .sets_taken
            .is_some_and(|moment| !horizon.covers(moment))
        || told(&["ReplicaSetCreateError", "InvalidSpec"]);
    if excused {
        return;
    }
    let owned: Vec<&SetState> = world
        .sets_of(state)
        .filter(|set| set.gone.is_none() && set.owner.as_ref() == Some(&state.uid))
        .collect();
    let new: Vec<&&SetState> = owned
        .iter()
        .filter(|set| set.object.spec.template.same_pods(&spec.template))
        .collect();
    // A scaling comes first, with a share of the surge for each set that has pods; the template is for the sync after it.
    let is_scaling = match (state.specs.start(), state.retargeted) {
        (Some(start), Some(at)) => at.version > start.version,
        _ => false,
    };
    // A name that is taken costs one more sync, which the collision count tells of.
    if new.is_empty() && !is_scaling && status.collision_count.unwrap_or(0) == 0 {
        findings.add(
            "G5-acted",
            format!(
                "Deployment {}: generation {} counts as observed and no ReplicaSet has its template",
                state.key, spec.generation
            ),
        );
    }
    let [new] = new[..] else { return };
    let alone = owned
        .iter()
        .all(|set| set.uid == new.uid || crate::world::size(&set.object) == 0);
    let sized = crate::world::size(&new.object);
    let ours = owned.iter().all(|set| set.resized_by_others.is_none());
    if alone && ours && !is_scaling && spec.replacement.is_none() && sized != spec.replicas {
        findings.add(
            "G5-acted",
            format!(
                "Deployment {}: generation {} counts as observed, its only ReplicaSet {} has a size of {sized} instead of {}",
                state.key, spec.generation, new.key.name, spec.replicas
            ),
        );
    }
}

/// A rollout is complete only if the wanted pods of the new template were there and ready at one time.
fn judge_complete(world: &World, state: &DeploymentState, findings: &mut Findings) {
    let Some(Some(spec)) = state.specs.last() else {
        return;
    };
    let most = world
        .sets_of(state)
        .filter(|set| set.object.spec.template.same_pods(&spec.template))
        .map(|set| set.most_ready)
        .max()
        .unwrap_or(0);
    if most < spec.replicas {
        findings.add(
            "D-complete",
            format!(
                "Deployment {} counts as complete with {} replicas, at most {most} pods of its template were ever ready",
                state.key, spec.replicas
            ),
        );
    }
}
