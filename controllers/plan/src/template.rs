//! The pod template: opaque JSON, typed only where a field is read.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::hash::{Fnv32a, name_of, sorted};
use crate::quantity;

/// Label that a Deployment puts on its ReplicaSets, their selectors and their pods.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// A pod template exactly as the user wrote it: fields newer than this code survive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Arc<Value>);

impl Template {
    /// One label of `metadata.labels`.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(key)?.as_str()
    }

    /// Whether both templates make the same pods, whatever their label `pod-template-hash`.
    ///
    /// As API machinery's `Semantic.DeepEqual` on the typed template: null, absent and an empty
    /// list are one; so are an absent and an empty map (labels, annotations, node selector,
    /// limits, …) and quantities of the same amount. An empty object elsewhere (`emptyDir: {}`)
    /// says something and differs from an absent one.
    pub fn same_pods(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || same(Place::Template, "", &self.0, &other.0)
    }

    /// The value of `pod-template-hash` for this template: the same for templates that make the
    /// same pods, another one for each number of `collisions`.
    pub fn hash(&self, collisions: Option<i32>) -> String {
        let mut sum = Fnv32a::default();
        write(&mut sum, Place::Template, &self.0);
        name_of(sum, collisions)
    }

    /// The template with one label set.
    #[must_use]
    pub fn with_label(&self, key: &str, value: &str) -> Self {
        let mut template = match &*self.0 {
            Value::Object(fields) => fields.clone(),
            _ => Map::new(),
        };
        change(&mut template, "metadata", |metadata| {
            change(metadata, "labels", |labels| {
                labels.insert(key.to_owned(), Value::from(value));
            });
        });
        Self(Arc::new(Value::Object(template)))
    }

    /// The template without one label.
    #[must_use]
    pub fn without_label(&self, key: &str) -> Self {
        let mut template = Value::clone(&self.0);
        if let Some(Value::Object(labels)) = template.pointer_mut("/metadata/labels") {
            labels.remove(key);
        }
        Self(Arc::new(template))
    }
}

/// Changes the object below `key`, which is made if it is missing or something else.
fn change(parent: &mut Map<String, Value>, key: &str, edit: impl FnOnce(&mut Map<String, Value>)) {
    let mut fields = match parent.remove(key) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    edit(&mut fields);
    parent.insert(key.to_owned(), Value::Object(fields));
}

/// Where in the template a value lies, as far as the rules of equality depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The template itself.
    Template,
    /// Its `metadata`.
    Metadata,
    /// Its `metadata.labels`.
    Labels,
    /// Its `metadata.annotations`.
    Annotations,
    /// A map whose values are quantities.
    Amounts,
    /// Anywhere else.
    Elsewhere,
}

impl Place {
    /// The place of member `key`.
    fn inside(self, key: &str) -> Self {
        match (self, key) {
            (Self::Template, "metadata") => Self::Metadata,
            (Self::Metadata, "labels") => Self::Labels,
            (Self::Metadata, "annotations") => Self::Annotations,
            (Self::Elsewhere | Self::Template, "limits" | "requests" | "overhead") => Self::Amounts,
            _ => Self::Elsewhere,
        }
    }

    fn counts(self, key: &str) -> bool {
        self != Self::Labels || key != POD_TEMPLATE_HASH
    }
}

/// Fields whose empty object is the same as none: maps, and structs that upstream's types hold
/// by value.
fn is_map(key: &str) -> bool {
    matches!(
        key,
        "metadata"
            | "labels"
            | "annotations"
            | "nodeSelector"
            | "resources"
            | "limits"
            | "requests"
            | "overhead"
            | "matchLabels"
            | "volumeAttributes"
            | "options"
    )
}

/// Whether the member `key` says nothing with this value.
fn is_void(place: Place, key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) if is_map(key) => fields
            .iter()
            .all(|(key, value)| !place.counts(key) || is_void(place.inside(key), key, value)),
        _ => false,
    }
}

/// The amount of a value that stands where a quantity is meant.
fn amount(parent: Place, key: &str, value: &Value) -> Option<i128> {
    match (parent, key, value) {
        (Place::Amounts, _, Value::String(text))
        | (Place::Elsewhere, "sizeLimit" | "divisor", Value::String(text)) => quantity::nanos(text),
        (Place::Amounts, _, Value::Number(number))
        | (Place::Elsewhere, "sizeLimit" | "divisor", Value::Number(number)) => {
            quantity::nanos(&number.to_string())
        }
        _ => None,
    }
}

fn same(place: Place, key: &str, one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.iter().all(|(key, value)| {
                !place.counts(key) || same_member(place, key, value, other.get(key))
            }) && other.iter().all(|(key, value)| {
                !place.counts(key)
                    || one.contains_key(key)
                    || is_void(place.inside(key), key, value)
            })
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| same(Place::Elsewhere, key, one, other))
        }
        _ => one == other || (is_void(place, key, one) && is_void(place, key, other)),
    }
}

fn same_member(parent: Place, key: &str, one: &Value, other: Option<&Value>) -> bool {
    let other = other.unwrap_or(&Value::Null);
    match (amount(parent, key, one), amount(parent, key, other)) {
        (Some(one), Some(other)) => one == other,
        _ => same(parent.inside(key), key, one, other),
    }
}

/// Adds `value` to the sum so that values that are the same add the same.
fn write(sum: &mut Fnv32a, place: Place, value: &Value) {
    match value {
        Value::Object(fields) => {
            sum.write(b"{");
            for (key, value) in sorted(fields) {
                if !place.counts(key) || is_void(place.inside(key), key, value) {
                    continue;
                }
                sum.write_text(key);
                match amount(place, key, value) {
                    Some(nanos) => sum.write(&nanos.to_le_bytes()),
                    None => write(sum, place.inside(key), value),
                }
            }
            sum.write(b"}");
        }
        Value::Array(items) => {
            sum.write(b"[");
            for item in items {
                write(sum, Place::Elsewhere, item);
                sum.write(b",");
            }
            sum.write(b"]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => sum.write_json(value),
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
