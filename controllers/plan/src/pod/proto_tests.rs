//! The same pods as JSON and as protobuf give the same view, and garbage gives an error.
//!
//! The encoder is independent of the decoder: it writes by hand what a table of field numbers
//! says, and what the table lacks goes under a number that no pod has.

use jiff::Timestamp;
use proptest::prelude::*;
use prost::bytes::Bytes;
use serde_json::{Value, json};

use crate::pod::{Pod, ProtobufError};

const REAL: &str = include_str!("testdata.json");

/// How a JSON value is written.
enum Shape {
    Text,
    /// A number in a text.
    Number,
    Flag,
    Time,
    Map,
    Message(&'static [Field]),
    Messages(&'static [Field]),
}

type Field = (&'static str, u32, Shape);

const CONTAINER: &[Field] = &[
    ("name", 1, Shape::Text),
    ("image", 2, Shape::Text),
    ("restartPolicy", 24, Shape::Text),
];
const CONTAINER_STATUS: &[Field] = &[
    ("name", 1, Shape::Text),
    ("ready", 4, Shape::Flag),
    ("restartCount", 5, Shape::Number),
    ("image", 6, Shape::Text),
    ("imageID", 7, Shape::Text),
    ("started", 9, Shape::Flag),
];
/// `k8s.io/api/core/v1/generated.proto` and apimachinery's, of 1.37.
const POD: &[Field] = &[
    (
        "metadata",
        1,
        Shape::Message(&[
            ("name", 1, Shape::Text),
            ("generateName", 2, Shape::Text),
            ("namespace", 3, Shape::Text),
            ("uid", 5, Shape::Text),
            ("resourceVersion", 6, Shape::Text),
            ("generation", 7, Shape::Number),
            ("creationTimestamp", 8, Shape::Time),
            ("deletionTimestamp", 9, Shape::Time),
            ("deletionGracePeriodSeconds", 10, Shape::Number),
            ("labels", 11, Shape::Map),
            ("annotations", 12, Shape::Map),
            (
                "ownerReferences",
                13,
                Shape::Messages(&[
                    ("kind", 1, Shape::Text),
                    ("name", 3, Shape::Text),
                    ("uid", 4, Shape::Text),
                    ("apiVersion", 5, Shape::Text),
                    ("controller", 6, Shape::Flag),
                    ("blockOwnerDeletion", 7, Shape::Flag),
                ]),
            ),
        ]),
    ),
    (
        "spec",
        2,
        Shape::Message(&[
            ("containers", 2, Shape::Messages(CONTAINER)),
            ("restartPolicy", 3, Shape::Text),
            ("terminationGracePeriodSeconds", 4, Shape::Number),
            ("nodeName", 10, Shape::Text),
            ("initContainers", 20, Shape::Messages(CONTAINER)),
            ("priority", 25, Shape::Number),
        ]),
    ),
    (
        "status",
        3,
        Shape::Message(&[
            ("phase", 1, Shape::Text),
            (
                "conditions",
                2,
                Shape::Messages(&[
                    ("type", 1, Shape::Text),
                    ("status", 2, Shape::Text),
                    ("lastProbeTime", 3, Shape::Time),
                    ("lastTransitionTime", 4, Shape::Time),
                    ("reason", 5, Shape::Text),
                    ("message", 6, Shape::Text),
                ]),
            ),
            ("containerStatuses", 8, Shape::Messages(CONTAINER_STATUS)),
            (
                "initContainerStatuses",
                10,
                Shape::Messages(CONTAINER_STATUS),
            ),
        ]),
    ),
];

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(tag: u32, number: i64, out: &mut Vec<u8>) {
    varint(u64::from(tag) << 3, out);
    varint(number as u64, out);
}

fn bytes(tag: u32, content: &[u8], out: &mut Vec<u8>) {
    varint(u64::from(tag) << 3 | 2, out);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// The message of a JSON object. `null` is left out, as it means absent.
fn encode(object: &Value, fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        let Some((_, tag, shape)) = fields.iter().find(|(name, _, _)| name == key) else {
            // A field of the future, of each wire type.
            bytes(901, value.to_string().as_bytes(), &mut out);
            number(902, -1, &mut out);
            out.extend([0xb9, 0x38, 1, 2, 3, 4, 5, 6, 7, 8]);
            out.extend([0xbd, 0x38, 1, 2, 3, 4]);
            continue;
        };
        match shape {
            _ if value.is_null() => {}
            Shape::Text => bytes(*tag, value.as_str().unwrap().as_bytes(), &mut out),
            Shape::Number => number(*tag, value.as_i64().unwrap(), &mut out),
            Shape::Flag => number(*tag, value.as_bool().unwrap().into(), &mut out),
            Shape::Time => {
                let at: Timestamp = value.as_str().unwrap().parse().unwrap();
                let mut time = Vec::new();
                number(1, at.as_second(), &mut time);
                // Upstream ignores parts of a second.
                number(2, 5, &mut time);
                bytes(*tag, &time, &mut out);
            }
            Shape::Map => {
                for (key, value) in value.as_object().unwrap() {
                    let mut entry = Vec::new();
                    bytes(1, key.as_bytes(), &mut entry);
                    bytes(2, value.as_str().unwrap().as_bytes(), &mut entry);
                    bytes(*tag, &entry, &mut out);
                }
            }
            Shape::Message(fields) => bytes(*tag, &encode(value, fields), &mut out),
            Shape::Messages(fields) => {
                for value in value.as_array().unwrap() {
                    bytes(*tag, &encode(value, fields), &mut out);
                }
            }
        }
    }
    out
}

fn from_json(pod: &Value) -> Pod {
    serde_json::from_str(&pod.to_string()).unwrap()
}

fn from_protobuf(pod: &Value) -> Result<Pod, ProtobufError> {
    Pod::from_protobuf(encode(pod, POD).into())
}

#[track_caller]
fn check(pod: &Value) {
    assert_eq!(from_protobuf(pod).unwrap(), from_json(pod), "{pod}");
}

#[test]
fn a_real_pod_is_the_same_from_either() {
    let real: Value = serde_json::from_str(REAL).unwrap();
    check(&real);
    // The text is the one of the JSON test, so that both cannot be empty alike.
    let pod = from_protobuf(&real).unwrap();
    assert_eq!((&*pod.name, pod.restarts), ("web-6d4cf56db6-x2k9z", 2));
}

#[test]
fn what_is_absent_or_empty_is_the_same_from_either() {
    for pod in [
        json!({"metadata": {"name": "a"}}),
        json!({"metadata": {"name": "a", "resourceVersion": ""}, "spec": {}, "status": {}}),
        json!({"metadata": {"name": "a"}, "spec": {"nodeName": ""}, "status": {"phase": "New"}}),
        json!({"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
    ] {
        check(&pod);
    }
}

#[test]
fn an_empty_time_is_none_and_1970_is_one() {
    let mut message = Vec::new();
    let mut meta = Vec::new();
    bytes(1, b"a", &mut meta);
    bytes(8, b"", &mut meta);
    bytes(9, &[8, 0], &mut meta);
    bytes(1, &meta, &mut message);
    let pod = Pod::from_protobuf(message.into()).unwrap();
    assert_eq!(pod.created, None);
    assert_eq!(pod.deleting, Some(Timestamp::UNIX_EPOCH));
}

#[test]
fn what_is_not_a_pod_is_an_error_that_names_the_field() {
    let fails = |pod: Value| from_protobuf(&pod).unwrap_err().to_string();
    assert_eq!(fails(json!({})), "metadata.name is missing");
    assert_eq!(fails(json!({"metadata": {}})), "metadata.name is missing");
    assert_eq!(
        fails(json!({"metadata": {"name": "a", "resourceVersion": "x"}})),
        "metadata.resourceVersion \"x\" is not a decimal number"
    );
    let mut meta = Vec::new();
    bytes(1, b"a", &mut meta);
    let with = |tag: u32, content: &[u8]| {
        let mut all = meta.clone();
        bytes(tag, content, &mut all);
        let mut message = Vec::new();
        bytes(1, &all, &mut message);
        Pod::from_protobuf(message.into()).unwrap_err().to_string()
    };
    assert_eq!(
        with(3, &[b'a', 0xff]),
        "metadata.namespace: \"a\u{fffd}\" is not UTF-8"
    );
    let mut century = Vec::new();
    number(1, i64::MAX, &mut century);
    assert_eq!(
        with(8, &century),
        "metadata.creationTimestamp: 9223372036854775807 s since 1970 is not a time"
    );
}

#[test]
fn a_pod_that_was_cut_off_is_an_error() {
    let real: Value = serde_json::from_str(REAL).unwrap();
    let whole = Bytes::from(encode(&real, POD));
    // A cut between two parts leaves a shorter message, which only its frame can tell from a pod.
    let ends: Vec<usize> = (1..whole.len())
        .filter(|length| Pod::from_protobuf(whole.slice(..*length)).is_ok())
        .collect();
    let part = |name: &str| encode(&json!({ name: real[name] }), POD).len();
    let kinds = encode(&json!({"apiVersion": "v1", "kind": "Pod"}), POD).len();
    for end in &ends {
        assert!(
            *end == kinds + part("metadata") || *end == kinds + part("metadata") + part("spec"),
            "cut at {end}"
        );
    }
}

/// A time of this century, in whole seconds.
fn time() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (946_684_800..4_102_444_800_i64)
            .prop_map(|second| json!(Timestamp::from_second(second).unwrap().to_string())),
    ]
}

fn statuses() -> impl Strategy<Value = Value> {
    prop::collection::vec(("[a-c]", -1..9_i32, any::<bool>()), 0..3).prop_map(|all| {
        all.into_iter()
            .map(|(name, restarts, ready)| {
                json!({"name": name, "restartCount": restarts, "ready": ready, "state": {"running": {}}})
            })
            .collect()
    })
}

fn metadata() -> impl Strategy<Value = Value> {
    let text = || ".{0,12}";
    let owner = (text(), text(), "[a-z]{1,4}", prop::option::of(any::<bool>())).prop_map(
        |(api, kind, uid, controller)| {
            json!({"apiVersion": api, "kind": kind, "name": "o", "uid": uid, "controller": controller})
        },
    );
    let names = (".{1,20}", text(), text(), any::<u64>());
    let labels = prop::collection::btree_map(text(), text(), 0..5);
    let cost = prop::option::of(prop_oneof!["-?[0-9]{1,11}", text()]);
    let owners = prop::collection::vec(owner, 0..3);
    (names, time(), time(), labels, cost, owners).prop_map(
        |((name, namespace, uid, version), created, deleting, labels, cost, owners)| {
            let mut annotations = json!({"example.com/a": "b"});
            if let Some(cost) = cost {
                annotations["controller.kubernetes.io/pod-deletion-cost"] = json!(cost);
            }
            json!({
                "name": name, "namespace": namespace, "uid": uid,
                "resourceVersion": version.to_string(), "labels": labels,
                "creationTimestamp": created, "deletionTimestamp": deleting,
                "annotations": annotations, "ownerReferences": owners,
                "managedFields": [{"manager": "m"}],
            })
        },
    )
}

fn any_pod() -> impl Strategy<Value = Value> {
    let init = ("[a-c]", prop::option::of("Always|Never")).prop_map(
        |(name, policy)| json!({"name": name, "restartPolicy": policy, "env": [{"name": "x"}]}),
    );
    let condition = ("Ready|PodScheduled", "True|False|Unknown", time()).prop_map(
        |(kind, status, at)| json!({"type": kind, "status": status, "lastTransitionTime": at}),
    );
    let phase = prop::option::of("Pending|Running|Succeeded|Failed|Unknown|Odd");
    (
        metadata(),
        prop::option::of("[a-z]{0,4}"),
        prop::collection::vec(init, 0..3),
        phase,
        prop::collection::vec(condition, 0..3),
        (statuses(), statuses()),
    )
        .prop_map(|(metadata, node, init, phase, conditions, statuses)| {
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": metadata,
                "spec": {"nodeName": node, "initContainers": init, "containers": [{"name": "c"}]},
                "status": {
                    "phase": phase, "conditions": conditions,
                    "containerStatuses": statuses.0, "initContainerStatuses": statuses.1,
                },
            })
        })
}

proptest! {
    #![proptest_config(crate::fixture::cases(256))]

    #[test]
    fn any_pod_is_the_same_from_either(pod in any_pod()) {
        prop_assert_eq!(from_protobuf(&pod).unwrap(), from_json(&pod));
    }

    #[test]
    fn garbage_is_no_panic(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pod::from_protobuf(garbage.into());
    }

    #[test]
    fn a_damaged_pod_is_no_panic(
        pod in any_pod(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = encode(&pod, POD);
        for (at, byte) in damage {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message.truncate(cut.index(message.len() + 1));
        let _ = Pod::from_protobuf(message.into());
    }
}
