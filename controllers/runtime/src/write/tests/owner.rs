//! Writes and reads of the owner itself.

use ironkeel_plan::workload::ReplicaSet;
use serde_json::json;

use super::*;

/// A rig whose barrier is fed with the owner's own kind too, up to a version before [`set`]'s.
fn rig(answers: impl IntoIterator<Item = Answer>) -> Rig {
    let rig = Rig::new(answers);
    rig.barrier.seen(NATIVE_REPLICA_SETS, 6);
    rig
}

async fn patch_own_status(rig: &Rig) -> Result<Written, WriteError> {
    let operations = Operations::on(&rig.owner.uid).set(&["status", "replicas"], json!(3));
    let target = Target::of(&rig.owner);
    let leader = Leader::without_election();
    rig.writer
        .patch_tested(&leader, &rig.owner, target, Some("status"), &operations)
        .await
}

fn not_found() -> Answer {
    refusal(404, "NotFound", "replicasets.apps \"web\" not found")
}

#[allow(clippy::unnecessary_wraps)]
fn set(uid: &str) -> Answer {
    let metadata =
        json!({ "namespace": "shop", "name": "web", "uid": uid, "resourceVersion": "7" });
    let spec = json!({ "selector": {}, "template": {} });
    Ok((
        200,
        json!({ "kind": "ReplicaSet", "metadata": metadata, "spec": spec }),
    ))
}

#[tokio::test]
async fn an_owner_that_is_gone_is_left_alone_until_its_store_says_so() {
    for (refused, live) in [
        (not_found(), not_found()),
        (
            refusal(422, "Invalid", "testing value /metadata/uid failed"),
            set("another"),
        ),
    ] {
        let rig = rig([refused, live]);
        patch_own_status(&rig).await.unwrap_err();
        assert!(rig.is_held_back());
        rig.barrier
            .gone(NATIVE_REPLICA_SETS, "set-uid", Departure::Over);
        assert!(!rig.is_held_back());
    }
}

#[tokio::test]
async fn an_owner_that_is_there_is_synced_again_after_a_refusal() {
    for refused in [not_found(), refusal(409, "Conflict", "it was changed")] {
        let rig = rig([refused, set("set-uid")]);
        patch_own_status(&rig).await.unwrap_err();
        assert!(rig.is_held_back(), "what was read is not observed yet");
        rig.barrier.seen(NATIVE_REPLICA_SETS, 7);
        assert!(!rig.is_held_back());
    }
}

#[tokio::test]
async fn a_refusal_of_another_object_says_nothing_of_the_owner() {
    let rig = rig([not_found()]);
    let operations = Operations::on("uid").set(&["spec", "replicas"], json!(3));
    let leader = Leader::without_election();
    let write = rig
        .writer
        .patch_tested(&leader, &rig.owner, SET, None, &operations);
    write.await.unwrap_err();
    assert!(!rig.is_held_back());
}

#[tokio::test]
async fn a_live_read_that_finds_no_owner_holds_it_back() {
    for (answer, there) in [
        (not_found(), false),
        (set("another"), false),
        (set("set-uid"), true),
    ] {
        let rig = rig([answer]);
        let live = rig.writer.live_owner::<ReplicaSet>(&rig.owner).await;
        assert_eq!(live.is_ok_and(|set| set.metadata.uid == "set-uid"), there);
        rig.barrier.seen(NATIVE_REPLICA_SETS, 7);
        assert_eq!(rig.is_held_back(), !there);
    }
}
