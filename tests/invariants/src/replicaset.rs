//! Rules of ReplicaSets and ReplicationControllers.

use std::collections::BTreeSet;
use std::sync::Arc;

use ironkeel_plan::pod::Pod;
use ironkeel_plan::workload::ReplicaSet;
use jiff::Timestamp;

use crate::Rules;
use crate::checker::Findings;
use crate::world::{SetState, Step, Uid, World};

const REPLICA_FAILURE: &str = "ReplicaFailure";

type Both<'a, T> = (Option<&'a Arc<T>>, Option<&'a Arc<T>>);

/// Judges the write of a pod by the set that it belongs to.
pub(crate) fn judge_pod(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    (before, after): Both<'_, Pod>,
    findings: &mut Findings,
) {
    let Some(process) = step.process else { return };
    let owner = |pod: &Arc<Pod>| {
        let owner = pod.controller.as_ref()?;
        world.sets.get(&*owner.uid)
    };
    match (before, after) {
        (None, Some(pod)) => {
            if let Some(set) = owner(pod).filter(|_| !step.late) {
                judge_create(rules, world, process, set, pod, findings);
            }
        }
        (Some(pod), after) => {
            let deleted = pod.is_active()
                && after.is_none_or(|after| after.uid != pod.uid || after.deleting.is_some());
            if let Some(set) = owner(pod).filter(|_| deleted) {
                judge_delete(rules, world, process, set, pod, findings);
            }
        }
        (None, None) => {}
    }
}

/// Not more than wanted by any spec that the process may hold, and nothing for a set that it must know to be going.
fn judge_create(
    rules: &Rules,
    world: &World,
    process: u32,
    set: &SetState,
    pod: &Pod,
    findings: &mut Findings,
) {
    let specs = world.specs_of_set(rules, process, set);
    let most = specs
        .iter()
        .filter(|spec| !spec.deleting)
        .map(|spec| spec.replicas)
        .max();
    let Some(most) = most else {
        findings.add(
            "G4-deleting",
            format!(
                "controller {process} creates pod {} for {} {}, which it must know to be deleted",
                pod.name, set.resource, set.key
            ),
        );
        return;
    };
    let counted = set.now().counted;
    if counted > most {
        let why = if specs.len() > 1 {
            " by any spec that it may know"
        } else {
            ""
        };
        findings.add(
            "RS-replicas",
            format!(
                "controller {process} creates pod {}: {} {} has {counted} active pods of the controllers and wants {most}{why}",
                pod.name, set.resource, set.key
            ),
        );
    }
}

/// Not more than the surplus by a spec that was live when it was read.
fn judge_delete(
    rules: &Rules,
    world: &World,
    process: u32,
    set: &SetState,
    pod: &Pod,
    findings: &mut Findings,
) {
    let live = world.live_horizon(rules.in_flight);
    let fewest = set
        .specs
        .since(live)
        .map(|spec| {
            if spec.deleting {
                None
            } else {
                Some(spec.replicas)
            }
        })
        .min();
    let going = set.specs.since(live).all(|spec| spec.deleting);
    if going {
        findings.add(
            "RS-deleting",
            format!(
                "controller {process} deletes pod {} of {} {}, which is itself being deleted",
                pod.name, set.resource, set.key
            ),
        );
        return;
    }
    // A set that began to go meanwhile keeps nothing.
    let Some(Some(fewest)) = fewest else { return };
    let lost = losses(rules, world, process, set);
    let active = set.now().active;
    if active + lost < fewest {
        let unknown = if lost > 0 {
            format!(" and {lost} lost that it may not know of")
        } else {
            String::new()
        };
        findings.add(
            "RS-surplus",
            format!(
                "controller {process} deletes pod {}: {} {} is left with {active} active pods{unknown}, and wants {fewest}",
                pod.name, set.resource, set.key
            ),
        );
    }
}

