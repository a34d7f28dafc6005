use super::*;
use serde_json::json;

fn template(value: Value) -> Template {
    Template(Arc::new(value))
}

/// Both templates make the same pods, seen from either side, and have the same hash.
#[track_caller]
fn same_pods(one: Value, other: Value) {
    let (one, other) = (template(one), template(other));
    assert!(one.same_pods(&other), "{one:?} {other:?}");
    assert!(other.same_pods(&one), "{other:?} {one:?}");
    assert_eq!(one.hash(None), other.hash(None));
}

#[track_caller]
fn other_pods(one: Value, other: Value) {
    let (one, other) = (template(one), template(other));
    assert!(!one.same_pods(&other), "{one:?} {other:?}");
    assert!(!other.same_pods(&one), "{other:?} {one:?}");
    assert_ne!(one.hash(None), other.hash(None));
}

#[test]
fn the_hash_label_does_not_count() {
    let plain =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c"}]}});
    let hashed = json!({"metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}}, "spec": {"containers": [{"name": "c"}]}});
    same_pods(plain.clone(), hashed.clone());
    other_pods(
        plain,
        json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c"}]}}),
    );
    same_pods(
        json!({"spec": {}}),
        json!({"metadata": {"labels": {"pod-template-hash": "abc"}}, "spec": {}}),
    );
}

#[test]
fn the_hash_label_counts_elsewhere() {
    let term = |hash: &str| json!({"spec": {"affinity": {"labelSelector": {"matchLabels": {"pod-template-hash": hash}}}}});
    other_pods(term("a"), term("b"));
    let annotated = |hash: &str| json!({"metadata": {"annotations": {"pod-template-hash": hash}}});
    other_pods(annotated("a"), annotated("b"));
}

#[test]
fn null_absent_and_empty_lists_are_one() {
    same_pods(json!({"spec": {"volumes": null}}), json!({"spec": {}}));
    same_pods(json!({"spec": {"volumes": []}}), json!({"spec": {}}));
    same_pods(
        json!({"spec": {"volumes": []}}),
        json!({"spec": {"volumes": null}}),
    );
    same_pods(
        json!({"metadata": {"creationTimestamp": null, "labels": {"a": "b"}}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
    );
    same_pods(
        json!({"spec": {"containers": [{"name": "c", "args": []}]}}),
        json!({"spec": {"containers": [{"name": "c"}]}}),
    );
}

#[test]
fn empty_maps_are_none() {
    same_pods(
        json!({"metadata": {"labels": {}, "annotations": {}}}),
        json!({}),
    );
    same_pods(json!({"spec": {"nodeSelector": {}}}), json!({"spec": {}}));
    same_pods(
        json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {}}}]}}),
        json!({"spec": {"containers": [{"name": "c"}]}}),
    );
}

#[test]
fn empty_objects_that_say_something_differ_from_none() {
    other_pods(
        json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
        json!({"spec": {"volumes": [{"name": "v"}]}}),
    );
    other_pods(
        json!({"spec": {"securityContext": {}}}),
        json!({"spec": {}}),
    );
}

#[test]
fn quantities_are_compared_by_amount() {
    let cpu = |cpu: Value| json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
    same_pods(cpu(json!("1000m")), cpu(json!("1")));
    same_pods(cpu(json!(1)), cpu(json!("1")));
    other_pods(cpu(json!("1")), cpu(json!("2")));
    other_pods(cpu(json!("1")), cpu(json!("one")));
    let size =
        |size: &str| json!({"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": size}}]}});
    same_pods(size("1Gi"), size("1024Mi"));
    let env = |value: &str| json!({"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": value}]}]}});
    other_pods(env("1000m"), env("1"));
}

#[test]
fn order_of_lists_counts_and_order_of_keys_does_not() {
    other_pods(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
        json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}}),
    );
    let one: Value = serde_json::from_str(r#"{"spec":{"a":1,"b":2}}"#).unwrap();
    let other: Value = serde_json::from_str(r#"{"spec":{"b":2,"a":1}}"#).unwrap();
    same_pods(one, other);
}

#[test]
fn fields_that_nobody_knows_count() {
    other_pods(
        json!({"spec": {"fromTheFuture": {"x": 1}}}),
        json!({"spec": {}}),
    );
    other_pods(
        json!({"spec": {"fromTheFuture": {"x": 1}}}),
        json!({"spec": {"fromTheFuture": {"x": 2}}}),
    );
}

#[test]
fn labels_are_set_and_removed() {
    let bare = template(json!({"spec": {"x": 1}}));
    let labelled = bare.with_label("a", "b");
    assert_eq!(labelled.label("a"), Some("b"));
    assert_eq!(labelled.0["spec"]["x"], 1);
    assert_eq!(labelled.without_label("a").label("a"), None);
    assert!(labelled.without_label("a").same_pods(&bare));
    let odd = template(json!({"metadata": {"labels": null, "name": "n"}})).with_label("a", "b");
    assert_eq!(
        *odd.0,
        json!({"metadata": {"labels": {"a": "b"}, "name": "n"}})
    );
    assert_eq!(
        *template(Value::Null).with_label("a", "b").0,
        json!({"metadata": {"labels": {"a": "b"}}})
    );
    assert_eq!(
        template(Value::Null).without_label("a"),
        template(Value::Null)
    );
}

#[test]
fn collisions_change_the_hash() {
    let template = template(json!({"spec": {}}));
    assert_ne!(template.hash(None), template.hash(Some(1)));
    assert_ne!(template.hash(Some(1)), template.hash(Some(2)));
    assert_eq!(template.hash(Some(1)), template.hash(Some(1)));
}
