//! What the API server refuses, kind by kind, as far as controllers and those who use them can meet it.

use ironkeel_plan::selector::LabelSelector;
use serde_json::{Value, json};

use super::object::{self, is_deleting};
use super::status::{FieldError, FieldReason};
use super::{names, schema};

type Errors = Vec<FieldError>;

pub(super) fn nothing(_: &Value, _: Option<&Value>, _: &str) -> Errors {
    Vec::new()
}

/// Metadata as every kind has it.
fn metadata(new: &Value, name_rule: fn(&str) -> Vec<String>) -> Errors {
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
fn of_kind(new: &Value, old: Option<&Value>, name_rule: fn(&str) -> Vec<String>) -> Errors {
    let mut errors = metadata(new, name_rule);
    for error in old.map(|old| metadata_update(new, old)).unwrap_or_default() {
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    errors
}

fn labels(labels: &Value, field: &str, errors: &mut Errors) {
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

fn metadata_update(new: &Value, old: &Value) -> Errors {
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

/// Replicas, selector and template, which a set and a Deployment share. `empty_selector` is what upstream says of one.
fn set_spec(new: &Value, old: Option<&Value>, owner: &str) -> Errors {
    let mut errors = Vec::new();
    let spec = &new["spec"];
    not_negative(&spec["replicas"], "spec.replicas", &mut errors);
    if owner == "ReplicaSet" {
        not_negative(
            &spec["minReadySeconds"],
            "spec.minReadySeconds",
            &mut errors,
        );
    }
    let selector = &spec["selector"];
    if selector.is_null() {
        errors.push(FieldError::required("spec.selector", ""));
        // No selector matches nothing.
        template(&spec["template"], None, &mut errors);
    } else {
        check_selector(selector, &mut errors);
        let read: LabelSelector = serde_json::from_value(selector.clone()).unwrap_or_default();
        if read.is_empty() {
            let why = "empty selector is invalid for deployment";
            errors.push(FieldError::invalid("spec.selector", selector, why));
        }
        if read.check().is_ok() {
            template(&spec["template"], Some(&read), &mut errors);
        } else {
            errors.push(FieldError::invalid(
                "spec.selector",
                selector,
                "invalid label selector",
            ));
        }
    }
    if owner == "Deployment" {
        deployment_spec(spec, &mut errors);
    }
    if let Some(old) = old
        && old["spec"]["selector"] != *selector
    {
        immutable("spec.selector", selector, &mut errors);
    }
    errors
}

fn check_selector(selector: &Value, errors: &mut Errors) {
    labels(
        &selector["matchLabels"],
        "spec.selector.matchLabels",
        errors,
    );
    for (at, requirement) in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let field = format!("spec.selector.matchExpressions[{at}]");
        let is_empty = requirement["values"].as_array().is_none_or(Vec::is_empty);
        match requirement["operator"].as_str() {
            Some("In" | "NotIn") if is_empty => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(format!("{field}.values"), why));
            }
            Some("Exists" | "DoesNotExist") if !is_empty => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(format!("{field}.values"), why));
            }
            Some("In" | "NotIn" | "Exists" | "DoesNotExist") => {}
            _ => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(
                    format!("{field}.operator"),
                    &requirement["operator"],
                    why,
                ));
            }
        }
    }
}

fn template(template: &Value, selector: Option<&LabelSelector>, errors: &mut Errors) {
    let found = &template["metadata"]["labels"];
    let is_met = selector.is_some_and(|selector| {
        selector.is_empty() || selector.matches(|key| found.get(key)?.as_str())
    });
    if !is_met {
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(
            "spec.template.metadata.labels",
            found,
            why,
        ));
    }
    labels(found, "spec.template.metadata.labels", errors);
    pod_spec(&template["spec"], "spec.template.spec", errors);
    let policy = &template["spec"]["restartPolicy"];
    if policy != "Always" {
        errors.push(FieldError::not_supported(
            "spec.template.spec.restartPolicy",
            policy,
            &["Always"],
        ));
    }
    if template["spec"].get("activeDeadlineSeconds").is_some() {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            why,
        ));
    }
}

