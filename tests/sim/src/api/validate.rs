//! What the API server refuses, kind by kind, as far as controllers and those who use them can meet it.

mod metadata;
mod workload;

use ironkeel_plan::selector::LabelSelector;
use serde_json::{Value, json};

use super::object;
use super::status::FieldError;
use super::{names, schema};

use metadata::{metadata, metadata_update, of_kind};

use workload::{deployment_status, pod_spec, set_spec, set_status, template};

type Errors = Vec<FieldError>;

pub(super) fn nothing(_: &Value, _: Option<&Value>, _: &str) -> Errors {
    Vec::new()
}

fn immutable(field: &str, value: &Value, errors: &mut Errors) {
    errors.push(FieldError::invalid(field, value, "field is immutable"));
}

fn not_negative(value: &Value, field: &str, errors: &mut Errors) {
    if value.as_i64().is_some_and(|number| number < 0) {
        errors.push(FieldError::invalid(
            field,
            value,
            "must be greater than or equal to 0",
        ));
    }
}

/// Metadata of a built-in kind, whose finalizers need a domain.
fn built_in(new: &Value, old: Option<&Value>) -> Errors {
    let mut errors = of_kind(new, old, names::subdomain);
    for (at, finalizer) in object::finalizers(new).enumerate() {
        let is_standard = ["kubernetes", object::ORPHAN, object::FOREGROUND].contains(&finalizer);
        if !finalizer.contains('/') && !is_standard {
            let field = format!("metadata.finalizers[{at}]");
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(field, &json!(finalizer), why));
        }
    }
    errors
}

pub(super) fn replica_set(new: &Value, old: Option<&Value>, subresource: &str) -> Errors {
    let mut errors = built_in(new, old);
    errors.extend(match subresource {
        "status" => set_status(new),
        _ => set_spec(new, old, "ReplicaSet"),
    });
    errors
}

pub(super) fn deployment(new: &Value, old: Option<&Value>, subresource: &str) -> Errors {
    let mut errors = built_in(new, old);
    errors.extend(match (subresource, old) {
        ("status", Some(old)) => deployment_status(new, old),
        _ => set_spec(new, old, "Deployment"),
    });
    errors
}

pub(super) fn replication_controller(
    new: &Value,
    old: Option<&Value>,
    subresource: &str,
) -> Errors {
    let mut errors = built_in(new, old);
    if subresource == "status" {
        errors.extend(set_status(new));
        return errors;
    }
    let spec = &new["spec"];
    not_negative(
        &spec["minReadySeconds"],
        "spec.minReadySeconds",
        &mut errors,
    );
    let selector = &spec["selector"];
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        errors.push(FieldError::required("spec.selector", ""));
    }
    not_negative(&spec["replicas"], "spec.replicas", &mut errors);
    if spec["template"].is_null() {
        errors.push(FieldError::required("spec.template", ""));
    } else {
        let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap_or_default();
        let before = errors.len();
        template(&spec["template"], Some(&read), &mut errors);
        for error in errors.iter_mut().skip(before) {
            error.body = error.body.replace(
                "in ReplicaSet is not Supported",
                "in ReplicationController is not Supported",
            );
        }
    }
    errors
}

pub(super) fn custom_replica_set(new: &Value, old: Option<&Value>, subresource: &str) -> Errors {
    custom(&schema::REPLICA_SET, new, old, subresource)
}

pub(super) fn custom_deployment(new: &Value, old: Option<&Value>, subresource: &str) -> Errors {
    custom(&schema::DEPLOYMENT, new, old, subresource)
}

fn custom(schema: &schema::Schema, new: &Value, old: Option<&Value>, subresource: &str) -> Errors {
    let mut errors = metadata(new, names::subdomain);
    let is_status = subresource == "status";
    let Some(old) = old else {
        schema.validate(new, None, is_status, &mut errors);
        return errors;
    };
    // What all kinds have in common is judged apart from what the kind says of the same change.
    errors.extend(metadata_update(new, old));
    let mut of_kind = metadata_update(new, old);
    schema.validate(new, Some(old), is_status, &mut of_kind);
    errors.extend(of_kind);
    errors
}

pub(super) fn pod(new: &Value, old: Option<&Value>, subresource: &str) -> Errors {
    let mut errors = built_in(new, old);
    if subresource == "status" {
        return errors;
    }
    pod_spec(&new["spec"], "spec", &mut errors);
    let deadline = |pod: &Value| pod["spec"]["activeDeadlineSeconds"].as_i64();
    if let Some(before) = old.and_then(deadline) {
        let why = match deadline(new) {
            None => "must not update from a positive integer to nil value",
            Some(after) if after > before => "must be less than or equal to previous value",
            Some(_) => "",
        };
        if !why.is_empty() {
            let field = "spec.activeDeadlineSeconds";
            errors.push(FieldError::invalid(
                field,
                &new["spec"]["activeDeadlineSeconds"],
                why,
            ));
        }
    }
    if let Some(old) = old
        && fixed_part(new) != fixed_part(old)
    {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", why));
    }
    errors
}

/// The part of a pod's spec that cannot be changed.
fn fixed_part(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Value::Object(fields) = &mut spec {
        fields.remove("activeDeadlineSeconds");
        fields.remove("tolerations");
        for list in ["containers", "initContainers"] {
            let containers = fields.get_mut(list).and_then(Value::as_array_mut);
            for container in containers
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
            {
                container.remove("image");
            }
        }
    }
    spec
}

pub(super) fn namespace(new: &Value, old: Option<&Value>, _: &str) -> Errors {
    of_kind(new, old, names::label)
}

pub(super) fn resource_quota(new: &Value, old: Option<&Value>, _: &str) -> Errors {
    of_kind(new, old, names::subdomain)
}

pub(super) fn lease(new: &Value, old: Option<&Value>, _: &str) -> Errors {
    let mut errors = of_kind(new, old, names::subdomain);
    let spec = &new["spec"];
    if spec["leaseDurationSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds <= 0)
    {
        let field = "spec.leaseDurationSeconds";
        errors.push(FieldError::invalid(
            field,
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        ));
    }
    if spec["leaseTransitions"]
        .as_i64()
        .is_some_and(|count| count < 0)
    {
        let field = "spec.leaseTransitions";
        errors.push(FieldError::invalid(
            field,
            &spec["leaseTransitions"],
            "must be greater than or equal to 0",
        ));
    }
    errors
}

pub(super) fn event(new: &Value, old: Option<&Value>, _: &str) -> Errors {
    let mut errors = of_kind(new, old, names::subdomain);
    let namespace = new["involvedObject"]["namespace"]
        .as_str()
        .unwrap_or_default();
    if namespace != object::text(new, "namespace") && !namespace.is_empty() {
        let field = "involvedObject.namespace";
        errors.push(FieldError::invalid(
            field,
            &json!(namespace),
            "does not match event.namespace",
        ));
    }
    errors
}
