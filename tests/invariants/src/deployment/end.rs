//! What a Deployment must be like once the controllers are silent.

use ironkeel_plan::workload::Deployment;
use jiff::{SignedDuration, Timestamp};

use super::COMPLETE;
use crate::checker::Findings;
use crate::world::{DeploymentState, Limits, SetState, World, size};

/// How long after its deadline a rollout may go without being called failed.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Judges what is left of every Deployment at the end.
pub(crate) fn judge_end(world: &World, now: Timestamp, findings: &mut Findings) {
    for state in world.deployments.values() {
        let out = state.gone.is_some() || state.object.metadata.is_deleting();
        if out || world.is_ending(&state.key) {
            continue;
        }
        let owned: Vec<&SetState> = world
            .sets_of(state)
            .filter(|set| set.gone.is_none() && set.owner.as_ref() == Some(&state.uid))
            .collect();
        judge_generation(state, findings);
        let Some(Some(spec)) = state.specs.last() else {
            continue;
        };
        judge_counts(state, spec, &owned, findings);
        judge_rollout(world, state, spec, &owned, findings);
        judge_deadline(state, spec, now, findings);
    }
}

fn judge_generation(state: &DeploymentState, findings: &mut Findings) {
    let (meta, status) = (&state.object.metadata, &state.object.status);
    if status.observed_generation != meta.generation {
        findings.add(
            "D-settled",
            format!(
                "Deployment {} ends at generation {}, its status is about {}",
                state.key, meta.generation, status.observed_generation
            ),
        );
    }
}

fn judge_counts(
    state: &DeploymentState,
    spec: &Limits,
    owned: &[&SetState],
    findings: &mut Findings,
) {
    let mut told = [0_i64; 4];
    for set in owned {
        let (status, pods) = (&set.object.status, set.now());
        told[0] += pods.active;
        told[1] += pods.ready;
        told[2] += i64::from(status.available_replicas);
        if set.object.spec.template.same_pods(&spec.template) {
            told[3] += pods.active;
        }
    }
    let status = &state.object.status;
    let says = [
        status.replicas,
        status.ready_replicas,
        status.available_replicas,
        status.updated_replicas,
    ]
    .map(i64::from);
    if says != told {
        findings.add(
            "D-settled",
            format!(
                "Deployment {} ends with status (replicas, ready, available, updated) {says:?}, true is {told:?}",
                state.key
            ),
        );
    }
}

/// A rollout whose pods all work is finished.
fn judge_rollout(
    world: &World,
    state: &DeploymentState,
    spec: &Limits,
    owned: &[&SetState],
    findings: &mut Findings,
) {
    let refused = reason(&state.object, "ReplicaSetCreateError")
        || state
            .object
            .status
            .conditions
            .iter()
            .any(|condition| condition.kind == "ReplicaFailure");
    let works = owned.iter().all(|set| {
        let pods = set.now();
        let available = i64::from(set.object.status.available_replicas);
        pods.active == pods.ready
            && available == pods.ready
            && world.pods_of(&set.uid).all(|pod| pod.pod.is_active())
    });
    if spec.paused || refused || !works {
        return;
    }
    let new = |set: &&&SetState| set.object.spec.template.same_pods(&spec.template);
    let grown: i64 = owned.iter().filter(new).map(|set| size(&set.object)).sum();
    let all: i64 = owned.iter().map(|set| size(&set.object)).sum();
    if grown != spec.replicas || all != spec.replicas {
        findings.add(
            "D-settled",
            format!(
                "Deployment {} ends with {grown} new of {all} wanted pods, all of them available, instead of {}",
                state.key, spec.replicas
            ),
        );
    } else if spec.deadline.is_some() && !reason(&state.object, COMPLETE) {
        findings.add(
            "D-settled",
            format!("Deployment {} ends complete and does not say so", state.key),
        );
    }
}

/// A rollout that makes no progress is called failed.
fn judge_deadline(state: &DeploymentState, spec: &Limits, now: Timestamp, findings: &mut Findings) {
    let Some(deadline) = spec.deadline.filter(|_| !spec.paused) else {
        return;
    };
    let conditions = &state.object.status.conditions;
    let Some(known) = conditions.iter().find(|known| known.kind == "Progressing") else {
        return;
    };
    let over = matches!(
        known.reason.as_str(),
        COMPLETE | "ProgressDeadlineExceeded" | "InvalidSpec" | "DeploymentPaused"
    );
    let due = known.last_update_time.and_then(|since| {
        let deadline = SignedDuration::from_secs(deadline).saturating_add(PATIENCE);
        since.checked_add(deadline).ok()
    });
    if !over && due.is_some_and(|due| due < now) {
        findings.add(
            "D-deadline",
            format!(
                "Deployment {} made no progress since {}, its deadline of {deadline} s passed, and it still says {}",
                state.key,
                known.last_update_time.unwrap_or_default(),
                known.reason
            ),
        );
    }
}

fn reason(deployment: &Deployment, reason: &str) -> bool {
    deployment
        .status
        .conditions
        .iter()
        .any(|condition| condition.kind == "Progressing" && condition.reason == reason)
}
