//! Label selectors with the semantics of apimachinery's `LabelSelectorAsSelector`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// A label selector: every part must hold. Empty selects everything.
///
/// Reads both shapes that the API has: `matchLabels` with `matchExpressions`, and the plain
/// map of labels that a ReplicationController or a Service has. They cannot be mistaken for
/// each other, because values of a plain map are strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that must be present with exactly this value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Label key.
    pub key: String,
    /// How the key's value relates to `values`.
    pub operator: Operator,
    /// Values for `In` and `NotIn`; empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Relation of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// The value is one of those listed.
    In,
    /// The key is absent or its value is none of those listed.
    NotIn,
    /// The key is present.
    Exists,
    /// The key is absent.
    DoesNotExist,
}

/// A requirement that can mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidRequirement {
    /// `In` or `NotIn` without values.
    #[error("matchExpressions: {key}: operator {operator:?} needs at least one value")]
    NoValues {
        /// Label key of the requirement.
        key: String,
        /// Its operator.
        operator: Operator,
    },
    /// `Exists` or `DoesNotExist` with values.
    #[error("matchExpressions: {key}: operator {operator:?} takes no values")]
    Values {
        /// Label key of the requirement.
        key: String,
        /// Its operator.
        operator: Operator,
    },
}

impl<'de> Deserialize<'de> for LabelSelector {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        /// One entry of either shape.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Entry {
            Label(String),
            Labels(BTreeMap<String, String>),
            Requirements(Vec<Requirement>),
            Absent(()),
        }
        let entries = Option::<BTreeMap<String, Entry>>::deserialize(input)?.unwrap_or_default();
        let mut selector = Self::default();
        for (key, entry) in entries {
            match (key.as_str(), entry) {
                (_, Entry::Label(value)) => {
                    selector.match_labels.insert(key, value);
                }
                ("matchLabels", Entry::Labels(labels)) => selector.match_labels.extend(labels),
                ("matchExpressions", Entry::Requirements(list)) => {
                    selector.match_expressions = list;
                }
                (_, Entry::Absent(())) => {}
                (key, Entry::Labels(_) | Entry::Requirements(_)) => {
                    return Err(serde::de::Error::custom(format!(
                        "selector: {key:?} is neither a label, matchLabels nor matchExpressions"
                    )));
                }
            }
        }
        Ok(selector)
    }
}

impl LabelSelector {
    /// Checks what apimachinery refuses to turn into a selector.
    pub fn check(&self) -> Result<(), InvalidRequirement> {
        for Requirement {
            key,
            operator,
            values,
        } in &self.match_expressions
        {
            let (key, operator) = (key.clone(), *operator);
            match operator {
                Operator::In | Operator::NotIn if values.is_empty() => {
                    return Err(InvalidRequirement::NoValues { key, operator });
                }
                Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
                    return Err(InvalidRequirement::Values { key, operator });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether nothing is required, so that every object would match.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether the labels, read through `value_of`, satisfy every requirement.
    pub fn matches<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| value_of(key) == Some(value.as_str()))
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(&value_of))
    }

    /// Whether the labels in `labels` satisfy every requirement.
    pub fn matches_map(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches(|key| labels.get(key).map(String::as_str))
    }
}

impl Requirement {
    fn matches<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        let value = value_of(&self.key);
        let listed = |value: &str| self.values.iter().any(|known| known == value);
        match self.operator {
            Operator::In => value.is_some_and(listed),
            Operator::NotIn => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// The selector in the syntax of `kubectl -l` and of `status.selector`, sorted by key.
impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts: Vec<(&str, String)> = self
            .match_labels
            .iter()
            .map(|(key, value)| (key.as_str(), format!("{key}={value}")))
            .collect();
        for requirement in &self.match_expressions {
            let key = &requirement.key;
            let mut values = requirement.values.clone();
            values.sort();
            let values = values.join(",");
            let text = match requirement.operator {
                Operator::In => format!("{key} in ({values})"),
                Operator::NotIn => format!("{key} notin ({values})"),
                Operator::Exists => key.clone(),
                Operator::DoesNotExist => format!("!{key}"),
            };
            parts.push((key.as_str(), text));
        }
        parts.sort_by(|a, b| a.0.cmp(b.0));
        let texts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
        f.write_str(&texts.join(","))
    }
}

#[cfg(test)]
mod tests;
