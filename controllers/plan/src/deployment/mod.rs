//! Decisions of the Deployment controller, at the semantics of Kubernetes 1.37.
//!
//! [`plan`] says what to write to ReplicaSets and to the Deployment itself, [`status`] what the
//! status is after the plan ran. Both read the same [`Observed`], which must hold every write
//! that this controller made before (the shell's own-write barrier sees to it).
//!
//! | file | step |
//! |---|---|
//! | `course` | which step the Deployment is at; puts the answers of the others in order |
//! | `spec` | what the spec asks for, and which spec cannot be acted on |
//! | `sets` | new and old ReplicaSets, claims, counts over them |
//! | `create` | the new ReplicaSet: name, labels, annotations |
//! | `rolling`, `recreate`, `scale` | how large each ReplicaSet should be |
//! | `changes` | one write for each ReplicaSet, whatever changes in it |
//! | `history` | revisions, annotations, cleanup of old ReplicaSets |
//! | `rollback` | the legacy rollback annotation and automatic rollback |
//! | `status` | counts and conditions |
//! | `progress` | the condition `Progressing` and its deadline |
//! | `kstatus` | `Ready`, `Reconciling` and `Stalled` |

mod changes;
mod course;
mod create;
mod history;
mod kstatus;
mod progress;
mod recreate;
mod rollback;
mod rolling;
mod scale;
mod sets;
mod spec;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::meta::Key;
use crate::plan::{Event, Plan};
use crate::pod::Pod;
use crate::selector::LabelSelector;
use crate::template::Template;
use crate::workload::{Deployment, DeploymentStatus, Extras, ReplicaSet};

/// What the planner sees of one Deployment. The order of the slices does not matter.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The Deployment itself.
    pub deployment: &'a Deployment,
    /// ReplicaSets that it controls (by UID), and ReplicaSets of its namespace that nobody
    /// controls and that match its selector.
    pub sets: &'a [Arc<ReplicaSet>],
    /// All pods that those ReplicaSets control, finished and terminating ones included.
    pub pods: &'a [Arc<Pod>],
    /// Other Deployments of the namespace whose selector also matches this one's template.
    /// With any there, no ReplicaSet is adopted, since it may belong to either; nothing else
    /// changes. A caller that does not look for them passes nothing.
    pub overlapping: &'a [Key],
    /// What the kind's own API adds to upstream's.
    pub extras: Extras,
    /// The current time.
    pub now: Timestamp,
}

/// A ReplicaSet as a write must find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetRef {
    /// Name, in the Deployment's namespace.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Version that the decision is based on; the condition of a delete.
    pub resource_version: u64,
    /// Generation, which counts the changes of the spec; the condition of a patch.
    pub generation: i64,
}

impl SetRef {
    /// The reference to `set` as it was observed.
    pub fn of(set: &ReplicaSet) -> Self {
        Self {
            name: set.metadata.name.clone(),
            uid: set.metadata.uid.clone(),
            resource_version: set.metadata.resource_version,
            generation: set.metadata.generation,
        }
    }
}

/// A change of a ReplicaSet's size, as events tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// Name of the ReplicaSet.
    pub set: String,
    /// Its size before.
    pub from: i32,
    /// Its size now.
    pub to: i32,
}

impl Scaling {
    /// The event, in upstream's words.
    pub fn event(&self) -> Event {
        let Self { set, from, to } = self;
        let direction = if from < to { "up" } else { "down" };
        Event::normal(
            "ScalingReplicaSet",
            format!("Scaled {direction} replica set {set} from {from} to {to}"),
        )
    }

    /// This and `next` as one, if `next` goes on where this ended, in the same direction.
    pub fn followed_by(&self, next: &Self) -> Option<Self> {
        let goes_on = self.set == next.set
            && self.to == next.from
            && (self.from < self.to) == (next.from < next.to);
        goes_on.then(|| Self {
            from: self.from,
            ..next.clone()
        })
    }
}

/// A ReplicaSet to create. The executor adds `apiVersion`, `kind`, the namespace and the
/// Deployment as controlling owner (`controller` and `blockOwnerDeletion` both true).
#[derive(Clone, Debug, PartialEq)]
pub struct NewSet {
    /// `metadata.name`: always the same for the same template and collision count, so that a
    /// repeated create meets AlreadyExists instead of making a second ReplicaSet.
    pub name: String,
    /// `metadata.labels`: the template's, with the hash.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.replicas`.
    pub replicas: i32,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
    /// `spec.selector`: the Deployment's, with the hash.
    pub selector: LabelSelector,
    /// `spec.template`: the Deployment's, with the hash among its labels.
    pub template: Template,
}

