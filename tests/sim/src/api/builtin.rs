//! The stored form of each kind: what the server drops and what it fills in when it decodes an object.
//!
//! A built-in kind is decoded into a Go struct, which drops nulls, empty optional fields and unknown fields, and is then
//! given its defaults. A custom kind is pruned and given the defaults of its schema: see `schema`.

use serde_json::{Map, Value, json};

use super::object::part;
use super::schema;

/// Fields of `ObjectMeta`.
const METADATA: [&str; 13] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "uid",
];

/// The parts that every kind has: kind and version, and metadata without what is empty or unknown.
pub(super) fn metadata(object: &mut Value) {
    let metadata = part(object, "metadata");
    metadata.retain(|name, value| METADATA.contains(&name.as_str()) && !is_empty(value));
    if let Some(Value::Array(owners)) = metadata.get_mut("ownerReferences") {
        for owner in owners.iter_mut().filter_map(Value::as_object_mut) {
            owner.retain(|_, value| !value.is_null());
        }
    }
}

/// What a Go struct with `omitempty` leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

/// `deletionGracePeriodSeconds` is a pointer: 0 is not "absent".
fn built_in_metadata(object: &mut Value) {
    let grace = object["metadata"]
        .get("deletionGracePeriodSeconds")
        .cloned();
    metadata(object);
    if let Some(grace) = grace.filter(|grace| !grace.is_null()) {
        part(object, "metadata").insert("deletionGracePeriodSeconds".to_owned(), grace);
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn drop_empty(fields: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        if fields.get(*name).is_some_and(is_empty) {
            fields.remove(*name);
        }
    }
}

fn default(fields: &mut Map<String, Value>, name: &str, value: impl FnOnce() -> Value) {
    if !fields.contains_key(name) {
        fields.insert(name.to_owned(), value());
    }
}

/// A kind of which nothing is dropped but nulls.
pub(super) fn plain(object: &mut Value) {
    if let Value::Object(fields) = object {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
    built_in_metadata(object);
}

pub(super) fn pod(object: &mut Value) {
    plain(object);
    let spec = part(object, "spec");
    schema::prune_pod_spec(spec);
    pod_spec(spec);
    default(spec, "enableServiceLinks", || json!(true));
    default(spec, "preemptionPolicy", || json!("PreemptLowerPriority"));
    default(spec, "priority", || json!(0));
    default(spec, "tolerations", || {
        let tolerate = |key: &str| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
        json!([
            tolerate("node.kubernetes.io/not-ready"),
            tolerate("node.kubernetes.io/unreachable")
        ])
    });
}

fn pod_spec(spec: &mut Map<String, Value>) {
    drop_empty(
        spec,
        &[
            "nodeName",
            "nodeSelector",
            "volumes",
            "initContainers",
            "ephemeralContainers",
            "hostNetwork",
            "hostPID",
            "hostIPC",
            "serviceAccountName",
            "hostname",
            "subdomain",
            "priorityClassName",
        ],
    );
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            default_container(container);
        }
    }
    default(spec, "restartPolicy", || json!("Always"));
    default(spec, "terminationGracePeriodSeconds", || json!(30));
    default(spec, "dnsPolicy", || json!("ClusterFirst"));
    default(spec, "securityContext", || json!({}));
    default(spec, "schedulerName", || json!("default-scheduler"));
}

fn default_container(container: &mut Map<String, Value>) {
    drop_empty(
        container,
        &[
            "env",
            "envFrom",
            "ports",
            "volumeMounts",
            "command",
            "args",
            "image",
        ],
    );
    default(container, "resources", || json!({}));
    default(container, "terminationMessagePath", || {
        json!("/dev/termination-log")
    });
    default(container, "terminationMessagePolicy", || json!("File"));
    let image = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // The tag is what follows a colon behind the last slash.
    let name = image.rsplit('/').next().unwrap_or_default();
    let is_latest = match name.split_once(['@', ':']) {
        None => true,
        Some((_, tag)) => tag == "latest",
    };
    default(container, "imagePullPolicy", || {
        json!(if is_latest { "Always" } else { "IfNotPresent" })
    });
    let ports = container.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        default(port, "protocol", || json!("TCP"));
    }
}

/// The template of a set or a Deployment.
fn template(spec: &mut Map<String, Value>) {
    let Some(template) = spec
        .get_mut("template")
        .filter(|template| template.is_object())
    else {
        return;
    };
    part(template, "metadata")
        .retain(|name, value| METADATA.contains(&name.as_str()) && !is_empty(value));
    let spec = part(template, "spec");
    schema::prune_pod_spec(spec);
    pod_spec(spec);
}

