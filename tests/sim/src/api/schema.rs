//! The structural schema of our kinds: pruning, defaults and validation as the API server does them for a custom kind.
//!
//! It is read from `ironkeel-crds`, the source of the installed definitions. The pod template in it also tells which
//! fields a built-in kind's pod may have.

mod check;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::rules::Rule;
use super::status::FieldError;

/// Our Deployment.
pub(super) static DEPLOYMENT: LazyLock<Schema> = LazyLock::new(|| Schema::of("deployments"));
/// Our ReplicaSet.
pub(super) static REPLICA_SET: LazyLock<Schema> = LazyLock::new(|| Schema::of("replicasets"));
/// The pod's spec, as upstream's OpenAPI has it.
static POD_SPEC: LazyLock<Node> = LazyLock::new(|| {
    let schema = &*DEPLOYMENT;
    let find = |node: &Node, name: &str| node.properties.get(name).cloned().unwrap_or_default();
    let template = find(&find(&schema.root, "spec"), "template");
    find(&template, "spec")
});

/// The schema of a kind.
#[derive(Debug)]
pub(super) struct Schema {
    root: Node,
    /// The document as `/openapi/v3` serves it.
    pub(super) document: Value,
}

/// One node of a schema.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of OpenAPI"
)]
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    kind: String,
    properties: BTreeMap<String, Node>,
    items: Option<Box<Node>>,
    additional: Option<Box<Node>>,
    required: Vec<String>,
    keeps_unknown: bool,
    int_or_string: bool,
    nullable: bool,
    default: Option<Value>,
    minimum: Option<i64>,
    max_length: Option<u64>,
    max_items: Option<u64>,
    min_items: Option<u64>,
    max_properties: Option<u64>,
    values: Vec<Value>,
    pattern: Option<String>,
    list_keys: Vec<String>,
    is_set: bool,
    rules: Vec<Rule>,
}

impl Schema {
    fn of(plural: &str) -> Self {
        let kinds = ironkeel_crds::crds().unwrap_or_default();
        let definition = kinds.into_iter().find(|kind| kind.plural == plural);
        let definition = definition.map(|kind| kind.definition).unwrap_or_default();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let mut document = schema.clone();
        document["x-kubernetes-group-version-kind"] = serde_json::json!([{
            "group": definition["spec"]["group"],
            "kind": definition["spec"]["names"]["kind"],
            "version": definition["spec"]["versions"][0]["name"],
        }]);
        Self {
            root: Node::read(schema),
            document,
        }
    }

    /// Prunes what the schema does not know and fills in its defaults; metadata is left alone.
    pub(super) fn decode(&self, object: &mut Value) {
        let Value::Object(fields) = object else {
            return;
        };
        fields.retain(|name, _| {
            matches!(name.as_str(), "kind" | "apiVersion" | "metadata")
                || self.root.properties.contains_key(name)
        });
        self.fill(object);
    }

    /// Fills in the defaults, as reading a stored object does.
    pub(super) fn fill(&self, object: &mut Value) {
        for (name, node) in &self.root.properties {
            node.decode_field(object, name);
        }
    }

    /// Everything that is wrong with an object; what did not change since `old` is not looked at again.
    pub(super) fn validate(
        &self,
        object: &Value,
        old: Option<&Value>,
        status_only: bool,
        errors: &mut Vec<FieldError>,
    ) {
        for (name, node) in &self.root.properties {
            if status_only && name != "status" {
                continue;
            }
            match object.get(name) {
                Some(value) => node.check(value, old.map(|old| &old[name.as_str()]), name, errors),
                None if self.root.required.contains(name) => {
                    errors.push(FieldError::required(name.as_str(), ""));
                }
                None => {}
            }
        }
        if !status_only
            && let Some(replicas) = object["spec"]["replicas"]
                .as_i64()
                .filter(|count| *count < 0)
        {
            let why = "should be a non-negative integer";
            errors.push(FieldError::invalid(".spec.replicas", &replicas.into(), why));
        }
        self.check_lists(object, errors);
        if errors.iter().any(|error| error.reason.blocks_rules()) {
            errors.push(FieldError::invalid(
                "<nil>",
                &Value::Null,
                "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
            ));
        } else {
            self.root.check_rules(object, old, "", errors);
        }
    }

    fn check_lists(&self, object: &Value, errors: &mut Vec<FieldError>) {
        for (name, node) in &self.root.properties {
            if let Some(value) = object.get(name) {
                node.check_lists(value, name, errors);
            }
        }
    }
}