/// Pods that ceased to count by somebody else's doing, of which the process may not know.
fn losses(rules: &Rules, world: &World, process: u32, set: &SetState) -> i64 {
    let horizon = world.horizon(rules, process);
    let unknown = set
        .losses
        .iter()
        .rev()
        .take_while(|(moment, _)| !horizon.covers(*moment))
        .filter(|(_, by)| *by != Some(process));
    i64::try_from(unknown.count()).unwrap_or(i64::MAX)
}

/// Judges what a set's status says.
pub(crate) fn judge_set(
    rules: &Rules,
    world: &World,
    step: &Step<'_>,
    (before, after): Both<'_, ReplicaSet>,
    findings: &mut Findings,
) {
    let (Some(process), Some(before), Some(after)) = (step.process, before, after) else {
        return;
    };
    let Some(set) = world.sets.get(after.metadata.uid.as_str()) else {
        return;
    };
    if before.status == after.status {
        return;
    }
    judge_counts(rules, world, process, set, findings);
    let answers = before.status.observed_generation != after.status.observed_generation;
    if answers {
        judge_acted(rules, world, process, set, findings);
    }
}

/// What the status counts was so at some time that the process may still see.
fn judge_counts(
    rules: &Rules,
    world: &World,
    process: u32,
    set: &SetState,
    findings: &mut Findings,
) {
    let status = &set.object.status;
    if set.reselected || set.is_faulty() {
        return;
    }
    let horizon = world.horizon(rules, process);
    let (mut active, mut ready) = ((i64::MAX, 0), (i64::MAX, 0));
    for counts in set.counts.since(horizon) {
        active = (active.0.min(counts.active), active.1.max(counts.active));
        ready = (ready.0.min(counts.ready), ready.1.max(counts.ready));
    }
    // Orphans count before they are adopted.
    let slack = set.adopted;
    for (field, says, (least, most)) in [
        ("replicas", status.replicas, active),
        ("readyReplicas", status.ready_replicas, ready),
    ] {
        let says = i64::from(says);
        if says < least || says > most + slack {
            findings.add(
                "RS-status",
                format!(
                    "{} {}: status.{field} is {says}, true was {least} to {most}",
                    set.resource, set.key
                ),
            );
        }
    }
    if status.available_replicas > status.ready_replicas
        || status.ready_replicas > status.replicas
        || status.fully_labeled_replicas > status.replicas
    {
        findings.add(
            "RS-status",
            format!(
                "{} {}: {} available of {} ready of {} replicas, {} fully labelled",
                set.resource,
                set.key,
                status.available_replicas,
                status.ready_replicas,
                status.replicas,
                status.fully_labeled_replicas
            ),
        );
    }
}

/// A generation is observed once it was acted on.
fn judge_acted(
    rules: &Rules,
    world: &World,
    process: u32,
    set: &SetState,
    findings: &mut Findings,
) {
    let excused = set.object.metadata.is_deleting()
        || set.is_faulty()
        || world.is_ending(&set.key)
        || has_condition(&set.object, REPLICA_FAILURE);
    let generation = set.object.status.observed_generation;
    let mut specs = set.specs.all();
    let spec = specs.find(|spec| spec.generation == generation);
    let (Some(spec), false) = (spec, excused) else {
        return;
    };
    let wanted = spec.replicas;
    let active = set.now().active;
    let lost = losses(rules, world, process, set);
    if active + lost < wanted {
        findings.add(
            "G5-acted",
            format!(
                "{} {}: generation {} counts as observed with {active} of {wanted} pods created and no failure told",
                set.resource, set.key, generation
            ),
        );
    }
}

fn has_condition(set: &ReplicaSet, kind: &str) -> bool {
    set.status
        .conditions
        .iter()
        .any(|condition| condition.kind == kind && condition.status == "True")
}