fn pod_spec(spec: &Value, field: &str, errors: &mut Errors) {
    let containers = spec["containers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{field}.containers"), ""));
    }
    let mut seen = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        let field = format!("{field}.containers[{at}]");
        let name = container["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        } else {
            for why in names::label(name) {
                errors.push(FieldError::invalid(
                    format!("{field}.name"),
                    &container["name"],
                    &why,
                ));
            }
            if seen.contains(&name) {
                let field = format!("{field}.name");
                errors.push(FieldError::new(
                    FieldReason::Duplicate,
                    field,
                    Some(&container["name"]),
                    "",
                ));
            }
            seen.push(name);
        }
        if container["image"].as_str().unwrap_or_default().is_empty() {
            errors.push(FieldError::required(format!("{field}.image"), ""));
        }
    }
    let policy = &spec["restartPolicy"];
    if !["Always", "OnFailure", "Never"]
        .iter()
        .any(|known| policy == known)
    {
        let known = ["Always", "OnFailure", "Never"];
        errors.push(FieldError::not_supported(
            format!("{field}.restartPolicy"),
            policy,
            &known,
        ));
    }
    if spec["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|grace| grace < 0)
    {
        let field = format!("{field}.terminationGracePeriodSeconds");
        not_negative(&spec["terminationGracePeriodSeconds"], &field, errors);
    }
}

fn deployment_spec(spec: &Value, errors: &mut Errors) {
    let strategy = &spec["strategy"];
    match strategy["type"].as_str() {
        Some("Recreate") => {
            if strategy.get("rollingUpdate").is_some() {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", why));
            }
        }
        Some("RollingUpdate") => rolling_update(&strategy["rollingUpdate"], errors),
        _ => errors.push(FieldError::not_supported(
            "spec.strategy",
            strategy,
            &["Recreate", "RollingUpdate"],
        )),
    }
    not_negative(&spec["minReadySeconds"], "spec.minReadySeconds", errors);
    not_negative(
        &spec["revisionHistoryLimit"],
        "spec.revisionHistoryLimit",
        errors,
    );
    let deadline = &spec["progressDeadlineSeconds"];
    not_negative(deadline, "spec.progressDeadlineSeconds", errors);
    if deadline.as_i64() <= Some(spec["minReadySeconds"].as_i64().unwrap_or(0)) {
        let why = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid(
            "spec.progressDeadlineSeconds",
            deadline,
            why,
        ));
    }
}

fn rolling_update(limits: &Value, errors: &mut Errors) {
    let number = |limit: &Value| match limit {
        Value::String(text) => text
            .strip_suffix('%')
            .and_then(|digits| digits.parse::<i64>().ok()),
        limit => limit.as_i64(),
    };
    for name in ["maxUnavailable", "maxSurge"] {
        let limit = &limits[name];
        let field = format!("spec.strategy.rollingUpdate.{name}");
        match (limit, number(limit)) {
            (Value::String(_), None) => {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
                errors.push(FieldError::invalid(field, limit, why));
            }
            _ => not_negative(limit, &field, errors),
        }
    }
    let unavailable = number(&limits["maxUnavailable"]);
    if unavailable == Some(0) && number(&limits["maxSurge"]) == Some(0) {
        let why = "may not be 0 when `maxSurge` is 0";
        let field = "spec.strategy.rollingUpdate.maxUnavailable";
        errors.push(FieldError::invalid(field, &limits["maxUnavailable"], why));
    }
    if limits["maxUnavailable"].is_string() && unavailable > Some(100) {
        let field = "spec.strategy.rollingUpdate.maxUnavailable";
        errors.push(FieldError::invalid(
            field,
            &limits["maxUnavailable"],
            "must not be greater than 100%",
        ));
    }
}

/// Counts of a set's status that are impossible.
fn set_status(new: &Value) -> Errors {
    let mut errors = Vec::new();
    let status = &new["status"];
    let counts = [
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ];
    for name in counts {
        not_negative(&status[name], &format!("status.{name}"), &mut errors);
    }
    compare_counts(
        status,
        &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
        &mut errors,
    );
    errors
}

fn deployment_status(new: &Value, old: &Value) -> Errors {
    let mut errors = Vec::new();
    let status = &new["status"];
    let counts = [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ];
    for name in counts {
        not_negative(&status[name], &format!("status.{name}"), &mut errors);
    }
    compare_counts(
        status,
        &["updatedReplicas", "readyReplicas", "availableReplicas"],
        &mut errors,
    );
    let count = |object: &Value| object["status"]["collisionCount"].as_i64().unwrap_or(0);
    if count(new) < count(old) {
        errors.push(FieldError::invalid(
            "status.collisionCount",
            &count(new).into(),
            "cannot be decremented",
        ));
    }
    errors
}

fn compare_counts(status: &Value, names: &[&str], errors: &mut Errors) {
    let count = |name: &str| status[name].as_i64().unwrap_or(0);
    for name in names {
        if count(name) > count("replicas") {
            let why = "cannot be greater than status.replicas";
            errors.push(FieldError::invalid(
                format!("status.{name}"),
                &count(name).into(),
                why,
            ));
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        let why = "cannot be greater than readyReplicas";
        errors.push(FieldError::invalid(
            "status.availableReplicas",
            &count("availableReplicas").into(),
            why,
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
