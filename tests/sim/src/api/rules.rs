//! The CEL rules of our definitions, each as a function: the model has no CEL.
//!
//! A rule is known by its text. One that is not known here fails a test, so that the model cannot fall behind the crate
//! that the definitions come from.

use serde_json::Value;

use super::status::{FieldError, FieldReason};

type Holds = fn(&Value, Option<&Value>) -> bool;

/// A rule of one node of a schema.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    holds: Holds,
    reason: FieldReason,
    /// Below the node.
    field: String,
    message: Message,
    /// Speaks of the old object, so it says nothing of a new one.
    is_transition: bool,
}

#[derive(Clone, Debug)]
enum Message {
    Text(String),
    /// The value, and this behind it.
    AfterValue(String),
}

impl Rule {
    /// The rules of a node.
    pub(super) fn read(schema: &Value) -> Vec<Self> {
        let rules = schema["x-kubernetes-validations"].as_array();
        rules.into_iter().flatten().filter_map(Self::of).collect()
    }

    fn of(rule: &Value) -> Option<Self> {
        let text = rule["rule"].as_str()?;
        let (_, holds) = KNOWN.iter().find(|(known, _)| *known == text)?;
        let message = match rule["messageExpression"].as_str() {
            Some(expression) => Message::AfterValue(expression.split('\'').nth(1)?.to_owned()),
            None => Message::Text(rule["message"].as_str()?.to_owned()),
        };
        Some(Self {
            holds: *holds,
            reason: match rule["reason"].as_str() {
                Some("FieldValueForbidden") => FieldReason::Forbidden,
                Some("FieldValueRequired") => FieldReason::Required,
                _ => FieldReason::Invalid,
            },
            field: rule["fieldPath"].as_str().unwrap_or_default().to_owned(),
            message,
            is_transition: text.contains("oldSelf"),
        })
    }

    pub(super) fn broken(
        &self,
        value: &Value,
        old: Option<&Value>,
        path: &str,
    ) -> Option<FieldError> {
        if (self.is_transition && old.is_none()) || (self.holds)(value, old) {
            return None;
        }
        let path = match (path.is_empty(), self.field.is_empty()) {
            (true, true) => "<nil>".to_owned(),
            (true, false) => self.field.trim_start_matches('.').to_owned(),
            (false, _) => format!("{path}{}", self.field),
        };
        let message = match &self.message {
            Message::Text(text) => text.clone(),
            Message::AfterValue(text) => match value {
                Value::String(value) => format!("{value}{text}"),
                value => format!("{value}{text}"),
            },
        };
        let is_scalar = !value.is_object() && !value.is_array();
        let shown = (is_scalar && self.reason == FieldReason::Invalid).then_some(value);
        Some(FieldError::new(self.reason, path, shown, &message))
    }
}

