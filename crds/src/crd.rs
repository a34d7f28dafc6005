//! The CustomResourceDefinitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use crate::{Deployment, ReplicaSet};

/// A kind of ours.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Plural resource name: `deployments`.
    pub plural: String,
    /// The CustomResourceDefinition as JSON.
    pub definition: Value,
}

/// Every CustomResourceDefinition, in the order of the plural names.
pub fn crds() -> Result<Vec<Kind>, serde_json::Error> {
    let mut kinds = [Deployment::crd(), ReplicaSet::crd()]
        .map(finish)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    kinds.sort_by(|a, b| a.plural.cmp(&b.plural));
    Ok(kinds)
}

fn finish(definition: CustomResourceDefinition) -> Result<Kind, serde_json::Error> {
    let plural = definition.spec.names.plural.clone();
    let mut definition = serde_json::to_value(definition)?;
    tidy(&mut definition);
    if let Some(status) = definition
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        .and_then(Value::as_object_mut)
    {
        status.remove("nullable");
        say_not_seen_yet(status);
    }
    Ok(Kind { plural, definition })
}

/// Gives an object that no controller has looked at yet a status that says so.
///
/// Without it kstatus takes a new object for current, and `helm install --wait` could return
/// before the first sync. Columns would be blank until a count was above zero.
fn say_not_seen_yet(status: &mut serde_json::Map<String, Value>) {
    status.insert("default".to_owned(), json!({}));
    let Some(fields) = status.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    let counts = [
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "updatedReplicas",
    ];
    let zeros = counts.into_iter().map(|count| (count, 0));
    for (field, default) in zeros.chain([("observedGeneration", -1)]) {
        if let Some(field) = fields.get_mut(field).and_then(Value::as_object_mut) {
            field.insert("default".to_owned(), json!(default));
        }
    }
}

/// Takes out what the derive macros leave in.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // Null is for objects only (`rollingUpdate: null` is how Helm charts take a value back). A scalar or a
            // list would have to be read as absent by every reader; and where there is a default, the API server
            // puts it in the place of a null only if null is not allowed.
            if map.contains_key("default") || map.get("type").is_none_or(|kind| kind != "object") {
                map.remove("nullable");
            }
            for (key, value) in map.iter_mut() {
                match value {
                    // It has its own rules: see `crate::template`.
                    Value::Object(template) if key == "template" => {
                        template.entry("description").and_modify(join_lines);
                    }
                    Value::String(_) if key == "description" => join_lines(value),
                    // Limits are floats in the API's type; a whole one reads better as such.
                    Value::Number(number) if number.is_f64() => {
                        if let Some(whole) = number.as_f64().filter(|float| float.fract() == 0.0) {
                            *value = Value::from(whole as i64);
                        }
                    }
                    _ => tidy(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Rust's documentation is wrapped; `kubectl explain` wraps by itself.
fn join_lines(description: &mut Value) {
    if let Value::String(text) = description {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

#[cfg(test)]
mod tests;
