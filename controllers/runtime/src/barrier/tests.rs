use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::resource::{NATIVE_REPLICA_SETS, PODS, REPLICA_SETS};

/// Steps of a story. `W` and `D` are made by the owner `rs`, unless said otherwise.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Own write of a pod, at this version.
    Wrote(u64),
    /// Own write of the owner itself (its status).
    WroteSelf(u64),
    Deleting(&'static str),
    FailedDelete(&'static str),
    /// The pod store is complete up to here.
    Seen(u64),
    /// The ReplicaSet store is complete up to here.
    SeenSelf(u64),
    Gone(&'static str),
    /// A list of pods at this version was asked for so many seconds ago, and is in the store.
    Listed(u64, u64),
    /// The store shows that the owner is gone.
    Forget,
    /// The API server says that the owner is gone.
    Vanished,
    /// A new list of ReplicaSets is in the store.
    ListedSelf,
    /// Seconds pass.
    Seconds(u64),
    /// The worker loops' tick: so many lists were asked for so far.
    Hurry(usize),
    /// `check` answers Ready.
    Ready,
    /// `check` answers Waiting.
    Waits,
    /// So often was the owner woken so far.
    Woken(usize),
}
use Step::*;

fn owner(uid: &str) -> Owner {
    Owner {
        resource: NATIVE_REPLICA_SETS,
        key: Key::new("ns", "rs"),
        uid: uid.into(),
    }
}

fn barrier() -> (Barrier, Arc<Mutex<Vec<Key>>>) {
    let barrier = Barrier::register(&mut Registry::default());
    let woken = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&woken);
    barrier.on_ready(NATIVE_REPLICA_SETS, move |key| sink.lock().push(key));
    (barrier, woken)
}

#[tokio::test(start_paused = true)]
async fn stories() {
    let table: &[(&str, &[Step])] = &[
        ("nothing was written", &[Seen(10), Ready, Woken(0)]),
        (
            "a write is waited for and wakes",
            &[
                Seen(10),
                Wrote(11),
                Waits,
                Woken(0),
                Seen(11),
                Woken(1),
                Ready,
            ],
        ),
        (
            "the event of somebody else's later write will do, as will a bookmark",
            &[Seen(10), Wrote(11), Waits, Seen(15), Woken(1), Ready],
        ),
        (
            "nobody is woken who was not refused",
            &[Seen(10), Wrote(11), Seen(11), Ready, Woken(0)],
        ),
        (
            "the event came before the response",
            &[Seen(12), Wrote(12), Ready, Woken(0)],
        ),
        (
            "of several writes the last counts, in any order of responses",
            &[
                Seen(10),
                Wrote(13),
                Wrote(11),
                Wrote(12),
                Waits,
                Seen(12),
                Waits,
                Woken(0),
                Seen(13),
                Woken(1),
                Ready,
            ],
        ),
        (
            "a second write while the first is waited for",
            &[
                Seen(10),
                Wrote(11),
                Waits,
                Wrote(14),
                Seen(11),
                Waits,
                Woken(0),
                Seen(14),
                Woken(1),
                Ready,
            ],
        ),
        (
            "writes of two resources are compared with their own stores",
            &[
                Seen(10),
                SeenSelf(90),
                Wrote(95),
                WroteSelf(96),
                Waits,
                SeenSelf(99),
                Waits,
                Woken(0),
                Seen(95),
                Woken(1),
                Ready,
            ],
        ),
        (
            "a delete is waited for by UID",
            &[
                Seen(10),
                Deleting("p"),
                Waits,
                Gone("q"),
                Seen(99),
                Waits,
                Gone("p"),
                Woken(1),
                Ready,
            ],
        ),
        (
            "the deletion was observed before it was recorded",
            &[Seen(10), Gone("p"), Deleting("p"), Ready, Woken(0)],
        ),
        (
            "terminating, then gone: the first counts, the second does no harm",
            &[
                Seen(10),
                Deleting("p"),
                Waits,
                Gone("p"),
                Gone("p"),
                Woken(1),
                Ready,
            ],
        ),
        (
            "a delete that failed is not waited for",
            &[
                Seen(10),
                Deleting("p"),
                Waits,
                FailedDelete("p"),
                Woken(1),
                Ready,
            ],
        ),
        (
            "one of two deletes failed",
            &[
                Seen(10),
                Deleting("p"),
                Deleting("q"),
                Waits,
                FailedDelete("p"),
                Waits,
                Gone("q"),
                Woken(1),
                Ready,
            ],
        ),
        (
            "a failure reported after the deletion was observed",
            &[
                Seen(10),
                Deleting("p"),
                Gone("p"),
                FailedDelete("p"),
                Ready,
                Woken(0),
            ],
        ),
        (
            "a mixture of writes and deletes wakes once, by the last",
            &[
                Seen(10),
                Wrote(11),
                Deleting("p"),
                Waits,
                Waits,
                Gone("p"),
                Woken(0),
                Seen(11),
                Woken(1),
                Ready,
            ],
        ),
        (
            "a relist that skips the versions in between releases",
            &[
                Seen(10),
                Wrote(11),
                Deleting("p"),
                Waits,
                Seen(5000),
                Gone("p"),
                Woken(1),
                Ready,
            ],
        ),
        (
            "an older list, from a backup or a lagging server: the store misses what is newer",
            &[
                Seen(20),
                Wrote(21),
                Waits,
                Seen(10),
                Waits,
                Seen(21),
                Woken(1),
                Seen(10),
                Wrote(15),
                Waits,
                Seen(15),
                Woken(2),
                Ready,
            ],
        ),
        (
            "the owner went: its records do not outlive it",
            &[
                Seen(10),
                Wrote(11),
                Deleting("p"),
                Waits,
                Forget,
                Ready,
                Seen(11),
                Gone("p"),
                Woken(0),
            ],
        ),
        (
            "a list is asked for when a write does not show, and again as long as none comes",
            &[
                Seen(10),
                Wrote(11),
                Waits,
                Seconds(29),
                Hurry(0),
                Seconds(1),
                Hurry(1),
                Seconds(29),
                Hurry(1),
                Seconds(1),
                Hurry(2),
                Waits,
                Woken(0),
                Listed(15, 1),
                Woken(1),
                Ready,
                Seconds(60),
                Hurry(2),
            ],
        ),
        (
            "what a later list does not have is not there: a delete that was not done, a write that etcd lost",
            &[
                Seen(10),
                Wrote(11),
                Deleting("p"),
                Waits,
                Seconds(5),
                Listed(8, 1),
                Woken(1),
                Ready,
            ],
        ),
        (
            "a list that was asked for before the write settles nothing",
            &[
                Seen(10),
                Seconds(5),
                Deleting("p"),
                Wrote(12),
                Waits,
                Listed(11, 1),
                Waits,
                Seen(12),
                Waits,
                Woken(0),
                Gone("p"),
                Woken(1),
            ],
        ),
        (
            "who is gone is not synced until its store says so",
            &[
                Seen(10),
                SeenSelf(10),
                Vanished,
                Waits,
                Seen(20),
                Waits,
                Forget,
                Ready,
                Woken(0),
            ],
        ),
        (
            "who was seen to go is not waited for",
            &[SeenSelf(10), Forget, Vanished, Ready],
        ),
        (
            "who was said to be gone, and stands in a new list, is synced again",
            &[SeenSelf(10), Vanished, Waits, ListedSelf, Woken(1), Ready],
        ),
        (
            "a list of pods says nothing of ReplicaSets",
            &[
                Seen(10),
                SeenSelf(10),
                Wrote(11),
                WroteSelf(12),
                Seconds(5),
                Listed(8, 1),
                Waits,
                SeenSelf(12),
                Woken(1),
            ],
        ),
        (
            "a resource without a watch is not waited for",
            &[Wrote(11), Deleting("p"), Ready, Woken(0)],
        ),
        (
            "waits again after it was woken",
            &[
                Seen(10),
                Wrote(11),
                Waits,
                Seen(11),
                Woken(1),
                Wrote(12),
                Waits,
                Seen(12),
                Woken(2),
                Ready,
            ],
        ),
    ];
    for (story, steps) in table {
        let (barrier, woken) = barrier();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        barrier.on_overdue(PODS, move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let rs = owner("uid-1");
        for (number, step) in steps.iter().enumerate() {
            let place = format!("{story}: step {number} {step:?}");
            match *step {
                Wrote(version) => barrier.wrote(&rs, PODS, version),
                WroteSelf(version) => barrier.wrote(&rs, NATIVE_REPLICA_SETS, version),
                Deleting(uid) => barrier.deleting(&rs, PODS, uid),
                FailedDelete(uid) => barrier.failed_delete(&rs, PODS, uid),
                Seen(version) => barrier.seen(PODS, version),
                SeenSelf(version) => barrier.seen(NATIVE_REPLICA_SETS, version),
                Gone(uid) => barrier.gone(PODS, uid, Departure::Begun),
                Vanished => barrier.vanished(&rs),
                Forget => barrier.gone(NATIVE_REPLICA_SETS, &rs.uid, Departure::Over),
                ListedSelf => {
                    tokio::time::advance(Duration::from_secs(1)).await;
                    barrier.listed(NATIVE_REPLICA_SETS, Instant::now());
                }
                Listed(version, ago) => {
                    barrier.seen(PODS, version);
                    barrier.listed(PODS, Instant::now() - Duration::from_secs(ago));
                }
                Seconds(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
                Hurry(lists) => {
                    barrier.hurry();
                    assert_eq!(asked.load(Ordering::Relaxed), lists, "{place}");
                }
                Ready => assert_eq!(barrier.check(&rs.uid), Readiness::Ready, "{place}"),
                Waits => assert_ne!(barrier.check(&rs.uid), Readiness::Ready, "{place}"),
                Woken(count) => assert_eq!(woken.lock().len(), count, "{place}"),
            }
        }
        assert!(
            barrier.inner.state.lock().is_empty(),
            "{story}: something is remembered at its end"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_recreated_under_its_name_inherits_nothing() {
    let (barrier, _) = barrier();
    barrier.seen(PODS, 10);
    barrier.wrote(&owner("old"), PODS, 11);
    barrier.deleting(&owner("old"), PODS, "p");
    assert_eq!(barrier.check("new"), Readiness::Ready);
    assert_ne!(barrier.check("old"), Readiness::Ready);
}

#[tokio::test(start_paused = true)]
async fn owners_are_woken_by_resource_and_in_the_order_of_their_writes() {
    let (barrier, woken) = barrier();
    let others = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&others);
    barrier.on_ready(REPLICA_SETS, move |key| sink.lock().push(key));
    barrier.seen(PODS, 10);
    for (name, version) in [("c", 11), ("a", 12), ("b", 13)] {
        let owner = Owner {
            resource: NATIVE_REPLICA_SETS,
            key: Key::new("ns", name),
            uid: name.into(),
        };
        barrier.wrote(&owner, PODS, version);
        assert_ne!(barrier.check(name), Readiness::Ready);
    }
    barrier.seen(PODS, 20);
    let names: Vec<String> = woken.lock().iter().map(|key| key.name.clone()).collect();
    assert_eq!(names, ["c", "a", "b"]);
    assert!(others.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_is_missing_and_is_counted() {
    let mut registry = Registry::default();
    let barrier = Barrier::register(&mut registry);
    barrier.seen(PODS, 10);
    barrier.wrote(&owner("uid"), PODS, 17);
    barrier.deleting(&owner("uid"), PODS, "p-uid");
    assert_eq!(
        barrier.check("uid"),
        Readiness::Waiting {
            what: "pods at 17 (seen 10), 1 deletes, first pods with uid p-uid".to_owned(),
        }
    );
    barrier.on_overdue(PODS, |_| {});
    tokio::time::advance(LIMIT).await;
    barrier.hurry();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "stale_sync_skips_total{group=\"apps\",resource=\"replicasets\"} 1",
        "ironkeel_barrier_overdue_total 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_store_tell_what_went() {
    let set = |uid: &str, deleting: bool| {
        let mut set = ironkeel_plan::workload::ReplicaSet::default();
        set.metadata.uid = uid.to_owned();
        set.metadata.deletion_timestamp = deleting.then_some(jiff::Timestamp::UNIX_EPOCH);
        Arc::new(set)
    };
    let change = |old: Option<(&str, bool)>, new: Option<(&str, bool)>| Change {
        old: old.map(|(uid, deleting)| set(uid, deleting)),
        new: new.map(|(uid, deleting)| set(uid, deleting)),
    };
    let (barrier, woken) = barrier();
    let rs = owner("owner");
    for resource in [PODS, NATIVE_REPLICA_SETS] {
        barrier.seen(resource, 1);
    }
    for uid in ["a", "b", "c"] {
        barrier.deleting(&rs, PODS, uid);
    }
    assert_ne!(barrier.check("owner"), Readiness::Ready);
    barrier.observe(PODS, &change(Some(("a", false)), Some(("a", false))));
    barrier.observe(PODS, &change(Some(("a", false)), Some(("a", true))));
    barrier.observe(PODS, &change(Some(("b", false)), None));
    assert_ne!(barrier.check("owner"), Readiness::Ready);
    // First seen after a relist, and terminating already.
    barrier.observe(PODS, &change(None, Some(("c", true))));
    assert_eq!(barrier.check("owner"), Readiness::Ready);
    assert_eq!(woken.lock().len(), 1);

    // The owner's own removal drops what it waits for.
    barrier.wrote(&rs, PODS, 9);
    assert_ne!(barrier.check("owner"), Readiness::Ready);
    barrier.observe(NATIVE_REPLICA_SETS, &change(Some(("owner", true)), None));
    assert_eq!(barrier.check("owner"), Readiness::Ready);
}
