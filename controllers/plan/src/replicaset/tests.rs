use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::{Action, PodRef, plan, still_grows};
use crate::fixture::{Counting, Scene};
use crate::plan::Plan;
use crate::template::Template;
use crate::workload::ReplicaSet;

/// A plan as text: one line per action, then the next look, then events.
fn render(plan: &Plan<Action>) -> String {
    let list = |pods: &[PodRef]| {
        let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        names.join(" ")
    };
    let mut lines: Vec<String> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::Adopt(pod) => format!("adopt {}", pod.name),
            Action::Release(pod) => format!("release {}", pod.name),
            Action::Create { names } => format!("create {}", names.len()),
            Action::Delete { pods } => format!("delete {}", list(pods)),
        })
        .collect();
    if let Some(delay) = plan.requeue_after {
        lines.push(format!("look again in {delay:#}"));
    }
    for event in &plan.events {
        let mut line = event.severity.as_str().to_owned();
        let _ = write!(line, " {}: {}", event.reason, event.message);
        lines.push(line);
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines.join("\n")
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    let scene = Scene::parse(text);
    let plan = plan(&scene.observed(), &mut Counting::default());
    expected.assert_eq(&render(&plan));
}

/// `count` pods `p0; p1; …`, each with `words`.
fn many(count: usize, words: &str) -> String {
    let pods: Vec<String> = (0..count).map(|n| format!("p{n:03} {words}")).collect();
    pods.join(";")
}

#[test]
fn too_few_pods_are_created() {
    check("replicas=3 |", expect!["create 3"]);
    check("replicas=3 | a Running", expect!["create 2"]);
    check(
        "replicas=3 | a Running Ready; b Pending",
        expect!["create 1"],
    );
}

#[test]
fn enough_pods_need_nothing() {
    check("replicas=0 |", expect!["nothing"]);
    check("replicas=1 | a Pending", expect!["nothing"]);
    check(
        "replicas=2 | a Running Ready; b Unknown",
        expect!["nothing"],
    );
}

#[test]
fn absent_replicas_mean_one_and_negative_ones_none() {
    check("|", expect!["create 1"]);
    check("| a Running", expect!["nothing"]);
    check("| a Running Ready; b Running", expect!["delete b"]);
    check("replicas=-2 |", expect!["nothing"]);
    check("replicas=-2 | a Running", expect!["delete a"]);
}

#[test]
fn too_many_pods_are_deleted_lowest_rank_first() {
    check(
        "replicas=1 | a Running Ready; b Pending; c Running",
        expect!["delete b c"],
    );
    check("replicas=0 | b Running; a Running", expect!["delete a b"]);
}

#[test]
fn pods_that_ended_count_for_nothing() {
    check("replicas=1 | a Failed", expect!["create 1"]);
    check("replicas=1 | a Succeeded", expect!["create 1"]);
    // They are not deleted either; that is the garbage collector's.
    check("replicas=0 | a Failed; b Succeeded", expect!["nothing"]);
    check(
        "replicas=1 | a Failed; b Running; c Running Ready",
        expect!["delete b"],
    );
    check(
        "replicas=1 | a Failed labels=app=db; b Running",
        expect!["nothing"],
    );
    check(
        "replicas=1 | a Failed orphan; b Running",
        expect!["nothing"],
    );
}

#[test]
fn terminating_pods_are_not_waited_for() {
    check("replicas=1 | a Running Ready deleting", expect!["create 1"]);
    check("replicas=0 | a Running Ready deleting", expect!["nothing"]);
    check(
        "replicas=1 | a Running deleting; b Running; c Running Ready",
        expect!["delete b"],
    );
}

#[test]
fn terminating_pods_are_not_released() {
    check(
        "replicas=0 | a Running deleting labels=app=db",
        expect!["nothing"],
    );
}

