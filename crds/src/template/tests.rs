use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn definitions() -> Definitions {
    let mut generator = SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<PodTemplateSpec>();
    Definitions(generator.take_definitions(false))
}

/// Upstream's types by the last part of their names, as far as the template's schema shows them.
fn shown(definitions: &Definitions) -> BTreeMap<String, Value> {
    let hidden = [
        "EphemeralContainer",
        "ManagedFieldsEntry",
        "OwnerReference",
        "FieldsV1",
    ];
    let types = definitions.0.iter().map(|(name, schema)| {
        (
            name.rsplit('.').next().unwrap_or(name).to_owned(),
            schema.clone(),
        )
    });
    types
        .filter(|(name, _)| !hidden.contains(&name.as_str()))
        .collect()
}

#[test]
fn every_list_of_objects_is_known_to_merge_or_to_be_atomic() {
    let types = shown(&definitions());
    let mut unknown = Vec::new();
    for (name, schema) in &types {
        for (field, list) in schema["properties"].as_object().into_iter().flatten() {
            let holds_objects = list["items"].get("$ref").is_some();
            let merges = markers::LIST_MAPS
                .iter()
                .any(|(owner, named, _)| (*owner, *named) == (name, field));
            let atomic = markers::ATOMIC_LISTS.contains(&(name, field));
            let is_hidden = !is_described(name, field) || field == "ephemeralContainers";
            if holds_objects && !merges && !atomic && !is_hidden {
                unknown.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "look these up in upstream's OpenAPI and add them to markers.rs: {unknown:?}"
    );
}

#[test]
fn every_marker_names_something_that_exists() {
    let types = shown(&definitions());
    let lists = markers::LIST_MAPS
        .iter()
        .map(|(name, field, _)| (*name, *field));
    let others = markers::SETS.iter().chain(markers::ATOMIC_LISTS).copied();
    for (name, field) in lists.chain(others) {
        let schema = types
            .get(name)
            .unwrap_or_else(|| panic!("there is no type {name}"));
        assert_eq!(
            schema["properties"][field]["type"], "array",
            "{name}.{field}"
        );
    }
    for name in markers::ATOMIC_STRUCTS {
        assert!(types.contains_key(*name), "there is no type {name}");
    }
    let named: BTreeSet<_> = markers::LIST_MAPS
        .iter()
        .map(|(name, field, _)| (name, field))
        .collect();
    assert_eq!(
        named.len(),
        markers::LIST_MAPS.len(),
        "a list is named twice"
    );
}

#[test]
fn key_fields_are_required_or_have_a_default() {
    let root = PodTemplate::json_schema(&mut SchemaGenerator::default()).to_value();
    let mut found = Vec::new();
    walk(&root, "template", &mut |path, schema| {
        let Some(keys) = schema
            .get("x-kubernetes-list-map-keys")
            .and_then(Value::as_array)
        else {
            return;
        };
        found.push(path.to_owned());
        let item = &schema["items"];
        for key in keys.iter().filter_map(Value::as_str) {
            let required = item["required"]
                .as_array()
                .is_some_and(|list| list.iter().any(|field| field == key));
            let defaulted = item["properties"][key].get("default").is_some();
            assert!(required || defaulted, "{path}: key {key} may be absent");
            assert!(
                item["properties"][key].get("nullable").is_none(),
                "{path}: key {key} may be null"
            );
        }
    });
    for list in [
        "template.spec.containers",
        "template.spec.containers.env",
        "template.spec.containers.ports",
        "template.spec.containers.volumeMounts",
        "template.spec.initContainers",
        "template.spec.initContainers.env",
        "template.spec.imagePullSecrets",
        "template.spec.topologySpreadConstraints",
        "template.spec.volumes",
    ] {
        assert!(
            found.iter().any(|path| path == list),
            "{list} does not merge by key: {found:?}"
        );
    }
}

#[test]
fn nothing_has_a_default_but_parts_of_keys() {
    let root = PodTemplate::json_schema(&mut SchemaGenerator::default()).to_value();
    let mut defaults = BTreeMap::new();
    walk(&root, "template", &mut |path, schema| {
        if let Some(default) = schema.get("default") {
            defaults.insert(path.to_owned(), default.clone());
        }
    });
    let expected = BTreeMap::from([
        (
            "template.spec.containers.ports.protocol".to_owned(),
            json!("TCP"),
        ),
        ("template.spec.imagePullSecrets.name".to_owned(), json!("")),
        (
            "template.spec.initContainers.ports.protocol".to_owned(),
            json!("TCP"),
        ),
    ]);
    assert_eq!(defaults, expected);
}

#[test]
fn what_go_takes_the_schema_takes() {
    let root = PodTemplate::json_schema(&mut SchemaGenerator::default()).to_value();
    walk(&root, "template", &mut |path, schema| {
        assert!(
            schema.get("$ref").is_none() && schema.get("allOf").is_none(),
            "{path} is not structural"
        );
        assert!(
            schema.get("description").is_none(),
            "{path} has a description"
        );
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        assert_eq!(
            schema["x-kubernetes-preserve-unknown-fields"], true,
            "{path} drops unknown fields"
        );
        let required = schema.get("required").and_then(Value::as_array);
        for (field, property) in properties {
            let required = required.is_some_and(|list| list.iter().any(|name| name == field));
            let closed = schema_is_closed(property) || field == "ephemeralContainers";
            assert!(
                required || closed || property["nullable"] == true,
                "{path}.{field} refuses null"
            );
        }
    });
    let limits = &root["properties"]["spec"]["properties"]["containers"]["items"]["properties"]["resources"]
        ["properties"]["limits"];
    assert_eq!(
        limits["additionalProperties"],
        json!({ "x-kubernetes-preserve-unknown-fields": true })
    );
    let port = &root["properties"]["spec"]["properties"]["containers"]["items"]["properties"]["livenessProbe"]
        ["properties"]["httpGet"]["properties"]["port"];
    assert_eq!(*port, json!({ "x-kubernetes-int-or-string": true }));
}

/// Calls `visit` with every schema below `schema` and its path; items have the path of their list.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (field, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        walk(property, &format!("{path}.{field}"), visit);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            walk(inner, path, visit);
        }
    }
}
