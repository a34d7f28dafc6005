//! Adoption, release, strangers and taken names.

use serde_json::json;

use super::common::{any_time, begin, blank, deployment, once, soon};
use super::{Deed, Gate, Kinds, Story, Target, manifest};
use crate::dice::Dice;
use crate::expect::STRANGER;
use crate::kubelet::{Mishap, Trouble};

/// Pods, or ReplicaSets with pods, without an owner are there before who selects them.
pub(super) fn adoption(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=5);
    if dice.chance(50) {
        // More than fit, fewer, or as many.
        for number in 0..dice.within(1..=6) {
            let labels = json!({"app": manifest::APP});
            let pod = manifest::pod(&format!("orphan-{number}"), &labels);
            story.setup.push(pod);
        }
        let object = manifest::replica_set(story.kinds, manifest::APP, replicas, "web:1");
        begin(dice, &mut story, object);
    } else {
        let image = if dice.chance(50) { "web:1" } else { "web:0" };
        let size = dice.within(0..=5);
        let mut set = manifest::replica_set(story.kinds, manifest::APP, size, image);
        set["metadata"]["name"] = json!("orphan");
        story.setup.push(set);
        deployment(dice, &mut story, replicas);
    }
    strangers(dice, &mut story);
    story
}

/// Objects of others that look like the story's own: none of them may be touched.
fn strangers(dice: &mut Dice, story: &mut Story) {
    if dice.chance(50) {
        let labels = json!({"app": "theirs", STRANGER: "yes"});
        story.setup.push(manifest::pod("stranger", &labels));
    }
    if dice.chance(50) {
        let size = dice.within(1..=2);
        story.setup.push(manifest::neighbour_set(story.kinds, size));
    }
}

/// The user takes a pod out by its label; perhaps it comes back.
pub(super) fn release(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=4);
    let target = if dice.chance(50) {
        deployment(dice, &mut story, replicas)
    } else {
        let object = manifest::replica_set(story.kinds, manifest::APP, replicas, "web:1");
        begin(dice, &mut story, object)
    };
    let number = dice.within(0..=5).unsigned_abs() as usize;
    let theft = Deed::Relabel(
        manifest::APP.to_owned(),
        number,
        json!({"app": manifest::LOOSE}),
    );
    let step = once(Gate::Complete(target.clone()), dice, theft);
    story.steps.push(step);
    if dice.chance(30) {
        let back = Deed::Relabel(manifest::LOOSE.to_owned(), 0, json!({"app": manifest::APP}));
        let step = any_time(dice, &target, back);
        story.steps.push(step);
    }
    story
}

/// The name that a new ReplicaSet would get is taken: by a set of the Deployment that was changed behind its back, or by
/// somebody else's.
pub(super) fn collision(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=4);
    let target = deployment(dice, &mut story, replicas);
    let complete = || Gate::Complete(target.clone());
    let mut steps = Vec::new();
    if dice.chance(50) {
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {"by": "hand"}}}}});
        let deed = Deed::MergeOwned(target.clone(), patch);
        steps.push(once(complete(), dice, deed));
    } else {
        let update = Deed::Merge(target.clone(), manifest::image("web:2"));
        steps.push(once(complete(), dice, update));
        steps.push(once(complete(), dice, Deed::Usurp(target.clone())));
        let undo = Deed::Merge(target.clone(), manifest::image("web:1"));
        steps.push(soon(dice, undo));
    }
    story.steps.extend(steps);
    story
}

