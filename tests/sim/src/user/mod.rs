//! Whoever asks for things: does the steps of a story, one after the other, each when its gate is open.

mod resolve;

use std::sync::Arc;

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{PODS, REPLICATION_CONTROLLERS, Resource};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::api::resource::{NAMESPACES, RESOURCE_QUOTAS};
use crate::api::{Api, Request};
use crate::expect;
use crate::history::{History, What};
use crate::scenario::{Deed, Gate, Kinds, NAMESPACE, Step, Story, Target, manifest};

/// A step that was done.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was done.
    pub deed: Deed,
    /// The object as it was right before, of deeds that pick one and of deletions.
    pub on: Option<Arc<Value>>,
    /// Why the server did not do it.
    pub refused: Option<String>,
}

/// The user of a run.
#[derive(Debug)]
pub struct User {
    api: Api,
    history: History,
    kinds: Kinds,
    steps: Vec<Step>,
    done: Vec<Done>,
    opened: Option<Timestamp>,
}

impl User {
    /// The user of `story`; nothing is done yet.
    pub fn new(api: Api, history: History, story: &Story) -> Self {
        Self {
            api,
            history,
            kinds: story.kinds,
            steps: story.steps.clone(),
            done: Vec::new(),
            opened: None,
        }
    }

    /// Creates what is there before the managers start: the namespace and the objects of the story's setup.
    pub fn set_up(&mut self, story: &Story, now: Timestamp) {
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        for object in std::iter::once(&namespace).chain(&story.setup) {
            self.perform(&Deed::Create(object.clone()), now);
        }
    }

    /// What was done, in order, the setup included.
    pub fn done(&self) -> &[Done] {
        &self.done
    }

    fn perform(&mut self, deed: &Deed, now: Timestamp) {
        self.history.add(now, What::Step(deed.to_string()));
        let (requests, on, mut refused) = match self.requests(deed) {
            Ok((requests, on)) => (requests, on, None),
            Err(why) => (Vec::new(), None, Some(why)),
        };
        for request in requests {
            let answer = self.api.handle(&Writer::User, &request);
            if !answer.is_success() {
                let status = answer.json();
                let message = status["message"].as_str().unwrap_or("");
                refused = Some(format!("{} {message}", answer.code));
            }
        }
        self.done.push(Done {
            deed: deed.clone(),
            on,
            refused,
        });
    }

    /// The requests of a deed, and the object that it is about; none where there is nothing to pick.
    fn requests(&self, deed: &Deed) -> Result<(Vec<Request>, Option<Arc<Value>>), String> {
        let one = |request| Ok((vec![request], None));
        match deed {
            Deed::Create(object) => {
                let object = resolve::uids(object, &self.api)?;
                let resource = resource_of(self.kinds, &object)?;
                one(Request::post(collection(resource), &object))
            }
            Deed::Merge(target, patch) => {
                let patch = resolve::uids(patch, &self.api)?;
                one(Request::merge_patch(path(target, None), &patch))
            }
            Deed::Scale(target, replicas) => one(Request::merge_patch(
                path(target, Some("scale")),
                &json!({"spec": {"replicas": replicas}}),
            )),
            Deed::Delete(target, propagation) => {
                let options = json!({"propagationPolicy": propagation.as_str()});
                let request = Request::delete(path(target, None), &options);
                Ok((vec![request], self.get(target)))
            }
            Deed::DeletePod(app, number) | Deed::Relabel(app, number, _) => {
                let pods = live_pods(&self.api, app);
                let index = number.checked_rem(pods.len());
                let Some(pod) = index.and_then(|index| pods.get(index)) else {
                    return Ok((Vec::new(), None));
                };
                let target = Target::new(PODS, name(pod));
                let request = match deed {
                    Deed::Relabel(_, _, labels) => {
                        let patch = json!({"metadata": {"labels": labels}});
                        Request::merge_patch(path(&target, None), &patch)
                    }
                    _ => Request::delete(path(&target, None), &json!({})),
                };
                Ok((vec![request], Some(pod.clone())))
            }
            Deed::MergeOwned(owner, patch) => {
                let sets = self.owned_sets(owner);
                let Some(set) = sets.iter().max_by_key(|set| revision(set)) else {
                    return Ok((Vec::new(), None));
                };
                let target = Target::new(self.kinds.replica_sets(), name(set));
                let request = Request::merge_patch(path(&target, None), patch);
                Ok((vec![request], Some(set.clone())))
            }
            Deed::Usurp(owner) => {
                let sets = self.owned_sets(owner);
                let Some(set) = sets.iter().find(|set| set["spec"]["replicas"] == 0) else {
                    return Ok((Vec::new(), None));
                };
                let resource = self.kinds.replica_sets();
                let target = Target::new(resource, name(set));
                let foreign = manifest::stranger_set(self.kinds, name(set));
                let requests = vec![
                    Request::delete(
                        path(&target, None),
                        &json!({"propagationPolicy": "Background"}),
                    ),
                    Request::post(collection(resource), &foreign),
                ];
                Ok((requests, Some(set.clone())))
            }
        }
    }

