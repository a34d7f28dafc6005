//! What the user wants at the end: the sum of what was done.

use std::collections::BTreeMap;

use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{PODS, REPLICATION_CONTROLLERS, Resource};
use serde_json::{Value, json};

use super::read;
use crate::api::resource::{NAMESPACES, RESOURCE_QUOTAS};
use crate::kubelet::BROKEN;
use crate::scenario::{Deed, Kinds, Propagation, Target, manifest};
use crate::user::Done;

/// What the user asked for, summed up.
#[derive(Debug, Default)]
pub(super) struct Intent {
    /// Objects that the user made and did not delete, as they were written.
    pub(super) wanted: BTreeMap<Target, Wanted>,
    /// Objects that the user deleted and did not make again.
    pub(super) deleted: BTreeMap<Target, Removed>,
    /// Whether the whole namespace was deleted.
    pub(super) namespace_deleted: bool,
    /// How many pods the user deleted one by one.
    pub(super) deleted_pods: i64,
    /// Pods whose labels the user changed, by name.
    pub(super) relabelled: Vec<String>,
}

/// An object that the user wants.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The manifest with all patches.
    pub(super) object: Value,
    /// Whether a template whose image can be pulled was there before the present one.
    pub(super) had_good_template: bool,
}

/// An object that the user does not want any more.
#[derive(Debug)]
pub(super) struct Removed {
    /// How its dependents were treated.
    pub(super) propagation: Propagation,
    /// The object right before, if it was there.
    pub(super) last: Option<Value>,
}

impl Intent {
    /// The sum of `done`.
    pub(super) fn of(kinds: Kinds, done: &[Done]) -> Self {
        let mut intent = Self::default();
        let taken = done.iter().filter(|done| done.refused.is_none());
        for Done { deed, on, .. } in taken {
            match deed {
                Deed::Create(object) => {
                    let Some(target) = target_of(kinds, object) else {
                        continue;
                    };
                    intent.deleted.remove(&target);
                    let wanted = Wanted {
                        object: object.clone(),
                        had_good_template: false,
                    };
                    intent.wanted.insert(target, wanted);
                }
                Deed::Merge(target, patch) => intent.change(target, patch),
                Deed::Scale(target, replicas) => {
                    intent.change(target, &json!({"spec": {"replicas": replicas}}));
                }
                Deed::Delete(target, _) if target.resource == NAMESPACES => {
                    intent.namespace_deleted = true;
                }
                Deed::Delete(target, propagation) => {
                    intent.wanted.remove(target);
                    let removed = Removed {
                        propagation: *propagation,
                        last: on.as_deref().cloned(),
                    };
                    intent.deleted.insert(target.clone(), removed);
                }
                Deed::Relabel(_, _, labels) => {
                    let Some(pod) = on else {
                        continue;
                    };
                    let name = read::text(pod, "/metadata/name");
                    intent.relabelled.retain(|known| known != name);
                    if labels["app"] == manifest::LOOSE {
                        intent.relabelled.push(name.to_owned());
                    }
                }
                Deed::Usurp(_) => {
                    let Some(set) = on else {
                        continue;
                    };
                    let name = read::text(set, "/metadata/name");
                    let wanted = Wanted {
                        object: manifest::stranger_set(kinds, name),
                        had_good_template: false,
                    };
                    let target = Target::new(kinds.replica_sets(), name);
                    intent.wanted.insert(target, wanted);
                }
                Deed::DeletePod(..) => intent.deleted_pods += 1,
                Deed::MergeOwned(..) => {}
            }
        }
        intent
    }

    fn change(&mut self, target: &Target, patch: &Value) {
        let Some(wanted) = self.wanted.get_mut(target) else {
            return;
        };
        let before = read::image(&wanted.object).to_owned();
        merge(&mut wanted.object, patch);
        if before != read::image(&wanted.object) && !before.contains(BROKEN) {
            wanted.had_good_template = true;
        }
    }

    /// Whether a Deployment that the user wants selects the set `object`, which is then the Deployment's to size and keep.
    pub(super) fn hands_over(&self, kinds: Kinds, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.wanted
            .iter()
            .filter(|(target, _)| target.resource == kinds.deployments())
            .any(|(_, wanted)| read::selects(&wanted.object, labels))
    }

    /// How many pods the quotas allow, if there is one.
    pub(super) fn quota(&self) -> Option<i64> {
        self.wanted
            .iter()
            .filter(|(target, _)| target.resource == RESOURCE_QUOTAS)
            .filter_map(|(_, quota)| read::text(&quota.object, "/spec/hard/pods").parse().ok())
            .min()
    }
}

/// Which object a manifest is about.
fn target_of(kinds: Kinds, object: &Value) -> Option<Target> {
    let known: [Resource; 8] = [
        PODS,
        REPLICATION_CONTROLLERS,
        NAMESPACES,
        RESOURCE_QUOTAS,
        Kinds::Native.deployments(),
        Kinds::Native.replica_sets(),
        kinds.deployments(),
        kinds.replica_sets(),
    ];
    let resource = known.into_iter().find(|resource| {
        object["kind"] == resource.kind && object["apiVersion"] == *resource.api_version()
    })?;
    let name = read::text(object, "/metadata/name");
    Some(if resource == NAMESPACES {
        Target {
            resource,
            key: Key::new("", name),
        }
    } else {
        Target::new(resource, name)
    })
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
