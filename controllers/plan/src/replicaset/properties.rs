//! What holds for every set and any pods.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{Action, Outcome, PodRef, StatusWrite, plan, status};
use crate::claim::{Claim, Owner, claim};
use crate::fixture::{Counting, Scene, pod};
use crate::plan::Plan;
use crate::pod::{Phase, Pod};
use crate::rank::sort_for_deletion;

/// The words of one pod as the fixture reads them, without its name.
fn pod_words() -> impl Strategy<Value = String> {
    let phase = prop::sample::select(vec!["Pending", "Running", "Unknown", "Failed", "Succeeded"]);
    let ready = prop::sample::select(vec!["", "Ready@10s", "Ready@5h", "Ready@6h", "Ready@?"]);
    let owner = prop::sample::select(vec!["", "", "", "orphan", "foreign"]);
    let labels = prop::sample::select(vec!["", "", "", "labels=app=db", "labels=app=web,x=y"]);
    let node = prop::sample::select(vec!["", "@n1", "@n2", "@n3"]);
    let deleting = prop::sample::select(vec!["", "", "", "deleting"]);
    let namespace = prop::sample::select(vec!["", "", "", "", "ns=other"]);
    let age = prop::sample::select(vec!["age=5s", "age=5h", "age=6h", "age=30d"]);
    (
        (phase, ready, owner, labels, node, deleting, namespace, age),
        -1..=1_i32,
        0..=2_i32,
        0..=1_i32,
        0..1000_u32,
    )
        .prop_map(|(words, cost, restarts, sidecar, uid)| {
            let (phase, ready, owner, labels, node, deleting, namespace, age) = words;
            format!(
                "{phase} {ready} {owner} {labels} {node} {deleting} {namespace} {age} \
                 cost={cost} restarts={restarts} sidecar={sidecar} uid=u{uid}"
            )
        })
}

/// Words of pods that differ only in what the last rules of the ranking look at.
fn similar_pod_words() -> impl Strategy<Value = String> {
    let ready = prop::sample::select(vec!["", "Ready@10s", "Ready@5h", "Ready@6h", "Ready@?"]);
    let age = prop::sample::select(vec!["age=5s", "age=5h", "age=6h", "age=30d"]);
    (ready, age, 0..=1_i32, 0..=1_i32, 0..1000_u32).prop_map(
        |(ready, age, restarts, sidecar, uid)| {
            format!("Running {ready} {age} restarts={restarts} sidecar={sidecar} uid=u{uid}")
        },
    )
}

/// Whether upstream deletes `a` before `b`, rule by rule as its documentation of
/// `ActivePodsWithRanks` lists them; `None` where it leaves the order open.
fn upstream_prefers(a: &Pod, b: &Pod, siblings: &BTreeMap<Arc<str>, usize>) -> Option<Ordering> {
    let phase = |pod: &Pod| match pod.phase {
        Phase::Running => 2,
        Phase::Unknown => 1,
        _ => 0,
    };
    let crowd = |pod: &Pod| pod.node.as_ref().map_or(0, |node| siblings[node]);
    // Unknown times come first; others by the floor of the logarithm of their age.
    let bucket = |at: Option<Timestamp>| {
        let age = |at| 1e9 * crate::fixture::now().duration_since(at).as_secs_f64();
        at.map(|at| age(at).log2() as i64)
    };
    let by_time = |a_time: Option<Timestamp>, b_time: Option<Timestamp>| {
        (a_time != b_time).then(|| {
            let buckets = bucket(a_time).cmp(&bucket(b_time));
            buckets.then_with(|| a.uid.cmp(&b.uid))
        })
    };
    let coarse = (a.node.is_some().cmp(&b.node.is_some()))
        .then_with(|| phase(a).cmp(&phase(b)))
        .then_with(|| a.ready.cmp(&b.ready))
        .then_with(|| a.deletion_cost.cmp(&b.deletion_cost))
        .then_with(|| crowd(b).cmp(&crowd(a)));
    if coarse.is_ne() {
        return Some(coarse);
    }
    if let (true, Some(order)) = (a.ready && b.ready, by_time(a.ready_since, b.ready_since)) {
        return Some(order);
    }
    let restarts = (b.restarts, b.sidecar_restarts).cmp(&(a.restarts, a.sidecar_restarts));
    if restarts.is_ne() {
        return Some(restarts);
    }
    by_time(a.created, b.created)
}

