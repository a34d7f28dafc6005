//! Every kind of fault strikes, does what its name says, and is survived.

use ironkeel_sim::campaign::Case;
use ironkeel_sim::fault::FaultPlan;
use ironkeel_sim::history::{Entry, canonical};
use ironkeel_sim::run::{Outcome, run};
use ironkeel_sim::scenario;

/// Runs scenario `create` of a seed with one manager or two.
fn create(managers: u32, plan: &str) -> (Outcome, String) {
    let plan: FaultPlan = plan.parse().expect("a plan");
    let case = Case {
        plan,
        ..Case::calm(scenario::find("create").expect("a scenario"), 1)
    };
    let mut story = case.story();
    story.managers = managers;
    let outcome = run(&story, &case.config().recorded());
    let text = canonical(&outcome.history);
    assert!(
        outcome.violations.is_empty(),
        "{}: {:?}\n{text}",
        case.plan,
        outcome.violations
    );
    assert!(
        outcome.struck.iter().all(|struck| *struck),
        "{}\n{text}",
        case.plan
    );
    (outcome, text)
}

/// Lines of a history with all these words.
fn lines<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    text.lines()
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .collect()
}

#[test]
fn without_faults_nothing_fails_and_one_process_does_all() {
    let (outcome, text) = create(1, "");
    // The second one looks at everything at the end.
    assert_eq!(outcome.counts.processes, 2, "{text}");
    let failed = lines(&text, &["failed controller"]);
    assert!(
        failed.iter().all(|line| line.contains("leases")),
        "{failed:#?}"
    );
}

#[test]
fn a_process_that_dies_is_followed_by_another() {
    for (plan, committed) in [("write 1 crash", 0), ("write 1 crash-after", 1)] {
        let (outcome, text) = create(1, plan);
        assert_eq!(outcome.counts.processes, 3, "{text}");
        let died = text.lines().position(|line| line.contains("dies")).unwrap();
        let before = text.lines().take(died);
        let sets = before.filter(|line| line.contains("controller 1: create replicasets"));
        assert_eq!(sets.count(), committed, "{plan}\n{text}");
        // Nothing of the dead arrives.
        let late = text.lines().skip(died + 1);
        assert_eq!(
            late.filter(|line| line.contains(" controller 1:")).count(),
            0,
            "{text}"
        );
    }
    for plan in [
        "event 5 crash",
        "time 900ms replica 0 crash",
        "time 900ms replica 0 stop",
    ] {
        let (outcome, text) = create(1, plan);
        assert_eq!(outcome.counts.processes, 3, "{plan}\n{text}");
    }
}

#[test]
fn an_answer_is_replaced_and_the_write_lands_or_not() {
    for (plan, answer, committed) in [
        ("write 3 answer 409", "409 Conflict", false),
        ("write 3 answer 404", "404 NotFound", false),
        ("write 3 answer 429", "429 TooManyRequests", false),
        ("write 3 answer 503", "503 ServiceUnavailable", false),
        ("write 3 answer 500 applied", "500 InternalError", true),
        ("write 3 answer 504 applied", "504 Timeout", true),
        ("write 3 silence", "no answer", false),
        ("write 3 silence applied", "no answer", true),
        ("write 3 cut", "connection broken", false),
        ("write 3 cut applied", "connection broken", true),
    ] {
        let (_, text) = create(1, plan);
        let told = lines(&text, &["failed controller 1", answer]);
        assert!(!told.is_empty(), "{plan}\n{text}");
        assert_eq!(
            told[0].contains("(committed)"),
            committed,
            "{plan}: {told:#?}"
        );
    }
}

#[test]
fn a_write_that_something_repeats_meets_itself() {
    let (outcome, text) = create(1, "write 3 repeat");
    assert_eq!(
        lines(&text, &["409 AlreadyExists", "(committed)"]).len(),
        1,
        "{text}"
    );
    assert_eq!(outcome.counts.pods_deleted, 0, "{text}");
}

#[test]
fn watches_end_and_are_opened_again() {
    let opened = |text: &str| lines(text, &["watch 1:", "is watched"]).len();
    let (_, calm) = create(1, "");
    for plan in ["event 4 close", "event 4 cut", "event 4 gone"] {
        let (_, text) = create(1, plan);
        assert!(opened(&text) > opened(&calm), "{plan}\n{text}");
    }
}

#[test]
fn what_is_held_is_seen_when_faults_end() {
    for plan in [
        "event 4 hold bookmarks",
        "event 4 hold",
        "event 4 delay 5s",
        "time 0s replica 0 slow pods 5s",
        "time 700ms replica 0 lag 6s",
    ] {
        let (calm, _) = create(1, "");
        let (outcome, text) = create(1, plan);
        assert!(outcome.counts.busy > calm.counts.busy, "{plan}\n{text}");
    }
}

#[test]
fn of_two_leaders_only_one_writes() {
    let (outcome, text) = create(2, "write 3 freeze 45s late");
    let leaders: Vec<&Entry> = outcome
        .history
        .iter()
        .filter(|entry| {
            let line = entry.what.to_string();
            line.contains("commit") && line.contains("create pods")
        })
        .collect();
    assert!(!leaders.is_empty(), "{text}");
    let frozen = text
        .lines()
        .position(|line| line.contains("is stopped in its tracks"))
        .unwrap();
    let thawed = text
        .lines()
        .position(|line| line.contains("goes on"))
        .unwrap();
    let meanwhile: Vec<&str> = text.lines().take(thawed).skip(frozen).collect();
    assert!(
        meanwhile.iter().any(|line| line.contains("update leases")),
        "nobody took over\n{text}"
    );
    assert!(
        lines(&text, &["process", "leader election lost"]).len() == 1,
        "{text}"
    );
}

#[test]
fn the_rest_is_survived() {
    for plan in [
        "time 700ms replica 0 partition 6s",
        "time 700ms replica 0 partition 20s",
        "time 700ms replica 0 outage 429 6s",
        "time 700ms replica 0 outage 503 20s",
        "time 700ms replica 0 clock 7776000",
        "time 700ms replica 0 clock -3600",
        "time 700ms replica 0 compact; event 8 cut",
        "write 3 freeze 5s",
    ] {
        create(1, plan);
        create(2, plan);
    }
}
