//! The CustomResourceDefinitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::Value;

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
    let mut kinds = [Deployment::crd(), ReplicaSet::crd()].map(finish).into_iter().collect::<Result<Vec<_>, _>>()?;
    kinds.sort_by(|a, b| a.plural.cmp(&b.plural));
    Ok(kinds)
}

fn finish(definition: CustomResourceDefinition) -> Result<Kind, serde_json::Error> {
    let plural = definition.spec.names.plural.clone();
    let mut definition = serde_json::to_value(definition)?;
    tidy(&mut definition);
    // Written by the API server and not by us.
    if let Some(root) = definition.as_object_mut() {
        root.remove("status");
    }
    Ok(Kind { plural, definition })
}

/// Takes out what the derive macros leave in.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // The API server drops a null and puts the default in its place only where null is not allowed.
            if map.contains_key("default") {
                map.remove("nullable");
            }
            for (key, value) in map.iter_mut() {
                match value {
                    // Rust's documentation is wrapped; `kubectl explain` wraps by itself.
                    Value::String(text) if key == "description" => {
                        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                    }
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
