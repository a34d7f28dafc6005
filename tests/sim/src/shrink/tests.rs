//! Shrinking against a run that is a function of its case.

use std::time::Duration;

use ironkeel_invariants::Violation;

use super::*;
use crate::fault::{FaultPlan, Point, What};
use crate::run::Counts;
use crate::scenario::{self, Deed, Gate};

fn outcome(fails: bool) -> Outcome {
    let violation = Violation {
        rule: "RS-test",
        version: 1,
        text: String::new(),
    };
    Outcome {
        violations: if fails { vec![violation] } else { Vec::new() },
        history: Vec::new(),
        counts: Counts::default(),
        struck: Vec::new(),
    }
}

fn case() -> Case {
    let mut plan = FaultPlan::default();
    for number in 1..=6 {
        plan.faults
            .extend(FaultPlan::one(Point::Write(number), What::Crash).faults);
    }
    let story = (0..1_000)
        .map(|seed| scenario::find("scale").unwrap().story(seed))
        .find(|story| story.steps.len() == 4)
        .unwrap();
    Case {
        story,
        config: RunConfig::new(1, plan),
    }
}

#[test]
fn what_does_not_matter_goes() {
    // Fails as long as the crash at the fourth write is there and something is created.
    let needs = |case: &Case| {
        let crashes = case
            .config
            .plan
            .faults
            .iter()
            .any(|fault| fault.at == Point::Write(4));
        let creates = case
            .story
            .steps
            .iter()
            .any(|step| matches!(step.deed, Deed::Create(_)));
        outcome(crashes && creates)
    };
    let shrunk = shrink(case(), "RS-test", 500, &mut |case| needs(case));
    let case = shrunk.case;
    assert_eq!(case.config.plan.to_string(), "write 4 crash");
    let [step] = case.story.steps.as_slice() else {
        panic!("{:?}", case.story.steps);
    };
    assert_eq!((&step.gate, step.delay), (&Gate::Open, Duration::ZERO));
    let Deed::Create(object) = &step.deed else {
        panic!("{step:?}");
    };
    assert!(object["spec"]["replicas"].as_i64().unwrap() <= 1);
    assert!(object["spec"]["strategy"].is_null());
    assert!(shrunk.tries < 200, "{}", shrunk.tries);
}

#[test]
fn another_rule_does_not_count_and_tries_end() {
    let before = case();
    let shrunk = shrink(before.clone(), "RS-other", 500, &mut |_| outcome(true));
    assert_eq!(shrunk.case.config.plan, before.config.plan);
    let shrunk = shrink(before, "RS-test", 3, &mut |_| outcome(true));
    assert_eq!(shrunk.tries, 3);
}
