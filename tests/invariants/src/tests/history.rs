//! A history, written by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, Resource};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{Checker, Commit, Rules, Violation, Writer};

/// The first process of the controllers.
pub(super) const C: Writer = Writer::Controller(1);
/// Who asks for things.
pub(super) const U: Writer = Writer::User;
/// Who runs pods.
pub(super) const K: Writer = Writer::Kubelet;

/// What was committed so far.
pub(super) struct History {
    pub(super) checker: Checker,
    objects: BTreeMap<(Resource, Key), Arc<Value>>,
    version: u64,
    at: Timestamp,
}

impl History {
    /// Nothing yet; views may lag without limit, and a live read is a second old at most.
    pub(super) fn new() -> Self {
        Self::with(Rules {
            in_flight: SignedDuration::from_secs(1),
            adopting: SignedDuration::from_secs(1),
            ..Rules::default()
        })
    }

    pub(super) fn with(rules: Rules) -> Self {
        let mut checker = Checker::new(rules);
        checker.started(1, 0);
        Self {
            checker,
            objects: BTreeMap::new(),
            version: 0,
            at: "2026-11-21T10:00:00Z".parse().unwrap(),
        }
    }

    /// Lets seconds pass.
    pub(super) fn wait(&mut self, seconds: i64) {
        self.at += SignedDuration::from_secs(seconds);
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn now(&self) -> Timestamp {
        self.at
    }

    fn commit(
        &mut self,
        writer: Writer,
        resource: Resource,
        name: &str,
        after: Option<Value>,
    ) -> Vec<Violation> {
        self.version += 1;
        let key = Key::new("shop", name);
        let before = self.objects.get(&(resource, key.clone())).cloned();
        let after = after.map(|mut after| {
            after["metadata"]["name"] = name.into();
            after["metadata"]["namespace"] = "shop".into();
            after["metadata"]["resourceVersion"] = self.version.to_string().into();
            Arc::new(after)
        });
        match &after {
            Some(after) => self
                .objects
                .insert((resource, key.clone()), Arc::clone(after)),
            None => self.objects.remove(&(resource, key.clone())),
        };
        self.checker.committed(&Commit {
            version: self.version,
            at: self.at,
            writer,
            resource,
            key,
            before,
            after,
        })
    }

    /// Creates an object; its UID is its name unless it says otherwise.
    pub(super) fn create(
        &mut self,
        writer: Writer,
        resource: Resource,
        name: &str,
        mut object: Value,
    ) -> Vec<&'static str> {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.entry("uid").or_insert_with(|| name.into());
        metadata.entry("generation").or_insert_with(|| 1.into());
        metadata
            .entry("creationTimestamp")
            .or_insert_with(|| "2026-11-21T10:00:00Z".into());
        rules(&self.commit(writer, resource, name, Some(object)))
    }

    /// Changes an object.
    pub(super) fn edit(
        &mut self,
        writer: Writer,
        resource: Resource,
        name: &str,
        edit: impl FnOnce(&mut Value),
    ) -> Vec<&'static str> {
        let known = &self.objects[&(resource, Key::new("shop", name))];
        let mut object = Value::clone(known);
        let spec = object["spec"].clone();
        edit(&mut object);
        if object["spec"] != spec {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = (generation + 1).into();
        }
        rules(&self.commit(writer, resource, name, Some(object)))
    }

    /// Removes an object.
    pub(super) fn remove(
        &mut self,
        writer: Writer,
        resource: Resource,
        name: &str,
    ) -> Vec<&'static str> {
        rules(&self.commit(writer, resource, name, None))
    }

    /// Marks an object as being deleted.
    pub(super) fn terminate(
        &mut self,
        writer: Writer,
        resource: Resource,
        name: &str,
    ) -> Vec<&'static str> {
        let at = self.at.to_string();
        self.edit(writer, resource, name, |object| {
            object["metadata"]["deletionTimestamp"] = at.into();
        })
    }

    /// A ReplicaSet of the user.
    pub(super) fn set(&mut self, name: &str, replicas: i64) {
        let found = self.create(U, NATIVE_REPLICA_SETS, name, set(replicas, "v1"));
        assert_eq!(found, [""; 0]);
    }

    /// A pod of a set, by its controller.
    pub(super) fn pod(&mut self, set: &str, name: &str) -> Vec<&'static str> {
        self.create(C, PODS, name, pod(set))
    }

    /// Pods that turn ready.
    pub(super) fn ready(&mut self, pods: &[&str]) {
        for pod in pods {
            let found = self.edit(K, PODS, pod, |pod| {
                pod["spec"]["nodeName"] = "n1".into();
                pod["status"] = json!({
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-21T10:00:00Z"}],
                });
            });
            assert_eq!(found, [""; 0]);
        }
    }

    /// Somebody changes a set's size.
    pub(super) fn scale(&mut self, writer: Writer, set: &str, replicas: i64) -> Vec<&'static str> {
        self.edit(writer, NATIVE_REPLICA_SETS, set, |set| {
            set["spec"]["replicas"] = replicas.into();
        })
    }

    /// The controller writes a set's status for its present generation.
    pub(super) fn tell(&mut self, set: &str, replicas: i64, ready: i64) -> Vec<&'static str> {
        self.edit(C, NATIVE_REPLICA_SETS, set, |set| {
            let generation = set["metadata"]["generation"].clone();
            set["status"] = json!({
                "replicas": replicas,
                "fullyLabeledReplicas": replicas,
                "readyReplicas": ready,
                "availableReplicas": ready,
                "observedGeneration": generation,
            });
        })
    }

    /// A Deployment of the user, with `maxSurge` and `maxUnavailable` of one pod.
    pub(super) fn deployment(&mut self, replicas: i64, template: &str) {
        let found = self.create(U, NATIVE_DEPLOYMENTS, "web", deployment(replicas, template));
        assert_eq!(found, [""; 0]);
    }

    /// The controller makes a set of the Deployment.
    pub(super) fn deployed_set(
        &mut self,
        name: &str,
        replicas: i64,
        template: &str,
        revision: i64,
    ) -> Vec<&'static str> {
        let mut object = set(replicas, template);
        object["metadata"]["annotations"] = json!({
            "deployment.kubernetes.io/revision": revision.to_string(),
            "deployment.kubernetes.io/desired-replicas": "3",
            "deployment.kubernetes.io/max-replicas": "4",
        });
        object["metadata"]["ownerReferences"] = json!([owner("Deployment", "web", "web")]);
        self.create(C, NATIVE_REPLICA_SETS, name, object)
    }

    /// The rules that the end breaks.
    pub(super) fn end(&self) -> Vec<&'static str> {
        rules(&self.checker.settled_at(self.at))
    }
}

/// The names of broken rules.
pub(super) fn rules(found: &[Violation]) -> Vec<&'static str> {
    found.iter().map(|violation| violation.rule).collect()
}

pub(super) fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

pub(super) fn template(name: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": name}]},
    })
}

pub(super) fn set(replicas: i64, version: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(version),
        },
        "status": {},
    })
}

pub(super) fn deployment(replicas: i64, version: &str) -> Value {
    json!({
        "metadata": {},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(version),
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        },
        "status": {},
    })
}

pub(super) fn pod(set: &str) -> Value {
    json!({
        "metadata": {
            "labels": {"app": "web"},
            "ownerReferences": [owner("ReplicaSet", set, set)],
        },
        "spec": {"containers": [{"name": "c", "image": "v1"}]},
        "status": {"phase": "Pending"},
    })
}
