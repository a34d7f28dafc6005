//! The pod template: opaque JSON, typed only where a field is read.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Label that a Deployment puts on its ReplicaSets, their selectors and their pods.
pub const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// A pod template exactly as the user wrote it: fields newer than this code survive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub Arc<Value>);

impl Template {
    /// One label of `metadata.labels`.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get("labels")?.get(key)?.as_str()
    }
}
