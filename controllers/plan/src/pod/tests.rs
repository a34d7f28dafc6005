use std::sync::Arc;

use expect_test::{Expect, expect};
use jiff::Timestamp;
use serde::de::DeserializeSeed;
use serde_json::{Value, json};

use super::{Interner, Phase, Pod, PodSeed};
use crate::meta::Stored;

/// A pod as a real cluster has it.
const REAL: &str = include_str!("testdata.json");

fn parse(json: &str) -> Pod {
    serde_json::from_str(json).unwrap()
}

/// The pod `a` with the given parts of its JSON.
fn pod(metadata: Value, spec: Value, status: Value) -> Pod {
    let mut all = json!({"metadata": {"name": "a"}, "spec": spec, "status": status});
    for (key, value) in metadata.as_object().unwrap() {
        all["metadata"][key] = value.clone();
    }
    // Through text, as from the API, and not through a value that is owned already.
    parse(&all.to_string())
}

fn render(pod: &Pod) -> String {
    let labels: Vec<String> = pod
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let controller = pod.controller.as_ref();
    let controller =
        controller.map(|one| format!("{} {} {} {}", one.api_version, one.kind, one.name, one.uid));
    format!(
        "{} {} version {}\ncreated {:?}, deleting {:?}\nlabels {}\ncontroller {:?}\n\
         node {:?}, {:?}, ready {} since {:?}\nrestarts {}, of sidecars {}, cost {}",
        pod.key(),
        pod.uid,
        pod.resource_version,
        pod.created.map(|at| at.to_string()),
        pod.deleting.map(|at| at.to_string()),
        labels.join(" "),
        controller,
        pod.node,
        pod.phase,
        pod.ready,
        pod.ready_since.map(|at| at.to_string()),
        pod.restarts,
        pod.sidecar_restarts,
        pod.deletion_cost,
    )
}

#[track_caller]
fn check(pod: &Pod, expected: Expect) {
    expected.assert_eq(&render(pod));
}

