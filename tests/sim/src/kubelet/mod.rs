//! The scheduler and the kubelets, as far as controllers can tell them apart from nothing.
//!
//! Each pod gets a `course::Course` when it is first seen: how long it takes to be bound, to start, to become ready and
//! to end, and what goes wrong with it. What to do next with a pod follows from the pod as it is stored, its course and
//! the time (`course::next`, pure); this file only looks and writes.

mod course;
mod status;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ironkeel_invariants::Writer;
use ironkeel_runtime::resource::PODS;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::api::{Api, Request};
use crate::dice::Dice;
use course::{Course, Deed, Next, Pod, Stage};

/// An image with this in its name cannot be pulled by any node.
pub const BROKEN: &str = "broken";

/// After a write that was refused, a kubelet looks again no sooner.
const RETRY: Duration = Duration::from_secs(1);

/// Milliseconds, from and to.
pub type Span = RangeInclusive<u64>;

/// How nodes and pods behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of nodes.
    pub nodes: u64,
    /// From the creation of a pod to its binding.
    pub bind: Span,
    /// From its binding to phase `Running`.
    pub start: Span,
    /// From there to the condition `Ready`.
    pub ready: Span,
    /// From its deletion to its end, if its grace period does not end before.
    pub stop: Span,
    /// What goes wrong. An entry is for one pod and happens once, so that every story calms down.
    pub mishaps: Vec<Mishap>,
}

impl Settings {
    #[must_use]
    /// Nodes that do everything at once: what a failure is shrunk to.
    pub fn flat(&self) -> Self {
        Self {
            bind: 1..=1,
            start: 1..=1,
            ready: 1..=1,
            stop: 1..=1,
            ..self.clone()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: 3,
            bind: 1..=40,
            start: 5..=300,
            ready: 1..=700,
            stop: 1..=900,
            mishaps: Vec::new(),
        }
    }
}

/// Something that goes wrong with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mishap {
    /// The pod, by the order in which pods came into being.
    pub pod: usize,
    /// How long after the pod became ready (for [`Trouble::Slow`] and [`Trouble::Stuck`]: after what they hold up began).
    pub after: Duration,
    /// What happens.
    pub trouble: Trouble,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The pod fails its readiness probe for as long as this.
    Unready(Duration),
    /// A container ends and is started again, which takes as long as this.
    Restart(Duration),
    /// The pod ends with phase `Failed`.
    Fail,
    /// The kubelet evicts the pod.
    Evict,
    /// The node is drained: somebody deletes the pod.
    Drain,
    /// The pod ends with phase `Succeeded`.
    Succeed,
    /// It takes as long as this until the pod is ready.
    Slow(Duration),
    /// The pod does not end before this, whatever its grace period is.
    Stuck(Duration),
}

/// The scheduler and all kubelets.
#[derive(Debug)]
pub struct Kubelet {
    api: Api,
    settings: Settings,
    seed: u64,
    pods: BTreeMap<String, Tracked>,
    seen: usize,
    version: u64,
    due: Option<Timestamp>,
}

#[derive(Debug)]
struct Tracked {
    course: Course,
    stage: Stage,
    since: Timestamp,
    not_before: Option<Timestamp>,
}

impl Kubelet {
    /// The nodes of the cluster behind `api`.
    pub fn new(api: Api, settings: Settings, seed: u64) -> Self {
        Self {
            api,
            settings,
            seed,
            pods: BTreeMap::new(),
            seen: 0,
            version: 0,
            due: None,
        }
    }

    /// Looks at one pod and does what is due; says when to look again.
    fn attend(&mut self, object: &Value, now: Timestamp) -> Option<Timestamp> {
        let pod = Pod::of(object);
        if !self.pods.contains_key(pod.uid) {
            let number = self.seen;
            self.seen += 1;
            let course = Course::draw(
                &self.settings,
                &mut Dice::new(self.seed, &format!("pod {number}")),
                number,
            );
            let tracked = Tracked {
                course,
                stage: pod.stage(),
                since: now,
                not_before: None,
            };
            self.pods.insert(pod.uid.to_owned(), tracked);
        }
        let tracked = self.pods.get_mut(pod.uid)?;
        let stage = pod.stage();
        if stage != tracked.stage {
            tracked.stage = stage;
            tracked.since = now;
        }
        if let Some(later) = tracked.not_before.filter(|later| *later > now) {
            return Some(later);
        }
        match course::next(&pod, &tracked.course, tracked.since, now) {
            Next::Nothing => None,
            Next::At(time) => Some(time),
            Next::Do(deed) => {
                let done = perform(&self.api, &pod, &deed, now);
                if done {
                    tracked.course.performed(&deed);
                    // The commit brings the next look.
                    None
                } else {
                    let later = now.checked_add(RETRY).unwrap_or(now);
                    tracked.not_before = Some(later);
                    Some(later)
                }
            }
        }
    }
}

impl Actor for Kubelet {
    fn act(&mut self, now: Timestamp) -> Option<Timestamp> {
        let version = self.api.version();
        if version == self.version && self.due.is_none_or(|due| due > now) {
            return self.due;
        }
        self.version = version;
        let pods = self.api.list(PODS, None);
        self.pods
            .retain(|uid, _| pods.iter().any(|pod| Pod::of(pod).uid == uid));
        self.due = None;
        for pod in &pods {
            if let Some(time) = self.attend(pod, now) {
                self.due = Some(self.due.map_or(time, |due| due.min(time)));
            }
        }
        self.due
    }

    fn is_done(&self) -> bool {
        self.due.is_none() && self.version == self.api.version()
    }

    fn waits_for(&self) -> String {
        match self.due {
            Some(due) => format!("the kubelets have work at {due}"),
            None => "the kubelets have nothing to do".to_owned(),
        }
    }
}

/// Writes what `deed` is; whether the server took it.
fn perform(api: &Api, pod: &Pod<'_>, deed: &Deed, now: Timestamp) -> bool {
    let url = |subresource| PODS.path(Some(pod.namespace), Some(pod.name), subresource);
    let (writer, request) = match deed {
        Deed::Bind(node) => {
            let binding = json!({
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
                "target": {"apiVersion": "v1", "kind": "Node", "name": node},
            });
            (
                Writer::Scheduler,
                Request::post(url(Some("binding")), &binding),
            )
        }
        Deed::Remove => {
            let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}});
            (Writer::Kubelet, Request::delete(url(None), &options))
        }
        Deed::Drain => {
            let options = json!({"preconditions": {"uid": pod.uid}});
            (
                Writer::Other(Arc::from("drain")),
                Request::delete(url(None), &options),
            )
        }
        _ => {
            let patch = status::patch(pod, deed, now);
            (
                Writer::Kubelet,
                Request::merge_patch(url(Some("status")), &patch),
            )
        }
    };
    api.handle(&writer, &request).is_success()
}

#[cfg(test)]
mod tests;