#[test]
fn one_sync_creates_what_is_missing_and_deletes_five_hundred() {
    check("replicas=501 |", expect!["create 501"]);
    check("replicas=5000 | a Running", expect!["create 4999"]);
    let scene = Scene::parse(&format!("replicas=10 | {}", many(600, "Running Ready")));
    let plan = plan(&scene.observed(), &mut Counting::default());
    let [Action::Delete { pods }] = &plan.actions[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(pods.len(), 500);
}

#[test]
fn creations_go_on_while_the_set_wants_as_many_pods_of_the_kind() {
    let planned = Scene::parse("replicas=5 |").set;
    let changed = |change: fn(&mut ReplicaSet)| {
        let mut now = planned.clone();
        now.metadata.resource_version += 1;
        change(&mut now);
        still_grows(&planned, &now)
    };
    assert!(changed(|now| now.status.replicas = 3));
    assert!(changed(|now| {
        now.metadata.generation += 1;
        now.spec.replicas = Some(6);
    }));
    assert!(!changed(|now| {
        now.metadata.generation += 1;
        now.spec.replicas = Some(4);
    }));
    assert!(!changed(|now| {
        now.metadata.generation += 1;
        now.spec.template = Template::default();
    }));
    assert!(!changed(
        |now| now.metadata.deletion_timestamp = Some(crate::fixture::now())
    ));
    assert!(!changed(|now| now.metadata.uid = "another".to_owned()));
}

#[test]
fn orphans_that_match_are_adopted_and_counted() {
    check("replicas=1 | a Running orphan", expect!["adopt a"]);
    check(
        "replicas=3 | b Running orphan; a Pending orphan",
        expect![[r"
            adopt a
            adopt b
            create 1"]],
    );
    check(
        "replicas=1 | a Running Ready; b Running orphan",
        expect![[r"
            adopt b
            delete b"]],
    );
}

#[test]
fn other_orphans_are_left_alone() {
    check(
        "replicas=1 | a Running orphan labels=app=db",
        expect!["create 1"],
    );
    check(
        "replicas=1 | a Running orphan deleting",
        expect!["create 1"],
    );
    check(
        "replicas=1 | a Running orphan ns=other",
        expect!["create 1"],
    );
    check("replicas=1 | a Failed orphan", expect!["create 1"]);
}

#[test]
fn pods_of_others_are_left_alone() {
    check("replicas=1 | a Running foreign", expect!["create 1"]);
    check("replicas=0 | a Running foreign", expect!["nothing"]);
    check(
        "replicas=0 | a Running foreign labels=app=db",
        expect!["nothing"],
    );
}

#[test]
fn pods_that_no_longer_match_are_released_and_replaced() {
    check(
        "replicas=1 | a Running labels=app=db",
        expect![[r"
            release a
            create 1"]],
    );
    check(
        "replicas=1 | b Running labels=; a Running labels=app=db; c Running",
        expect![[r"
            release a
            release b"]],
    );
    check(
        "replicas=0 | a Running labels=app=db; b Running orphan; c Running Ready",
        expect![[r"
            release a
            adopt b
            delete b c"]],
    );
}

#[test]
fn a_set_that_is_being_deleted_does_nothing() {
    check("replicas=3 deleting |", expect!["nothing"]);
    check("replicas=0 deleting | a Running", expect!["nothing"]);
    check("replicas=3 deleting | a Running orphan", expect!["nothing"]);
    check(
        "replicas=3 deleting | a Running labels=app=db",
        expect!["nothing"],
    );
    check("replicas=3 deleting selector= |", expect!["nothing"]);
    // It still counts its pods, and one becomes available by the clock.
    check(
        "replicas=1 deleting minReady=60 | a Running Ready@20s",
        expect!["look again in 40s"],
    );
}

#[test]
fn the_set_looks_again_when_a_pod_becomes_available() {
    check(
        "replicas=1 minReady=30 | a Running Ready@10s",
        expect!["look again in 20s"],
    );
    check(
        "replicas=1 minReady=30 | a Running Ready@30s",
        expect!["nothing"],
    );
    check(
        "replicas=1 minReady=30 | a Running Ready@31s",
        expect!["nothing"],
    );
    check("replicas=1 minReady=30 | a Running", expect!["nothing"]);
    check(
        "replicas=1 minReady=0 | a Running Ready@1s",
        expect!["nothing"],
    );
    check(
        "replicas=1 minReady=-5 | a Running Ready@-30s",
        expect!["nothing"],
    );
    // The earliest of several.
    check(
        "replicas=3 minReady=30 | a Running Ready@10s; b Running Ready@25s; c Running Ready@40s",
        expect!["look again in 5s"],
    );
    // A pod whose clock runs ahead takes longer.
    check(
        "replicas=1 minReady=30 | a Running Ready@-10s",
        expect!["look again in 40s"],
    );
    // Terminating and finished pods will not become available.
    check(
        "replicas=0 minReady=30 | a Running Ready@10s deleting",
        expect!["nothing"],
    );
    check(
        "replicas=0 minReady=30 | a Failed Ready@10s",
        expect!["nothing"],
    );
}

#[test]
fn a_pod_ready_since_nobody_knows_when_is_looked_at_every_min_ready_seconds() {
    check(
        "replicas=1 minReady=30 | a Running Ready@?",
        expect!["look again in 30s"],
    );
    check(
        "replicas=2 minReady=30 | a Running Ready@?; b Running Ready@29s",
        expect!["look again in 1s"],
    );
}

#[test]
fn creating_and_waiting_go_together() {
    check(
        "replicas=2 minReady=30 | a Running Ready@10s",
        expect![[r"
            create 1
            look again in 20s"]],
    );
}

#[test]
fn deletion_cost_is_obeyed() {
    let text = "replicas=1 | a Running Ready cost=5; b Running Ready cost=-5; c Running Ready";
    check(text, expect!["delete b c"]);
}

#[test]
fn crowded_nodes_are_thinned_out() {
    let text = "replicas=2 | a Running Ready @n1; b Running Ready @n2; c Running Ready @n2";
    check(text, expect!["delete b"]);
}

#[test]
fn siblings_count_only_under_a_common_controller() {
    // Without a Deployment upstream finds no related sets: the UID decides, not the node.
    let text =
        "replicas=2 standalone | a Running Ready @n1; b Running Ready @n2; c Running Ready @n2";
    check(text, expect!["delete a"]);
}

#[test]
fn a_selector_that_selects_all_is_refused() {
    check(
        "replicas=3 selector= | a Running orphan",
        expect![
            "Warning SelectingAll: This replica set is selecting all pods. A non-empty selector is required."
        ],
    );
    check(
        "replicas=3 selector= rc |",
        expect![
            "Warning SelectingAll: This replication controller is selecting all pods. A non-empty selector is required."
        ],
    );
}

#[test]
fn a_template_that_the_selector_does_not_match_is_refused() {
    check(
        "replicas=3 template=app=db | a Running",
        expect![[
            r#"Warning InvalidSelector: spec.selector: "app=web" does not match the labels of spec.template"#
        ]],
    );
    check(
        "replicas=3 template= |",
        expect![[
            r#"Warning InvalidSelector: spec.selector: "app=web" does not match the labels of spec.template"#
        ]],
    );
}

#[test]
fn a_requirement_that_means_nothing_is_refused() {
    let mut scene = Scene::parse("replicas=3 | a Running orphan");
    scene.set.spec.selector = serde_json::from_str(
        r#"{"matchExpressions": [{"key": "app", "operator": "In", "values": []}]}"#,
    )
    .unwrap();
    let plan = plan(&scene.observed(), &mut Counting::default());
    expect![
        "Warning InvalidSelector: spec.selector: matchExpressions: app: operator In needs at least one value"
    ]
    .assert_eq(&render(&plan));
}

#[test]
fn a_replication_controller_is_planned_like_a_replica_set() {
    check("replicas=3 rc | a Running", expect!["create 2"]);
    check("replicas=0 rc | a Running", expect!["delete a"]);
    check("replicas=1 rc | a Running orphan", expect!["adopt a"]);
}

#[test]
fn the_order_of_the_pods_does_not_matter() {
    let forward = "replicas=1 | a Running; b Running; c Running orphan; d Running labels=app=db";
    let backward = "replicas=1 | d Running labels=app=db; c Running orphan; b Running; a Running";
    let plan_of = |text: &str| {
        let scene = Scene::parse(text);
        plan(&scene.observed(), &mut Counting::default())
    };
    assert_eq!(plan_of(forward), plan_of(backward));
}

#[test]
fn references_carry_uid_and_version() {
    let scene = Scene::parse("replicas=0 | a Running uid=a-uid");
    let plan = plan(&scene.observed(), &mut Counting::default());
    let expected = PodRef {
        name: "a".to_owned(),
        uid: "a-uid".to_owned(),
        resource_version: 1,
    };
    assert_eq!(
        plan.actions,
        [Action::Delete {
            pods: vec![expected]
        }]
    );
}

#[test]
fn names_avoid_those_that_are_taken() {
    // 00001 is terminating, 00003 is someone else's.
    let scene = Scene::parse("replicas=3 | web-00001 Running deleting; web-00003 Running foreign");
    let plan = plan(&scene.observed(), &mut Counting::default());
    let [Action::Create { names }] = &plan.actions[..] else {
        panic!("{plan:?}");
    };
    assert_eq!(names, &["web-00002", "web-00004", "web-00005"]);
}

#[test]
fn a_source_that_repeats_itself_ends() {
    struct Stuck;
    impl crate::names::NameSource for Stuck {
        fn suffix(&mut self) -> String {
            "00000".to_owned()
        }
    }
    let scene = Scene::parse("replicas=3 |");
    expect!["create 1"].assert_eq(&render(&plan(&scene.observed(), &mut Stuck)));
    let scene = Scene::parse("replicas=3 | web-00000 Running");
    expect!["nothing"].assert_eq(&render(&plan(&scene.observed(), &mut Stuck)));
}
