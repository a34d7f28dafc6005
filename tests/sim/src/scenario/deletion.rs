//! Workloads are deleted, with every policy, and made again.

use super::common::{any_time, blank, deployment, once, soon};
use super::{Deed, Gate, Propagation, Story, manifest};
use crate::dice::Dice;

/// The dependents go after the Deployment.
pub(super) fn background(dice: &mut Dice) -> Story {
    delete(dice, Propagation::Background)
}

/// The dependents go first.
pub(super) fn foreground(dice: &mut Dice) -> Story {
    delete(dice, Propagation::Foreground)
}

/// The dependents stay.
pub(super) fn orphan(dice: &mut Dice) -> Story {
    delete(dice, Propagation::Orphan)
}

fn delete(dice: &mut Dice, propagation: Propagation) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=5);
    let target = deployment(dice, &mut story, replicas);
    if dice.chance(40) {
        // What is deleted has two ReplicaSets, or is in the middle of a rollout.
        let deed = Deed::Merge(target.clone(), manifest::image("web:2"));
        let step = once(Gate::Complete(target.clone()), dice, deed);
        story.steps.push(step);
    }
    let deed = Deed::Delete(target.clone(), propagation);
    let step = any_time(dice, &target, deed);
    story.steps.push(step);
    story
}

/// A Deployment is deleted and another made under its name, at once where that is possible.
pub(super) fn recreate(dice: &mut Dice) -> Story {
    let policies = [
        Propagation::Background,
        Propagation::Foreground,
        Propagation::Orphan,
    ];
    let policy = dice
        .pick(&policies)
        .copied()
        .unwrap_or(Propagation::Background);
    let mut story = delete(dice, policy);
    let Some(Deed::Delete(target, _)) = story.steps.last().map(|step| step.deed.clone()) else {
        return story;
    };
    let replicas = dice.within(1..=5);
    let image = if dice.chance(50) { "web:1" } else { "web:3" };
    let again = manifest::deployment(story.kinds, manifest::APP, replicas, image);
    let step = once(Gate::Gone(target), dice, Deed::Create(again));
    story.steps.push(step);
    story
}

/// The namespace goes with everything in it.
pub(super) fn namespace(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=5);
    let target = deployment(dice, &mut story, replicas);
    let deed = Deed::Delete(manifest::namespace(), Propagation::Background);
    let step = any_time(dice, &target, deed);
    story.steps.push(step);
    story
}

/// Two Deployments come and go beside each other.
pub(super) fn two_deployments(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=4);
    let web = deployment(dice, &mut story, replicas);
    let object = manifest::deployment(story.kinds, "api", dice.within(1..=4), "api:1");
    let api = super::Target::new(story.kinds.deployments(), "api");
    let mut steps = vec![soon(dice, Deed::Create(object))];
    for _ in 0..dice.within(1..=3) {
        let (target, image) = if dice.chance(50) {
            (&web, "web:2")
        } else {
            (&api, "api:2")
        };
        let deed = if dice.chance(50) {
            Deed::Scale(target.clone(), dice.within(0..=4))
        } else {
            Deed::Merge(target.clone(), manifest::image(image))
        };
        steps.push(soon(dice, deed));
    }
    if dice.chance(50) {
        let target = if dice.chance(50) { web } else { api };
        steps.push(soon(dice, Deed::Delete(target, Propagation::Background)));
    }
    story.steps.extend(steps);
    story
}
