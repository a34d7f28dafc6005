//! Sets and pods from one line of text, for data-driven tests.
//!
//! `replicas=3 minReady=10 | a Running Ready@30s; b Pending age=5m; c Failed`
//!
//! Before the bar stands the set `web` (UID `web-uid`, selector `app=web`), then its pods.
//! Words of the set: `replicas=N` (absent: not set), `minReady=S`, `deleting`, `gen=N`,
//! `observed=N`, `status=R/L/Y/A[/T]` (replicas, fully labelled, ready, available,
//! terminating), `failure=REASON`, `selector=K=V,…` (`selector=` is empty),
//! `template=K=V,…`, `standalone` (no controller), `rc`, `extras`.
//! Words of a pod: its name first, then a phase (Pending unless said), `Ready` or
//! `Ready@AGE`, `@NODE` (else `n1`, and none while Pending), `age=`, `cost=`, `restarts=`,
//! `sidecar=`, `uid=`, `ns=`, `labels=K=V,…`, `deleting`, `orphan`, `foreign`.
//! Ages and times are `90s`, `5m`, `2h`, `3d` before [`now`]; a `-` puts them after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::meta::OwnerReference;
use crate::names::NameSource;
use crate::pod::{ControllerRef, Phase, Pod};
use crate::replicaset::{Observed, SetKind};
use crate::template::Template;
use crate::workload::{Condition, Extras, ReplicaSet};

/// The moment at which every fixture is planned.
pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// `90s`, `5m`, `2h` or `3d` as a duration.
pub(crate) fn duration(text: &str) -> SignedDuration {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: i64 = number
        .parse()
        .unwrap_or_else(|_| panic!("duration {text:?}"));
    SignedDuration::from_secs(match unit {
        "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        "d" => number * 86400,
        _ => panic!("duration {text:?} has no unit"),
    })
}

