use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};

use super::sort_for_deletion;
use crate::fixture::{now, pods};

/// The order in which the pods go; `siblings` is `node=count …`.
fn order(siblings: &str, text: &str) -> String {
    let siblings: BTreeMap<Arc<str>, usize> = siblings
        .split_whitespace()
        .map(|entry| entry.split_once('=').unwrap())
        .map(|(node, count)| (node.into(), count.parse().unwrap()))
        .collect();
    let pods = pods(text, "web-uid");
    let mut sorted: Vec<_> = pods.iter().collect();
    sort_for_deletion(&mut sorted, &siblings, now());
    let names: Vec<&str> = sorted.iter().map(|pod| &*pod.name).collect();
    names.join(" ")
}

/// Checks the order, from both ends: it must not depend on how the pods come in.
#[track_caller]
fn check(siblings: &str, text: &str, expected: Expect) {
    let forward = order(siblings, text);
    let backward: Vec<&str> = text.split(';').rev().collect();
    assert_eq!(forward, order(siblings, &backward.join(";")));
    expected.assert_eq(&forward);
}

#[test]
fn rule_1_pods_without_a_node_go_first() {
    check("", "a Pending @n1; b Pending", expect!["b a"]);
    // Whatever their phase says.
    check("", "a Pending @n1; b Running @none", expect!["b a"]);
}

#[test]
fn rule_2_pending_then_unknown_then_running() {
    let text = "a Running; b Unknown; c Pending @n1";
    check("", text, expect!["c b a"]);
}

#[test]
fn rule_3_not_ready_before_ready() {
    check("", "a Running Ready; b Running", expect!["b a"]);
    // Even when it costs more.
    check("", "a Running Ready; b Running cost=9", expect!["b a"]);
}

#[test]
fn rule_4_cheap_before_dear() {
    let text = "a Running Ready cost=10; b Running Ready; c Running Ready cost=-5";
    check("", text, expect!["c b a"]);
    let text = "a Running Ready cost=2147483647; b Running Ready cost=-2147483648";
    check("", text, expect!["b a"]);
    // Also among pods that are not ready.
    check("", "a Running cost=1; b Running", expect!["b a"]);
    // A cheap pod goes before one that shares its node.
    check(
        "n2=3",
        "a Running @n2; b Running @n1 cost=-1",
        expect!["b a"],
    );
}

#[test]
fn rule_5_crowded_nodes_before_empty_ones() {
    let text = "a Running Ready @n1; b Running Ready @n2; c Running Ready @n3";
    check("n1=1 n2=3 n3=2", text, expect!["b c a"]);
    // A node without an entry counts none.
    check("n2=1", text, expect!["b a c"]);
    // It does not matter for how long they have been ready.
    let text = "a Running Ready@1s @n1; b Running Ready@30d @n2";
    check("n1=1 n2=2", text, expect!["b a"]);
}

#[test]
fn rule_6_lately_ready_before_long_ready() {
    check("", "a Running Ready@5h; b Running Ready@2h", expect!["b a"]);
    check(
        "",
        "a Running Ready@30d; b Running Ready@1s",
        expect!["b a"],
    );
    // Since nobody knows when: first.
    check("", "a Running Ready@1s; b Running Ready@?", expect!["b a"]);
    check("", "a Running Ready@-9s; b Running Ready@?", expect!["b a"]);
    // In the future, since clocks differ: before those in the past.
    check(
        "",
        "a Running Ready@1s; b Running Ready@-9s",
        expect!["b a"],
    );
}

#[test]
fn rule_6_the_uid_decides_within_a_power_of_two() {
    // 5 h and 8 h are 2^44 and a bit nanoseconds; 2 h is 2^42 and a bit.
    let text = "a Running Ready@8h uid=2; b Running Ready@5h uid=3; c Running Ready@7h uid=1";
    check("", text, expect!["c a b"]);
    // Restarts do not count then.
    let text = "a Running Ready@8h uid=1; b Running Ready@5h uid=2 restarts=9";
    check("", text, expect!["a b"]);
}

#[test]
fn rule_7_restarts_decide_between_pods_ready_since_the_same_time() {
    let text = "a Running Ready; b Running Ready restarts=3; c Running Ready restarts=1";
    check("", text, expect!["b c a"]);
    // Sidecars decide only when the regular containers are equal.
    let text = "a Running Ready restarts=1; b Running Ready sidecar=9; \
                c Running Ready restarts=1 sidecar=2";
    check("", text, expect!["c a b"]);
    // Among pods that are not ready too, whatever their ready time was.
    check("", "a Running; b Running restarts=1", expect!["b a"]);
}

#[test]
fn rule_8_newer_before_older() {
    check("", "a Running age=30d; b Running age=10s", expect!["b a"]);
    check("", "a Pending age=2h; b Pending age=5h", expect!["a b"]);
    check("", "a Pending age=2h; b Pending age=?", expect!["b a"]);
    check("", "a Pending age=2h; b Pending age=-5m", expect!["b a"]);
    // Restarts weigh more.
    check(
        "",
        "a Running age=30d restarts=1; b Running age=1s",
        expect!["a b"],
    );
}

#[test]
fn rule_8_the_uid_decides_within_a_power_of_two() {
    let text = "a Pending age=5h uid=2; b Pending age=8h uid=1";
    check("", text, expect!["b a"]);
    let text = "a Pending age=8h uid=2; b Pending age=8h uid=1";
    check("", text, expect!["b a"]);
}

#[test]
fn pods_ready_at_the_same_time_stand_together() {
    // Upstream's comparison runs in a circle here: r before p by restarts, p before q and
    // q before r by UID.
    let text = "p Running Ready@5h uid=1; q Running Ready@6h uid=2; \
                r Running Ready@5h uid=3 restarts=4";
    check("", text, expect!["r p q"]);
}

#[test]
fn all_rules_in_one_line() {
    let text = "running-old Running Ready@10d age=10d @n2; \
                running-new Running Ready@1h age=10d @n2; \
                restarted Running Ready@10d age=10d @n2 restarts=2; \
                crowded Running Ready@10d age=10d @n1; \
                cheap Running Ready cost=-1 @n2; \
                dear Running Ready cost=1 @n1; \
                unready Running @n1; \
                unknown Unknown @n2; \
                pulling Pending @n1; \
                unscheduled Pending";
    check(
        "n1=4 n2=2",
        text,
        expect![
            "unscheduled pulling unknown unready cheap crowded running-new restarted running-old dear"
        ],
    );
}