/// One write. Every write is conditional on what was observed.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make the Deployment the ReplicaSet's controller, after reading the Deployment live: it
    /// must have the same UID and not be deleted.
    Adopt(SetRef),
    /// Remove the Deployment's owner reference; a ReplicaSet that is gone is fine.
    Release(SetRef),
    /// Create a ReplicaSet. When the name is taken, the executor reads the object that has it
    /// and reports [`Creation::NameTaken`] if [`is_collision`] says so.
    CreateSet {
        /// What to create.
        set: NewSet,
        /// To be told once it exists.
        scaled: Option<Scaling>,
    },
    /// Change `metadata.annotations`, `spec.replicas` and `spec.minReadySeconds` of a ReplicaSet.
    ///
    /// Where `metadata.managedFields` goes with it, nobody may have applied the ReplicaSet in the
    /// meantime: that nobody has is a condition too.
    ///
    /// The condition is its UID and its generation: nobody has changed its spec. With its
    /// resourceVersion the write would also be refused whenever the ReplicaSet has just reported
    /// its pods. What it reports is no condition: it is of an earlier moment anyway, and a size
    /// rests on the reports of all ReplicaSets, of which a write can name one.
    PatchSet {
        /// Which one.
        set: SetRef,
        /// The changes in the form of a merge patch, without preconditions.
        patch: Value,
        /// To be told once it is written.
        scaled: Option<Scaling>,
    },
    /// Delete a ReplicaSet that has no pods, in the background.
    DeleteSet(SetRef),
    /// Change the Deployment itself by JSON merge patch: `metadata.annotations` and, for a
    /// rollback, `spec.template` (with a null for every key that must go, so that the result is
    /// exactly the old template). It must carry the observed resourceVersion.
    PatchDeployment {
        /// The merge patch, without preconditions.
        patch: Value,
        /// To be posted once it is written.
        on_success: Option<Event>,
    },
}

/// How the [`Action::CreateSet`] of a plan ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Creation {
    /// The plan had none, or it was not reached, or the ReplicaSet of that name turned out to
    /// be the wanted one already.
    #[default]
    None,
    /// The ReplicaSet was created.
    Created,
    /// Another ReplicaSet has the name (see [`is_collision`]).
    NameTaken,
    /// The API server refused. Leave this at `None` when the namespace is terminating:
    /// upstream is silent then.
    Failed {
        /// The API server's message.
        message: String,
        /// Whether trying again cannot help (the object is invalid, code 422).
        permanent: bool,
    },
}

/// What became of a plan, as far as the status depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How the creation of the new ReplicaSet ended.
    pub creation: Creation,
}

/// A write of the Deployment's status subresource.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The status as it will be.
    pub status: DeploymentStatus,
    /// JSON merge patch of the status subresource, without preconditions: the changed fields
    /// of `status`, nulls for those that must go, and with
    /// [`Extras::annotations_with_status`] also `metadata.annotations`.
    pub patch: Value,
    /// Whether it may wait, for seconds at most: a ReplicaSet has not reported on its latest size
    /// yet, its report causes the next sync, and that has more to tell.
    pub may_wait: bool,
}

/// What to do for the Deployment, in order.
///
/// Bounds hold after every prefix of the actions, so that a crash between two of them breaks
/// nothing. Planning again on the result of a plan gives an empty plan, unless the plan claimed
/// or created a ReplicaSet: those come alone, and sizes follow when the result is seen.
pub fn plan(observed: &Observed<'_>) -> Plan<Action> {
    course::plan(observed)
}

/// The status after the plan for the same `observed` ended as `outcome` says; `None` when
/// there is nothing to write.
///
/// While ReplicaSets are resized and have not answered, a status that tells of no failure and of
/// no availability that was reached [may wait](StatusWrite::may_wait) for their answers.
pub fn status(observed: &Observed<'_>, outcome: &Outcome) -> Option<StatusWrite> {
    status::after(observed, outcome)
}

/// Whether `existing`, which has the name of the ReplicaSet that was to be created, is another
/// one: controlled by somebody else or made from another template. The hash must then change.
///
/// An orphan is none as long as it is not `observed` as it is: it was let go a moment ago, and may
/// be adopted. What is no collision is waited for until it is observed.
pub fn is_collision(
    deployment: &Deployment,
    existing: &ReplicaSet,
    observed: Option<&ReplicaSet>,
) -> bool {
    match existing.metadata.controller() {
        Some(owner) if owner.uid == deployment.metadata.uid => {
            !existing.spec.template.same_pods(&deployment.spec.template)
        }
        Some(_) => true,
        None => observed.is_some_and(|known| {
            known.metadata.resource_version >= existing.metadata.resource_version
        }),
    }
}

/// The event that tells of a failed [`Action::CreateSet`] of the ReplicaSet `name`.
pub fn creation_failed(name: &str, message: &str) -> Event {
    Event::warning(
        "ReplicaSetCreateError",
        format!("Failed to create new replica set {name:?}: {message}"),
    )
}

#[cfg(test)]
mod bad_input_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod kstatus_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rollback_tests;
#[cfg(test)]
mod rolling_tests;
#[cfg(test)]
mod scale_tests;
#[cfg(test)]
mod show;
#[cfg(test)]
mod status_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upstream_tests;
#[cfg(test)]
mod world;
#[cfg(test)]
mod world_writes;
#[cfg(test)]
mod write_count;