const KNOWN: [(&str, Holds); 14] = [
    ("size(self.metadata.name) <= 242", |object, _| {
        super::object::name(object).chars().count() <= 242
    }),
    (
        "!has(self.selector.matchLabels) || self.selector.matchLabels.all(key, has(self.template.metadata) && has(self.template.metadata.labels) && key in self.template.metadata.labels && self.template.metadata.labels[key] == self.selector.matchLabels[key])",
        |spec, _| {
            let labels = &spec["template"]["metadata"]["labels"];
            let wanted = spec["selector"]["matchLabels"].as_object();
            wanted
                .into_iter()
                .flatten()
                .all(|(key, value)| labels.get(key) == Some(value))
        },
    ),
    (
        "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(e, (e.operator in ['In', 'Exists']) == (has(self.template.metadata) && has(self.template.metadata.labels) && e.key in self.template.metadata.labels && (!(e.operator in ['In', 'NotIn']) || (has(e.values) && self.template.metadata.labels[e.key] in e.values))))",
        |spec, _| expressions_hold(spec),
    ),
    (
        "!has(self.template.spec.activeDeadlineSeconds)",
        |spec, _| {
            spec["template"]["spec"]
                .get("activeDeadlineSeconds")
                .is_none()
        },
    ),
    (
        "self.progressDeadlineSeconds > self.minReadySeconds",
        |spec, _| spec["progressDeadlineSeconds"].as_i64() > spec["minReadySeconds"].as_i64(),
    ),
    (
        "!has(self.rollback) || !self.rollback.onProgressDeadline || self.progressDeadlineSeconds != 2147483647",
        |spec, _| {
            spec["rollback"]["onProgressDeadline"] != true
                || spec["progressDeadlineSeconds"] != i32::MAX
        },
    ),
    (
        "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
        |selector, _| {
            selector["matchLabels"]
                .as_object()
                .is_some_and(|labels| !labels.is_empty())
                || has_entries(&selector["matchExpressions"])
        },
    ),
    ("self == oldSelf", |value, old| Some(value) == old),
    (
        "!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)",
        |requirement, _| {
            !is_one_of(&requirement["operator"], ["In", "NotIn"])
                || has_entries(&requirement["values"])
        },
    ),
    (
        "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0",
        |requirement, _| {
            !is_one_of(&requirement["operator"], ["Exists", "DoesNotExist"])
                || !has_entries(&requirement["values"])
        },
    ),
    (
        "self.type != 'Recreate' || !has(self.rollingUpdate) || (self.rollingUpdate.maxSurge == '25%' && self.rollingUpdate.maxUnavailable == '25%')",
        |strategy, _| {
            let limits = &strategy["rollingUpdate"];
            strategy["type"] != "Recreate"
                || limits.is_null()
                || (limits["maxSurge"] == "25%" && limits["maxUnavailable"] == "25%")
        },
    ),
    (
        "!(string(self.maxSurge).matches('^0+%?$') && string(self.maxUnavailable).matches('^0+%?$'))",
        |limits, _| !(is_zero(&limits["maxSurge"]) && is_zero(&limits["maxUnavailable"])),
    ),
    (
        "type(self) == int ? self >= 0 : string(self).matches('^[0-9]+%$')",
        |limit, _| match limit {
            Value::String(text) => percent(text).is_some(),
            number => number.as_i64().is_some_and(|number| number >= 0),
        },
    ),
    (
        "type(self) == int || !string(self).matches('^[0-9]+%$') || string(self).matches('^0*(100|[0-9]{1,2})%$')",
        |limit, _| {
            let percent = limit.as_str().and_then(percent);
            percent.is_none_or(|digits| {
                digits.trim_start_matches('0').parse::<u32>().unwrap_or(0) <= 100
                    && digits.trim_start_matches('0').len() <= 3
            })
        },
    ),
];

fn expressions_hold(spec: &Value) -> bool {
    let labels = &spec["template"]["metadata"]["labels"];
    let list = spec["selector"]["matchExpressions"].as_array();
    list.into_iter().flatten().all(|requirement| {
        let operator = &requirement["operator"];
        let value = requirement["key"].as_str().and_then(|key| labels.get(key));
        let listed = value.is_some_and(|value| {
            !is_one_of(operator, ["In", "NotIn"])
                || requirement["values"]
                    .as_array()
                    .is_some_and(|values| values.contains(value))
        });
        is_one_of(operator, ["In", "Exists"]) == listed
    })
}

fn is_one_of(value: &Value, known: [&str; 2]) -> bool {
    known.iter().any(|known| value == known)
}

fn has_entries(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

/// The digits of a percentage.
fn percent(text: &str) -> Option<&str> {
    let digits = text.strip_suffix('%')?;
    (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
}

fn is_zero(limit: &Value) -> bool {
    let text = match limit {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let digits = text.strip_suffix('%').unwrap_or(&text);
    !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(node: &Value, found: &mut Vec<String>) {
        match node {
            Value::Object(fields) => {
                for rule in node["x-kubernetes-validations"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    found.extend(rule["rule"].as_str().map(str::to_owned));
                }
                fields.values().for_each(|node| texts(node, found));
            }
            Value::Array(list) => list.iter().for_each(|node| texts(node, found)),
            _ => {}
        }
    }

    #[test]
    fn every_rule_of_the_definitions_is_known_and_no_other() {
        let mut wanted = Vec::new();
        for kind in ironkeel_crds::crds().unwrap() {
            texts(&kind.definition, &mut wanted);
        }
        wanted.sort();
        wanted.dedup();
        let mut known: Vec<&str> = KNOWN.iter().map(|(text, _)| *text).collect();
        known.sort_unstable();
        assert_eq!(known, wanted);
    }
}