/// A set with up to `most` pods of all sorts.
fn scene(most: usize) -> impl Strategy<Value = Scene> {
    let set = (
        prop::option::weighted(0.9, -1..=8_i32),
        prop::sample::select(vec!["", "", "", "deleting"]),
        prop::sample::select(vec!["", "standalone"]),
        prop::sample::select(vec![0, 30]),
    );
    (set, prop::collection::vec(pod_words(), 0..=most)).prop_map(
        |((replicas, deleting, standalone, min_ready), pods)| {
            let replicas = replicas.map(|number| format!("replicas={number}"));
            let mut text = format!(
                "{} {deleting} {standalone} minReady={min_ready} |",
                replicas.unwrap_or_default()
            );
            for (at, words) in pods.iter().enumerate() {
                // Names and UIDs are unique in a real cluster.
                let _ = write!(text, "p{at} {words}-{at};");
            }
            Scene::parse(&text)
        },
    )
}

fn planned(scene: &Scene) -> Plan<Action> {
    plan(&scene.observed(), &mut Counting::default())
}

/// What the set would call its replicas: active pods that it controls or may adopt.
fn replicas(scene: &Scene) -> Vec<&Arc<Pod>> {
    let owner = Owner::of(&scene.set, &scene.set.spec.selector);
    let ours = |pod: &&Arc<Pod>| {
        pod.is_active() && matches!(claim(&owner, &***pod), Claim::Keep | Claim::Adopt)
    };
    scene.pods.iter().filter(ours).collect()
}

fn wanted(scene: &Scene) -> usize {
    usize::try_from(scene.set.spec.replicas.unwrap_or(1)).unwrap_or_default()
}

/// Carries the plan out on a copy of the pods, as the API server would.
fn apply(scene: &mut Scene, plan: &Plan<Action>, next: &mut usize) {
    let mut edit = |reference: &PodRef, change: &dyn Fn(&mut Pod)| {
        let pod = scene
            .pods
            .iter_mut()
            .find(|pod| *pod.uid == *reference.uid)
            .expect("an action names a pod that exists");
        change(Arc::make_mut(pod));
    };
    let mut created = Vec::new();
    for action in &plan.actions {
        match action {
            Action::Adopt(pod) => edit(pod, &|pod| {
                assert_eq!(pod.controller, None, "only an orphan is adopted");
                pod.controller = crate::fixture::pod("x", "web-uid").controller;
            }),
            Action::Release(pod) => edit(pod, &|pod| {
                assert_eq!(
                    pod.controller.as_ref().map(|owner| &*owner.uid),
                    Some("web-uid")
                );
                pod.controller = None;
            }),
            Action::Delete { pods } => {
                for pod in pods {
                    edit(pod, &|pod| {
                        assert_eq!(pod.deleting, None, "a pod is deleted once");
                        assert_eq!(
                            pod.controller.as_ref().map(|owner| &*owner.uid),
                            Some("web-uid"),
                            "only own pods are deleted"
                        );
                        pod.deleting = Some(crate::fixture::now());
                    });
                }
            }
            Action::Create { names } => created.extend(names.iter().cloned()),
        }
    }
    for name in created {
        *next += 1;
        let mut fresh = pod("x Pending", "web-uid");
        fresh.name = name.into();
        fresh.uid = format!("created-{next}").into();
        scene.pods.push(Arc::new(fresh));
    }
}

