//! The parts of a story.

use std::fmt;
use std::time::Duration;

use ironkeel_controller_manager::flags::Mode;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, REPLICA_SETS, Resource,
};
pub use ironkeel_runtime::write::Propagation;
use serde_json::Value;

use crate::kubelet;

/// Which kinds a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Those of `apps/v1`.
    Native,
    /// Those of `apps.ironkeel.dev/v1`.
    Own,
}

impl Kinds {
    /// The manager's mode that drives these kinds and no others.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Native => Mode::Native,
            Self::Own => Mode::Crd,
        }
    }

    /// The collection of Deployments.
    pub const fn deployments(self) -> Resource {
        match self {
            Self::Native => NATIVE_DEPLOYMENTS,
            Self::Own => DEPLOYMENTS,
        }
    }

    /// The collection of ReplicaSets.
    pub const fn replica_sets(self) -> Resource {
        match self {
            Self::Native => NATIVE_REPLICA_SETS,
            Self::Own => REPLICA_SETS,
        }
    }
}

/// One object, by what a person would call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its collection.
    pub resource: Resource,
    /// Its namespace and name; a cluster-scoped object has an empty namespace.
    pub key: Key,
}

impl Target {
    /// The object `name` of the namespace of every story.
    pub fn new(resource: Resource, name: &str) -> Self {
        Self {
            resource,
            key: Key::new(super::NAMESPACE, name),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.resource.kind.to_lowercase();
        write!(f, "{kind} {}", self.key.name)
    }
}

/// Everything that follows from a scenario and a seed, but for the faults.
#[derive(Clone, Debug)]
pub struct Story {
    /// Which kinds the manager drives.
    pub kinds: Kinds,
    /// Replicas of the manager that run at once.
    pub managers: u32,
    /// Objects that are there before the managers start, in order.
    pub setup: Vec<Value>,
    /// What the user does, in order.
    pub steps: Vec<Step>,
    /// How nodes and pods behave.
    pub kubelet: kubelet::Settings,
    /// How long nothing but leases and events must be written before the run counts as settled: longer than any deadline
    /// that a controller may be waiting for.
    pub silence: Duration,
}

/// One act of the user.
#[derive(Clone, Debug)]
pub struct Step {
    /// What has to be true first.
    pub gate: Gate,
    /// How long the user waits after that.
    pub delay: Duration,
    /// What the user does.
    pub deed: Deed,
}

/// What a user waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Nothing but the step before.
    Open,
    /// The workload's status says that its spec is met in full, by the rule of `kubectl rollout status`.
    Complete(Target),
    /// The workload, whose pods carry its name as label `app`, has a live pod, or is complete without one.
    Begun(Target),
    /// So many live pods carry the label `app` with this value.
    Pods(String, usize),
    /// So many of them are ready.
    Ready(String, usize),
    /// The object does not exist.
    Gone(Target),
    /// The object has a condition of this type and reason.
    Condition(Target, &'static str, &'static str),
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("nothing"),
            Self::Complete(target) => write!(f, "{target} to be complete"),
            Self::Begun(target) => write!(f, "{target} to have a pod"),
            Self::Pods(app, count) => write!(f, "{count} pods of app={app}"),
            Self::Ready(app, count) => write!(f, "{count} ready pods of app={app}"),
            Self::Gone(target) => write!(f, "{target} to be gone"),
            Self::Condition(target, kind, reason) => {
                write!(f, "condition {kind}={reason} of {target}")
            }
        }
    }
}

/// What a user does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Creates an object.
    Create(Value),
    /// Changes an object by JSON merge patch.
    Merge(Target, Value),
    /// Sets the size through the scale subresource.
    Scale(Target, i32),
    /// Deletes an object.
    Delete(Target, Propagation),
    /// Deletes a live pod with the label `app`: the one of this number by name, modulo their count.
    DeletePod(String, usize),
    /// Gives such a pod labels, by merge patch.
    Relabel(String, usize, Value),
    /// Changes the newest set of a Deployment by JSON merge patch, behind the Deployment's back.
    MergeOwned(Target, Value),
    /// Deletes an empty old set of a Deployment and makes an object of somebody else under its name.
    Usurp(Target),
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Value, pointer: &str| {
            value
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        match self {
            Self::Create(object) => write!(
                f,
                "create {} {}",
                text(object, "/kind").to_lowercase(),
                text(object, "/metadata/name")
            ),
            Self::Merge(target, patch) => write!(f, "patch {target} {patch}"),
            Self::Scale(target, replicas) => write!(f, "scale {target} to {replicas}"),
            Self::Delete(target, policy) => {
                write!(f, "delete {target} ({})", policy.as_str().to_lowercase())
            }
            Self::DeletePod(app, number) => write!(f, "delete pod {number} of app={app}"),
            Self::Relabel(app, number, labels) => {
                write!(f, "label pod {number} of app={app} {labels}")
            }
            Self::MergeOwned(target, patch) => {
                write!(f, "patch the newest set of {target} {patch}")
            }
            Self::Usurp(target) => write!(f, "take the name of an old set of {target}"),
        }
    }
}

impl Step {
    /// Waits for `gate`, then `delay` milliseconds, then does `deed`.
    pub fn new(gate: Gate, delay: Duration, deed: Deed) -> Self {
        Self { gate, delay, deed }
    }
}