    fn get(&self, target: &Target) -> Option<Arc<Value>> {
        let Key { namespace, name } = &target.key;
        self.api.get(target.resource, namespace, name)
    }

    /// The sets that a Deployment controls, by name.
    fn owned_sets(&self, owner: &Target) -> Vec<Arc<Value>> {
        let Some(owner) = self.get(owner) else {
            return Vec::new();
        };
        let uid = &owner["metadata"]["uid"];
        let mut sets = self.api.list(self.kinds.replica_sets(), Some(NAMESPACE));
        sets.retain(|set| {
            let owners = set["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == *uid))
        });
        sets
    }

    fn is_open(&self, gate: &Gate) -> bool {
        match gate {
            Gate::Open => true,
            Gate::Complete(target) => self
                .get(target)
                .is_some_and(|object| expect::is_complete(&object).is_ok()),
            Gate::Begun(target) => {
                !live_pods(&self.api, &target.key.name).is_empty()
                    || self.is_open(&Gate::Complete(target.clone()))
            }
            Gate::Pods(app, count) => live_pods(&self.api, app).len() >= *count,
            Gate::Ready(app, count) => {
                let pods = live_pods(&self.api, app);
                pods.iter().filter(|pod| expect::is_ready(pod)).count() >= *count
            }
            Gate::Gone(target) => self.get(target).is_none(),
            Gate::Condition(target, kind, reason) => self
                .get(target)
                .is_some_and(|object| expect::condition(&object, kind).1 == *reason),
        }
    }
}

impl Actor for User {
    fn act(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some(step) = self.steps.first() {
            if self.opened.is_none() && self.is_open(&step.gate) {
                self.opened = Some(now);
            }
            let due = self.opened?.checked_add(step.delay).unwrap_or(now);
            if due > now {
                return Some(due);
            }
            let step = self.steps.remove(0);
            self.opened = None;
            self.perform(&step.deed, now);
        }
        None
    }

    fn is_done(&self) -> bool {
        self.steps.is_empty()
    }

    fn waits_for(&self) -> String {
        match self.steps.first() {
            Some(step) => format!(
                "before it can {} the user waits for {}",
                step.deed, step.gate
            ),
            None => "the user has done everything".to_owned(),
        }
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("")
}

fn revision(set: &Value) -> i64 {
    set["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Pods with the label `app` that are neither ended nor being deleted, by name.
fn live_pods(api: &Api, app: &str) -> Vec<Arc<Value>> {
    let mut pods = api.list(PODS, Some(NAMESPACE));
    pods.retain(|pod| pod["metadata"]["labels"]["app"] == app && expect::is_active(pod));
    pods
}

/// The collection that a manifest belongs to.
fn resource_of(kinds: Kinds, object: &Value) -> Result<Resource, String> {
    let known = [
        PODS,
        REPLICATION_CONTROLLERS,
        NAMESPACES,
        RESOURCE_QUOTAS,
        Kinds::Native.deployments(),
        Kinds::Native.replica_sets(),
        kinds.deployments(),
        kinds.replica_sets(),
    ];
    known
        .into_iter()
        .find(|resource| {
            object["kind"] == resource.kind && object["apiVersion"] == *resource.api_version()
        })
        .ok_or_else(|| {
            format!(
                "stories know no {} {}",
                object["apiVersion"], object["kind"]
            )
        })
}

fn collection(resource: Resource) -> String {
    let namespace = (resource != NAMESPACES).then_some(NAMESPACE);
    resource.path(namespace, None, None)
}

/// The path of an object. `Resource::path` is for namespaced kinds alone.
fn path(target: &Target, subresource: Option<&str>) -> String {
    let Key { namespace, name } = &target.key;
    if namespace.is_empty() {
        format!("{}/{name}", target.resource.path(None, None, None))
    } else {
        target
            .resource
            .path(Some(namespace), Some(name), subresource)
    }
}
