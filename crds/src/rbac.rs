//! The rights of each identity: the least that its own writes and reads need.
//!
//! One identity watches, each controller writes with its own ServiceAccount. Upstream's
//! `controller_policy.go` (1.37) is the ceiling: where we patch, no `update` is asked for,
//! and where the shared watch serves a read, no `list` or `watch`.
//!
//! The tables become `charts/ironkeel-controllers/files/rbac/*.yaml` by `cargo xtask generate`.
//! What depends on a release's own names (its Lease, the tokens of its ServiceAccounts) is
//! not here: the chart's templates write it.

use serde::Serialize;

use crate::GROUP;

/// One entry of `rules` in a Role or ClusterRole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// API groups; the empty string is the core group.
    pub api_groups: &'static [&'static str],
    /// Plural resource names, with a subresource after a slash.
    pub resources: &'static [&'static str],
    /// Verbs.
    pub verbs: &'static [&'static str],
}

/// Which kinds an identity works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Our kinds, in `apps.ironkeel.dev`.
    Crd,
    /// The built-in kinds: `apps/v1` and core/v1 `ReplicationController`.
    Native,
}

impl Mode {
    /// The part of a file's name that stands for the mode.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crd => "crd",
            Self::Native => "native",
        }
    }
}

/// What one identity may do in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The identity, as the manager's `--controllers` names it; `controller-manager` is the one that watches.
    pub identity: &'static str,
    /// Which kinds it works on.
    pub mode: Mode,
    /// Its rules.
    pub rules: &'static [Rule],
}

/// What a cluster's own role gains for our kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// The cluster's role: `view`, `edit` or `admin`.
    pub role: &'static str,
    /// The rules that it gains.
    pub rules: &'static [Rule],
}

const CORE: &[&str] = &[""];
const OURS: &[&str] = &[GROUP];
const APPS: &[&str] = &["apps"];

const fn rule(
    api_groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
) -> Rule {
    Rule {
        api_groups,
        resources,
        verbs,
    }
}

/// Events are created, and patched when one repeats.
const EVENTS: Rule = rule(CORE, &["events"], &["create", "patch"]);

/// Pods are created (first as a dry run, to check a template), adopted and released by
/// patch, read live before an adoption is believed, and deleted.
const PODS_OF_A_SET: Rule = rule(CORE, &["pods"], &["create", "delete", "get", "patch"]);

/// Rights by identity and mode.
pub const GRANTS: &[Grant] = &[
    Grant {
        identity: "controller-manager",
        mode: Mode::Crd,
        rules: &[
            rule(
                OURS,
                &["deployments", "replicasets"],
                &["get", "list", "watch"],
            ),
            rule(CORE, &["pods"], &["get", "list", "watch"]),
        ],
    },
    Grant {
        identity: "controller-manager",
        mode: Mode::Native,
        rules: &[
            rule(
                APPS,
                &["deployments", "replicasets"],
                &["get", "list", "watch"],
            ),
            rule(
                CORE,
                &["pods", "replicationcontrollers"],
                &["get", "list", "watch"],
            ),
        ],
    },
    Grant {
        identity: "deployment-controller",
        mode: Mode::Crd,
        rules: &[
            // Live read before adoption; the revision annotation and an automatic rollback are patches.
            rule(OURS, &["deployments"], &["get", "patch"]),
            rule(OURS, &["deployments/status"], &["patch"]),
            // A ReplicaSet's ownerReference blocks the owner's deletion, which asks for this right.
            rule(OURS, &["deployments/finalizers"], &["update"]),
            rule(
                OURS,
                &["replicasets"],
                &["create", "delete", "get", "patch"],
            ),
            EVENTS,
        ],
    },
    Grant {
        identity: "deployment-controller",
        mode: Mode::Native,
        rules: &[
            rule(APPS, &["deployments"], &["get", "patch"]),
            rule(APPS, &["deployments/status"], &["patch"]),
            rule(APPS, &["deployments/finalizers"], &["update"]),
            rule(
                APPS,
                &["replicasets"],
                &["create", "delete", "get", "patch"],
            ),
            EVENTS,
        ],
    },
    Grant {
        identity: "replicaset-controller",
        mode: Mode::Crd,
        rules: &[
            rule(OURS, &["replicasets"], &["get"]),
            rule(OURS, &["replicasets/status"], &["patch"]),
            rule(OURS, &["replicasets/finalizers"], &["update"]),
            PODS_OF_A_SET,
            EVENTS,
        ],
    },
    Grant {
        identity: "replicaset-controller",
        mode: Mode::Native,
        rules: &[
            rule(APPS, &["replicasets"], &["get"]),
            rule(APPS, &["replicasets/status"], &["patch"]),
            rule(APPS, &["replicasets/finalizers"], &["update"]),
            PODS_OF_A_SET,
            EVENTS,
        ],
    },
    Grant {
        identity: "replicationcontroller-controller",
        mode: Mode::Native,
        rules: &[
            rule(CORE, &["replicationcontrollers"], &["get"]),
            rule(CORE, &["replicationcontrollers/status"], &["patch"]),
            rule(CORE, &["replicationcontrollers/finalizers"], &["update"]),
            PODS_OF_A_SET,
            EVENTS,
        ],
    },
];

/// Reading our kinds, as upstream's `view` reads `apps`.
const VIEW: Rule = rule(
    OURS,
    &[
        "deployments",
        "deployments/scale",
        "deployments/status",
        "replicasets",
        "replicasets/scale",
        "replicasets/status",
    ],
    &["get", "list", "watch"],
);

/// Writing our kinds, as upstream's `edit` writes `apps`: everything but the status.
const EDIT: Rule = rule(
    OURS,
    &[
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
    ],
    &["create", "delete", "deletecollection", "patch", "update"],
);

/// What the cluster's own roles gain, so that whoever may use `apps` may use our kinds.
///
/// `admin` is no more than `edit`, as it is upstream for workloads.
pub const AGGREGATES: &[Aggregate] = &[
    Aggregate {
        role: "view",
        rules: &[VIEW],
    },
    Aggregate {
        role: "edit",
        rules: &[VIEW, EDIT],
    },
    Aggregate {
        role: "admin",
        rules: &[VIEW, EDIT],
    },
];

#[cfg(test)]
#[path = "rbac_tests.rs"]
mod tests;