/// Judges what is left of every set at the end.
pub(crate) fn judge_end(world: &World, findings: &mut Findings) {
    for set in world.sets.values() {
        let meta = &set.object.metadata;
        let out = set.gone.is_some() || meta.is_deleting() || set.is_faulty();
        if out || world.is_ending(&set.key) {
            continue;
        }
        let (status, now) = (&set.object.status, set.now());
        let wanted = set.specs.last().map_or(0, |spec| spec.replicas);
        if now.active != wanted && !has_condition(&set.object, REPLICA_FAILURE) {
            findings.add(
                "RS-settled",
                format!(
                    "{} {} ends with {} active pods and wants {wanted}",
                    set.resource, set.key, now.active
                ),
            );
        }
        let told = (i64::from(status.replicas), i64::from(status.ready_replicas));
        if told != (now.active, now.ready) || status.observed_generation != meta.generation {
            findings.add(
                "RS-settled",
                format!(
                    "{} {} ends with {} pods, {} ready, at generation {}; its status says {}, {} and {}",
                    set.resource,
                    set.key,
                    now.active,
                    now.ready,
                    meta.generation,
                    told.0,
                    told.1,
                    status.observed_generation
                ),
            );
        }
    }
}

/// One delete whose place in the order has yet to be judged: the others of its batch may land after it.
#[derive(Clone, Debug)]
struct Pending {
    version: u64,
    due: Timestamp,
    process: u32,
    set: String,
    pod: String,
    /// Pods that should have gone before it.
    before: BTreeSet<Uid>,
}

/// Which pods go first.
#[derive(Debug, Default)]
pub(crate) struct Order {
    pending: Vec<Pending>,
}

impl Order {
    /// Remembers a delete by which a pod went before others that should have gone first.
    pub(crate) fn note(
        &mut self,
        rules: &Rules,
        world: &World,
        step: &Step<'_>,
        before: Option<&Arc<Pod>>,
    ) {
        let (Some(process), Some(pod)) = (step.process, before) else {
            return;
        };
        let now_deleting = world
            .pods
            .get(&*pod.uid)
            .is_none_or(|known| known.pod.deleting.is_some());
        let Some(set) = pod
            .controller
            .as_ref()
            .and_then(|owner| world.sets.get(&*owner.uid))
        else {
            return;
        };
        if rules.requests_fail || !pod.is_active() || !now_deleting {
            return;
        }
        let horizon = world.horizon(rules, process);
        let known = world.pods.get(&*pod.uid).or(world.removed.as_ref());
        let own = known.and_then(|known| known.ranks.since(horizon).min().copied());
        let Some(own) = own else { return };
        let first = world.pods_of(&set.uid).filter(|other| {
            other.member
                && !other.foreign
                && other.ranks.is_known(horizon)
                && other
                    .ranks
                    .since(horizon)
                    .max()
                    .is_some_and(|rank| *rank < own)
        });
        let before: BTreeSet<Uid> = first.map(|other| Uid::from(&*other.pod.uid)).collect();
        if !before.is_empty() {
            let due = step.moment.at.checked_add(rules.in_flight);
            self.pending.push(Pending {
                version: step.moment.version,
                due: due.unwrap_or(Timestamp::MAX),
                process,
                set: format!("{} {}", set.resource, set.key),
                pod: pod.name.to_string(),
                before,
            });
        }
    }

    /// Judges what is due.
    pub(crate) fn judge(&mut self, world: &World, now: Timestamp, findings: &mut Findings) {
        if self.pending.iter().all(|pending| pending.due > now) {
            return;
        }
        let (due, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.due <= now);
        self.pending = later;
        let due: Vec<Pending> = due;
        for pending in &due {
            pending.judge(world, findings);
        }
    }

    /// Judges everything.
    pub(crate) fn judge_all(&self, world: &World, findings: &mut Findings) {
        for pending in &self.pending {
            pending.judge(world, findings);
        }
    }
}

impl Pending {
    fn judge(&self, world: &World, findings: &mut Findings) {
        let left = self
            .before
            .iter()
            .filter_map(|uid| world.pods.get(uid))
            .find(|pod| pod.member);
        if let Some(left) = left {
            findings.add(
                "RS-rank",
                format!(
                    "controller {} deleted pod {} of {} at {} and left {}, which ranks before it",
                    self.process, self.pod, self.set, self.version, left.pod.name
                ),
            );
        }
    }
}
