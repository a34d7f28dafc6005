//! `Deployment` of `apps.ironkeel.dev/v1`.

#![allow(
    clippy::duplicated_attributes,
    reason = "columns of one type are not one column"
)]
#![expect(
    unreachable_pub,
    reason = "KubeSchema copies each struct into a function"
)]

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Message, Reason, Rule};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::condition::DeploymentCondition;
use crate::selector::{self, LabelSelector};
use crate::template::{self, PodTemplate};

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.ironkeel.dev",
    version = "v1",
    kind = "Deployment",
    doc = "Deployment keeps a number of equal pods running and replaces them step by step when their template changes.",
    namespaced,
    plural = "deployments",
    shortname = "ikdeploy",
    category = "all",
    status = "DeploymentStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas", description = "Pods that are ready"),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas", description = "Wanted pods"),
    printcolumn(name = "Up-to-date", type_ = "integer", json_path = ".status.updatedReplicas", description = "Pods of the newest template"),
    printcolumn(name = "Available", type_ = "integer", json_path = ".status.availableReplicas", description = "Pods that are available"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Containers", type_ = "string", json_path = ".spec.template.spec.containers[*].name", priority = 1, description = "Name of the first container"),
    printcolumn(name = "Images", type_ = "string", json_path = ".spec.template.spec.containers[*].image", priority = 1, description = "Image of the first container"),
    printcolumn(name = "Selector", type_ = "string", json_path = ".status.selector", priority = 1, description = "Which pods belong to the Deployment"),
    validation = name_leaves_room(),
)]
#[x_kube(
    validation = selector::labels_match_template(),
    validation = selector::expressions_match_template(),
    validation = template::no_active_deadline("Deployment"),
    validation = deadline_after_min_ready(),
    validation = rollback_needs_a_deadline(),
)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSpec {
    /// Wanted pods.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Which pods belong to the Deployment. The template's labels must match it. It cannot be changed.
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic, validation = selector::immutable())]
    pub selector: LabelSelector,
    /// What a new pod looks like. A change starts a rollout.
    pub template: PodTemplate,
    /// How old pods are replaced by new ones.
    #[serde(default)]
    pub strategy: DeploymentStrategy,
    /// Seconds that a new pod must be ready, with no container crashing, before it counts as available.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub min_ready_seconds: i32,
    /// Old ReplicaSets that are kept for a rollback.
    #[serde(default = "ten")]
    #[schemars(range(min = 0))]
    pub revision_history_limit: i32,
    /// Holds template changes back until it is false again.
    #[serde(default)]
    pub paused: bool,
    /// Seconds without progress after which a rollout counts as failed. 2147483647 means that there is no deadline.
    #[serde(default = "ten_minutes")]
    #[schemars(range(min = 0))]
    pub progress_deadline_seconds: i32,
    /// When the pod that replaces another one may start.
    pub pod_replacement_policy: Option<PodReplacementPolicy>,
    /// When to return to an earlier revision without being asked. apps/v1 has no such field.
    pub rollback: Option<RollbackPolicy>,
}

/// How old pods are replaced by new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = recreate_has_no_limits())]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStrategy {
    /// RollingUpdate replaces pods step by step; Recreate ends all old pods before it starts new ones.
    #[serde(rename = "type", default)]
    pub kind: StrategyType,
    /// Limits of a rolling update. Not for Recreate.
    pub rolling_update: Option<RollingUpdate>,
}

impl Default for DeploymentStrategy {
    fn default() -> Self {
        Self {
            kind: StrategyType::default(),
            rolling_update: Some(RollingUpdate::default()),
        }
    }
}

/// Name of a strategy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StrategyType {
    /// Old pods end before new ones start.
    Recreate,
    /// Pods are replaced step by step.
    #[default]
    RollingUpdate,
}

/// Limits of a rolling update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = not_both_zero())]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// Pods that may be unavailable during the update: a number, or a percentage of replicas, rounded down.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "count_or_percentage")]
    #[x_kube(validation = count_or_percent(), validation = at_most_all())]
    pub max_unavailable: IntOrString,
    /// Pods that may exist beyond replicas: a number, or a percentage of replicas, rounded up.
    #[serde(default = "quarter")]
    #[schemars(schema_with = "count_or_percentage")]
    #[x_kube(validation = count_or_percent())]
    pub max_surge: IntOrString,
}

