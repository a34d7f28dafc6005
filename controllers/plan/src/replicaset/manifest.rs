//! The pod that a set creates.

use serde_json::{Map, Value, json};

use crate::names;
use crate::workload::ReplicaSet;

/// The manifest of a new pod of `set`, with exactly the fields that upstream's
/// `GetPodFromTemplate` sets, and `name` beside them.
///
/// `api_version` and `kind` are those of the set and go into the controllerRef. Labels,
/// annotations and finalizers of the template are copied, other metadata is not; the spec
/// is taken as it is, with fields that this code does not know. The namespace is left to
/// the request's path, as upstream does.
pub fn pod_manifest(api_version: &str, kind: &str, set: &ReplicaSet, name: &str) -> Value {
    let template = &*set.spec.template.0;
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert(
        "generateName".to_owned(),
        json!(names::prefix(&set.metadata.name)),
    );
    for field in ["labels", "annotations", "finalizers"] {
        let value = template.pointer("/metadata").and_then(|it| it.get(field));
        let empty = match value {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => true,
        };
        if let Some(value) = value
            && !empty
        {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert(
        "ownerReferences".to_owned(),
        json!([{
            "apiVersion": api_version,
            "kind": kind,
            "name": set.metadata.name,
            "uid": set.metadata.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        }]),
    );
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template.get("spec").cloned().unwrap_or_else(|| json!({})),
    })
}

/// The JSON of the new pods of one set. They differ in nothing but their names, so that the rest
/// is written once and not for each pod.
#[derive(Clone, Debug)]
pub struct PodManifests {
    before_name: Vec<u8>,
    after_name: Vec<u8>,
}

impl PodManifests {
    /// What every [`pod_manifest`] of `set` has.
    pub fn of(api_version: &str, kind: &str, set: &ReplicaSet) -> Self {
        let mut manifest = pod_manifest(api_version, kind, set, "");
        let mut metadata = manifest["metadata"].take();
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("name");
        }
        let (metadata, spec) = (metadata.to_string(), &manifest["spec"]);
        // There is always an owner, and so a comma behind the name.
        let others = metadata.strip_prefix('{').unwrap_or_default();
        Self {
            before_name: br#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"#.to_vec(),
            after_name: format!(r#",{others},"spec":{spec}}}"#).into_bytes(),
        }
    }

    /// The JSON of the pod `name`.
    pub fn named(&self, name: &str) -> Vec<u8> {
        let name = Value::from(name).to_string();
        [&self.before_name, name.as_bytes(), &self.after_name].concat()
    }
}
