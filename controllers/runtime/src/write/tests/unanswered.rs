//! Writes whose reply is lost.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_create_whose_reply_was_lost_is_found_again() {
    let rig = Rig::new([
        Err("connection reset"),
        pod("41", json!({ "ownerReferences": [reference()] })),
    ]);
    assert_eq!(rig.create().await.unwrap().resource_version, 41);
    assert_eq!(
        rig.script.lines(),
        [
            "POST /api/v1/namespaces/shop/pods",
            "GET /api/v1/namespaces/shop/pods/web-x7k2p"
        ]
    );
    assert!(rig.is_held_back());
}

#[tokio::test]
async fn a_create_that_did_not_happen_stays_unanswered() {
    let foreign = OwnerReference {
        uid: "another".to_owned(),
        ..reference()
    };
    for found in [
        refusal(404, "NotFound", "pods \"web-x7k2p\" not found"),
        pod("41", json!({ "ownerReferences": [foreign] })),
        Err("connection reset"),
    ] {
        let rig = Rig::new([Err("connection reset"), found]);
        let error = rig.create().await.unwrap_err();
        assert!(error.is_unanswered(), "{error}");
        assert!(!rig.is_held_back());
    }
}

#[tokio::test]
async fn a_delete_whose_reply_was_lost_is_settled_by_a_look() {
    let dying =
        json!({ "deletionTimestamp": "2026-11-21T10:00:30Z", "deletionGracePeriodSeconds": 30 });
    let rig = Rig::new([Err("connection reset"), pod("60", dying)]);
    rig.delete().await.unwrap();
    rig.barrier.seen(PODS, 60);
    assert!(!rig.is_held_back());

    let gone = Rig::new([Err("connection reset"), refusal(404, "NotFound", "gone")]);
    gone.delete().await.unwrap();
    assert!(gone.is_held_back());
    gone.barrier.gone(PODS, "pod-uid");
    assert!(!gone.is_held_back());

    let untouched = Rig::new([Err("connection reset"), pod("59", json!({}))]);
    assert!(untouched.delete().await.unwrap_err().is_unanswered());
    assert!(!untouched.is_held_back());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_reply_ends_after_its_limit() {
    let client = crate::fake::client(|_| std::future::pending::<Answer>());
    let rig = Rig::new([]);
    let writer = Writer::new(
        client,
        Limits::default(),
        rig.barrier.clone(),
        WriteMetrics::default(),
    );
    let started = tokio::time::Instant::now();
    let error = writer
        .create(&Leader::without_election(), &rig.owner, POD, b"{}".to_vec())
        .await
        .unwrap_err();
    assert!(error.is_unanswered());
    assert_eq!(
        error.to_string(),
        "create pods shop/web-x7k2p: no reply from the API server within 30 s"
    );
    // The create, and the look whether it happened.
    assert_eq!(started.elapsed(), REQUEST_TIMEOUT * 2);
}