#[test]
fn a_real_pod_is_read() {
    check(
        &parse(REAL),
        expect![[r#"
            shop/web-6d4cf56db6-x2k9z 7f0c1e0a-5a0b-4a65-9a1e-1f6c5d9a0b11 version 918273645
            created Some("2026-11-21T10:00:00Z"), deleting None
            labels app=web app.kubernetes.io/instance=shop-"blue" app.kubernetes.io/name=web pod-template-hash=6d4cf56db6
            controller Some("apps/v1 ReplicaSet web-6d4cf56db6 3b7c8f0e-8a52-4a6c-8d0e-6d7f1f2a3b4c")
            node Some("node-17"), Running, ready true since Some("2026-11-21T10:00:09Z")
            restarts 2, of sidecars 4, cost -120"#]],
    );
}

#[test]
fn a_pod_is_read_alike_from_text_bytes_reader_and_value() {
    let expected = parse(REAL);
    let value: Value = serde_json::from_str(REAL).unwrap();
    assert_eq!(
        serde_json::from_slice::<Pod>(REAL.as_bytes()).unwrap(),
        expected
    );
    assert_eq!(
        serde_json::from_reader::<_, Pod>(REAL.as_bytes()).unwrap(),
        expected
    );
    assert_eq!(
        serde_json::from_value::<Pod>(value.clone()).unwrap(),
        expected
    );
    // With status before spec, and sidecars after their statuses.
    let backwards = format!(
        r#"{{"status": {}, "spec": {}, "metadata": {}}}"#,
        value["status"], value["spec"], value["metadata"]
    );
    assert_eq!(parse(&backwards), expected);
}

#[test]
fn the_least_pod_is_read() {
    check(
        &parse(r#"{"metadata": {"name": "a"}}"#),
        expect![[r"
            /a  version 0
            created None, deleting None
            labels 
            controller None
            node None, Pending, ready false since None
            restarts 0, of sidecars 0, cost 0"]],
    );
    let nulls = pod(
        json!({
            "labels": null, "annotations": null, "ownerReferences": null,
            "creationTimestamp": null, "resourceVersion": null,
        }),
        json!({"nodeName": "", "initContainers": null}),
        json!({"phase": null, "conditions": null, "containerStatuses": null, "initContainerStatuses": null}),
    );
    assert_eq!(
        nulls,
        parse(r#"{"metadata": {"name": "a"}, "spec": null, "status": null}"#)
    );
}

#[test]
fn what_is_not_a_pod_is_an_error() {
    for json in [
        "{}",
        r#"{"metadata": {}}"#,
        r#"{"metadata": {"name": 1}}"#,
        r#"{"metadata": {"name": "a", "labels": []}}"#,
        r#"{"metadata": {"name": "a", "labels": {"a": 1}}}"#,
        r#"{"metadata": {"name": "a", "resourceVersion": "x"}}"#,
        r#"{"metadata": {"name": "a", "creationTimestamp": "yesterday"}}"#,
    ] {
        assert!(serde_json::from_str::<Pod>(json).is_err(), "{json}");
    }
}

#[test]
fn phases_are_read() {
    let phase = |text: &str| pod(json!({}), json!({}), json!({"phase": text})).phase;
    assert_eq!(phase("Pending"), Phase::Pending);
    assert_eq!(phase("Running"), Phase::Running);
    assert_eq!(phase("Succeeded"), Phase::Succeeded);
    assert_eq!(phase("Failed"), Phase::Failed);
    assert_eq!(phase("Unknown"), Phase::Unknown);
    assert_eq!(phase("OfTheFuture"), Phase::Pending);
}

#[test]
fn deletion_costs_are_read_as_strictly_as_upstream_reads_them() {
    let cost = |text: &str| {
        let annotations =
            json!({"annotations": {"controller.kubernetes.io/pod-deletion-cost": text}});
        pod(annotations, json!({}), json!({})).deletion_cost
    };
    assert_eq!(cost("10"), 10);
    assert_eq!(cost("-10"), -10);
    assert_eq!(cost("0"), 0);
    assert_eq!(cost("2147483647"), i32::MAX);
    assert_eq!(cost("-2147483648"), i32::MIN);
    for malformed in [
        "",
        "+10",
        "008",
        "00",
        " 1",
        "1.5",
        "ten",
        "2147483648",
        "-",
        "1 ",
    ] {
        assert_eq!(cost(malformed), 0, "{malformed:?}");
    }
}

#[test]
fn the_controller_is_the_owner_that_says_so() {
    let owners = |list: Value| {
        let owners = json!({"ownerReferences": list});
        pod(owners, json!({}), json!({}))
            .controller
            .map(|owner| owner.uid.to_string())
    };
    let owner = |uid: &str, controller: Value| json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": uid, "controller": controller});
    assert_eq!(owners(json!([])), None);
    assert_eq!(
        owners(json!([owner("1", json!(false)), owner("2", Value::Null)])),
        None
    );
    let three = [
        owner("1", json!(false)),
        owner("2", json!(true)),
        owner("3", json!(false)),
    ];
    assert_eq!(owners(json!(three)).as_deref(), Some("2"));
}

#[test]
fn only_the_condition_ready_makes_a_pod_ready() {
    let read = |conditions: Value| {
        let pod = pod(json!({}), json!({}), json!({"conditions": conditions}));
        (pod.ready, pod.ready_since.map(|at| at.to_string()))
    };
    let at = "2026-11-21T10:00:00Z";
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": at});
    assert_eq!(read(json!([])), (false, None));
    assert_eq!(
        read(json!([condition("ContainersReady", "True")])),
        (false, None)
    );
    assert_eq!(
        read(json!([condition("Ready", "True")])),
        (true, Some(at.to_owned()))
    );
    assert_eq!(
        read(json!([condition("Ready", "False")])),
        (false, Some(at.to_owned()))
    );
    assert!(!read(json!([condition("Ready", "Unknown")])).0);
    assert_eq!(
        read(json!([{"type": "Ready", "status": "True"}])),
        (true, None)
    );
    let null = json!([{"type": "Ready", "status": "True", "lastTransitionTime": null}]);
    assert_eq!(read(null), (true, None));
}

#[test]
fn restarts_are_those_of_the_container_that_restarted_most() {
    let status = json!({
        "containerStatuses": [{"name": "a", "restartCount": 1}, {"name": "b", "restartCount": 5}],
        "initContainerStatuses": [{"name": "i", "restartCount": 9}, {"name": "s", "restartCount": 2}],
    });
    let spec = json!({"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]});
    let both = pod(json!({}), spec, status.clone());
    assert_eq!((both.restarts, both.sidecar_restarts), (5, 2));
    // A status without a container in the spec is no sidecar's.
    let none = pod(json!({}), json!({}), status);
    assert_eq!((none.restarts, none.sidecar_restarts), (5, 0));
}

#[test]
fn active_terminal_and_terminating_exclude_each_other() {
    let state = |phase: &str, deleting: bool| {
        let metadata = if deleting {
            json!({"deletionTimestamp": "2026-11-21T10:00:00Z"})
        } else {
            json!({})
        };
        let pod = pod(metadata, json!({}), json!({"phase": phase}));
        (pod.is_active(), pod.is_terminal(), pod.is_terminating())
    };
    for phase in ["Pending", "Running", "Unknown"] {
        assert_eq!(state(phase, false), (true, false, false), "{phase}");
        assert_eq!(state(phase, true), (false, false, true), "{phase}");
    }
    for phase in ["Succeeded", "Failed"] {
        assert_eq!(state(phase, false), (false, true, false), "{phase}");
        assert_eq!(state(phase, true), (false, true, false), "{phase}");
    }
}

#[test]
fn a_pod_is_available_from_a_known_moment_on() {
    let ready = parse(REAL);
    let since: Timestamp = "2026-11-21T10:00:09Z".parse().unwrap();
    let second = |count| since + jiff::SignedDuration::from_secs(count);
    assert_eq!(ready.available_at(30), Some(second(30)));
    assert!(!ready.is_available(30, second(29)));
    assert!(ready.is_available(30, second(30)));
    assert!(ready.is_available(30, second(31)));
    // At once without a wait, whatever the clock says.
    assert!(ready.is_available(0, second(-100)));
    // For ever out of reach, and no overflow.
    let far = Pod {
        ready_since: Some(Timestamp::MAX),
        ..ready.clone()
    };
    assert!(!far.is_available(i32::MAX, second(0)));

    let unknown = Pod {
        ready_since: None,
        ..ready.clone()
    };
    assert_eq!(unknown.available_at(30), None);
    assert!(unknown.is_available(0, since));

    let unready = Pod {
        ready: false,
        ..ready
    };
    assert_eq!(unready.available_at(30), None);
    assert!(!unready.is_available(0, since));
}

#[test]
fn labels_are_found_by_key() {
    let pod = parse(REAL);
    assert_eq!(pod.label("app"), Some("web"));
    assert_eq!(pod.label("pod-template-hash"), Some("6d4cf56db6"));
    assert_eq!(pod.label("app.kubernetes.io"), None);
    assert_eq!(pod.label(""), None);
}

fn read_with(interner: &Interner, json: &str) -> Pod {
    let mut input = serde_json::Deserializer::from_str(json);
    PodSeed(interner).deserialize(&mut input).unwrap()
}

#[test]
fn pods_share_what_they_have_in_common() {
    let interner = Interner::new();
    let one = read_with(&interner, REAL);
    let other = read_with(&interner, &REAL.replace("x2k9z", "8w4bc"));
    assert!(Arc::ptr_eq(&one.labels, &other.labels));
    assert!(Arc::ptr_eq(&one.namespace, &other.namespace));
    assert!(Arc::ptr_eq(
        one.node.as_ref().unwrap(),
        other.node.as_ref().unwrap()
    ));
    let (a, b) = (one.controller.unwrap(), other.controller.unwrap());
    assert!(Arc::ptr_eq(&a.uid, &b.uid) && Arc::ptr_eq(&a.name, &b.name));
    // 8 strings of labels, of which "web" twice; namespace, node; 4 of the controller; a set.
    assert_eq!(interner.len(), 7 + 2 + 4 + 1);
}

#[test]
fn an_interner_forgets_what_nobody_holds() {
    let interner = Interner::new();
    assert!(interner.is_empty());
    let kept = read_with(&interner, REAL);
    for number in 0..10_000 {
        let json = format!(
            r#"{{"metadata": {{"name": "a", "labels": {{"index": "{number}"}}}},
                "spec": {{"nodeName": "node-{number}"}}}}"#
        );
        drop(read_with(&interner, &json));
    }
    assert!(interner.len() < 4096, "{} entries are left", interner.len());
    assert!(Arc::ptr_eq(&kept.namespace, &interner.share("shop")));
}

#[test]
fn an_interner_that_is_full_of_living_strings_still_takes_more() {
    let interner = Interner::new();
    let held: Vec<Arc<str>> = (0..5000)
        .map(|number| interner.share(&number.to_string()))
        .collect();
    assert_eq!(interner.len(), 5000);
    assert!(
        held.iter()
            .enumerate()
            .all(|(number, text)| **text == number.to_string())
    );
}

#[test]
fn a_cached_pod_stays_small() {
    let interner = Interner::new();
    let pod = Arc::new(read_with(&interner, REAL));
    // Of its own a pod has only its name and UID; the rest is shared by the whole set.
    let counters_of_the_arc = 2 * size_of::<usize>();
    let own = size_of::<Pod>() + counters_of_the_arc + pod.name.len() + pod.uid.len();
    assert!(own <= 400, "{own} bytes");
}
