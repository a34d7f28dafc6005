use std::time::Duration;

use ironkeel_runtime::queue_metrics::QueueMetrics;
use ironkeel_runtime::resource::{NATIVE_REPLICA_SETS, REPLICA_SETS};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;

/// Two sets, `one` (app=a) and `two` (app=b), and a queue.
struct World {
    sets: Store<ReplicaSet>,
    queue: Queue,
}

impl World {
    fn new() -> Self {
        let sets = Store::new();
        for (name, app) in [("one", "a"), ("two", "b")] {
            let set = json!({
                "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": "1"},
                "spec": {"selector": {"matchLabels": {"app": app}}},
            });
            sets.apply(serde_json::from_value(set).unwrap());
        }
        let queue = Queue::new("test", &QueueMetrics::register(&mut Registry::default()));
        Self { sets, queue }
    }

    /// The names that a change from `old` to `new` wakes at once, and those it wakes after the window.
    async fn woken(&self, old: Option<Value>, new: Option<Value>) -> (Vec<String>, Vec<String>) {
        let pod = |value: Value| -> Arc<Pod> { Arc::new(serde_json::from_value(value).unwrap()) };
        let change = Change {
            old: old.map(pod),
            new: new.map(pod),
        };
        let windows = Windows::default();
        pod_changed(REPLICA_SETS, &self.sets, &self.queue, &windows, &change);
        let at_once = self.drain(Duration::from_millis(1)).await;
        (at_once, self.drain(Duration::from_millis(50)).await)
    }

    async fn drain(&self, wait: Duration) -> Vec<String> {
        let mut names = Vec::new();
        while let Ok(Some(work)) = tokio::time::timeout(wait, self.queue.next()).await {
            self.queue.done(&work.key);
            names.push(work.key.name);
        }
        names.sort();
        names
    }
}

/// A pod with the label `app`, controlled by the set `owner` unless that is empty.
fn pod(app: &str, owner: &str, phase: &str) -> Value {
    let mut pod = json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "uid-p", "resourceVersion": "5", "labels": {"app": app}},
        "status": {"phase": phase},
    });
    if !owner.is_empty() {
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": REPLICA_SETS.api_version(), "kind": "ReplicaSet", "controller": true,
            "name": owner, "uid": format!("uid-{owner}"),
        }]);
    }
    pod
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_goes_wakes_its_set_at_once() {
    let world = World::new();
    let mine = pod("a", "one", "Running");
    assert_eq!(
        world.woken(Some(mine.clone()), None).await,
        (names(&["one"]), names(&[]))
    );
    let failed = pod("a", "one", "Failed");
    assert_eq!(
        world.woken(Some(mine), Some(failed)).await,
        (names(&["one"]), names(&[]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_or_only_changes_may_wait_for_others() {
    let world = World::new();
    let mine = pod("a", "one", "Running");
    assert_eq!(
        world.woken(None, Some(mine)).await,
        (names(&[]), names(&["one"]))
    );
    let failed = pod("a", "one", "Failed");
    assert_eq!(
        world.woken(Some(failed), None).await,
        (names(&[]), names(&["one"]))
    );
    let (pending, running) = (pod("a", "one", "Pending"), pod("a", "one", "Running"));
    assert_eq!(
        world.woken(Some(pending), Some(running)).await,
        (names(&[]), names(&["one"]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_changes_hands_wakes_both_sets() {
    let world = World::new();
    let (before, after) = (pod("a", "one", "Running"), pod("b", "two", "Running"));
    assert_eq!(
        world.woken(Some(before), Some(after)).await,
        (names(&["one", "two"]), names(&[]))
    );
}

#[tokio::test(start_paused = true)]
async fn an_orphan_wakes_whoever_may_adopt_it_and_only_when_that_is_new() {
    let world = World::new();
    let (a, b) = (pod("a", "", "Running"), pod("b", "", "Running"));
    assert_eq!(world.woken(None, Some(a.clone())).await.0, names(&["one"]));
    assert_eq!(
        world.woken(Some(a.clone()), Some(b)).await.0,
        names(&["two"])
    );
    assert_eq!(
        world.woken(Some(a.clone()), Some(a.clone())).await.0,
        names(&[])
    );
    // Released: the set that had it, and whoever matches it now, which is the same one here.
    let owned = pod("a", "one", "Running");
    assert_eq!(world.woken(Some(owned), Some(a)).await.0, names(&["one"]));
}

#[tokio::test(start_paused = true)]
async fn pods_of_other_kinds_or_of_a_set_that_was_recreated_wake_nobody() {
    let world = World::new();
    let mut native = pod("a", "one", "Running");
    native["metadata"]["ownerReferences"][0]["apiVersion"] =
        json!(NATIVE_REPLICA_SETS.api_version());
    assert_eq!(world.woken(None, Some(native)).await.0, names(&[]));
    let mut old = pod("a", "one", "Running");
    old["metadata"]["ownerReferences"][0]["uid"] = json!("uid-of-an-earlier-one");
    assert_eq!(world.woken(None, Some(old)).await.0, names(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_only_tells_of_itself_does_not_count_as_changed() {
    let world = World::new();
    let set = |generation: i64, label: &str, replicas: i32| -> Arc<ReplicaSet> {
        let set = json!({
            "metadata": {"name": "one", "namespace": "ns", "uid": "uid-one", "resourceVersion": "1",
                "generation": generation, "labels": {"app": label}},
            "spec": {"selector": {"matchLabels": {"app": "a"}}},
            "status": {"replicas": replicas},
        });
        Arc::new(serde_json::from_value(set).unwrap())
    };
    for (old, new, why) in [
        (None, set(1, "a", 0), "changed"),
        (Some(set(1, "a", 0)), set(1, "a", 3), "status"),
        (Some(set(1, "a", 3)), set(2, "a", 3), "changed"),
        (Some(set(1, "a", 3)), set(1, "b", 3), "changed"),
    ] {
        let new = Some(new);
        set_changed(&world.queue, &Change { old, new });
        let work = world.queue.next().await.unwrap();
        assert_eq!(work.why.to_string(), why);
        world.queue.done(&work.key);
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_controller_looks_at_wakes_nobody() {
    let world = World::new();
    let before = pod("a", "one", "Running");
    let mut after = before.clone();
    after["metadata"]["resourceVersion"] = "6".into();
    after["status"]["conditions"] =
        json!([{"type": "PodScheduled", "status": "False", "message": "looked again"}]);
    assert_eq!(
        world.woken(Some(before), Some(after)).await,
        (names(&[]), names(&[]))
    );
}