pub(super) fn replica_set(object: &mut Value) {
    plain(object);
    let spec = part(object, "spec");
    drop_empty(spec, &["minReadySeconds"]);
    default(spec, "replicas", || json!(1));
    template(spec);
    set_status(object);
}

fn set_status(object: &mut Value) {
    let status = part(object, "status");
    default(status, "replicas", || json!(0));
    drop_empty(
        status,
        &[
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "conditions",
        ],
    );
}

pub(super) fn replication_controller(object: &mut Value) {
    plain(object);
    let labels = object
        .pointer("/spec/template/metadata/labels")
        .filter(|labels| !is_empty(labels))
        .cloned();
    let spec = part(object, "spec");
    drop_empty(spec, &["minReadySeconds", "selector"]);
    default(spec, "replicas", || json!(1));
    if let Some(labels) = &labels {
        default(spec, "selector", || labels.clone());
    }
    template(spec);
    if let Some(labels) = labels {
        default(part(object, "metadata"), "labels", || labels);
    }
    set_status(object);
}

pub(super) fn deployment(object: &mut Value) {
    plain(object);
    let spec = part(object, "spec");
    drop_empty(spec, &["minReadySeconds", "paused"]);
    default(spec, "replicas", || json!(1));
    default(spec, "revisionHistoryLimit", || json!(10));
    default(spec, "progressDeadlineSeconds", || json!(600));
    let strategy = spec.entry("strategy").or_insert_with(|| json!({}));
    if let Value::Object(strategy) = strategy {
        drop_empty(strategy, &["type"]);
        default(strategy, "type", || json!("RollingUpdate"));
        if strategy
            .get("type")
            .is_some_and(|kind| kind == "RollingUpdate")
        {
            let rolling = strategy.entry("rollingUpdate").or_insert_with(|| json!({}));
            if let Value::Object(rolling) = rolling {
                default(rolling, "maxUnavailable", || json!("25%"));
                default(rolling, "maxSurge", || json!("25%"));
            }
        }
    }
    template(spec);
    let status = part(object, "status");
    drop_empty(
        status,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "conditions",
        ],
    );
}

pub(super) fn custom_replica_set(object: &mut Value) {
    metadata_of_custom(object);
    schema::REPLICA_SET.decode(object);
}

pub(super) fn custom_deployment(object: &mut Value) {
    metadata_of_custom(object);
    schema::DEPLOYMENT.decode(object);
}

fn metadata_of_custom(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.values_mut().for_each(drop_nulls);
    }
    built_in_metadata(object);
}

pub(super) fn lease(object: &mut Value) {
    plain(object);
    if let Value::Object(fields) = object {
        fields
            .retain(|name, _| matches!(name.as_str(), "kind" | "apiVersion" | "metadata" | "spec"));
    }
    part(object, "spec");
}

pub(super) fn namespace(object: &mut Value) {
    plain(object);
    let name = super::object::name(object).to_owned();
    if !name.is_empty() {
        let labels = part(object, "metadata")
            .entry("labels")
            .or_insert_with(|| json!({}));
        labels["kubernetes.io/metadata.name"] = json!(name);
    }
    part(object, "spec");
}

pub(super) fn status_as_sent(_: &mut Value) {}

pub(super) fn no_status(object: &mut Value) {
    if let Value::Object(fields) = object {
        fields.remove("status");
    }
}

pub(super) fn empty_status(object: &mut Value) {
    object["status"] = json!({});
}

pub(super) fn no_replicas(object: &mut Value) {
    object["status"] = json!({ "replicas": 0 });
}

pub(super) fn pending(object: &mut Value) {
    object["status"] =
        json!({ "phase": "Pending", "qosClass": quality_of_service(&object["spec"]) });
}

pub(super) fn active(object: &mut Value) {
    object["status"] = json!({ "phase": "Active" });
    let finalizers = &mut object["spec"]["finalizers"];
    if !finalizers
        .as_array()
        .is_some_and(|list| list.contains(&json!("kubernetes")))
    {
        *finalizers = json!(["kubernetes"]);
    }
}

/// `BestEffort` without any request or limit, `Guaranteed` where all have limits and no lower requests.
fn quality_of_service(spec: &Value) -> &'static str {
    let mut any = false;
    let mut all = true;
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let resources = &container["resources"];
            for name in ["cpu", "memory"] {
                let limit = &resources["limits"][name];
                let request = &resources["requests"][name];
                any |= !limit.is_null() || !request.is_null();
                all &= !limit.is_null() && (request.is_null() || request == limit);
            }
        }
    }
    match (any, all) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}
