//! Writes whose outcome is open: the reply is lost, or is one that the write may have survived.

use serde_json::json;

use super::*;
use crate::write::read_back::PATIENCE;

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
async fn a_create_that_was_sent_twice_on_the_way_is_ours() {
    let taken = || refusal(409, "AlreadyExists", "pods \"web-x7k2p\" already exists");
    let rig = Rig::new([
        taken(),
        pod("41", json!({ "ownerReferences": [reference()] })),
    ]);
    assert_eq!(rig.create().await.unwrap().resource_version, 41);
    assert!(rig.is_held_back());

    let rig = Rig::new([taken(), pod("41", json!({}))]);
    assert!(rig.create().await.unwrap_err().is_already_exists());
    assert!(!rig.is_held_back());
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
    ] {
        let rig = Rig::new([Err("connection reset"), found]);
        let error = rig.create().await.unwrap_err();
        assert!(error.is_unanswered(), "{error}");
        assert!(!rig.is_held_back());
    }
}

#[tokio::test]
async fn a_create_that_outlived_its_refusal_is_found_again() {
    for answer in [
        refusal(
            504,
            "Timeout",
            "request did not complete within requested timeout",
        ),
        refusal(500, "InternalError", "etcdserver: request timed out"),
        Ok((200, json!("not an object"))),
    ] {
        let found = pod("41", json!({ "ownerReferences": [reference()] }));
        let rig = Rig::new([answer, found]);
        assert_eq!(rig.create().await.unwrap().resource_version, 41);
        assert!(rig.is_held_back());
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_restarts_is_asked_until_it_answers() {
    let rig = Rig::new([
        Err("connection reset"),
        Err("connection refused"),
        refusal(503, "ServiceUnavailable", "starting"),
        refusal(429, "TooManyRequests", "later"),
        pod("41", json!({ "ownerReferences": [reference()] })),
    ]);
    let started = tokio::time::Instant::now();
    assert_eq!(rig.create().await.unwrap().resource_version, 41);
    assert_eq!(started.elapsed(), Duration::from_millis(100 + 200 + 1000));

    let down = std::iter::repeat_n(Err("connection refused"), 20);
    let rig = Rig::new(down);
    let started = tokio::time::Instant::now();
    assert!(rig.create().await.unwrap_err().is_unanswered());
    let asked = started.elapsed();
    assert!(asked <= PATIENCE && asked > PATIENCE / 2, "{asked:?}");
    assert!(!rig.is_held_back());
}

#[tokio::test]
async fn a_delete_that_outlived_its_refusal_is_settled_by_a_look() {
    let rig = Rig::new([
        refusal(
            504,
            "Timeout",
            "request did not complete within requested timeout",
        ),
        refusal(404, "NotFound", "gone"),
    ]);
    rig.delete().await.unwrap();
    assert!(rig.is_held_back());
    rig.barrier.gone(PODS, "pod-uid", Departure::Begun);
    assert!(!rig.is_held_back());
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
    gone.barrier.gone(PODS, "pod-uid", Departure::Begun);
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
