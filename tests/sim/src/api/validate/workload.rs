//! Specs and statuses of sets, Deployments and pods.

use ironkeel_plan::selector::LabelSelector;
use serde_json::Value;

use super::super::names;
use super::super::status::{FieldError, FieldReason};
use super::metadata::labels;
use super::{Errors, immutable, not_negative};

/// Replicas, selector and template, which a set and a Deployment share. `empty_selector` is what upstream says of one.
pub(super) fn set_spec(new: &Value, old: Option<&Value>, owner: &str) -> Errors {
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

pub(super) fn check_selector(selector: &Value, errors: &mut Errors) {
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

pub(super) fn template(template: &Value, selector: Option<&LabelSelector>, errors: &mut Errors) {
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

pub(super) fn pod_spec(spec: &Value, field: &str, errors: &mut Errors) {
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

pub(super) fn deployment_spec(spec: &Value, errors: &mut Errors) {
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

pub(super) fn rolling_update(limits: &Value, errors: &mut Errors) {
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
pub(super) fn set_status(new: &Value) -> Errors {
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

pub(super) fn deployment_status(new: &Value, old: &Value) -> Errors {
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

pub(super) fn compare_counts(status: &Value, names: &[&str], errors: &mut Errors) {
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
