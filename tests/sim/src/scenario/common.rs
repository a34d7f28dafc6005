//! What scenarios draw alike.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Deed, Gate, Kinds, Step, Story, Target, manifest};
use crate::dice::Dice;
use crate::kubelet;

/// Longer than anything a controller waits for in an ordinary story: a renewal of the lease, a back-off after a few
/// failures, minReadySeconds.
const SILENCE: Duration = Duration::from_secs(20);

/// An empty story with the kinds and the nodes of the seed.
pub(super) fn blank(dice: &mut Dice) -> Story {
    let kinds = if dice.chance(50) {
        Kinds::Native
    } else {
        Kinds::Own
    };
    Story {
        kinds,
        managers: 1,
        setup: Vec::new(),
        steps: Vec::new(),
        kubelet: nodes(dice),
        silence: SILENCE,
    }
}

/// Nodes that are quick, ordinary or slow.
fn nodes(dice: &mut Dice) -> kubelet::Settings {
    let ordinary = kubelet::Settings::default();
    match dice.below(4) {
        0 => kubelet::Settings {
            bind: 1..=5,
            start: 1..=10,
            ready: 1..=10,
            stop: 1..=10,
            ..ordinary
        },
        1 => kubelet::Settings {
            start: 100..=3_000,
            ready: 100..=5_000,
            stop: 100..=8_000,
            ..ordinary
        },
        _ => ordinary,
    }
}

/// A step that waits for nothing but the one before and a while.
pub(super) fn soon(dice: &mut Dice, deed: Deed) -> Step {
    Step::new(Gate::Open, delay(dice), deed)
}

/// A step behind `gate` and a while.
pub(super) fn once(gate: Gate, dice: &mut Dice, deed: Deed) -> Step {
    Step::new(gate, delay(dice), deed)
}

/// A step that waits for the workload to be complete, or for some of its pods, or for nothing: the last two hit it in the
/// middle of its work.
pub(super) fn any_time(dice: &mut Dice, target: &Target, deed: Deed) -> Step {
    let gate = match dice.below(4) {
        0 => Gate::Open,
        1 => Gate::Begun(target.clone()),
        _ => Gate::Complete(target.clone()),
    };
    once(gate, dice, deed)
}

/// At once, within a sync, within a rollout, or later.
fn delay(dice: &mut Dice) -> Duration {
    match dice.below(4) {
        0 => Duration::ZERO,
        1 => dice.millis(1..=50),
        2 => dice.millis(50..=1_000),
        _ => dice.millis(1_000..=4_000),
    }
}

/// A strategy with limits that differ in kind: the defaults, only surge, only unavailability, much of both.
pub(super) fn strategy(dice: &mut Dice) -> Value {
    let (surge, unavailable) = match dice.below(6) {
        0 => return Value::Null,
        1 => (json!("25%"), json!("25%")),
        2 => (json!(0), json!(1)),
        3 => (json!(1), json!(0)),
        4 => (json!(2), json!(2)),
        _ => (json!("100%"), json!("50%")),
    };
    json!({
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    })
}

/// The Deployment that most stories are about, and its first step: it is created.
pub(super) fn deployment(dice: &mut Dice, story: &mut Story, replicas: i32) -> Target {
    let mut object = manifest::deployment(story.kinds, manifest::APP, replicas, "web:1");
    let strategy = strategy(dice);
    if !strategy.is_null() {
        object["spec"]["strategy"] = strategy;
    }
    if dice.chance(20) {
        object["spec"]["minReadySeconds"] = json!(dice.within(1..=3));
    }
    if dice.chance(20) {
        object["spec"]["revisionHistoryLimit"] = json!(dice.within(0..=2));
    }
    begin(dice, story, object)
}

/// Makes the creation of `object` the first step.
pub(super) fn begin(dice: &mut Dice, story: &mut Story, object: Value) -> Target {
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    let resource = if object["kind"] == "Deployment" {
        story.kinds.deployments()
    } else {
        story.kinds.replica_sets()
    };
    let target = Target::new(resource, name);
    let step = soon(dice, Deed::Create(object));
    story.steps.push(step);
    target
}
