//! What has to be true at the end, as a function of what the user did and of the objects that are there.
//!
//! Safety on the way is `ironkeel_invariants`' business. Here it is whether the user got what was asked for: exact sizes,
//! templates, readiness, every field of the status, no leftovers, and strangers' objects as they were.
//!
//! One file judges the objects of one kind; the next controller brings one file and a line in [`judge`].

mod deployment;
mod intent;
mod ownership;
mod read;
mod replicaset;

use std::collections::BTreeMap;
use std::sync::Arc;

use ironkeel_invariants::Violation;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{PODS, REPLICATION_CONTROLLERS, Resource};
use serde_json::Value;

pub use read::{condition, is_active, is_complete, is_ready};

use crate::api::Api;
use crate::api::resource::NAMESPACES;
use crate::scenario::{Kinds, NAMESPACE, Target};
use crate::user::Done;
use intent::Intent;

/// A label on objects of somebody else, which must stay as they are.
pub const STRANGER: &str = "stranger";

/// The objects at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct End(BTreeMap<Target, Arc<Value>>);

impl End {
    /// Everything that matters, as it is now.
    pub fn of(api: &Api) -> Self {
        let mut resources = vec![PODS, NAMESPACES, REPLICATION_CONTROLLERS];
        for kinds in [Kinds::Native, Kinds::Own] {
            resources.extend([kinds.deployments(), kinds.replica_sets()]);
        }
        let mut objects = BTreeMap::new();
        for resource in resources {
            for object in api.list(resource, None) {
                let text = |pointer| read::text(&object, pointer);
                let key = Key::new(text("/metadata/namespace"), text("/metadata/name"));
                objects.insert(Target { resource, key }, object);
            }
        }
        Self(objects)
    }

    fn get(&self, target: &Target) -> Option<&Value> {
        self.0.get(target).map(Arc::as_ref)
    }

    /// The objects of a collection in the namespace of the story.
    fn all(&self, resource: Resource) -> impl Iterator<Item = &Value> {
        self.0
            .iter()
            .filter(move |(target, _)| {
                target.resource == resource && target.key.namespace == NAMESPACE
            })
            .map(|(_, object)| object.as_ref())
    }

    /// The objects of a collection that `owner` controls.
    fn controlled<'a>(
        &'a self,
        resource: Resource,
        owner: &'a Value,
    ) -> impl Iterator<Item = &'a Value> {
        let uid = read::text(owner, "/metadata/uid");
        self.all(resource)
            .filter(move |object| read::controller(object) == Some(uid))
    }

    /// The pods that count for a set.
    fn active_pods<'a>(&'a self, set: &'a Value) -> impl Iterator<Item = &'a Value> {
        self.controlled(PODS, set).filter(|pod| is_active(pod))
    }
}

/// What is not as the user asked for it.
#[derive(Debug, Default)]
struct Verdict(Vec<Violation>);

impl Verdict {
    fn add(&mut self, rule: &'static str, text: String) {
        self.0.push(Violation {
            rule,
            version: 0,
            text,
        });
    }

    fn unless(&mut self, holds: bool, rule: &'static str, text: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, text());
        }
    }
}

/// Judges the end of a run on `kinds` in which the user did `done`.
pub fn judge(kinds: Kinds, done: &[Done], end: &End) -> Vec<Violation> {
    let intent = Intent::of(kinds, done);
    let mut verdict = Verdict::default();
    for done in done {
        if let Some(why) = &done.refused {
            verdict.add(
                "END-refused",
                format!("the user could not {}: {why}", done.deed),
            );
        }
    }
    if intent.namespace_deleted {
        ownership::namespace_is_gone(end, &mut verdict);
        return verdict.0;
    }
    for (target, wanted) in &intent.wanted {
        let is_set = target.resource == kinds.replica_sets();
        if is_set && intent.hands_over(kinds, &wanted.object) {
            continue;
        }
        let Some(object) = end.get(target) else {
            if target.resource.plural != "resourcequotas" && target.resource != PODS {
                verdict.add("END-there", format!("{target} does not exist"));
            }
            continue;
        };
        let stranger = !wanted.object["metadata"]["labels"][STRANGER].is_null();
        if stranger {
            ownership::stranger(target, &wanted.object, object, &mut verdict);
        } else if target.resource == kinds.deployments() {
            deployment::judge(kinds, &intent, wanted, object, end, &mut verdict);
        } else if is_set || target.resource == REPLICATION_CONTROLLERS {
            replicaset::judge(&intent, wanted, object, end, &mut verdict);
        }
    }
    for (target, wanted) in &intent.wanted {
        let stranger = !wanted.object["metadata"]["labels"][STRANGER].is_null();
        if stranger && end.get(target).is_none() {
            verdict.add("END-strangers", format!("{target} of a stranger is gone"));
        }
    }
    for (target, removed) in &intent.deleted {
        ownership::deleted(
            kinds,
            target,
            removed,
            intent.deleted_pods,
            end,
            &mut verdict,
        );
    }
    ownership::judge(kinds, &intent, end, &mut verdict);
    for set in end.all(kinds.replica_sets()) {
        replicaset::status_is_true(set, end, &mut verdict);
    }
    verdict.0
}

#[cfg(test)]
mod tests;
