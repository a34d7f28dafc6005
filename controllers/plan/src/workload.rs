//! Deployment and ReplicaSet as the planners read and write them.
//!
//! The same types serve the built-in kinds and ours: nothing here knows the API group.
//! A ReplicationController is read as a ReplicaSet whose selector is a plain map.

use std::sync::Arc;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::meta::{Meta, Stored};
use crate::selector::LabelSelector;
use crate::template::Template;

/// An object with metadata, spec and status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Workload<Spec, Status> {
    /// Metadata.
    pub metadata: Meta,
    /// What the user wants.
    pub spec: Spec,
    /// What the controller saw last.
    pub status: Status,
}

impl<Spec: Send + Sync + 'static, Status: Send + Sync + 'static> Stored for Workload<Spec, Status> {
    fn namespace(&self) -> &str {
        &self.metadata.namespace
    }
    fn name(&self) -> &str {
        &self.metadata.name
    }
    fn uid(&self) -> &str {
        &self.metadata.uid
    }
    fn resource_version(&self) -> u64 {
        self.metadata.resource_version
    }
    fn controller_uid(&self) -> Option<&str> {
        self.metadata.controller().map(|owner| owner.uid.as_str())
    }
    fn has_deletion_timestamp(&self) -> bool {
        self.metadata.is_deleting()
    }
}

/// `Deployment` of `apps/v1` or `apps.ironkeel.dev/v1`.
pub type Deployment = Workload<DeploymentSpec, DeploymentStatus>;
/// `ReplicaSet` of `apps/v1` or `apps.ironkeel.dev/v1`, or a core/v1 `ReplicationController`.
pub type ReplicaSet = Workload<ReplicaSetSpec, ReplicaSetStatus>;

/// An absolute number or a percentage, as in `maxSurge: 25%`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// An absolute number.
    Int(i32),
    /// A percentage such as `25%`.
    String(String),
}

/// `spec` of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReplicaSetSpec {
    /// Wanted pods; absent means 1.
    pub replicas: Option<i32>,
    /// Seconds that a pod must be ready before it counts as available.
    pub min_ready_seconds: i32,
    /// Which pods belong to the set.
    pub selector: LabelSelector,
    /// What a new pod looks like.
    pub template: Template,
}

/// `status` of a ReplicaSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default)]
pub struct ReplicaSetStatus {
    /// The whole status as it was served.
    #[serde(skip)]
    pub served: Served,
    /// Pods that are not terminating and not finished.
    pub replicas: i32,
    /// Of these, pods with every label of the template.
    pub fully_labeled_replicas: i32,
    /// Of these, pods that are ready.
    pub ready_replicas: i32,
    /// Of these, pods that are available.
    pub available_replicas: i32,
    /// Pods that are terminating (KEP-3973); never set for a ReplicationController.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating_replicas: Option<i32>,
    /// Generation that this status describes.
    pub observed_generation: i64,
    /// Conditions, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The selector as text, for the scale subresource of our own kinds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// What an API server served, beside the fields that are read of it: a write can rest on exactly this.
///
/// Two are always equal, so that whoever compares what was read compares nothing else.
#[derive(Clone, Debug, Default)]
pub struct Served(pub Option<Arc<Value>>);

impl PartialEq for Served {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Served {}

impl<'de> Deserialize<'de> for ReplicaSetStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let served = Value::deserialize(deserializer)?;
        let mut status = Self::deserialize(&served).map_err(D::Error::custom)?;
        status.served = Served(Some(Arc::new(served)));
        Ok(status)
    }
}

impl Serialize for ReplicaSetStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// `spec` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentSpec {
    /// Wanted pods; absent means 1.
    pub replicas: Option<i32>,
    /// Which pods belong to the Deployment.
    pub selector: LabelSelector,
    /// What a new pod looks like.
    pub template: Template,
    /// How pods are replaced.
    pub strategy: DeploymentStrategy,
    /// Seconds that a pod must be ready before it counts as available.
    pub min_ready_seconds: i32,
    /// Old ReplicaSets kept for a rollback; absent means 10.
    pub revision_history_limit: Option<i32>,
    /// Whether template changes are held back.
    pub paused: bool,
    /// Seconds without progress after which a rollout counts as failed; absent means 600.
    pub progress_deadline_seconds: Option<i32>,
    /// When a replacement may be created (shape of KEP-5882); only our own kind has it.
    pub pod_replacement_policy: Option<PodReplacementPolicy>,
    /// Automatic rollback; only our own kind has it.
    pub rollback: Option<RollbackPolicy>,
}

/// `spec.strategy` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStrategy {
    /// `RollingUpdate` or `Recreate`; absent means `RollingUpdate`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Limits of a rolling update.
    pub rolling_update: Option<RollingUpdate>,
}

/// `spec.strategy.rollingUpdate` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollingUpdate {
    /// How many pods may be unavailable; absent means 25 %, rounded down.
    pub max_unavailable: Option<IntOrString>,
    /// How many pods may exist beyond the wanted number; absent means 25 %, rounded up.
    pub max_surge: Option<IntOrString>,
}

/// `spec.podReplacementPolicy` (KEP-5882).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodReplacementPolicy {
    /// A replacement may be created as soon as a pod terminates.
    TerminationStarted,
    /// A replacement waits until the terminating pod is gone.
    TerminationComplete,
}

/// `spec.rollback`: what to do when the progress deadline passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackPolicy {
    /// Whether a rollout that misses its deadline returns to the last complete revision.
    pub on_progress_deadline: bool,
}

/// `status` of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeploymentStatus {
    /// Generation that this status describes.
    pub observed_generation: i64,
    /// Pods of all ReplicaSets that are not terminating.
    pub replicas: i32,
    /// Of these, pods of the newest template.
    pub updated_replicas: i32,
    /// Of all pods, those that are ready.
    pub ready_replicas: i32,
    /// Of all pods, those that are available.
    pub available_replicas: i32,
    /// Pods still missing for the wanted number of available ones.
    pub unavailable_replicas: i32,
    /// Terminating pods; absent unless every ReplicaSet reports them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminating_replicas: Option<i32>,
    /// How often a ReplicaSet's name was taken by another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collision_count: Option<i32>,
    /// Conditions, by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The selector as text, for the scale subresource of our own kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
}

/// One entry of `status.conditions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Type, for example `Available`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When the condition was last written; only Deployments have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Timestamp>,
    /// When `status` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
    /// Machine-readable reason.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Text for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What a kind's own API adds to upstream's; planners read this instead of the API group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question about an API of its own; no state hides in them"
)]
pub struct Extras {
    /// Write `status.selector`, which the scale subresource of a custom kind needs.
    pub status_selector: bool,
    /// Write the kstatus conditions `Reconciling`, `Stalled` and `Ready` beside upstream's.
    pub kstatus: bool,
    /// Report `terminatingReplicas` (every kind but ReplicationController).
    pub terminating_replicas: bool,
    /// Honour `podReplacementPolicy` and `rollback`.
    pub rollout_extensions: bool,
    /// A write of the status subresource may also change `metadata.annotations`, as it does for
    /// the built-in Deployment. A custom resource ignores metadata there, so that the revision
    /// needs a write of its own.
    pub annotations_with_status: bool,
    /// Take `managedFields` off the ReplicaSets of a Deployment with the first change to one. A
    /// third of what the API server does for a small write of a custom resource goes into them.
    pub drops_managed_fields: bool,
}
