//! Adoption and release: which objects belong to an owner.
//!
//! The rule of upstream's `BaseControllerRefManager.ClaimObject` (1.37), for the pods of a
//! ReplicaSet and for the ReplicaSets of a Deployment alike.

use crate::meta::Stored;
use crate::pod::Pod;
use crate::selector::LabelSelector;
use crate::workload::Workload;

/// The owner that claims objects.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// UID; owners are told apart by this and never by name.
    pub uid: &'a str,
    /// Namespace; objects elsewhere are never adopted.
    pub namespace: &'a str,
    /// Whether the owner is being deleted: then nothing is adopted or released.
    pub deleting: bool,
    /// Which objects the owner wants.
    pub selector: &'a LabelSelector,
}

impl<'a> Owner<'a> {
    /// `workload` as an owner that selects by `selector`.
    pub fn of<Spec, Status>(
        workload: &'a Workload<Spec, Status>,
        selector: &'a LabelSelector,
    ) -> Self {
        Self {
            uid: &workload.metadata.uid,
            namespace: &workload.metadata.namespace,
            deleting: workload.metadata.is_deleting(),
            selector,
        }
    }
}

/// An object that a selector can match.
pub trait Claimable: Stored {
    /// The value of one label.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Claimable for Pod {
    fn label(&self, key: &str) -> Option<&str> {
        Pod::label(self, key)
    }
}

impl<Spec, Status> Claimable for Workload<Spec, Status>
where
    Workload<Spec, Status>: Stored,
{
    fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.get(key).map(String::as_str)
    }
}

/// What an owner does about one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the owner's and matches: keep it.
    Keep,
    /// It is nobody's and matches: set the owner's controllerRef. The shell re-reads the
    /// owner live before the first adoption of a sync.
    Adopt,
    /// It is the owner's and no longer matches: remove the owner's controllerRef.
    Release,
    /// It is none of the owner's business: someone else's, not matching, terminating,
    /// in another namespace, or the owner is being deleted.
    Ignore,
}

/// Decides what `owner` does about `object`.
pub fn claim(owner: &Owner<'_>, object: &impl Claimable) -> Claim {
    claim_if(owner, object, || {
        owner.selector.matches(|key| object.label(key))
    })
}

/// The same, where the caller knows whether the owner's selector matches the object.
pub fn claim_if(owner: &Owner<'_>, object: &impl Stored, matches: impl FnOnce() -> bool) -> Claim {
    let is_own = match object.controller_uid() {
        Some(uid) if uid != owner.uid => return Claim::Ignore,
        known => known.is_some(),
    };
    let may_adopt = !owner.deleting
        && !object.has_deletion_timestamp()
        && object.namespace() == owner.namespace;
    match (is_own, matches()) {
        (true, true) => Claim::Keep,
        (true, false) if !owner.deleting => Claim::Release,
        (false, true) if may_adopt => Claim::Adopt,
        _ => Claim::Ignore,
    }
}

#[cfg(test)]
mod tests;
