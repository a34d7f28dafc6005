//! What the CustomResourceDefinitions promise, read from what is generated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::Kind;
use serde::Deserialize;
use serde_json::{Value, json};

/// The API server takes no annotation set beyond this, and client-side apply keeps a copy of the object in one.
const ANNOTATIONS_LIMIT: usize = 262_144;

/// Made once: the schema of a pod template takes a while without optimisation.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| crate::crds().unwrap());

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: String,
    patch: Value,
    #[serde(default)]
    then: Option<Value>,
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    ours: bool,
}

fn cases() -> Vec<Case> {
    serde_saphyr::from_str(include_str!("../../cases.yaml")).unwrap()
}

fn definition(plural: &str) -> Value {
    KINDS
        .iter()
        .find(|kind| kind.plural == plural)
        .unwrap()
        .definition
        .clone()
}

fn schema(plural: &str) -> Value {
    definition(plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Every schema with its path, but those of the pod template, which have tests of their own.
fn own_schemas(plural: &str) -> Vec<(String, Value)> {
    fn walk(schema: &Value, path: &str, into: &mut Vec<(String, Value)>) {
        into.push((path.to_owned(), schema.clone()));
        for (field, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if field == "template" {
                into.push((
                    format!("{path}.template"),
                    json!({ "description": property["description"] }),
                ));
            } else {
                walk(property, &format!("{path}.{field}"), into);
            }
        }
        for inner in ["items", "additionalProperties"]
            .iter()
            .filter_map(|key| schema.get(key))
        {
            walk(inner, &format!("{path}[]"), into);
        }
    }
    let mut all = Vec::new();
    walk(&schema(plural), "", &mut all);
    all
}

fn check_columns(plural: &str, expected: &[(&str, &str, &str, i64)]) {
    let definition = definition(plural);
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap();
    let text = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
    let found: Vec<_> = columns
        .iter()
        .map(|column| {
            let priority = column["priority"].as_i64().unwrap_or(0);
            (
                text(column, "name"),
                text(column, "type"),
                text(column, "jsonPath"),
                priority,
            )
        })
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, kind, path, priority)| {
            (
                (*name).to_owned(),
                (*kind).to_owned(),
                (*path).to_owned(),
                *priority,
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn a_definition_fits_into_an_annotation() {
    for kind in KINDS.iter() {
        let size = serde_json::to_string(&kind.definition).unwrap().len();
        assert!(
            size < ANNOTATIONS_LIMIT / 2,
            "{} has {size} bytes",
            kind.plural
        );
        assert!(
            size > 50_000,
            "{} has only {size} bytes: its template is not there",
            kind.plural
        );
    }
}

#[test]
fn names_scope_and_subresources() {
    for (plural, kind, short) in [
        ("deployments", "Deployment", "ikdeploy"),
        ("replicasets", "ReplicaSet", "ikrs"),
    ] {
        let definition = definition(plural);
        assert_eq!(
            definition["metadata"]["name"],
            format!("{plural}.apps.ironkeel.dev")
        );
        let spec = &definition["spec"];
        assert_eq!(
            (&spec["group"], &spec["scope"]),
            (&json!("apps.ironkeel.dev"), &json!("Namespaced"))
        );
        assert_eq!(
            spec["names"],
            json!({
                "kind": kind,
                "plural": plural,
                "singular": kind.to_lowercase(),
                "shortNames": [short],
                "categories": ["all"],
            })
        );
        let version = &spec["versions"][0];
        assert_eq!(version["name"], "v1");
        assert_eq!(
            version["subresources"],
            json!({
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".status.selector",
                },
            })
        );
        assert_eq!(
            schema(plural)["properties"]["status"]["properties"]["selector"]["type"],
            "string"
        );
    }
}

#[test]
fn columns_are_upstreams_as_far_as_one_path_each_allows() {
    check_columns(
        "deployments",
        &[
            ("Ready", "integer", ".status.readyReplicas", 0),
            ("Desired", "integer", ".spec.replicas", 0),
            ("Up-to-date", "integer", ".status.updatedReplicas", 0),
            ("Available", "integer", ".status.availableReplicas", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            (
                "Containers",
                "string",
                ".spec.template.spec.containers[*].name",
                1,
            ),
            (
                "Images",
                "string",
                ".spec.template.spec.containers[*].image",
                1,
            ),
            ("Selector", "string", ".status.selector", 1),
        ],
    );
    check_columns(
        "replicasets",
        &[
            ("Desired", "integer", ".spec.replicas", 0),
            ("Current", "integer", ".status.replicas", 0),
            ("Ready", "integer", ".status.readyReplicas", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            (
                "Containers",
                "string",
                ".spec.template.spec.containers[*].name",
                1,
            ),
            (
                "Images",
                "string",
                ".spec.template.spec.containers[*].image",
                1,
            ),
            ("Selector", "string", ".status.selector", 1),
        ],
    );
}

#[test]
fn defaults_of_the_spec_are_upstreams() {
    let found = |plural: &str| -> BTreeMap<String, Value> {
        let spec = own_schemas(plural).into_iter();
        spec.filter(|(path, _)| path.starts_with(".spec"))
            .filter_map(|(path, schema)| Some((path, schema.get("default")?.clone())))
            .collect()
    };
    let expected = |list: &[(&str, Value)]| -> BTreeMap<String, Value> {
        list.iter()
            .map(|(path, value)| ((*path).to_owned(), value.clone()))
            .collect()
    };
    let limits = json!({ "maxSurge": "25%", "maxUnavailable": "25%" });
    assert_eq!(
        found("deployments"),
        expected(&[
            (".spec.replicas", json!(1)),
            (".spec.minReadySeconds", json!(0)),
            (".spec.revisionHistoryLimit", json!(10)),
            (".spec.progressDeadlineSeconds", json!(600)),
            (".spec.paused", json!(false)),
            (".spec.rollback.onProgressDeadline", json!(false)),
            (
                ".spec.strategy",
                json!({ "type": "RollingUpdate", "rollingUpdate": limits })
            ),
            (".spec.strategy.type", json!("RollingUpdate")),
            (".spec.strategy.rollingUpdate.maxSurge", json!("25%")),
            (".spec.strategy.rollingUpdate.maxUnavailable", json!("25%")),
        ])
    );
    assert_eq!(
        found("replicasets"),
        expected(&[
            (".spec.replicas", json!(1)),
            (".spec.minReadySeconds", json!(0))
        ])
    );
}

#[test]
fn null_is_taken_only_for_objects_that_readers_take_as_absent() {
    let nullable: BTreeSet<String> = ["deployments", "replicasets"]
        .iter()
        .flat_map(|plural| own_schemas(plural))
        .filter(|(_, schema)| schema.get("nullable").is_some())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        nullable,
        [".spec.rollback", ".spec.strategy.rollingUpdate"]
            .map(str::to_owned)
            .into()
    );
}

#[test]
fn conditions_and_selectors_merge_as_upstreams_do() {
    for plural in ["deployments", "replicasets"] {
        let schema = schema(plural);
        let conditions = &schema["properties"]["status"]["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{plural}");
        assert_eq!(
            conditions["x-kubernetes-list-map-keys"],
            json!(["type"]),
            "{plural}"
        );
        let required = conditions["items"]["required"].as_array().unwrap();
        assert_eq!(required.len(), 2, "{plural}");
        assert!(
            required.contains(&json!("type")) && required.contains(&json!("status")),
            "{plural}"
        );
        let stamped = conditions["items"]["properties"]
            .get("lastUpdateTime")
            .is_some();
        assert_eq!(stamped, plural == "deployments", "{plural}");
        assert_eq!(
            schema["properties"]["spec"]["properties"]["selector"]["x-kubernetes-map-type"],
            "atomic",
            "{plural}"
        );
    }
}

#[test]
fn each_of_our_fields_is_described() {
    for plural in ["deployments", "replicasets"] {
        for (path, schema) in own_schemas(plural) {
            if path.ends_with("[]") {
                continue;
            }
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{plural}{path} has no description");
            assert!(
                !text.contains('\n') && !text.contains('`'),
                "{plural}{path}: {text}"
            );
        }
    }
}

/// Every rule of both kinds: its path and the text by which its refusal is known.
fn rules() -> BTreeSet<(String, String)> {
    let mut rules = BTreeSet::new();
    for plural in ["deployments", "replicasets"] {
        for (path, schema) in own_schemas(plural) {
            for rule in schema
                .get("x-kubernetes-validations")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let text = rule["message"].as_str().unwrap_or_else(|| {
                    let expression = rule["messageExpression"].as_str();
                    let expression = expression
                        .unwrap_or_else(|| panic!("{plural}{path}: a rule without a message"));
                    expression.split('\'').nth(1).unwrap_or_default()
                });
                rules.insert((path.clone(), text.trim().to_owned()));
            }
        }
    }
    rules
}

#[test]
fn every_rule_is_there() {
    let paths: Vec<String> = rules()
        .into_iter()
        .map(|(path, text)| format!("{path}: {text}"))
        .collect();
    let expected = [
        ".spec.selector.matchExpressions[]: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ".spec.selector.matchExpressions[]: must be specified when `operator` is 'In' or 'NotIn'",
        ".spec.selector: an empty selector would select every pod: set matchLabels or matchExpressions",
        ".spec.selector: field is immutable",
        ".spec.strategy.rollingUpdate.maxSurge: is neither a whole number from 0 nor a percentage such as 25%",
        ".spec.strategy.rollingUpdate.maxUnavailable: is neither a whole number from 0 nor a percentage such as 25%",
        ".spec.strategy.rollingUpdate.maxUnavailable: must not be greater than 100%",
        ".spec.strategy.rollingUpdate: may not be 0 when `maxSurge` is 0",
        ".spec.strategy: may not be specified when strategy `type` is 'Recreate'",
        ".spec: `selector` does not match template `labels`: not every one of spec.selector.matchExpressions holds for them",
        ".spec: `selector` does not match template `labels`: not every one of spec.selector.matchLabels is among them",
        ".spec: activeDeadlineSeconds in Deployment is not supported",
        ".spec: activeDeadlineSeconds in ReplicaSet is not supported",
        ".spec: must be greater than minReadySeconds",
        ".spec: needs a progress deadline, and progressDeadlineSeconds 2147483647 means none",
        ": metadata.name may have 242 characters: the names of its ReplicaSets add 11, and a name ends at 253",
    ];
    let mut sorted = paths.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn every_rule_is_broken_by_a_case() {
    let cases = cases();
    for (path, text) in rules() {
        let broken = cases.iter().any(|case| {
            case.refused.iter().any(|refusal| {
                refusal.len() > 15 && (text.contains(refusal.as_str()) || refusal.contains(&text))
            })
        });
        assert!(
            broken,
            "no case of cases.yaml breaks the rule at {path}: {text}"
        );
    }
}

#[test]
fn cases_are_of_our_kinds_and_differ() {
    let cases = cases();
    assert!(cases.len() > 60, "{} cases", cases.len());
    let mut seen = BTreeSet::new();
    for case in &cases {
        assert!(
            ["Deployment", "ReplicaSet"].contains(&case.kind.as_str()),
            "{}",
            case.name
        );
        assert!(
            seen.insert((&case.kind, &case.name)),
            "{} {} comes twice",
            case.kind,
            case.name
        );
        assert!(
            case.patch.is_object() && case.then.as_ref().is_none_or(Value::is_object),
            "{}",
            case.name
        );
    }
    assert!(cases.iter().any(|case| case.ours) && cases.iter().any(|case| !case.ours));
}

#[test]
fn a_new_object_says_that_nobody_has_seen_it() {
    for plural in ["deployments", "replicasets"] {
        let status = &schema(plural)["properties"]["status"];
        assert_eq!(status["default"], json!({}), "{plural}");
        let default = |field: &str| status["properties"][field]["default"].clone();
        assert_eq!(default("observedGeneration"), json!(-1), "{plural}");
        for count in ["replicas", "readyReplicas", "availableReplicas"] {
            assert_eq!(default(count), json!(0), "{plural}: {count}");
        }
        // Absent means unknown here, which 0 is not.
        assert_eq!(default("terminatingReplicas"), json!(null), "{plural}");
    }
}
