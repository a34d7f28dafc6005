//! One version of one object, and what is read of an object's metadata.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use serde_json::{Map, Value, json};

/// The finalizer that makes a deletion wait for the dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer that makes a deletion wait until the dependents are orphans.
pub(super) const ORPHAN: &str = "orphan";

/// A version of an object; its text is made once.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) value: Arc<Value>,
    /// The whole object, starting with kind and version.
    pub(super) text: Bytes,
    /// Where the object's own fields begin in the text.
    head: usize,
    /// The version that it was stored with.
    pub(super) version: u64,
    /// Whether storage holds it without the defaults that reading adds, so that writing it back is a change.
    pub(super) bare: bool,
}

impl Object {
    pub(super) fn new(resource: Resource, value: Value, version: u64, bare: bool) -> Self {
        let mut text = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\"",
            resource.kind,
            resource.api_version()
        );
        let head = text.len() + 1;
        if let Value::Object(fields) = &value {
            for (name, field) in fields {
                if name != "kind" && name != "apiVersion" {
                    // Writing to a string cannot fail.
                    let _ = write!(text, ",{}:{field}", Value::String(name.clone()));
                }
            }
        }
        text.push('}');
        Self {
            value: Arc::new(value),
            text: text.into(),
            head,
            version,
            bare,
        }
    }

    /// The object as an entry of a list: of a built-in kind without kind and version.
    pub(super) fn list_entry(&self, custom: bool) -> &[u8] {
        if custom {
            &self.text
        } else {
            self.text.get(self.head..).unwrap_or_default()
        }
    }

    pub(super) fn uid(&self) -> &str {
        uid(&self.value)
    }
}

/// A text of the metadata; empty where it is not there.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "name")
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "uid")
}

pub(super) fn key(object: &Value) -> Key {
    Key::new(text(object, "namespace"), name(object))
}

pub(super) fn is_deleting(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

pub(super) fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(0)
}

pub(super) fn grace(object: &Value) -> Option<i64> {
    object["metadata"]["deletionGracePeriodSeconds"].as_i64()
}

pub(super) fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn has_finalizer(object: &Value, wanted: &str) -> bool {
    finalizers(object).any(|finalizer| finalizer == wanted)
}

pub(super) fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    let list = object["metadata"]["ownerReferences"].as_array();
    list.into_iter().flatten()
}

pub(super) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["labels"].get(name)?.as_str()
}

/// The metadata of an object, which is made where there is none.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    part(object, "metadata")
}

/// A part of an object that is itself an object, made where there is none.
pub(super) fn part<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let part = &mut object[field];
    if !part.is_object() {
        *part = json!({});
    }
    match part {
        Value::Object(part) => part,
        _ => unreachable!("it was made an object"),
    }
}

/// Sets a field, or takes it away.
pub(super) fn put(fields: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            fields.insert(name.to_owned(), value);
        }
        None => {
            fields.remove(name);
        }
    }
}

/// Copies a field of another object's metadata, or its absence.
pub(super) fn keep(new: &mut Value, old: &Value, field: &str) {
    let kept = old["metadata"].get(field).cloned();
    put(metadata(new), field, kept);
}

/// Sets the finalizers; an empty list is none.
pub(super) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let value = (!finalizers.is_empty()).then(|| json!(finalizers));
    put(metadata(object), "finalizers", value);
}
