//! Entries of `status.conditions`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A condition of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds: True, False or Unknown.
    pub status: String,
    /// When the status last changed.
    pub last_transition_time: Option<Time>,
    /// Why the condition has this status, in one word.
    pub reason: Option<String>,
    /// Text for people.
    pub message: Option<String>,
}

/// A condition of a Deployment, which upstream stamps at each write as well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentCondition {
    /// Type of the condition.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds: True, False or Unknown.
    pub status: String,
    /// When the condition was last written; the progress deadline counts from here.
    pub last_update_time: Option<Time>,
    /// When the status last changed.
    pub last_transition_time: Option<Time>,
    /// Why the condition has this status, in one word.
    pub reason: Option<String>,
    /// Text for people.
    pub message: Option<String>,
}