proptest! {
    #![proptest_config(crate::fixture::cases(256))]

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(mut scene in scene(12)) {
        let first = planned(&scene);
        apply(&mut scene, &first, &mut 0);
        prop_assert_eq!(&planned(&scene).actions, &Vec::new());
        if scene.set.metadata.deletion_timestamp.is_none() {
            prop_assert_eq!(replicas(&scene).len(), wanted(&scene));
        }
    }

    #[test]
    fn pods_are_created_only_when_they_are_missing(scene in scene(12)) {
        let have = replicas(&scene).len();
        for action in planned(&scene).actions {
            match action {
                Action::Create { names } => {
                    prop_assert_eq!(names.len(), wanted(&scene) - have);
                    let distinct: BTreeSet<_> = names.iter().collect();
                    prop_assert_eq!(distinct.len(), names.len());
                }
                Action::Delete { pods } => {
                    prop_assert_eq!(pods.len(), have - wanted(&scene));
                }
                Action::Adopt(_) | Action::Release(_) => {}
            }
        }
    }

    #[test]
    fn exactly_the_lowest_ranked_pods_are_deleted(scene in scene(12)) {
        let mut ranked = replicas(&scene);
        let none = BTreeMap::new();
        let alone = scene.set.metadata.owner_references.is_empty();
        let siblings = if alone { &none } else { &scene.siblings };
        sort_for_deletion(&mut ranked, siblings, crate::fixture::now());
        for action in planned(&scene).actions {
            if let Action::Delete { pods } = action {
                let lowest: Vec<PodRef> =
                    ranked[..pods.len()].iter().map(|pod| PodRef::of(pod)).collect();
                prop_assert_eq!(pods, lowest);
            }
        }
    }

    #[test]
    fn the_order_of_the_pods_changes_nothing(
        (scene, shuffled) in scene(12).prop_flat_map(|scene| {
            let shuffled = Just(scene.pods.clone()).prop_shuffle();
            (Just(Arc::new(scene)), shuffled)
        }),
    ) {
        let mut other = scene.observed();
        other.pods = &shuffled;
        prop_assert_eq!(planned(&scene), plan(&other, &mut Counting::default()));
        let nothing = Outcome::default();
        prop_assert_eq!(status(&scene.observed(), &nothing), status(&other, &nothing));
    }

    #[test]
    fn pods_of_others_are_never_touched(scene in scene(12)) {
        let owner = Owner::of(&scene.set, &scene.set.spec.selector);
        let ignored: BTreeSet<&str> = scene
            .pods
            .iter()
            .filter(|pod| claim(&owner, &***pod) == Claim::Ignore)
            .map(|pod| &*pod.uid)
            .collect();
        for action in planned(&scene).actions {
            let touched = match action {
                Action::Adopt(pod) | Action::Release(pod) => vec![pod],
                Action::Delete { pods } => pods,
                Action::Create { .. } => Vec::new(),
            };
            for pod in touched {
                prop_assert!(!ignored.contains(pod.uid.as_str()), "{pod:?}");
            }
        }
    }

    #[test]
    fn a_set_that_is_being_deleted_writes_no_pod(mut scene in scene(12)) {
        scene.set.metadata.deletion_timestamp = Some(crate::fixture::now());
        prop_assert_eq!(planned(&scene).actions, Vec::new());
    }

    #[test]
    fn a_status_that_is_written_is_not_written_again(mut scene in scene(12)) {
        let nothing = Outcome::default();
        if let Some(written) = status(&scene.observed(), &nothing) {
            scene.set.status = written.status;
        }
        prop_assert_eq!(status(&scene.observed(), &nothing), None);
    }

    #[test]
    fn the_numbers_of_a_status_are_in_order(scene in scene(12)) {
        if let Some(StatusWrite { status, .. }) = status(&scene.observed(), &Outcome::default()) {
            prop_assert!(status.available_replicas <= status.ready_replicas);
            prop_assert!(status.ready_replicas <= status.replicas);
            prop_assert!(status.fully_labeled_replicas <= status.replicas);
            prop_assert_eq!(status.replicas as usize, replicas(&scene).len());
        }
    }

    #[test]
    fn after_looking_again_one_more_pod_is_available(scene in scene(12)) {
        if let Some(delay) = planned(&scene).requeue_after {
            prop_assert!(delay.is_positive());
            let available = |at| {
                let seconds = scene.set.spec.min_ready_seconds;
                replicas(&scene).iter().filter(|pod| pod.is_available(seconds, at)).count()
            };
            let now = crate::fixture::now();
            let a_moment_earlier = now + delay - jiff::SignedDuration::from_nanos(1);
            prop_assert_eq!(available(now), available(a_moment_earlier));
            let knows = |pod: &&Arc<Pod>| pod.ready && pod.ready_since.is_some();
            let waits = |pod: &&Arc<Pod>| !pod.is_available(scene.set.spec.min_ready_seconds, now);
            if replicas(&scene).into_iter().any(|pod| knows(&pod) && waits(&pod)) {
                prop_assert!(available(now + delay) > available(now));
            }
        }
    }

    #[test]
    fn two_pods_rank_as_they_do_upstream(
        (a, b) in prop_oneof![
            (pod_words(), pod_words()),
            (similar_pod_words(), similar_pod_words()),
        ],
    ) {
        let siblings = BTreeMap::from([("n1".into(), 3), ("n2".into(), 3), ("n3".into(), 1)]);
        let a = Arc::new(pod(&format!("a {a}-a"), "web-uid"));
        let b = Arc::new(pod(&format!("b {b}-b"), "web-uid"));
        let mut sorted = [&a, &b];
        sort_for_deletion(&mut sorted, &siblings, crate::fixture::now());
        match upstream_prefers(&a, &b, &siblings) {
            Some(Ordering::Less) => prop_assert_eq!(&sorted[0].name, &a.name),
            Some(Ordering::Greater) => prop_assert_eq!(&sorted[0].name, &b.name),
            // Ours decides by UID what upstream leaves to its sort.
            _ => prop_assert!(sorted[0].uid < sorted[1].uid),
        }
    }

    #[test]
    fn any_order_of_many_pods_ranks_alike(
        pods in prop::collection::vec(prop_oneof![pod_words(), similar_pod_words()], 0..40).prop_flat_map(|words| {
            let pods: Vec<Arc<Pod>> = words
                .iter()
                .enumerate()
                .map(|(at, words)| Arc::new(pod(&format!("p{at} {words}-{at}"), "web-uid")))
                .collect();
            (Just(pods.clone()), Just(pods).prop_shuffle())
        }),
    ) {
        let (pods, shuffled) = pods;
        let siblings = BTreeMap::from([("n1".into(), 3), ("n2".into(), 3)]);
        let order = |pods: &[Arc<Pod>]| {
            let mut pods: Vec<_> = pods.iter().collect();
            sort_for_deletion(&mut pods, &siblings, crate::fixture::now());
            pods.iter().map(|pod| pod.uid.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(order(&pods), order(&shuffled));
    }
}

#[test]
fn twelve_hundred_pods_come_at_once_and_go_in_steps_of_five_hundred() {
    let mut scene = Scene::parse("replicas=1200 |");
    let mut next = 0;
    let mut steps = Vec::new();
    let mut names = Counting::default();
    for replicas_wanted in [1200, 0] {
        scene.set.spec.replicas = Some(replicas_wanted);
        loop {
            let step = plan(&scene.observed(), &mut names);
            if step.actions.is_empty() {
                break;
            }
            apply(&mut scene, &step, &mut next);
            steps.push(replicas(&scene).len());
        }
    }
    assert_eq!(steps, [1200, 700, 200, 0]);
}
