//! Changes to ReplicaSets, gathered so that each object is written once.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::sets::{age, size};
use super::spec::Target;
use super::{Action, Scaling, SetRef};
use crate::meta::Management;
use crate::revision;
use crate::workload::{Extras, ReplicaSet};

/// What changes in one ReplicaSet.
#[derive(Clone, Debug)]
struct Change<'a> {
    set: &'a ReplicaSet,
    /// New values; `None` removes.
    annotations: BTreeMap<String, Option<String>>,
    replicas: Option<i32>,
    min_ready_seconds: Option<i32>,
}

/// All changes of a plan, by ReplicaSet.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes<'a> {
    by_name: BTreeMap<&'a str, Change<'a>>,
}

impl<'a> Changes<'a> {
    fn of(&mut self, set: &'a ReplicaSet) -> &mut Change<'a> {
        self.by_name
            .entry(&set.metadata.name)
            .or_insert_with(|| Change {
                set,
                annotations: BTreeMap::new(),
                replicas: None,
                min_ready_seconds: None,
            })
    }

    /// Sets an annotation, unless it has the value already.
    pub(super) fn annotate(&mut self, set: &'a ReplicaSet, key: &str, value: String) {
        if set.metadata.annotations.get(key) != Some(&value) {
            self.of(set).annotations.insert(key.to_owned(), Some(value));
        }
    }

    /// Removes an annotation, if it is there.
    pub(super) fn remove_annotation(&mut self, set: &'a ReplicaSet, key: &str) {
        if set.metadata.annotations.contains_key(key) {
            self.of(set).annotations.insert(key.to_owned(), None);
        }
    }

    /// Sets `spec.minReadySeconds`, unless it has the value already.
    pub(super) fn set_min_ready(&mut self, set: &'a ReplicaSet, seconds: i32) {
        if set.spec.min_ready_seconds != seconds {
            self.of(set).min_ready_seconds = Some(seconds);
        }
    }

    /// Sets `spec.replicas` and, if that changes it, notes for which target.
    pub(super) fn resize(&mut self, set: &'a ReplicaSet, replicas: i32, target: &Target) {
        if size(set) != replicas {
            self.of(set).replicas = Some(replicas);
            self.note_target(set, target);
        }
    }

    /// Notes the target that the ReplicaSet has been sized for: a scaling is told from a
    /// rollout by this, and its proportions are taken from it.
    pub(super) fn note_target(&mut self, set: &'a ReplicaSet, target: &Target) {
        self.annotate(set, revision::DESIRED_REPLICAS, target.replicas.to_string());
        self.annotate(
            set,
            revision::MAX_REPLICAS,
            target.max_replicas().to_string(),
        );
    }

    /// Sets `spec.replicas` and leaves the noted target as it is.
    pub(super) fn resize_in_part(&mut self, set: &'a ReplicaSet, replicas: i32) {
        if size(set) != replicas {
            self.of(set).replicas = Some(replicas);
        }
    }

    /// Whether any ReplicaSet changes its size.
    pub(super) fn resizes(&self) -> bool {
        self.by_name
            .values()
            .any(|change| change.replicas.is_some())
    }

    /// The writes, in an order in which no prefix exceeds the bounds: what shrinks comes before
    /// what grows, older before newer.
    pub(super) fn into_actions(self, extras: Extras) -> Vec<Action> {
        let mut changes: Vec<Change<'a>> = self.by_name.into_values().collect();
        changes.sort_by(|one, other| {
            let key = |change: &Change<'a>| !change.shrinks();
            (key(one), age(one.set)).cmp(&(key(other), age(other.set)))
        });
        let into_action = |change: Change<'a>| {
            let management = change.set.metadata.management;
            change.into_action(extras.drops_managed_fields && management == Management::Updated)
        };
        changes.into_iter().map(into_action).collect()
    }
}

impl Change<'_> {
    fn shrinks(&self) -> bool {
        self.replicas
            .is_some_and(|replicas| replicas < size(self.set))
    }

    fn into_action(self, drops_managed_fields: bool) -> Action {
        let mut patch = Map::new();
        let mut metadata = Map::new();
        if !self.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(self.annotations));
        }
        if drops_managed_fields {
            // One empty entry is how the API server is told; it keeps no record until somebody applies.
            metadata.insert("managedFields".to_owned(), json!([{}]));
        }
        if !metadata.is_empty() {
            patch.insert("metadata".to_owned(), Value::Object(metadata));
        }
        let mut spec = Map::new();
        if let Some(replicas) = self.replicas {
            spec.insert("replicas".to_owned(), replicas.into());
        }
        if let Some(seconds) = self.min_ready_seconds {
            spec.insert("minReadySeconds".to_owned(), seconds.into());
        }
        if !spec.is_empty() {
            patch.insert("spec".to_owned(), Value::Object(spec));
        }
        Action::PatchSet {
            set: SetRef::of(self.set),
            patch: Value::Object(patch),
            scaled: self.replicas.map(|to| Scaling {
                set: self.set.metadata.name.clone(),
                from: size(self.set),
                to,
            }),
        }
    }
}
