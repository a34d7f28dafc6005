//! The cases that are one step smaller than a case, the boldest first.

use std::time::Duration;

use serde_json::{Value, json};

use super::Case;
use crate::run::Pace;
use crate::scenario::{Deed, Gate};

/// Every case that is smaller by one move.
pub(super) fn smaller(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut with = |change: &dyn Fn(&mut Case) -> bool| {
        let mut candidate = case.clone();
        if change(&mut candidate) {
            cases.push(candidate);
        }
    };
    let faults = case.config.plan.faults.len();
    if faults > 1 {
        with(&|case| {
            case.config.plan.faults.truncate(faults / 2);
            true
        });
        with(&|case| {
            case.config.plan.faults.drain(..faults / 2);
            true
        });
    }
    for index in 0..faults {
        with(&|case| {
            case.config.plan.faults.remove(index);
            true
        });
    }
    with(&|case| case.config.plan.heal.take().is_some());
    for index in (0..case.story.steps.len()).rev() {
        with(&|case| {
            case.story.steps.remove(index);
            true
        });
    }
    for index in 0..case.story.setup.len() {
        with(&|case| {
            case.story.setup.remove(index);
            true
        });
    }
    for index in 0..case.story.kubelet.mishaps.len() {
        with(&|case| {
            case.story.kubelet.mishaps.remove(index);
            true
        });
    }
    with(&|case| {
        let more = case.story.managers > 1;
        case.story.managers = 1;
        more
    });
    with(&|case| {
        let differs = case.config.pace != Pace::flat();
        case.config.pace = Pace::flat();
        differs
    });
    with(&|case| {
        let flat = case.story.kubelet.flat();
        let differs =
            case.story.kubelet.start != flat.start || case.story.kubelet.stop != flat.stop;
        case.story.kubelet = flat;
        differs
    });
    for index in 0..case.story.steps.len() {
        with(&|case| {
            let step = &mut case.story.steps[index];
            !std::mem::take(&mut step.delay).is_zero()
        });
        with(&|case| {
            let step = &mut case.story.steps[index];
            let differs = step.gate != Gate::Open;
            step.gate = Gate::Open;
            differs
        });
        with(&|case| fewer_replicas(&mut case.story.steps[index].deed));
        for field in [
            "minReadySeconds",
            "revisionHistoryLimit",
            "strategy",
            "progressDeadlineSeconds",
        ] {
            with(&|case| plainer(&mut case.story.steps[index].deed, field));
        }
    }
    for index in 0..case.story.kubelet.mishaps.len() {
        with(&|case| {
            let mishap = &mut case.story.kubelet.mishaps[index];
            let differs = mishap.after > Duration::from_millis(1);
            mishap.after = Duration::from_millis(1);
            differs
        });
    }
    cases
}

fn fewer_replicas(deed: &mut Deed) -> bool {
    match deed {
        Deed::Scale(_, replicas) if *replicas > 0 => {
            *replicas -= 1;
            true
        }
        Deed::Create(object) | Deed::Merge(_, object) => {
            let Some(replicas) = object.pointer_mut("/spec/replicas") else {
                return false;
            };
            match replicas.as_i64() {
                Some(number) if number > 1 => {
                    *replicas = json!(number - 1);
                    true
                }
                _ => false,
            }
        }
        _ => false,
    }
}

fn plainer(deed: &mut Deed, field: &str) -> bool {
    match deed {
        Deed::Create(object) => object["spec"]
            .as_object_mut()
            .is_some_and(|spec: &mut serde_json::Map<String, Value>| spec.remove(field).is_some()),
        _ => false,
    }
}
