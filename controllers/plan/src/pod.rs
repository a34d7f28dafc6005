//! A pod as the stores cache it: only what the controllers read.

mod intern;
mod proto;
mod wire;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::meta::Stored;

pub use intern::Interner;
pub use proto::ProtobufError;
pub use wire::PodSeed;

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Accepted, not every container has started.
    #[default]
    Pending,
    /// Bound to a node, at least one container runs.
    Running,
    /// Every container ended with success.
    Succeeded,
    /// Every container ended, at least one with failure.
    Failed,
    /// The node could not be asked.
    Unknown,
}

/// The managing controller of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerRef {
    /// UID of the controller.
    pub uid: Arc<str>,
    /// Its kind, for example `ReplicaSet`.
    pub kind: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its group and version.
    pub api_version: Arc<str>,
}

/// The slim view of a pod. Strings that repeat over many pods are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: Box<str>,
    /// Namespace.
    pub namespace: Arc<str>,
    /// UID.
    pub uid: Box<str>,
    /// Version of the stored object.
    pub resource_version: u64,
    /// When the pod was created.
    pub created: Option<Timestamp>,
    /// When the pod is to be gone; set means that it is terminating.
    pub deleting: Option<Timestamp>,
    /// Labels, sorted by key; a set that many pods share is stored once.
    pub labels: Arc<[(Arc<str>, Arc<str>)]>,
    /// The managing controller.
    pub controller: Option<ControllerRef>,
    /// Node that the pod is bound to.
    pub node: Option<Arc<str>>,
    /// Phase.
    pub phase: Phase,
    /// Whether the condition `Ready` is `True`.
    pub ready: bool,
    /// `lastTransitionTime` of the condition `Ready`.
    pub ready_since: Option<Timestamp>,
    /// The highest restart count of the regular containers.
    pub restarts: i32,
    /// The highest restart count of the sidecars: init containers that restart always.
    pub sidecar_restarts: i32,
    /// `controller.kubernetes.io/pod-deletion-cost`; absent or malformed is 0.
    pub deletion_cost: i32,
}

impl Pod {
    /// Whether nothing differs but the version: what changed is nothing that a controller looks at.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let same_version = Self {
            resource_version: self.resource_version,
            ..other.clone()
        };
        *self == same_version
    }

    /// Whether every container ended for good: phase Succeeded or Failed.
    pub fn is_terminal(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether the pod counts as a replica: neither terminal nor being deleted (upstream's
    /// `IsPodActive`).
    pub fn is_active(&self) -> bool {
        !self.is_terminal() && self.deleting.is_none()
    }

    /// Whether the pod is being deleted and still has containers to stop (upstream's
    /// `IsPodTerminating`).
    pub fn is_terminating(&self) -> bool {
        !self.is_terminal() && self.deleting.is_some()
    }

    /// When the pod is or was available if it stays ready: it must have been ready for
    /// `min_ready_seconds`.
    ///
    /// `None`: never by the clock alone, because it is not ready, or nobody knows since when.
    /// With `min_ready_seconds` 0 a ready pod has always been available.
    pub fn available_at(&self, min_ready_seconds: i32) -> Option<Timestamp> {
        if !self.ready {
            return None;
        }
        if min_ready_seconds == 0 {
            return Some(Timestamp::MIN);
        }
        let wait = SignedDuration::from_secs(min_ready_seconds.into());
        // Saturating: a time beyond year 9999 is never reached.
        self.ready_since?.saturating_add(wait).ok()
    }

    /// Whether the pod counts as available at `now` (upstream's `IsPodAvailable`).
    pub fn is_available(&self, min_ready_seconds: i32, now: Timestamp) -> bool {
        self.available_at(min_ready_seconds)
            .is_some_and(|at| at <= now)
    }

    /// The value of one label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels
            .binary_search_by(|(known, _)| (**known).cmp(key))
            .ok()
            .map(|at| &*self.labels[at].1)
    }
}

impl Stored for Pod {
    fn namespace(&self) -> &str {
        &self.namespace
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn uid(&self) -> &str {
        &self.uid
    }
    fn resource_version(&self) -> u64 {
        self.resource_version
    }
    fn controller_uid(&self) -> Option<&str> {
        self.controller.as_ref().map(|owner| &*owner.uid)
    }
    fn has_deletion_timestamp(&self) -> bool {
        self.deleting.is_some()
    }
    fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }
}

#[cfg(test)]
mod tests;
