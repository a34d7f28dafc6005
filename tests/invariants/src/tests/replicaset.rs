use ironkeel_runtime::resource::{NATIVE_REPLICA_SETS as SETS, PODS};
use jiff::SignedDuration;
use serde_json::json;

use super::history::{C, History, K, U, pod};
use crate::Rules;

const NOTHING: [&str; 0] = [];

/// A ReplicaSet `a` with all of its pods, `a-1` and on.
fn with_pods(replicas: i64) -> History {
    let mut history = History::new();
    history.set("a", replicas);
    for number in 1..=replicas {
        history.pod("a", &format!("a-{number}"));
    }
    history
}

#[test]
fn creates_keep_to_the_wanted_number() {
    let mut history = History::new();
    history.set("a", 2);
    assert_eq!(history.pod("a", "a-1"), NOTHING);
    assert_eq!(history.pod("a", "a-2"), NOTHING);
    assert_eq!(history.pod("a", "a-3"), ["RS-replicas"]);
}

#[test]
fn a_create_for_an_older_spec_is_right_until_the_newer_one_is_known() {
    let mut history = History::new();
    history.set("a", 2);
    history.scale(U, "a", 1);
    assert_eq!(history.pod("a", "a-1"), NOTHING);
    assert_eq!(history.pod("a", "a-2"), NOTHING);
    assert_eq!(history.terminate(C, PODS, "a-2"), NOTHING);
    assert_eq!(history.tell("a", 1, 0), NOTHING);
    history.wait(10);
    assert_eq!(history.pod("a", "a-3"), ["RS-replicas"]);
}

#[test]
fn a_process_knows_what_it_listed_at_its_start() {
    let mut history = History::new();
    history.set("a", 2);
    history.scale(U, "a", 1);
    let version = history.version();
    history.checker.started(1, version);
    assert_eq!(history.pod("a", "a-1"), NOTHING);
    assert_eq!(history.pod("a", "a-2"), ["RS-replicas"]);
}

#[test]
fn pods_of_others_do_not_count_against_the_controller() {
    let mut history = History::new();
    history.set("a", 1);
    assert_eq!(history.create(U, PODS, "by-hand", pod("a")), NOTHING);
    assert_eq!(history.pod("a", "a-1"), NOTHING);
    assert_eq!(history.pod("a", "a-2"), ["RS-replicas"]);
}

#[test]
fn a_lost_pod_may_be_replaced() {
    let mut history = with_pods(1);
    history.edit(K, PODS, "a-1", |pod| {
        pod["status"]["phase"] = "Failed".into();
    });
    assert_eq!(history.pod("a", "a-2"), NOTHING);
}

#[test]
fn deletes_keep_to_the_surplus() {
    let mut history = with_pods(2);
    history.scale(U, "a", 1);
    history.wait(10);
    assert_eq!(history.terminate(C, PODS, "a-1"), NOTHING);
    assert_eq!(history.terminate(C, PODS, "a-2"), ["RS-surplus"]);
}

#[test]
fn a_delete_for_a_spec_that_was_live_a_moment_ago_is_right() {
    let mut history = with_pods(2);
    history.scale(U, "a", 1);
    history.scale(U, "a", 2);
    assert_eq!(history.terminate(C, PODS, "a-1"), NOTHING);

    let mut history = with_pods(2);
    history.scale(U, "a", 1);
    history.scale(U, "a", 2);
    history.wait(10);
    assert_eq!(history.terminate(C, PODS, "a-1"), ["RS-surplus"]);
}

#[test]
fn a_pod_that_was_lost_unseen_excuses_a_delete() {
    let mut history = with_pods(3);
    history.scale(U, "a", 2);
    history.edit(K, PODS, "a-1", |pod| {
        pod["status"]["phase"] = "Failed".into();
    });
    history.wait(10);
    assert_eq!(history.terminate(C, PODS, "a-2"), NOTHING);
    assert_eq!(history.terminate(C, PODS, "a-3"), ["RS-surplus"]);
}

#[test]
fn pods_of_a_set_that_goes_are_left_to_the_collector() {
    let mut history = with_pods(1);
    history.terminate(U, SETS, "a");
    history.wait(10);
    assert_eq!(history.terminate(C, PODS, "a-1"), ["RS-deleting"]);
}

