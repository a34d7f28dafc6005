use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::LabelSelector;

fn parse(json: &str) -> LabelSelector {
    serde_json::from_str(json).unwrap()
}

fn labels(text: &str) -> BTreeMap<String, String> {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[track_caller]
fn check(json: &str, text: &str, matches: &[&str], others: &[&str]) {
    let selector = parse(json);
    assert_eq!(selector.to_string(), text);
    for labels_text in matches {
        assert!(
            selector.matches_map(&labels(labels_text)),
            "{text} on {labels_text:?}"
        );
    }
    for labels_text in others {
        assert!(
            !selector.matches_map(&labels(labels_text)),
            "{text} on {labels_text:?}"
        );
    }
}

#[test]
fn every_part_must_hold() {
    check("{}", "", &["", "a=1"], &[]);
    check(
        r#"{"matchLabels": {"a": "1"}}"#,
        "a=1",
        &["a=1", "a=1 b=2"],
        &["", "a=2", "b=1"],
    );
    check(
        r#"{"matchLabels": {"b": "1", "a": ""}}"#,
        "a=,b=1",
        &["a= b=1"],
        &["a=", "b=1", "a=x b=1"],
    );
    check(
        r#"{"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}"#,
        "a=1,b",
        &["a=1 b=x"],
        &["a=1", "b=x"],
    );
}

#[test]
fn operators_mean_what_they_mean_upstream() {
    check(
        r#"{"matchExpressions": [{"key": "a", "operator": "In", "values": ["2", "1"]}]}"#,
        "a in (1,2)",
        &["a=1", "a=2 b=1"],
        &["", "a=3"],
    );
    check(
        r#"{"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}"#,
        "a notin (1)",
        &["", "a=2"],
        &["a=1"],
    );
    check(
        r#"{"matchExpressions": [{"key": "a", "operator": "Exists", "values": []}]}"#,
        "a",
        &["a=", "a=1"],
        &["", "b=1"],
    );
    check(
        r#"{"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}"#,
        "!a",
        &["", "b=1"],
        &["a="],
    );
}

#[test]
fn the_plain_map_of_a_replication_controller_is_read_too() {
    check(
        r#"{"app": "web", "tier": "1"}"#,
        "app=web,tier=1",
        &["app=web tier=1"],
        &["app=web"],
    );
    // A label may have the name of a field.
    check(
        r#"{"matchLabels": "x"}"#,
        "matchLabels=x",
        &["matchLabels=x"],
        &[""],
    );
    assert!(parse("null").is_empty());
    assert!(parse(r#"{"matchLabels": null, "matchExpressions": null}"#).is_empty());
    assert!(parse(r#"{"matchLabels": {}, "matchExpressions": []}"#).is_empty());
}

#[test]
fn what_is_neither_shape_is_an_error() {
    let error = |json: &str| {
        serde_json::from_str::<LabelSelector>(json)
            .unwrap_err()
            .to_string()
    };
    expect![[r#"selector: "matchFields" is neither a label, matchLabels nor matchExpressions"#]]
        .assert_eq(&error(r#"{"matchFields": {"a": "b"}}"#));
    for json in [
        r#"{"matchExpressions": [{"key": "a", "operator": "Near"}]}"#,
        r#"{"matchLabels": {"a": 1}}"#,
        "[]",
        "1",
    ] {
        assert!(
            serde_json::from_str::<LabelSelector>(json).is_err(),
            "{json}"
        );
    }
}

#[track_caller]
fn check_refused(json: &str, expected: Expect) {
    expected.assert_eq(&parse(json).check().unwrap_err().to_string());
}

#[test]
fn requirements_that_mean_nothing_are_found() {
    check_refused(
        r#"{"matchExpressions": [{"key": "a", "operator": "In"}]}"#,
        expect!["matchExpressions: a: operator In needs at least one value"],
    );
    check_refused(
        r#"{"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}"#,
        expect!["matchExpressions: a: operator NotIn needs at least one value"],
    );
    check_refused(
        r#"{"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["1"]}]}"#,
        expect!["matchExpressions: a: operator Exists takes no values"],
    );
    assert_eq!(parse(r#"{"matchLabels": {"a": "1"}}"#).check(), Ok(()));
}

#[test]
fn writing_a_selector_gives_what_was_read() {
    let json = r#"{"matchLabels":{"a":"1"},"matchExpressions":[{"key":"b","operator":"In","values":["2"]}]}"#;
    assert_eq!(serde_json::to_string(&parse(json)).unwrap(), json);
    assert_eq!(serde_json::to_string(&parse("{}")).unwrap(), "{}");
}
