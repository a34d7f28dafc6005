use super::*;
use crate::resource::PODS;
use ironkeel_plan::pod::Pod;
use serde_json::json;

/// `namespace/name`, UID, version, owner's UID or "", node or "".
fn pod(key: &str, uid: &str, version: u64, owner: &str, node: &str) -> Pod {
    let (namespace, name) = key.split_once('/').unwrap();
    let owners = if owner.is_empty() {
        json!([])
    } else {
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": owner, "controller": true}])
    };
    let text = json!({
        "metadata": {"namespace": namespace, "name": name, "uid": uid,
            "resourceVersion": version.to_string(), "ownerReferences": owners},
        "spec": if node.is_empty() { json!({}) } else { json!({"nodeName": node}) },
    });
    serde_json::from_str(&text.to_string()).unwrap()
}

fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
    pods.iter().map(|pod| &*pod.name).collect()
}

/// `+a@1 -b@2 a@1>3`: added, removed, changed.
fn text(changes: &[Change<Pod>]) -> String {
    let one = |change: &Change<Pod>| match (&change.old, &change.new) {
        (None, Some(new)) => format!("+{}@{}", new.name, new.resource_version),
        (Some(old), None) => format!("-{}@{}", old.name, old.resource_version),
        (Some(old), Some(new)) => {
            assert_eq!(old.uid, new.uid, "one change is about one object");
            format!(
                "{}@{}>{}",
                new.name, old.resource_version, new.resource_version
            )
        }
        (None, None) => panic!("a change of nothing"),
    };
    changes.iter().map(one).collect::<Vec<_>>().join(" ")
}

#[test]
fn indexes_follow_owner_and_node() {
    let store = Store::new();
    store.apply(pod("a/x", "1", 1, "", ""));
    store.apply(pod("a/y", "2", 2, "rs1", "n1"));
    store.apply(pod("b/x", "3", 3, "rs1", "n1"));
    assert_eq!(names(&store.owned_by("rs1")), ["y", "x"]);
    assert_eq!(names(&store.orphans_in("a")), ["x"]);
    assert_eq!(names(&store.in_namespace("a")), ["x", "y"]);
    assert_eq!(names(&store.on_node("n1")), ["y", "x"]);

    // Adopted and bound, then released and adopted by another.
    assert_eq!(text(&store.apply(pod("a/x", "1", 4, "rs1", "n2"))), "x@1>4");
    assert_eq!(names(&store.owned_by("rs1")), ["x", "y", "x"]);
    assert!(store.orphans_in("a").is_empty());
    assert_eq!(names(&store.on_node("n2")), ["x"]);
    store.apply(pod("a/y", "2", 5, "", "n1"));
    assert_eq!(names(&store.orphans_in("a")), ["y"]);
    store.apply(pod("a/y", "2", 6, "rs2", "n1"));
    assert_eq!(names(&store.owned_by("rs2")), ["y"]);
    assert!(store.orphans_in("a").is_empty());

    let gone = store.delete(&Key::new("a", "y"), "2").unwrap();
    assert_eq!(gone.resource_version, 6);
    assert!(store.owned_by("rs2").is_empty());
    assert_eq!(names(&store.in_namespace("a")), ["x"]);
    assert_eq!(names(&store.on_node("n1")), ["x"]);
    assert_eq!(store.len(), 2);
    assert_eq!(store.get(&Key::new("b", "x")).unwrap().uid, "3".into());
    assert!(store.get(&Key::new("a", "y")).is_none());
}

#[test]
fn a_delete_of_another_uid_is_refused() {
    let store = Store::new();
    store.apply(pod("a/x", "new", 5, "", ""));
    assert!(store.delete(&Key::new("a", "x"), "old").is_none());
    assert_eq!(store.len(), 1);
}

#[test]
fn a_replayed_version_does_not_turn_back() {
    let store = Store::new();
    store.apply(pod("a/x", "1", 5, "rs", ""));
    assert_eq!(text(&store.apply(pod("a/x", "1", 5, "rs", ""))), "");
    assert_eq!(text(&store.apply(pod("a/x", "1", 4, "", ""))), "");
    assert_eq!(names(&store.owned_by("rs")), ["x"]);
    assert_eq!(store.resource_version(), 5);
}

#[test]
fn a_recreated_object_is_a_removal_and_an_addition() {
    let store = Store::new();
    store.apply(pod("a/x", "old", 5, "rs1", "n1"));
    assert_eq!(
        text(&store.apply(pod("a/x", "new", 7, "rs2", ""))),
        "-x@5 +x@7"
    );
    assert!(store.owned_by("rs1").is_empty());
    assert!(store.on_node("n1").is_empty());
    assert_eq!(names(&store.owned_by("rs2")), ["x"]);
}

