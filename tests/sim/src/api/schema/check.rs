//! What is wrong with a value by its schema.

use serde_json::{Map, Value};

use super::super::names;
use super::super::status::{FieldError, FieldReason};
use super::Node;

impl Node {
    pub(super) fn check(
        &self,
        value: &Value,
        old: Option<&Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
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
        if let (Some(minimum), Some(number)) = (self.minimum, value.as_i64())
            && number < minimum
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
    pub(super) fn check_lists(&self, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
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

    pub(super) fn check_rules(
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
}

/// The two patterns of the schema: a label's key and its value.
fn meets(pattern: &str, text: &str) -> bool {
    if pattern.contains('/') {
        names::is_qualified(text)
    } else {
        names::is_label_value(text)
    }
}
