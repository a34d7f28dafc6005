//! The structural schema of our kinds: pruning, defaults and validation as the API server does them for a custom kind.
//!
//! It is read from `ironkeel-crds`, the source of the installed definitions. The pod template in it also tells which
//! fields a built-in kind's pod may have.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::rules::Rule;
use super::status::{FieldError, FieldReason};

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
                    list.iter_mut().for_each(|value| node.decode(value));
                }
            }
            _ => {}
        }
    }

    fn check(&self, value: &Value, old: Option<&Value>, path: &str, errors: &mut Vec<FieldError>) {
        // What did not change was taken once: an object must not become unwritable by a stricter schema.
        if old == Some(value) || (value.is_null() && self.nullable) {
            return;
        }
        if !self.has_type(value) {
            let wanted = if self.int_or_string {
                "integer,string"
            } else {
                &self.kind
            };
            let shown = match value {
                Value::Object(_) => Value::from("object"),
                Value::Array(_) => Value::from("array"),
                Value::Bool(_) => Value::from("boolean"),
                Value::Null => Value::from("null"),
                Value::Number(number) if number.is_f64() => Value::from("number"),
                Value::Number(_) => Value::from("integer"),
                Value::String(_) => Value::from("string"),
            };
            let why = format!("{path} in body must be of type {wanted}: {shown}");
            errors.push(FieldError::new(
                FieldReason::TypeInvalid,
                path,
                Some(&shown),
                &why,
            ));
            return;
        }
        self.check_scalar(value, path, errors);
        match value {
            Value::Object(fields) => self.check_fields(fields, old, path, errors),
            Value::Array(list) => {
                if let Some(most) = self.max_items.filter(|most| list.len() as u64 > *most) {
                    let why = format!("must have at most {most} items");
                    errors.push(FieldError::new(
                        FieldReason::TooMany,
                        path,
                        Some(&list.len().into()),
                        &why,
                    ));
                }
                if let Some(least) = self.min_items.filter(|least| (list.len() as u64) < *least) {
                    let why = format!("{path} in body should have at least {least} items");
                    errors.push(FieldError::invalid(path, &list.len().into(), &why));
                }
                for (at, entry) in list.iter().enumerate() {
                    if let Some(node) = &self.items {
                        node.check(entry, None, &format!("{path}[{at}]"), errors);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_fields(
        &self,
        fields: &Map<String, Value>,
        old: Option<&Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        if let Some(most) = self
            .max_properties
            .filter(|most| fields.len() as u64 > *most)
        {
            let why = format!("must have at most {most} items");
            errors.push(FieldError::new(
                FieldReason::TooMany,
                path,
                Some(&fields.len().into()),
                &why,
            ));
        }
        for name in &self.required {
            if !fields.contains_key(name) {
                errors.push(FieldError::required(format!("{path}.{name}"), ""));
            }
        }
        for (name, value) in fields {
            let node = self.properties.get(name).or(self.additional.as_deref());
            if let Some(node) = node {
                let old = old.and_then(|old| old.get(name));
                node.check(value, old, &format!("{path}.{name}"), errors);
            }
        }
    }

    fn check_scalar(&self, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
        if let (Some(minimum), Some(number)) = (self.minimum, value.as_f64())
            && number < minimum as f64
        {
            let why = format!("{path} in body should be greater than or equal to {minimum}");
            errors.push(FieldError::invalid(path, value, &why));
        }
        if let (Some(most), Some(text)) = (self.max_length, value.as_str())
            && text.chars().count() as u64 > most
        {
            let why = format!("may not be more than {most} bytes");
            errors.push(FieldError::new(FieldReason::TooLong, path, None, &why));
        }
        if let (Some(pattern), Some(text)) = (&self.pattern, value.as_str())
            && !meets(pattern, text)
        {
            let why = format!("{path} in body should match '{pattern}'");
            errors.push(FieldError::invalid(path, value, &why));
        }
        if !self.values.is_empty() && !self.values.contains(value) {
            let supported: Vec<&str> = self.values.iter().filter_map(Value::as_str).collect();
            errors.push(FieldError::not_supported(path, value, &supported));
        }
    }

    fn has_type(&self, value: &Value) -> bool {
        if self.int_or_string {
            return value.is_string() || value.is_i64() || value.is_u64();
        }
        match self.kind.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            _ => true,
        }
    }

    /// Lists with keys and sets hold each key once.
    fn check_lists(&self, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let Some(node) = self.properties.get(name) {
                        node.check_lists(value, &format!("{path}.{name}"), errors);
                    }
                }
            }
            Value::Array(list) => {
                let mut seen: Vec<Value> = Vec::new();
                for (at, entry) in list.iter().enumerate() {
                    if let Some(node) = &self.items {
                        node.check_lists(entry, &format!("{path}[{at}]"), errors);
                    }
                    let key = if self.is_set {
                        entry.clone()
                    } else if self.list_keys.is_empty() {
                        continue;
                    } else {
                        let keys = self.list_keys.iter();
                        keys.filter_map(|key| Some((key.clone(), entry.get(key)?.clone())))
                            .collect::<Map<_, _>>()
                            .into()
                    };
                    if seen.contains(&key) {
                        let field = format!("{path}[{at}]");
                        errors.push(FieldError::new(
                            FieldReason::Duplicate,
                            field,
                            Some(&key),
                            "",
                        ));
                    } else {
                        seen.push(key);
                    }
                }
            }
            _ => {}
        }
    }

    fn check_rules(
        &self,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        if old == Some(value) || value.is_null() {
            return;
        }
        for rule in &self.rules {
            errors.extend(rule.broken(value, old, path));
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let node = self.properties.get(name).or(self.additional.as_deref());
                    let old = old.and_then(|old| old.get(name));
                    if let Some(node) = node {
                        let path = if path.is_empty() {
                            name.clone()
                        } else {
                            format!("{path}.{name}")
                        };
                        node.check_rules(value, old, &path, errors);
                    }
                }
            }
            Value::Array(list) => {
                for (at, value) in list.iter().enumerate() {
                    if let Some(node) = &self.items {
                        node.check_rules(value, None, &format!("{path}[{at}]"), errors);
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
                    list.iter_mut().for_each(|value| node.prune(value));
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

/// The two patterns of the schema: a label's key and its value.
fn meets(pattern: &str, text: &str) -> bool {
    if pattern.contains('/') {
        super::names::is_qualified(text)
    } else {
        super::names::is_label_value(text)
    }
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
