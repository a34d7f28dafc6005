//! Deployments and their ReplicaSets from one line of text, for data-driven tests.
//!
//! `replicas=10 surge=3 unavailable=2 | web-a A 10/10 rev=1; web-b B 3/0 rev=2`
//!
//! Before the bar stands the Deployment `web` (UID `web-uid`, selector `app=web`), then its
//! ReplicaSets, oldest first, then pods (see [`crate::fixture`]) with the ReplicaSet's name
//! before a colon.
//! Words of the Deployment: `replicas=`, `surge=`, `unavailable=`, `tpl=` (B unless said),
//! `type=`, `paused`, `deleting`, `gen=`, `observed=` (2 both), `minReady=`, `deadline=`,
//! `history=`, `collisions=`, `rev=`, `ann=K=V`, `selector=`, `name=`, `policy=`, `rollback`,
//! `own` (extras of our own kind), `status=R/U/Y/A[/T]`, `cond=TYPE:STATUS:REASON[@AGE][:SET]`.
//! Words of a ReplicaSet: name, template, `SIZE[/AVAILABLE]`, `pods=`, `ready=`, `term=`,
//! `rev=`, `hist=`, `desired=`, `max=` (the Deployment's unless said, `-` is absent),
//! `before=`, `completed=`, `rolledback`, `ann=K=V`, `minReady=`, `deleting`, `orphan`,
//! `updated`, `applied` (what `managedFields` tells), `foreign`, `unsynced`, `never`
//! (`observedGeneration` is -1), `stale`, `failure=REASON`, `labels=`, `same-age`.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::Expect;
use jiff::SignedDuration;
use serde_json::json;

use super::show::{show_plan, show_status};
use super::*;
use crate::fixture::{duration, now, pods};
use crate::meta::{Management, Meta, OwnerReference, Stored};
use crate::revision;
use crate::workload::{
    Condition, IntOrString, PodReplacementPolicy, ReplicaSetStatus, RollbackPolicy, RollingUpdate,
};

/// Everything that a sync observes, owned.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) deployment: Deployment,
    pub(crate) sets: Vec<Arc<ReplicaSet>>,
    pub(crate) pods: Vec<Arc<Pod>>,
    pub(crate) overlapping: Vec<Key>,
    pub(crate) extras: Extras,
    pub(crate) now: Timestamp,
}

impl Scene {
    pub(crate) fn observed(&self) -> Observed<'_> {
        Observed {
            deployment: &self.deployment,
            sets: &self.sets,
            pods: &self.pods,
            overlapping: &self.overlapping,
            extras: self.extras,
            now: self.now,
        }
    }
}

/// What the built-in kind has.
pub(crate) const NATIVE: Extras = Extras {
    status_selector: false,
    kstatus: false,
    terminating_replicas: true,
    rollout_extensions: false,
    annotations_with_status: true,
    drops_managed_fields: false,
};

/// What our own kind has.
pub(crate) const OWN: Extras = Extras {
    status_selector: true,
    kstatus: true,
    terminating_replicas: true,
    rollout_extensions: true,
    annotations_with_status: false,
    drops_managed_fields: true,
};

/// A template whose only container runs `image`.
pub(crate) fn template(image: &str) -> Template {
    Template(Arc::new(json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    })))
}

fn quantity(text: &str) -> IntOrString {
    text.parse()
        .map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int)
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap();
    (key.to_owned(), value.replace('~', " "))
}

fn numbers(text: &str) -> Vec<i32> {
    text.split('/')
        .map(|number| number.parse().unwrap())
        .collect()
}

fn selector(text: &str) -> LabelSelector {
    LabelSelector {
        match_labels: text
            .split(',')
            .filter(|text| !text.is_empty())
            .map(pair)
            .collect(),
        match_expressions: Vec::new(),
    }
}