fn ago(text: &str) -> Timestamp {
    now() - duration(text)
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .unwrap_or_else(|| panic!("label {pair:?}"));
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

/// A pod of the controller with UID `owner`.
pub(crate) fn pod(text: &str, owner: &str) -> Pod {
    let mut words = text.split_whitespace();
    let name = words.next().expect("a pod has a name");
    let mut node = None;
    let mut pod = Pod {
        name: name.into(),
        namespace: "default".into(),
        uid: name.into(),
        resource_version: 1,
        created: Some(ago("1h")),
        deleting: None,
        labels: labels("app=web"),
        controller: Some(controller(owner)),
        node: None,
        phase: Phase::Pending,
        ready: false,
        ready_since: None,
        restarts: 0,
        sidecar_restarts: 0,
        deletion_cost: 0,
    };
    for word in words {
        match word {
            "Pending" => pod.phase = Phase::Pending,
            "Running" => pod.phase = Phase::Running,
            "Succeeded" => pod.phase = Phase::Succeeded,
            "Failed" => pod.phase = Phase::Failed,
            "Unknown" => pod.phase = Phase::Unknown,
            "Ready" => {
                pod.ready = true;
                pod.ready_since = Some(ago("50m"));
            }
            "deleting" => pod.deleting = Some(now()),
            "orphan" => pod.controller = None,
            "foreign" => pod.controller = Some(controller("someone-else")),
            _ => match word
                .split_once(['=', '@'])
                .unwrap_or_else(|| panic!("pod: {word:?}"))
            {
                ("", text) => node = Some(text),
                ("Ready", text) => {
                    pod.ready = true;
                    pod.ready_since = (text != "?").then(|| ago(text));
                }
                ("age", text) => pod.created = (text != "?").then(|| ago(text)),
                ("cost", text) => pod.deletion_cost = text.parse().unwrap(),
                ("restarts", text) => pod.restarts = text.parse().unwrap(),
                ("sidecar", text) => pod.sidecar_restarts = text.parse().unwrap(),
                ("uid", text) => pod.uid = text.into(),
                ("ns", text) => pod.namespace = text.into(),
                ("labels", text) => pod.labels = labels(text),
                _ => panic!("pod: {word:?}"),
            },
        }
    }
    let usual = (pod.phase != Phase::Pending).then_some("n1");
    pod.node = node.or(usual).filter(|name| *name != "none").map(Arc::from);
    pod
}

fn labels(text: &str) -> Arc<[(Arc<str>, Arc<str>)]> {
    pairs(text)
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

fn controller(uid: &str) -> ControllerRef {
    ControllerRef {
        uid: uid.into(),
        kind: "ReplicaSet".into(),
        name: uid.trim_end_matches("-uid").into(),
        api_version: "apps/v1".into(),
    }
}

/// Pods separated by `;`, in reading order.
pub(crate) fn pods(text: &str, owner: &str) -> Vec<Arc<Pod>> {
    text.split(';')
        .filter(|part| !part.trim().is_empty())
        .map(|part| Arc::new(pod(part, owner)))
        .collect()
}

/// A whole scene: what a sync of the set `web` observes.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) set: ReplicaSet,
    pub(crate) kind: SetKind,
    pub(crate) pods: Vec<Arc<Pod>>,
    pub(crate) siblings: BTreeMap<Arc<str>, usize>,
    pub(crate) extras: Extras,
}

impl Scene {
    pub(crate) fn parse(text: &str) -> Self {
        let (words, pods_text) = text.split_once('|').expect("a set, a bar, pods");
        let mut set = ReplicaSet::default();
        set.metadata.name = "web".to_owned();
        set.metadata.namespace = "default".to_owned();
        set.metadata.uid = "web-uid".to_owned();
        set.metadata.generation = 1;
        set.metadata.owner_references = vec![OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            uid: "deployment-uid".to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }];
        set.spec.selector.match_labels = pairs("app=web");
        let mut template = "app=web";
        let mut scene = Self {
            set,
            kind: SetKind::ReplicaSet,
            pods: pods(pods_text, "web-uid"),
            siblings: BTreeMap::new(),
            extras: Extras {
                terminating_replicas: true,
                ..Extras::default()
            },
        };
        let set = &mut scene.set;
        for word in words.split_whitespace() {
            match word {
                "deleting" => set.metadata.deletion_timestamp = Some(now()),
                "standalone" => set.metadata.owner_references.clear(),
                "rc" => {
                    scene.kind = SetKind::ReplicationController;
                    scene.extras.terminating_replicas = false;
                }
                "extras" => {
                    scene.extras.status_selector = true;
                    scene.extras.kstatus = true;
                }
                _ => match word
                    .split_once('=')
                    .unwrap_or_else(|| panic!("set: {word:?}"))
                {
                    ("replicas", text) => set.spec.replicas = Some(text.parse().unwrap()),
                    ("minReady", text) => set.spec.min_ready_seconds = text.parse().unwrap(),
                    ("gen", text) => set.metadata.generation = text.parse().unwrap(),
                    ("observed", text) => set.status.observed_generation = text.parse().unwrap(),
                    ("selector", text) => set.spec.selector.match_labels = pairs(text),
                    ("template", text) => template = text,
                    ("failure", reason) => set.status.conditions.push(Condition {
                        kind: "ReplicaFailure".to_owned(),
                        status: "True".to_owned(),
                        last_transition_time: Some(ago("1h")),
                        reason: reason.to_owned(),
                        message: "known".to_owned(),
                        ..Condition::default()
                    }),
                    ("status", text) => {
                        let numbers: Vec<i32> = text
                            .split('/')
                            .map(|number| number.parse().unwrap())
                            .collect();
                        set.status.replicas = numbers[0];
                        set.status.fully_labeled_replicas = numbers[1];
                        set.status.ready_replicas = numbers[2];
                        set.status.available_replicas = numbers[3];
                        set.status.terminating_replicas = numbers.get(4).copied();
                    }
                    _ => panic!("set: {word:?}"),
                },
            }
        }
        set.spec.template = Template(Arc::new(json!({
            "metadata": {"labels": pairs(template)},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]},
        })));
        for pod in &scene.pods {
            if let (true, Some(node), Some(_)) = (pod.is_active(), &pod.node, &pod.controller) {
                *scene.siblings.entry(Arc::clone(node)).or_default() += 1;
            }
        }
        scene
    }

    pub(crate) fn observed(&self) -> Observed<'_> {
        Observed {
            set: &self.set,
            kind: self.kind,
            pods: &self.pods,
            siblings: &self.siblings,
            extras: self.extras,
            now: now(),
        }
    }
}

/// Suffixes `00001`, `00002`, …
#[derive(Default)]
pub(crate) struct Counting(u32);

impl NameSource for Counting {
    fn suffix(&mut self) -> String {
        self.0 += 1;
        format!("{:05}", self.0)
    }
}

/// How often a property is tried: `quick` times, or as often as `PROPTEST_CASES` says.
pub(crate) fn cases(quick: u32) -> proptest::test_runner::Config {
    let asked = proptest::test_runner::Config::default();
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => asked.cases,
        None => quick,
    };
    proptest::test_runner::Config {
        cases,
        failure_persistence: None,
        ..asked
    }
}
