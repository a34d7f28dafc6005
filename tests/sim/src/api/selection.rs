//! Which objects of a collection a list or a watch sees.

use ironkeel_plan::selector::{LabelSelector, Operator, Requirement};
use serde_json::Value;

use super::query::Query;
use super::{Response, object, status};

/// Namespace, labels and fields that a list or a watch asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) namespace: Option<String>,
    labels: LabelSelector,
    fields: Vec<FieldTest>,
}

#[derive(Clone, Debug)]
struct FieldTest {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl Selection {
    pub(super) fn read(namespace: Option<&str>, query: &Query) -> Result<Self, Response> {
        let labels = parse_labels(query.get("labelSelector")).ok_or_else(|| {
            let text = query.get("labelSelector");
            status::bad_request(&format!("unable to parse requirement: {text:?}"))
        })?;
        let fields = query.get("fieldSelector");
        let fields = fields.split(',').filter(|part| !part.is_empty());
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            labels,
            fields: fields.filter_map(parse_field).collect(),
        })
    }

    /// Whether more than the namespace is asked for.
    pub(super) fn is_selective(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    /// Whether the object is seen; the namespace has been compared already.
    pub(super) fn admits(&self, object: &Value) -> bool {
        self.labels.matches(|name| object::label(object, name))
            && self.fields.iter().all(|test| {
                let found = test.path.iter().fold(object, |object, part| &object[part]);
                let is_equal = match found {
                    Value::String(text) => *text == test.value,
                    Value::Null => test.value.is_empty(),
                    other => *other.to_string() == *test.value,
                };
                is_equal == test.equal
            })
    }

    pub(super) fn admits_namespace(&self, namespace: &str) -> bool {
        self.namespace
            .as_deref()
            .is_none_or(|known| known == namespace)
    }
}

fn parse_field(text: &str) -> Option<FieldTest> {
    let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
        (path, value, false)
    } else {
        let (path, value) = text.split_once('=')?;
        (path, value.trim_start_matches('='), true)
    };
    Some(FieldTest {
        path: path.split('.').map(str::to_owned).collect(),
        value: value.to_owned(),
        equal,
    })
}

/// A selector in the syntax of `kubectl -l`; `None` where it has none of its forms.
pub(super) fn parse_labels(text: &str) -> Option<LabelSelector> {
    let mut selector = LabelSelector::default();
    for part in split_outside_parentheses(text) {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        let (key, operator, values) = parse_requirement(part)?;
        selector.match_expressions.push(Requirement {
            key: key.trim().to_owned(),
            operator,
            values,
        });
    }
    Some(selector)
}

fn parse_requirement(part: &str) -> Option<(&str, Operator, Vec<String>)> {
    if let Some(key) = part.strip_prefix('!') {
        return Some((key, Operator::DoesNotExist, Vec::new()));
    }
    let listed = |values: &str| -> Option<Vec<String>> {
        let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(
            values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect(),
        )
    };
    if let Some((key, values)) = part.split_once(" notin ") {
        return Some((key, Operator::NotIn, listed(values)?));
    }
    if let Some((key, values)) = part.split_once(" in ") {
        return Some((key, Operator::In, listed(values)?));
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some((key, Operator::NotIn, vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = part.split_once('=') {
        let value = value.trim_start_matches('=').trim();
        return Some((key, Operator::In, vec![value.to_owned()]));
    }
    Some((part, Operator::Exists, Vec::new()))
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|symbol| {
        match symbol {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        symbol == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_and_fields_select() {
        let object = json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "nodeName": "n" } });
        let selects = |query: &str| {
            Selection::read(None, &Query::parse(query)).is_ok_and(|known| known.admits(&object))
        };
        for query in [
            "",
            "labelSelector=a%3Db",
            "labelSelector=a",
            "labelSelector=!c,a in (b,d)",
            "labelSelector=a!%3Dc",
            "fieldSelector=spec.nodeName%3Dn",
            "fieldSelector=spec.other!%3Dn",
        ] {
            assert!(selects(query), "{query}");
        }
        for query in [
            "labelSelector=a%3Dc",
            "labelSelector=a notin (b)",
            "fieldSelector=spec.nodeName!%3Dn",
        ] {
            assert!(!selects(query), "{query}");
        }
    }
}
