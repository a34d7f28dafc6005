//! The label selector and the rules that tie it to the template.
//!
//! Upstream checks a selector in Go; here the schema and CEL do. The API server prices a rule
//! by the largest input that the schema allows, so the selector has limits that upstream lacks:
//! 64 labels, 64 expressions and 64 values each.

#![expect(
    unreachable_pub,
    reason = "KubeSchema copies each struct into a function"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::{Reason, Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Most labels, expressions and values of an expression that a selector may have.
pub const LIMIT: u32 = 64;

/// Longest label value, as upstream's `IsValidLabelValue` has it.
const VALUE_LENGTH: u32 = 63;

/// A label value: empty, or alphanumeric at both ends.
const VALUE_PATTERN: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// Longest label key: a prefix of 253 characters, a slash and a name of 63.
const KEY_LENGTH: u32 = 317;

/// A label key: a name, with a DNS subdomain and a slash before it if wanted.
const KEY_PATTERN: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$";

/// Which pods belong to the object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = not_empty())]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that a pod must have, each with exactly this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "labels")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements; a pod must meet all of them.
    #[schemars(extend("maxItems" = LIMIT))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub match_expressions: Option<Vec<Requirement>>,
}

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = values_needed(), validation = values_forbidden())]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    /// Label key.
    #[schemars(extend("maxLength" = KEY_LENGTH, "pattern" = KEY_PATTERN))]
    pub key: String,
    /// How the label relates to the values.
    pub operator: Operator,
    /// Values for In and NotIn; none for Exists and DoesNotExist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "values")]
    #[x_kube(merge_strategy = kube::core::ListMerge::Atomic)]
    pub values: Option<Vec<String>>,
}

/// How a label relates to the values of a requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": LIMIT,
        "additionalProperties": { "type": "string", "maxLength": VALUE_LENGTH, "pattern": VALUE_PATTERN },
    })
}

fn values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": LIMIT,
        "items": { "type": "string", "maxLength": VALUE_LENGTH, "pattern": VALUE_PATTERN },
    })
}

fn not_empty() -> Rule {
    Rule::new(
        "(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)",
    )
    .message("an empty selector would select every pod: set matchLabels or matchExpressions")
}

fn values_needed() -> Rule {
    Rule::new("!(self.operator in ['In', 'NotIn']) || (has(self.values) && size(self.values) > 0)")
        .field_path(".values")
        .reason(Reason::FieldValueRequired)
        .message("must be specified when `operator` is 'In' or 'NotIn'")
}

fn values_forbidden() -> Rule {
    Rule::new("!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0")
        .field_path(".values")
        .reason(Reason::FieldValueForbidden)
        .message("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
}

/// The selector never changes: the object's pods would be lost, and others taken.
pub(crate) fn immutable() -> Rule {
    Rule::new("self == oldSelf").message("field is immutable")
}

/// Every label that the selector asks for is in the template.
pub(crate) fn labels_match_template() -> Rule {
    Rule::new(
        "!has(self.selector.matchLabels) || self.selector.matchLabels.all(key, has(self.template.metadata) \
         && has(self.template.metadata.labels) && key in self.template.metadata.labels \
         && self.template.metadata.labels[key] == self.selector.matchLabels[key])",
    )
    .field_path(".template.metadata.labels")
    .message("`selector` does not match template `labels`: not every one of spec.selector.matchLabels is among them")
}

/// Every expression of the selector holds for the template's labels.
pub(crate) fn expressions_match_template() -> Rule {
    Rule::new(
        "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(e, \
         (e.operator in ['In', 'Exists']) == (has(self.template.metadata) && has(self.template.metadata.labels) \
         && e.key in self.template.metadata.labels \
         && (!(e.operator in ['In', 'NotIn']) || (has(e.values) && self.template.metadata.labels[e.key] in e.values))))",
    )
    .field_path(".template.metadata.labels")
    .message("`selector` does not match template `labels`: not every one of spec.selector.matchExpressions holds for them")
}