impl Node {
    fn read(schema: &Value) -> Self {
        let texts = |name: &str| -> Vec<String> {
            let list = schema[name].as_array();
            list.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let boxed = |name: &str| {
            schema
                .get(name)
                .filter(|node| node.is_object())
                .map(|node| Box::new(Self::read(node)))
        };
        let is = |name: &str| schema[name].as_bool().unwrap_or(false);
        let is_map_list = schema["x-kubernetes-list-type"] == "map";
        Self {
            kind: schema["type"].as_str().unwrap_or_default().to_owned(),
            properties: schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, node)| (name.clone(), Self::read(node)))
                .collect(),
            items: boxed("items"),
            additional: boxed("additionalProperties"),
            required: texts("required"),
            keeps_unknown: is("x-kubernetes-preserve-unknown-fields"),
            int_or_string: is("x-kubernetes-int-or-string"),
            nullable: is("nullable"),
            default: schema.get("default").cloned(),
            minimum: schema["minimum"].as_i64(),
            max_length: schema["maxLength"].as_u64(),
            max_items: schema["maxItems"].as_u64(),
            min_items: schema["minItems"].as_u64(),
            max_properties: schema["maxProperties"].as_u64(),
            values: schema["enum"].as_array().cloned().unwrap_or_default(),
            pattern: schema["pattern"].as_str().map(str::to_owned),
            list_keys: if is_map_list {
                texts("x-kubernetes-list-map-keys")
            } else {
                Vec::new()
            },
            is_set: schema["x-kubernetes-list-type"] == "set",
            rules: Rule::read(schema),
        }
    }

    /// A null that is not allowed counts as absent, an absent field gets its default.
    fn decode_field(&self, parent: &mut Value, name: &str) {
        let Value::Object(fields) = parent else {
            return;
        };
        if !self.nullable && fields.get(name).is_some_and(Value::is_null) {
            fields.remove(name);
        }
        if let (false, Some(default)) = (fields.contains_key(name), &self.default) {
            fields.insert(name.to_owned(), default.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            self.decode(value);
        }
    }

    fn decode(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if !self.keeps_unknown && self.additional.is_none() {
                    fields.retain(|name, _| self.properties.contains_key(name));
                }
                for (name, node) in &self.properties {
                    node.decode_field(value, name);
                }
                if let (Some(node), Value::Object(fields)) = (&self.additional, value) {
                    fields.values_mut().for_each(|value| node.decode(value));
                }
            }
            Value::Array(list) => {
                if let Some(node) = &self.items {
                    for value in list.iter_mut() {
                        node.decode(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn prune(&self, value: &mut Value) {
        match value {
            Value::Object(fields) if !self.properties.is_empty() => {
                fields.retain(|name, value| {
                    let known = self.properties.get(name);
                    if let Some(node) = known {
                        node.prune(value);
                    }
                    known.is_some()
                });
            }
            Value::Array(list) => {
                if let Some(node) = &self.items {
                    for value in list.iter_mut() {
                        node.prune(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn unknown(&self, value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) if !self.properties.is_empty() => {
                for (name, value) in fields {
                    let path = format!("{path}.{name}");
                    match self.properties.get(name) {
                        Some(node) => node.unknown(value, &path, found),
                        None => found.push(path),
                    }
                }
            }
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    if let Some(node) = &self.items {
                        node.unknown(value, &format!("{path}[{at}]"), found);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Drops fields that no pod has.
pub(super) fn prune_pod_spec(spec: &mut Map<String, Value>) {
    spec.retain(|name, value| {
        let known = POD_SPEC.properties.get(name);
        if let Some(node) = known {
            node.prune(value);
        }
        known.is_some() || name == "ephemeralContainers"
    });
}

/// Paths of fields that no pod has.
pub(super) fn unknown_in_pod_spec(spec: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    POD_SPEC.unknown(spec, path, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_custom_object_is_pruned_and_gets_its_defaults() {
        let mut object = json!({
            "kind": "Deployment",
            "metadata": { "name": "d" },
            "unknown": 1,
            "spec": {
                "selector": { "matchLabels": { "a": "b" } },
                "strategy": { "rollingUpdate": null },
                "unknown": 1,
                "template": { "spec": { "containers": [{ "name": "c", "unknown": 1, "ports": [{ "containerPort": 1 }] }] } },
            },
        });
        DEPLOYMENT.decode(&mut object);
        assert!(object.get("unknown").is_none() && object["spec"].get("unknown").is_none());
        assert_eq!(object["spec"]["replicas"], 1);
        assert_eq!(
            object["spec"]["strategy"],
            json!({ "type": "RollingUpdate", "rollingUpdate": null })
        );
        assert_eq!(object["status"]["observedGeneration"], -1);
        let container = &object["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["unknown"], 1);
        assert_eq!(container["ports"][0]["protocol"], "TCP");
    }

    #[test]
    fn fields_that_no_pod_has_are_found() {
        let spec = json!({ "containers": [{ "name": "c", "imagee": "i" }], "x": 1 });
        let found = unknown_in_pod_spec(&spec, "spec");
        assert_eq!(found, ["spec.containers[0].imagee", "spec.x"]);
    }
}