/// A quota refuses some pods; perhaps it is raised.
pub(super) fn quota(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(2..=6);
    let allowed = dice.within(0..=replicas - 1);
    story.setup.push(manifest::quota(allowed));
    let target = if dice.chance(50) {
        deployment(dice, &mut story, replicas)
    } else {
        let object = manifest::replica_set(story.kinds, manifest::APP, replicas, "web:1");
        begin(dice, &mut story, object)
    };
    if dice.chance(70) {
        let quota = Target::new(crate::api::resource::RESOURCE_QUOTAS, "pods");
        let gate = match dice.below(3) {
            0 => Gate::Open,
            1 => Gate::Pods(manifest::APP.to_owned(), allowed.unsigned_abs() as usize),
            _ => Gate::Condition(target, "ReplicaFailure", "FailedCreate"),
        };
        let raise = Deed::Merge(quota, json!({"spec": {"hard": {"pods": "20"}}}));
        let step = once(gate, dice, raise);
        story.steps.push(step);
    }
    story
}

/// Pods are unready, restart, fail, are evicted and drained, start late and end late.
pub(super) fn failing_pods(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=5);
    let target = if dice.chance(70) {
        deployment(dice, &mut story, replicas)
    } else {
        let object = manifest::replica_set(story.kinds, manifest::APP, replicas, "web:1");
        begin(dice, &mut story, object)
    };
    for _ in 0..dice.within(1..=5) {
        let trouble = match dice.below(8) {
            0 => Trouble::Unready(dice.millis(50..=4_000)),
            1 => Trouble::Restart(dice.millis(50..=4_000)),
            2 => Trouble::Fail,
            3 => Trouble::Evict,
            4 => Trouble::Drain,
            5 => Trouble::Succeed,
            6 => Trouble::Slow(dice.millis(1_000..=10_000)),
            _ => Trouble::Stuck(dice.millis(5_000..=60_000)),
        };
        let mishap = Mishap {
            pod: dice.below(replicas.unsigned_abs().into()) as usize,
            after: dice.millis(0..=3_000),
            trouble,
        };
        story.kubelet.mishaps.push(mishap);
    }
    if target.resource == story.kinds.deployments() && dice.chance(50) {
        let deed = Deed::Merge(target.clone(), manifest::image("web:2"));
        let step = any_time(dice, &target, deed);
        story.steps.push(step);
    } else if dice.chance(50) {
        let deed = Deed::DeletePod(manifest::APP.to_owned(), dice.below(5) as usize);
        let step = any_time(dice, &target, deed);
        story.steps.push(step);
    }
    story
}

/// A ReplicaSet without a Deployment is created, scaled, robbed of pods and perhaps deleted.
pub(super) fn replica_set(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(0..=6);
    let object = manifest::replica_set(story.kinds, manifest::APP, replicas, "web:1");
    let target = begin(dice, &mut story, object);
    busy(dice, &mut story, &target);
    story
}

/// The same with a ReplicationController, which only the built-in kinds have.
pub(super) fn replication_controller(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    story.kinds = Kinds::Native;
    let replicas = dice.within(0..=6);
    let object = manifest::replication_controller(manifest::APP, replicas, "web:1");
    let step = soon(dice, Deed::Create(object));
    story.steps.push(step);
    let target = Target::new(
        ironkeel_runtime::resource::REPLICATION_CONTROLLERS,
        manifest::APP,
    );
    busy(dice, &mut story, &target);
    story
}

fn busy(dice: &mut Dice, story: &mut Story, target: &Target) {
    for _ in 0..dice.within(0..=3) {
        let deed = match dice.below(3) {
            0 => Deed::DeletePod(manifest::APP.to_owned(), dice.below(6) as usize),
            1 => Deed::Scale(target.clone(), dice.within(0..=6)),
            _ => Deed::Merge(
                target.clone(),
                json!({"spec": {"replicas": dice.within(0..=6)}}),
            ),
        };
        let step = any_time(dice, target, deed);
        story.steps.push(step);
    }
    if dice.chance(30) {
        let policies = [
            super::Propagation::Background,
            super::Propagation::Foreground,
            super::Propagation::Orphan,
        ];
        if let Some(policy) = dice.pick(&policies) {
            let deed = Deed::Delete(target.clone(), *policy);
            let step = any_time(dice, target, deed);
            story.steps.push(step);
        }
    }
}