#[test]
fn replace_hands_out_the_difference() {
    let store = Store::new();
    let list = |pods: Vec<Pod>| pods.into_iter().map(Arc::new).collect::<Vec<_>>();
    let first = list(vec![
        pod("a/same", "1", 1, "rs", ""),
        pod("a/changed", "2", 2, "rs", ""),
        pod("a/gone", "3", 3, "rs", ""),
        pod("a/recreated", "4", 4, "rs", ""),
    ]);
    assert!(!store.is_synced());
    assert_eq!(
        text(&store.replace(first, 10, Instant::now())),
        "+same@1 +changed@2 +gone@3 +recreated@4"
    );
    assert!(store.is_synced());

    let second = list(vec![
        pod("a/added", "5", 11, "rs", ""),
        pod("a/changed", "2", 12, "rs", ""),
        pod("a/recreated", "6", 13, "rs", ""),
        pod("a/same", "1", 1, "rs", ""),
    ]);
    assert_eq!(
        text(&store.replace(second, 20, Instant::now())),
        "+added@11 changed@2>12 -recreated@4 +recreated@13 -gone@3"
    );
    assert_eq!(
        names(&store.owned_by("rs")),
        ["same", "changed", "recreated", "added"]
    );
    assert_eq!(store.resource_version(), 20);

    // The same list again is no change; an empty one removes all.
    let second = store.all();
    assert_eq!(text(&store.replace(second, 21, Instant::now())), "");
    assert_eq!(
        text(&store.replace(Vec::new(), 22, Instant::now())),
        "-same@1 -changed@12 -recreated@13 -added@11"
    );
    assert!(store.is_empty());
    assert!(store.owned_by("rs").is_empty());
}

#[test]
fn the_high_water_grows_with_events_and_falls_only_with_a_list() {
    let store = Store::new();
    store.replace(Vec::new(), 100, Instant::now());
    store.apply(pod("a/x", "1", 90, "", ""));
    assert_eq!(store.resource_version(), 100);
    store.advance(120);
    store.advance(110);
    assert_eq!(store.resource_version(), 120);
    store.replace(Vec::new(), 50, Instant::now());
    assert_eq!(store.resource_version(), 50);
}

#[tokio::test(start_paused = true)]
async fn synced_wakes_every_waiter() {
    let store = Store::<Pod>::new();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.synced().await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    store.replace(Vec::new(), 1, Instant::now());
    for waiter in waiters {
        waiter.await.unwrap();
    }
    store.synced().await;
}

#[test]
fn random_operations_agree_with_a_plain_map() {
    use crate::jitter::Jitter;
    use std::collections::BTreeMap;

    let random = Jitter::new(20_261_121);
    let below = |limit: u32| (random.fraction() * f64::from(limit)) as u32;
    let store = Store::new();
    let mut model: BTreeMap<String, Pod> = BTreeMap::new();
    for version in 1..3000 {
        let key = format!("ns{}/p{}", below(3), below(12));
        let owner = ["", "rs1", "rs2", "rs3"][below(4) as usize];
        let node = ["", "n1", "n2"][below(3) as usize];
        let uid = format!("{key}-{}", below(2));
        match below(20) {
            0..14 => {
                let object = pod(&key, &uid, version, owner, node);
                store.apply(object.clone());
                model.insert(key, object);
            }
            14..19 => {
                let (namespace, name) = key.split_once('/').unwrap();
                let known = model.get(&key).is_some_and(|pod| *pod.uid == *uid);
                let gone = store.delete(&Key::new(namespace, name), &uid);
                assert_eq!(gone.is_some(), known);
                if known {
                    model.remove(&key);
                }
            }
            _ => {
                model.retain(|_, _| below(4) > 0);
                let listed = model.values().cloned().map(Arc::new).collect();
                store.replace(listed, version, Instant::now());
            }
        }
        assert_eq!(store.len(), model.len());
        for owner in ["rs1", "rs2", "rs3"] {
            let mut found: Vec<String> = store
                .owned_by(owner)
                .iter()
                .map(|pod| pod.key().to_string())
                .collect();
            found.sort();
            let expected: Vec<&String> = model
                .iter()
                .filter(|(_, pod)| pod.controller_uid() == Some(owner))
                .map(|(key, _)| key)
                .collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }
        for node in ["n1", "n2"] {
            let expected = model
                .values()
                .filter(|pod| pod.node() == Some(node))
                .count();
            assert_eq!(store.on_node(node).len(), expected);
        }
        for namespace in ["ns0", "ns1", "ns2"] {
            let all: Vec<&Pod> = model
                .values()
                .filter(|pod| &*pod.namespace == namespace)
                .collect();
            let orphans = all.iter().filter(|pod| pod.controller.is_none()).count();
            assert_eq!(store.in_namespace(namespace).len(), all.len());
            assert_eq!(store.orphans_in(namespace).len(), orphans);
        }
    }
}

/// The budget of design §4 is 1.5 kB of RSS per pod, of which the view takes most.
#[test]
fn indexes_cost_less_than_100_bytes_per_pod() {
    let store = Store::new();
    let count = 20_000_u64;
    for number in 0..count {
        let owner = format!("00000000-0000-0000-0000-{:012}", number / 10);
        let node = format!("node-{}", number % 500);
        let key = format!(
            "namespace-{}/deployment-abcdef1234-{number:05}",
            number % 50
        );
        store.apply(pod(
            &key,
            &format!("uid-{number}"),
            number + 1,
            &owner,
            &node,
        ));
    }
    let bytes = store.inner.content.read().slots.index_bytes() as u64;
    assert!(
        bytes / count < 100,
        "{PODS}: {} bytes per pod",
        bytes / count
    );
}