/// Views are at most two seconds old, and no request fails.
fn prompt() -> History {
    History::with(Rules {
        view_age: Some(SignedDuration::from_secs(2)),
        in_flight: SignedDuration::from_secs(1),
        requests_fail: false,
        ..Rules::default()
    })
}

#[test]
fn pods_that_are_not_ready_go_first() {
    let mut history = prompt();
    history.set("a", 2);
    history.pod("a", "a-1");
    history.pod("a", "a-2");
    history.ready(&["a-1"]);
    history.wait(10);
    history.scale(U, "a", 1);
    assert_eq!(history.terminate(C, PODS, "a-2"), NOTHING);
    history.wait(10);
    assert_eq!(history.tell("a", 1, 1), NOTHING);

    let mut history = prompt();
    history.set("a", 2);
    history.pod("a", "a-1");
    history.pod("a", "a-2");
    history.ready(&["a-1"]);
    history.wait(10);
    history.scale(U, "a", 1);
    assert_eq!(history.terminate(C, PODS, "a-1"), NOTHING);
    history.wait(10);
    assert_eq!(history.tell("a", 1, 0), ["RS-rank"]);
}

#[test]
fn the_order_within_a_batch_is_free() {
    let mut history = prompt();
    history.set("a", 2);
    history.pod("a", "a-1");
    history.pod("a", "a-2");
    history.ready(&["a-1"]);
    history.wait(10);
    history.scale(U, "a", 0);
    assert_eq!(history.terminate(C, PODS, "a-1"), NOTHING);
    assert_eq!(history.terminate(C, PODS, "a-2"), NOTHING);
    history.wait(10);
    assert_eq!(history.tell("a", 0, 0), NOTHING);
}

#[test]
fn a_rank_that_changed_a_moment_ago_is_nobodys_fault() {
    let mut history = prompt();
    history.set("a", 2);
    history.pod("a", "a-1");
    history.pod("a", "a-2");
    history.wait(10);
    history.ready(&["a-1"]);
    history.scale(U, "a", 1);
    assert_eq!(history.terminate(C, PODS, "a-1"), NOTHING);
    history.wait(10);
    assert_eq!(history.tell("a", 1, 0), NOTHING);
}

#[test]
fn a_status_counts_what_was_there() {
    let mut history = with_pods(2);
    assert_eq!(history.tell("a", 1, 0), NOTHING);
    assert_eq!(history.tell("a", 2, 1), ["RS-status"]);
    history.ready(&["a-1"]);
    assert_eq!(history.tell("a", 1, 1), NOTHING);
}

#[test]
fn a_status_adds_up() {
    let mut history = with_pods(2);
    history.ready(&["a-1", "a-2"]);
    assert_eq!(history.tell("a", 1, 2), ["RS-status"]);
}

#[test]
fn a_generation_is_observed_once_it_was_acted_on() {
    let mut history = History::new();
    history.set("a", 1);
    assert_eq!(history.tell("a", 0, 0), ["G5-acted"]);

    let mut history = with_pods(1);
    assert_eq!(history.tell("a", 0, 0), NOTHING);
}

#[test]
fn a_failure_that_is_told_is_an_answer() {
    let mut history = History::new();
    history.set("a", 1);
    let found = history.edit(C, SETS, "a", |set| {
        set["status"] = json!({
            "observedGeneration": 1,
            "conditions": [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}],
        });
    });
    assert_eq!(found, NOTHING);
    assert_eq!(history.end(), NOTHING);
}

#[test]
fn the_end_has_the_wanted_pods_and_says_so() {
    let mut history = with_pods(1);
    history.tell("a", 1, 0);
    assert_eq!(history.end(), NOTHING);
    history.ready(&["a-1"]);
    assert_eq!(history.end(), ["RS-settled"]);
    history.tell("a", 1, 1);
    assert_eq!(history.end(), NOTHING);
    history.terminate(U, PODS, "a-1");
    assert_eq!(history.end(), ["RS-settled", "RS-settled"]);
}