fn condition(text: &str) -> Condition {
    let parts: Vec<&str> = text.split(':').collect();
    let (reason, age) = parts[2].split_once('@').unwrap_or((parts[2], "60s"));
    let set = parts.get(3).copied().unwrap_or("web-b");
    let at = Some(now() - duration(age));
    Condition {
        kind: parts[0].to_owned(),
        status: parts[1].to_owned(),
        last_update_time: at,
        last_transition_time: at,
        reason: reason.to_owned(),
        message: match reason {
            "NewReplicaSetAvailable" => format!("ReplicaSet {set:?} has successfully progressed."),
            "ProgressDeadlineExceeded" => format!("ReplicaSet {set:?} has timed out progressing."),
            "ReplicaSetUpdated" if parts.len() > 3 => format!("ReplicaSet {set:?} is progressing."),
            "NewReplicaSetCreated" if parts.len() > 3 => format!("Created new replica set {set:?}"),
            _ => "said before".to_owned(),
        },
    }
}

fn deployment(text: &str) -> (Deployment, Extras) {
    let mut extras = NATIVE;
    let mut rolling = RollingUpdate::default();
    let mut object = Deployment {
        metadata: Meta {
            name: "web".to_owned(),
            namespace: "default".to_owned(),
            uid: "web-uid".to_owned(),
            resource_version: 100,
            generation: 2,
            ..Meta::default()
        },
        ..Deployment::default()
    };
    let metadata = &mut object.metadata;
    let spec = &mut object.spec;
    let status = &mut object.status;
    status.observed_generation = 2;
    spec.selector = selector("app=web");
    spec.template = template("B");
    for word in text.split_whitespace() {
        match word {
            "paused" => spec.paused = true,
            "deleting" => metadata.deletion_timestamp = Some(now()),
            "own" => extras = OWN,
            "rollback" => {
                spec.rollback = Some(RollbackPolicy {
                    on_progress_deadline: true,
                });
            }
            _ => match word
                .split_once('=')
                .unwrap_or_else(|| panic!("deployment: {word:?}"))
            {
                ("replicas", number) => spec.replicas = Some(number.parse().unwrap()),
                ("surge", text) => rolling.max_surge = Some(quantity(text)),
                ("unavailable", text) => rolling.max_unavailable = Some(quantity(text)),
                ("tpl", image) => spec.template = template(image),
                ("type", text) => spec.strategy.kind = Some(text.to_owned()),
                ("gen", number) => metadata.generation = number.parse().unwrap(),
                ("observed", number) => status.observed_generation = number.parse().unwrap(),
                ("minReady", number) => spec.min_ready_seconds = number.parse().unwrap(),
                ("deadline", number) => {
                    spec.progress_deadline_seconds = Some(number.parse().unwrap());
                }
                ("history", number) => spec.revision_history_limit = Some(number.parse().unwrap()),
                ("collisions", number) => status.collision_count = Some(number.parse().unwrap()),
                ("rev", number) => {
                    metadata
                        .annotations
                        .insert(revision::REVISION.to_owned(), number.to_owned());
                }
                ("ann", text) => metadata.annotations.extend([pair(text)]),
                ("selector", text) => spec.selector = selector(text),
                ("name", name) => name.clone_into(&mut metadata.name),
                ("policy", text) => {
                    spec.pod_replacement_policy = Some(match text {
                        "started" => PodReplacementPolicy::TerminationStarted,
                        _ => PodReplacementPolicy::TerminationComplete,
                    });
                }
                ("status", text) => {
                    let numbers = numbers(text);
                    status.replicas = numbers[0];
                    status.updated_replicas = numbers[1];
                    status.ready_replicas = numbers[2];
                    status.available_replicas = numbers[3];
                    status.terminating_replicas = numbers.get(4).copied();
                }
                ("cond", text) => status.conditions.push(condition(text)),
                _ => panic!("deployment: {word:?}"),
            },
        }
    }
    spec.strategy.rolling_update = Some(rolling);
    (object, extras)
}

