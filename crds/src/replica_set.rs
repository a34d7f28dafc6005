//! `ReplicaSet` of `apps.ironkeel.dev/v1`.

#![allow(
    clippy::duplicated_attributes,
    reason = "columns of one type are not one column"
)]
#![expect(
    unreachable_pub,
    reason = "KubeSchema copies each struct into a function"
)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::selector::{self, LabelSelector};
use crate::template::{self, PodTemplate};

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.ironkeel.dev",
    version = "v1",
    kind = "ReplicaSet",
    doc = "ReplicaSet keeps a number of pods running. It is used by Deployments; most users create those instead.",
    namespaced,
    plural = "replicasets",
    shortname = "ikrs",
    category = "all",
    status = "ReplicaSetStatus",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.replicas",
        description = "Wanted pods"
    ),
    printcolumn(
        name = "Current",
        type_ = "integer",
        json_path = ".status.replicas",
        description = "Pods that exist and are not terminating"
    ),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.readyReplicas",
        description = "Pods that are ready"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Containers",
        type_ = "string",
        json_path = ".spec.template.spec.containers[*].name",
        priority = 1,
        description = "Name of the first container"
    ),
    printcolumn(
        name = "Images",
        type_ = "string",
        json_path = ".spec.template.spec.containers[*].image",
        priority = 1,
        description = "Image of the first container"
    ),
    printcolumn(
        name = "Selector",
        type_ = "string",
        json_path = ".status.selector",
        priority = 1,
        description = "Which pods belong to the ReplicaSet"
    )
)]
#[x_kube(
    validation = selector::labels_match_template(),
    validation = selector::expressions_match_template(),
    validation = template::no_active_deadline("ReplicaSet"),
)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSetSpec {
    /// Wanted pods.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub replicas: i32,
    /// Seconds that a new pod must be ready, with no container crashing, before it counts as available.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub min_ready_seconds: i32,
    /// Which pods belong to the ReplicaSet. The template's labels must match it. It cannot be changed.
    #[x_kube(merge_strategy = kube::core::MapMerge::Atomic, validation = selector::immutable())]
    pub selector: LabelSelector,
    /// What a new pod looks like. Pods that exist stay as they are when it changes.
    pub template: PodTemplate,
}

/// What the controller saw last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaSetStatus {
    /// Pods that are neither terminating nor finished.
    pub replicas: Option<i32>,
    /// Of these, pods that have every label of the template.
    pub fully_labeled_replicas: Option<i32>,
    /// Of these, pods that are ready.
    pub ready_replicas: Option<i32>,
    /// Of these, pods that are available.
    pub available_replicas: Option<i32>,
    /// Pods that are terminating.
    pub terminating_replicas: Option<i32>,
    /// Generation of the spec that this status describes.
    pub observed_generation: Option<i64>,
    /// Upstream's conditions, and beside them Ready, Reconciling and Stalled as kstatus reads them.
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
    /// The selector as text, for autoscalers and the scale subresource.
    pub selector: Option<String>,
}

const fn one() -> i32 {
    1
}
