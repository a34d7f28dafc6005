//! A Deployment is created, scaled, updated, undone, paused and recreated.

use std::time::Duration;

use serde_json::json;

use super::common::{any_time, begin, blank, deployment, once, soon};
use super::{Deed, Gate, Kinds, Story, manifest};
use crate::dice::Dice;

/// A Deployment is created and rolls out.
pub(super) fn create(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=6);
    deployment(dice, &mut story, replicas);
    story
}

/// It is scaled up and down, to nothing, while pods are still being created, through the scale subresource or not.
pub(super) fn scale(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(0..=6);
    let target = deployment(dice, &mut story, replicas);
    for _ in 0..dice.within(1..=3) {
        let replicas = dice.within(0..=6);
        let deed = if dice.chance(50) {
            Deed::Scale(target.clone(), replicas)
        } else {
            Deed::Merge(target.clone(), json!({"spec": {"replicas": replicas}}))
        };
        let step = any_time(dice, &target, deed);
        story.steps.push(step);
    }
    story
}

/// A template is rolled out over another.
pub(super) fn rolling_update(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=6);
    let target = deployment(dice, &mut story, replicas);
    let mut patch = manifest::image("web:2");
    if dice.chance(20) {
        patch["spec"]["replicas"] = json!(dice.within(1..=6));
    }
    let step = once(
        Gate::Complete(target.clone()),
        dice,
        Deed::Merge(target.clone(), patch),
    );
    story.steps.push(step);
    if dice.chance(25) {
        let deed = Deed::Scale(target, dice.within(0..=6));
        let step = once(Gate::Open, dice, deed);
        story.steps.push(step);
    }
    story
}

/// A second template, and perhaps a third, comes while the first is being rolled out.
pub(super) fn rollover(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=6);
    let target = deployment(dice, &mut story, replicas);
    let first = Deed::Merge(target.clone(), manifest::image("web:2"));
    let step = any_time(dice, &target, first);
    story.steps.push(step);
    for image in ["web:3", "web:4"]
        .into_iter()
        .take(dice.within(1..=2).unsigned_abs() as usize)
    {
        let step = soon(dice, Deed::Merge(target.clone(), manifest::image(image)));
        story.steps.push(step);
    }
    story
}

/// The user returns to the template before, after or in the middle of a rollout that may be broken.
pub(super) fn rollback(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=6);
    let target = deployment(dice, &mut story, replicas);
    let broken = dice.chance(40);
    let image = if broken { "broken:2" } else { "web:2" };
    let step = once(
        Gate::Complete(target.clone()),
        dice,
        Deed::Merge(target.clone(), manifest::image(image)),
    );
    story.steps.push(step);
    let undo = Deed::Merge(target.clone(), manifest::image("web:1"));
    let step = if broken {
        soon(dice, undo)
    } else {
        any_time(dice, &target, undo)
    };
    story.steps.push(step);
    story
}

/// A rollout that misses its deadline returns to the last complete revision by itself; perhaps a good template follows.
pub(super) fn automatic_rollback(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    story.kinds = Kinds::Own;
    let replicas = dice.within(1..=5);
    let mut object = manifest::deployment(story.kinds, manifest::APP, replicas, "web:1");
    let deadline = patient(&mut story, dice);
    object["spec"]["progressDeadlineSeconds"] = json!(deadline);
    object["spec"]["rollback"] = json!({"onProgressDeadline": true});
    let target = begin(dice, &mut story, object);
    let step = once(
        Gate::Complete(target.clone()),
        dice,
        Deed::Merge(target.clone(), manifest::image("broken:2")),
    );
    story.steps.push(step);
    if dice.chance(40) {
        let step = once(
            Gate::Condition(target.clone(), "RolledBack", "ProgressDeadlineExceeded"),
            dice,
            Deed::Merge(target, manifest::image("web:3")),
        );
        story.steps.push(step);
    }
    story
}

/// It is paused, changed meanwhile, and resumed; or stays paused.
pub(super) fn pause_and_resume(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=6);
    let target = deployment(dice, &mut story, replicas);
    let merge = |patch| Deed::Merge(target.clone(), patch);
    let pause = |paused: bool| merge(json!({"spec": {"paused": paused}}));
    let mut steps = Vec::new();
    if dice.chance(40) {
        // In the middle of a rollout.
        steps.push(once(
            Gate::Complete(target.clone()),
            dice,
            merge(manifest::image("web:2")),
        ));
        steps.push(soon(dice, pause(true)));
    } else {
        steps.push(any_time(dice, &target, pause(true)));
    }
    if dice.chance(70) {
        steps.push(soon(dice, merge(manifest::image("web:3"))));
    }
    if dice.chance(50) {
        let replicas = dice.within(0..=6);
        steps.push(soon(dice, Deed::Scale(target.clone(), replicas)));
    }
    if dice.chance(85) {
        steps.push(soon(dice, pause(false)));
    }
    story.steps.extend(steps);
    story
}

/// With strategy Recreate, all old pods go before the first new one comes.
pub(super) fn recreate(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=5);
    let mut object = manifest::deployment(story.kinds, manifest::APP, replicas, "web:1");
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    let target = begin(dice, &mut story, object);
    for image in ["web:2", "web:3"]
        .into_iter()
        .take(dice.within(1..=2).unsigned_abs() as usize)
    {
        let deed = Deed::Merge(target.clone(), manifest::image(image));
        let step = any_time(dice, &target, deed);
        story.steps.push(step);
    }
    if dice.chance(30) {
        let deed = Deed::Scale(target.clone(), dice.within(0..=5));
        let step = soon(dice, deed);
        story.steps.push(step);
    }
    story
}

/// The new image cannot be pulled; the deadline passes; perhaps a good image follows.
pub(super) fn broken_image(dice: &mut Dice) -> Story {
    let mut story = blank(dice);
    let replicas = dice.within(1..=5);
    let image = if dice.chance(70) { "web:1" } else { "broken:1" };
    let mut object = manifest::deployment(story.kinds, manifest::APP, replicas, image);
    let strategy = super::common::strategy(dice);
    if !strategy.is_null() {
        object["spec"]["strategy"] = strategy;
    }
    let deadline = patient(&mut story, dice);
    object["spec"]["progressDeadlineSeconds"] = json!(deadline);
    let target = begin(dice, &mut story, object);
    if image == "web:1" {
        let step = once(
            Gate::Complete(target.clone()),
            dice,
            Deed::Merge(target.clone(), manifest::image("broken:2")),
        );
        story.steps.push(step);
    }
    if dice.chance(40) {
        let gate = if dice.chance(50) {
            Gate::Open
        } else {
            Gate::Condition(target.clone(), "Progressing", "ProgressDeadlineExceeded")
        };
        let step = once(gate, dice, Deed::Merge(target, manifest::image("web:3")));
        story.steps.push(step);
    }
    story
}

/// Two replicas of the manager, of which one leads while the other waits.
pub(super) fn failover(dice: &mut Dice) -> Story {
    let mut story = match dice.below(3) {
        0 => create(dice),
        1 => scale(dice),
        _ => rolling_update(dice),
    };
    story.managers = 2;
    story
}

/// A deadline in seconds that no good pod misses, and silence that is longer.
fn patient(story: &mut Story, dice: &mut Dice) -> i32 {
    let slowest = *story.kubelet.start.end() + *story.kubelet.ready.end();
    let seconds = i32::try_from(slowest / 1_000).unwrap_or(0) + dice.within(3..=8);
    story.silence = Duration::from_secs(u64::from(seconds.unsigned_abs()) + 20);
    seconds
}