fn set(text: &str, at: usize, deployment: &Deployment) -> ReplicaSet {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap();
    let replicas = deployment.spec.replicas.unwrap_or(1);
    let surge = crate::rollout::resolve(deployment.spec.strategy.rolling_update.as_ref(), replicas)
        .map_or(0, |bounds| bounds.surge);
    let mut annotations = BTreeMap::from([
        (revision::DESIRED_REPLICAS.to_owned(), replicas.to_string()),
        (
            revision::MAX_REPLICAS.to_owned(),
            (replicas + surge).to_string(),
        ),
    ]);
    let hash = name.rsplit('-').next().unwrap().to_owned();
    let image = words.next().unwrap();
    let template = template(image).with_label("pod-template-hash", &hash);
    let mut object = ReplicaSet {
        metadata: Meta {
            name: name.to_owned(),
            namespace: "default".to_owned(),
            uid: format!("{name}-uid"),
            resource_version: 10 + at as u64,
            generation: 1,
            creation_timestamp: Some(now() - SignedDuration::from_hours(9 - at as i64)),
            labels: BTreeMap::from([
                ("app".to_owned(), "web".to_owned()),
                ("pod-template-hash".to_owned(), hash),
            ]),
            owner_references: vec![OwnerReference {
                api_version: "apps/v1".to_owned(),
                kind: "Deployment".to_owned(),
                name: deployment.metadata.name.clone(),
                uid: deployment.metadata.uid.clone(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }],
            ..Meta::default()
        },
        ..ReplicaSet::default()
    };
    object.spec.template = template;
    object.status = ReplicaSetStatus {
        observed_generation: 1,
        terminating_replicas: Some(0),
        ..ReplicaSetStatus::default()
    };
    let metadata = &mut object.metadata;
    for word in words {
        let mut note = |key: &str, value: &str| {
            annotations.insert(key.to_owned(), value.to_owned());
        };
        match word {
            "deleting" => metadata.deletion_timestamp = Some(now()),
            "orphan" => metadata.owner_references.clear(),
            "foreign" => metadata.owner_references[0].uid = "someone-else".to_owned(),
            "unsynced" => {
                object.status = ReplicaSetStatus::default();
            }
            "never" => {
                object.status = ReplicaSetStatus {
                    observed_generation: -1,
                    ..ReplicaSetStatus::default()
                };
            }
            "stale" => metadata.generation = 2,
            "same-age" => {
                metadata.creation_timestamp = Some(now() - SignedDuration::from_hours(9));
            }
            "rolledback" => note(revision::ROLLED_BACK, "1"),
            "updated" => metadata.management = Management::Updated,
            "applied" => metadata.management = Management::Applied,
            _ => match word.split_once('=') {
                None => {
                    let numbers = numbers(word);
                    object.spec.replicas = Some(numbers[0]);
                    object.status.replicas = numbers[0];
                    let available = numbers.get(1).copied().unwrap_or(numbers[0]);
                    object.status.ready_replicas = available;
                    object.status.available_replicas = available;
                }
                Some(("pods", number)) => object.status.replicas = number.parse().unwrap(),
                Some(("ready", number)) => object.status.ready_replicas = number.parse().unwrap(),
                Some(("term", "-")) => object.status.terminating_replicas = None,
                Some(("term", number)) => {
                    object.status.terminating_replicas = Some(number.parse().unwrap());
                }
                Some(("rev", number)) => note(revision::REVISION, number),
                Some(("hist", text)) => note(revision::REVISION_HISTORY, text),
                Some(("desired", "-")) => {
                    annotations.remove(revision::DESIRED_REPLICAS);
                }
                Some(("desired", number)) => note(revision::DESIRED_REPLICAS, number),
                Some(("max", "-")) => {
                    annotations.remove(revision::MAX_REPLICAS);
                }
                Some(("max", number)) => note(revision::MAX_REPLICAS, number),
                Some(("before", number)) => note(revision::BEFORE_SCALE, number),
                Some(("completed", number)) => note(revision::COMPLETED, number),
                Some(("ann", text)) => annotations.extend([pair(text)]),
                Some(("minReady", number)) => {
                    object.spec.min_ready_seconds = number.parse().unwrap();
                }
                Some(("labels", text)) => metadata.labels = selector(text).match_labels,
                Some(("failure", reason)) => object.status.conditions.push(Condition {
                    kind: "ReplicaFailure".to_owned(),
                    status: "True".to_owned(),
                    last_transition_time: Some(now()),
                    reason: reason.to_owned(),
                    message: format!("{name} failed"),
                    ..Condition::default()
                }),
                Some(_) => panic!("set: {word:?}"),
            },
        }
    }
    object.metadata.annotations = annotations;
    object
}

/// Available pods of the set that it reports and that were not listed, up to a number that matters
/// to no test: some report as many as an integer holds.
fn reported_pods(set: &ReplicaSet, listed: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    let uid = set.metadata.uid.as_str();
    let counts = |pod: &&Arc<Pod>| {
        pod.controller_uid() == Some(uid) && pod.is_active() && pod.is_available(0, now())
    };
    let listed = listed.iter().filter(counts).count();
    (listed..set.status.available_replicas.clamp(0, 100) as usize)
        .map(|at| {
            let text = format!("{}-{at} Running Ready@1h", set.metadata.name);
            Arc::new(crate::fixture::pod(&text, uid))
        })
        .collect()
}

/// Reads a scene.
pub(crate) fn scene(text: &str) -> Scene {
    let mut parts = text.split('|');
    let (deployment, extras) = deployment(parts.next().unwrap());
    let sets: Vec<Arc<ReplicaSet>> = parts
        .next()
        .unwrap_or_default()
        .split(';')
        .filter(|part| !part.trim().is_empty())
        .enumerate()
        .map(|(at, text)| Arc::new(set(text, at, &deployment)))
        .collect();
    let mut all = Vec::new();
    for part in parts
        .next()
        .unwrap_or_default()
        .split(';')
        .filter(|part| !part.trim().is_empty())
    {
        let (owner, text) = part.split_once(':').unwrap();
        all.extend(pods(text, &format!("{}-uid", owner.trim())));
    }
    for set in &sets {
        all.extend(reported_pods(set, &all));
    }
    Scene {
        deployment,
        sets,
        pods: all,
        overlapping: Vec::new(),
        extras,
        now: now(),
    }
}

/// The outcome of a plan that ran without trouble.
pub(crate) fn success(plan: &Plan<Action>) -> Outcome {
    let creates = plan
        .actions
        .iter()
        .any(|action| matches!(action, Action::CreateSet { .. }));
    Outcome {
        creation: if creates {
            Creation::Created
        } else {
            Creation::None
        },
    }
}

/// What is planned for a scene.
#[track_caller]
pub(crate) fn check_plan(text: &str, expected: Expect) {
    let scene = scene(text);
    expected.assert_eq(&show_plan(&plan(&scene.observed())));
}

/// What is planned for a scene, and the status when all of it succeeds.
#[track_caller]
pub(crate) fn check(text: &str, expected: Expect) {
    let scene = scene(text);
    let plan = plan(&scene.observed());
    let status = status(&scene.observed(), &success(&plan));
    let mut shown = show_plan(&plan);
    if !shown.is_empty() {
        shown += "\n";
    }
    expected.assert_eq(&(shown + &show_status(status.as_ref())));
}

/// The status of a scene after `creation`.
#[track_caller]
pub(crate) fn check_status(text: &str, creation: Creation, expected: Expect) {
    let scene = scene(text);
    let status = status(&scene.observed(), &Outcome { creation });
    expected.assert_eq(&show_status(status.as_ref()));
}
