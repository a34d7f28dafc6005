//! The pod template: upstream's schema, shaped so that what a built-in kind takes, ours takes.
//!
//! `k8s-openapi` has the fields and their types. What it lacks, and what a custom kind needs to
//! behave like a built-in one, is added here:
//!
//! * **Lists that merge.** The keys by which server-side apply merges lists (containers by
//!   name, ports by number and protocol …) come from `markers`. Part of a key must be
//!   required or have a default; these are the only defaults in the template.
//! * **Null is absent.** Go's decoder reads `env: null` (in YAML: `env:` and nothing) as no
//!   value. Optional fields are nullable.
//! * **Quantities** may be numbers, even fractions (`cpu: 0.5`), so they have no type. The API
//!   server checks them when the controller creates a pod as a dry run.
//! * **Unknown fields survive**, at every level. Without this a field newer than the schema
//!   would be pruned. The price is that `kubectl` does not refuse a misspelt field inside
//!   `template.spec`, as it does for built-in kinds.
//! * **No descriptions.** With them a CRD has 380 kB, and client-side apply ends at 256 KiB.
//!   `kubectl explain pod.spec` has the texts.

mod markers;

use std::borrow::Cow;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::core::{Reason, Rule};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A pod template: opaque here, described by upstream's schema in the CRD.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodTemplate(pub Value);

impl JsonSchema for PodTemplate {
    fn schema_name() -> Cow<'static, str> {
        "PodTemplate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut generator = SchemaSettings::openapi3().into_generator();
        let root = generator.subschema_for::<PodTemplateSpec>().to_value();
        let definitions = generator.take_definitions(false);
        Schema::try_from(Definitions(definitions).expand(&root)).unwrap_or_default()
    }
}

/// Upstream's types by their OpenAPI names, such as `io.k8s.api.core.v1.Container`.
struct Definitions(Map<String, Value>);

impl Definitions {
    /// The schema without references, descriptions or anything that a structural schema refuses.
    fn expand(&self, node: &Value) -> Value {
        if let Some(name) = node.get("$ref").and_then(Value::as_str) {
            return self.expand_definition(
                name.rsplit(['/', '.']).next().unwrap_or(name),
                &self.0[last_path(name)],
            );
        }
        let Value::Object(node) = node else {
            return node.clone();
        };
        let mut out = Map::new();
        for (key, value) in node {
            match key.as_str() {
                "description" => {}
                "items" | "additionalProperties" => {
                    out.insert(key.clone(), self.expand(value));
                }
                _ => {
                    out.insert(key.clone(), value.clone());
                }
            }
        }
        Value::Object(out)
    }

    fn expand_definition(&self, name: &str, definition: &Value) -> Value {
        match name {
            "Quantity" => return json!({ "x-kubernetes-preserve-unknown-fields": true }),
            "IntOrString" => return json!({ "x-kubernetes-int-or-string": true }),
            _ => {}
        }
        let Some(properties) = definition.get("properties").and_then(Value::as_object) else {
            return self.expand(definition);
        };
        let required: Vec<&str> = required_of(name, definition);
        let mut fields = Map::new();
        for (field, schema) in properties
            .iter()
            .filter(|(field, _)| is_described(name, field))
        {
            let mut schema = adjust(name, field, self.expand(schema));
            let optional = !required.contains(&field.as_str());
            if let (true, Some(object)) = (
                optional && !schema_is_closed(&schema),
                schema.as_object_mut(),
            ) {
                object.insert("nullable".to_owned(), json!(true));
            }
            fields.insert(field.clone(), schema);
        }
        let mut out = json!({
            "type": "object",
            "properties": fields,
            "x-kubernetes-preserve-unknown-fields": true,
        });
        if !required.is_empty() {
            out["required"] = json!(required);
        }
        if markers::ATOMIC_STRUCTS.contains(&name) {
            out["x-kubernetes-map-type"] = json!("atomic");
        }
        out
    }
}

fn last_path(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// Fields that must be there. Upstream's OpenAPI lets a template have no `spec`, and then refuses it in Go.
fn required_of<'a>(name: &str, definition: &'a Value) -> Vec<&'a str> {
    if name == "PodTemplateSpec" {
        return vec!["spec"];
    }
    let list = definition.get("required").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Of a template's metadata only the fields that a person writes are described; others survive as unknown ones.
fn is_described(name: &str, field: &str) -> bool {
    const WRITTEN: [&str; 7] = [
        "annotations",
        "creationTimestamp",
        "finalizers",
        "generateName",
        "labels",
        "name",
        "namespace",
    ];
    name != "ObjectMeta" || WRITTEN.contains(&field)
}

/// Whether null must stay refused: a default replaces it, or the values are listed.
fn schema_is_closed(schema: &Value) -> bool {
    schema.get("default").is_some() || schema.get("enum").is_some()
}

/// What one field needs beyond its type.
fn adjust(name: &str, field: &str, mut schema: Value) -> Value {
    match (name, field) {
        // Upstream refuses an empty list, and any ephemeral container, in Go.
        ("PodSpec", "containers") => schema["minItems"] = json!(1),
        ("PodSpec", "ephemeralContainers") => {
            return json!({
                "type": "array",
                "maxItems": 0,
                "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            });
        }
        ("PodSpec", "restartPolicy") => schema["enum"] = json!(["Always"]),
        ("PodSpec", "nodeSelector") => schema["x-kubernetes-map-type"] = json!("atomic"),
        _ => {}
    }
    if markers::SETS.contains(&(name, field)) {
        schema["x-kubernetes-list-type"] = json!("set");
    }
    if let Some((_, _, keys)) = markers::LIST_MAPS
        .iter()
        .find(|(owner, list, _)| (*owner, *list) == (name, field))
    {
        schema["x-kubernetes-list-type"] = json!("map");
        schema["x-kubernetes-list-map-keys"] = json!(keys);
        for (_, _, key, default) in markers::KEY_DEFAULTS
            .iter()
            .filter(|(owner, list, _, _)| (*owner, *list) == (name, field))
        {
            if let Some(key) = schema["items"]["properties"][*key].as_object_mut() {
                key.insert("default".to_owned(), json!(default));
                key.remove("nullable");
            }
        }
    }
    schema
}

/// Upstream refuses the field in the templates of these kinds.
pub(crate) fn no_active_deadline(kind: &str) -> Rule {
    Rule::new("!has(self.template.spec.activeDeadlineSeconds)")
        .field_path(".template.spec.activeDeadlineSeconds")
        .reason(Reason::FieldValueForbidden)
        .message(format!("activeDeadlineSeconds in {kind} is not supported").as_str())
}

#[cfg(test)]
mod tests;
