//! Metadata, which every kind is judged by.

use serde_json::{Value, json};

use super::super::names;
use super::super::object::{self, is_deleting};
use super::super::status::FieldError;
use super::{Errors, immutable};

/// Metadata as every kind has it.
pub(super) fn metadata(new: &Value, name_rule: fn(&str) -> Vec<String>) -> Errors {
    let mut errors = Vec::new();
    let meta = &new["metadata"];
    let name = object::name(new);
    if let Some(prefix) = meta["generateName"].as_str() {
        // What is generated ends in letters, so a dash at the end of the prefix is no mistake.
        let mut probe = prefix.trim_end_matches('-').to_owned();
        if probe.len() < prefix.len() {
            probe.push('a');
        }
        for why in name_rule(&probe) {
            errors.push(FieldError::invalid(
                "metadata.generateName",
                &json!(prefix),
                &why,
            ));
        }
    }
    if name.is_empty() {
        errors.push(FieldError::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        for why in name_rule(name) {
            errors.push(FieldError::invalid("metadata.name", &json!(name), &why));
        }
    }
    contents(meta, &mut errors);
    finalizers(new, &mut errors);
    errors
}

/// What is judged both as new metadata and as a change of it.
fn contents(meta: &Value, errors: &mut Errors) {
    labels(&meta["labels"], "metadata.labels", errors);
    for (key, _) in meta["annotations"].as_object().into_iter().flatten() {
        for why in names::qualified(&key.to_lowercase()) {
            errors.push(FieldError::invalid(
                "metadata.annotations",
                &json!(key),
                &why,
            ));
        }
    }
    owners(meta, errors);
}

/// Metadata of a built-in kind. What is found twice shows once there.
pub(super) fn of_kind(
    new: &Value,
    old: Option<&Value>,
    name_rule: fn(&str) -> Vec<String>,
) -> Errors {
    let mut errors = metadata(new, name_rule);
    for error in old.map(|old| metadata_update(new, old)).unwrap_or_default() {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    errors
}

pub(super) fn labels(labels: &Value, field: &str, errors: &mut Errors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for why in names::qualified(key) {
            errors.push(FieldError::invalid(field, &json!(key), &why));
        }
        for why in names::label_value(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(field, value, &why));
        }
    }
}

fn owners(meta: &Value, errors: &mut Errors) {
    let field = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    for (at, owner) in meta["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        for part in ["apiVersion", "kind", "name", "uid"] {
            if owner[part].as_str().unwrap_or_default().is_empty() {
                errors.push(FieldError::required(
                    format!("{field}[{at}].{part}"),
                    "must not be empty",
                ));
            }
        }
        if owner["controller"] == true {
            let text = |part: &str| owner[part].as_str().unwrap_or_default().to_owned();
            let this = format!("{}/{}", text("kind"), text("name"));
            match &controller {
                Some(first) => {
                    let why = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    errors.push(FieldError::invalid(field, &meta["ownerReferences"], &why));
                }
                None => controller = Some(this),
            }
        }
    }
}

fn finalizers(new: &Value, errors: &mut Errors) {
    let field = "metadata.finalizers";
    for finalizer in object::finalizers(new) {
        for why in names::qualified(finalizer) {
            errors.push(FieldError::invalid(field, &json!(finalizer), &why));
        }
    }
    if object::has_finalizer(new, object::ORPHAN) && object::has_finalizer(new, object::FOREGROUND)
    {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(
            field,
            &new["metadata"]["finalizers"],
            why,
        ));
    }
}

pub(super) fn metadata_update(new: &Value, old: &Value) -> Errors {
    let mut errors = Vec::new();
    if is_deleting(old) {
        let mut added: Vec<&str> = object::finalizers(new)
            .filter(|finalizer| !object::has_finalizer(old, finalizer))
            .collect();
        added.sort_unstable();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|one| format!("{one:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &why));
        }
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        if new["metadata"].get(field) != old["metadata"].get(field) {
            immutable(
                &format!("metadata.{field}"),
                &new["metadata"][field],
                &mut errors,
            );
        }
    }
    contents(&new["metadata"], &mut errors);
    errors
}