impl Default for RollingUpdate {
    fn default() -> Self {
        Self {
            max_unavailable: quarter(),
            max_surge: quarter(),
        }
    }
}

/// Whether a new pod may start while the one it replaces still terminates (TerminationStarted, the default)
/// or only when that one is gone (TerminationComplete). Shape of KEP-5882; apps/v1 has no such field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodReplacementPolicy {
    /// As soon as the old pod terminates.
    TerminationStarted,
    /// When the old pod is gone.
    TerminationComplete,
}

/// When to return to an earlier revision without being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackPolicy {
    /// Returns to the last complete revision when the progress deadline passes.
    /// A revision that is itself a rollback stays.
    #[serde(default)]
    pub on_progress_deadline: bool,
}

/// What the controller saw last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentStatus {
    /// Generation of the spec that this status describes.
    pub observed_generation: Option<i64>,
    /// Pods of all ReplicaSets that are neither terminating nor finished.
    pub replicas: Option<i32>,
    /// Of these, pods of the newest template.
    pub updated_replicas: Option<i32>,
    /// Of all pods, those that are ready.
    pub ready_replicas: Option<i32>,
    /// Of all pods, those that are available.
    pub available_replicas: Option<i32>,
    /// Pods that are missing or not available yet.
    pub unavailable_replicas: Option<i32>,
    /// Pods that are terminating; absent unless every ReplicaSet reports them.
    pub terminating_replicas: Option<i32>,
    /// How often the name of a new ReplicaSet was taken.
    pub collision_count: Option<i32>,
    /// Upstream's conditions, and beside them Ready, Reconciling and Stalled as kstatus reads them.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<DeploymentCondition>>,
    /// The selector as text, for autoscalers and the scale subresource.
    pub selector: Option<String>,
}

const fn one() -> i32 {
    1
}

const fn ten() -> i32 {
    10
}

const fn ten_minutes() -> i32 {
    600
}

fn quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

fn count_or_percentage(_: &mut SchemaGenerator) -> Schema {
    // The length keeps the price of the rules below small; 2147483647 has ten digits.
    json_schema!({ "x-kubernetes-int-or-string": true, "maxLength": 11 })
}

/// A ReplicaSet is named after the Deployment, with a dash and a hash of at most ten digits.
fn name_leaves_room() -> Rule {
    Rule::new("size(self.metadata.name) <= 242").message(
        "metadata.name may have 242 characters: the names of its ReplicaSets add 11, and a name ends at 253",
    )
}

fn count_or_percent() -> Rule {
    Rule::new("type(self) == int ? self >= 0 : string(self).matches('^[0-9]+%$')").message(
        Message::Expression(
            "string(self) + ' is neither a whole number from 0 nor a percentage such as 25%'"
                .to_owned(),
        ),
    )
}

fn at_most_all() -> Rule {
    Rule::new("type(self) == int || !string(self).matches('^[0-9]+%$') || string(self).matches('^0*(100|[0-9]{1,2})%$')")
        .message(Message::Expression("string(self) + ' must not be greater than 100%'".to_owned()))
}

fn not_both_zero() -> Rule {
    Rule::new("!(string(self.maxSurge).matches('^0+%?$') && string(self.maxUnavailable).matches('^0+%?$'))")
        .field_path(".maxUnavailable")
        .message("may not be 0 when `maxSurge` is 0")
}

/// What the API server itself put there as a default is let through: whoever changes the
/// type in a manifest that never named the limits could not remove them otherwise.
fn recreate_has_no_limits() -> Rule {
    Rule::new(
        "self.type != 'Recreate' || !has(self.rollingUpdate) \
         || (self.rollingUpdate.maxSurge == '25%' && self.rollingUpdate.maxUnavailable == '25%')",
    )
    .field_path(".rollingUpdate")
    .reason(Reason::FieldValueForbidden)
    .message("may not be specified when strategy `type` is 'Recreate'")
}

fn deadline_after_min_ready() -> Rule {
    Rule::new("self.progressDeadlineSeconds > self.minReadySeconds")
        .field_path(".progressDeadlineSeconds")
        .message("must be greater than minReadySeconds")
}

fn rollback_needs_a_deadline() -> Rule {
    Rule::new(
        "!has(self.rollback) || !self.rollback.onProgressDeadline || self.progressDeadlineSeconds != 2147483647",
    )
    .field_path(".rollback.onProgressDeadline")
    .message("needs a progress deadline, and progressDeadlineSeconds 2147483647 means none")
}
