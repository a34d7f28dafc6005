mod owner;
mod unanswered;

use std::time::Duration;

use ironkeel_plan::meta::{Key, OwnerReference};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::barrier::{Departure, Readiness};
use crate::fake::{Answer, Script, refusal};
use crate::metrics::{Metrics, encode};
use crate::resource::{NATIVE_REPLICA_SETS, PODS, REPLICA_SETS};

/// A writer on a scripted API server.
struct Rig {
    script: Script,
    writer: Writer,
    barrier: Barrier,
    registry: Registry,
    owner: Owner,
}

impl Rig {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let barrier = Barrier::register(&mut registry);
        for resource in [PODS, REPLICA_SETS] {
            barrier.seen(resource, 1);
        }
        let script = Script::new(answers);
        let writer = Writer::new(
            script.client(),
            Limits::default(),
            barrier.clone(),
            metrics.writes,
        );
        let owner = Owner {
            resource: NATIVE_REPLICA_SETS,
            key: Key::new("shop", "web"),
            uid: "set-uid".into(),
        };
        Self {
            script,
            writer,
            barrier,
            registry,
            owner,
        }
    }

    fn is_held_back(&self) -> bool {
        matches!(
            self.barrier.check(&self.owner.uid),
            Readiness::Waiting { .. }
        )
    }

    async fn create(&self) -> Result<Written, WriteError> {
        let body = br#"{"metadata":{"name":"web-x7k2p"}}"#.to_vec();
        self.writer
            .create(&Leader::without_election(), &self.owner, POD, body)
            .await
    }

    async fn delete(&self) -> Result<(), WriteError> {
        self.writer
            .delete(
                &Leader::without_election(),
                &self.owner,
                POD,
                Precondition::uid("pod-uid"),
                Propagation::Background,
            )
            .await
    }
}

const POD: Target<'static> = Target {
    resource: PODS,
    namespace: "shop",
    name: "web-x7k2p",
};

const SET: Target<'static> = Target {
    resource: REPLICA_SETS,
    namespace: "shop",
    name: "web-5d4",
};

/// The API server's reply with a pod, whose metadata has `more` beside the usual.
#[allow(clippy::needless_pass_by_value, clippy::unnecessary_wraps)]
fn pod(version: &str, more: Value) -> Answer {
    let mut metadata = json!({ "name": "web-x7k2p", "uid": "pod-uid", "resourceVersion": version });
    for (key, value) in more.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    Ok((
        200,
        json!({ "kind": "Pod", "metadata": metadata, "spec": { "containers": [] } }),
    ))
}

fn reference() -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: "web".to_owned(),
        uid: "set-uid".to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

#[tokio::test]
async fn a_create_sends_the_bytes_and_holds_its_owner_until_it_is_seen() {
    let rig = Rig::new([pod("41", json!({}))]);
    let written = rig.create().await.unwrap();
    assert_eq!(
        written,
        Written {
            name: "web-x7k2p".to_owned(),
            uid: "pod-uid".to_owned(),
            resource_version: 41
        }
    );
    let call = &rig.script.calls()[0];
    assert_eq!(call.line(), "POST /api/v1/namespaces/shop/pods");
    assert_eq!(call.content_type, "application/json");
    assert_eq!(call.body, json!({ "metadata": { "name": "web-x7k2p" } }));
    assert!(rig.is_held_back());
    rig.barrier.seen(PODS, 40);
    assert!(rig.is_held_back());
    rig.barrier.seen(PODS, 41);
    assert!(!rig.is_held_back());
}

#[tokio::test]
async fn writes_are_counted_by_outcome() {
    let rig = Rig::new([
        pod("41", json!({})),
        refusal(409, "AlreadyExists", "taken"),
        refusal(404, "NotFound", "no such pod"),
        Err("connection reset"),
        refusal(404, "NotFound", "no such pod"),
    ]);
    let _ = rig.create().await;
    let _ = rig.create().await;
    let _ = rig.create().await;
    let text = encode(&rig.registry).unwrap();
    for code in ["2xx", "409", "<error>"] {
        let line = format!(
            r#"ironkeel_api_writes_total{{verb="create",group="",resource="pods",subresource="",code="{code}"}} 1"#
        );
        assert!(text.contains(&line), "no {line} in\n{text}");
    }
}

#[tokio::test]
async fn a_merge_patch_carries_its_precondition() {
    let rig = Rig::new([pod("42", json!({}))]);
    rig.writer
        .patch_merge(
            &Leader::without_election(),
            &rig.owner,
            SET,
            Some("status"),
            Precondition::version("set-uid", 17),
            json!({ "status": { "replicas": 3 } }),
        )
        .await
        .unwrap();
    let call = &rig.script.calls()[0];
    assert_eq!(
        call.line(),
        "PATCH /apis/apps.ironkeel.dev/v1/namespaces/shop/replicasets/web-5d4/status"
    );
    assert_eq!(call.content_type, "application/merge-patch+json");
    assert_eq!(
        call.body,
        json!({ "metadata": { "uid": "set-uid", "resourceVersion": "17" }, "status": { "replicas": 3 } })
    );
}

#[tokio::test]
async fn built_in_kinds_are_adopted_and_released_as_upstream_does() {
    let rig = Rig::new([pod("42", json!({})), pod("43", json!({}))]);
    let leader = Leader::without_election();
    rig.writer
        .adopt(&leader, &rig.owner, POD, "pod-uid", &reference())
        .await
        .unwrap();
    let released = rig
        .writer
        .release(&leader, &rig.owner, POD, "pod-uid", "set-uid")
        .await
        .unwrap();
    assert_eq!(released.unwrap().resource_version, 43);
    let calls = rig.script.calls();
    for call in &calls {
        assert_eq!(call.line(), "PATCH /api/v1/namespaces/shop/pods/web-x7k2p");
        assert_eq!(call.content_type, "application/strategic-merge-patch+json");
    }
    assert_eq!(
        calls[0].body,
        json!({ "metadata": { "uid": "pod-uid", "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set-uid",
            "controller": true, "blockOwnerDeletion": true,
        }] } })
    );
    assert_eq!(
        calls[1].body,
        json!({ "metadata": { "uid": "pod-uid", "ownerReferences": [
            { "$patch": "delete", "uid": "set-uid" },
        ] } })
    );
}

#[tokio::test]
async fn custom_kinds_keep_their_other_owners() {
    let other =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "other", "extra": 1 });
    let with_both = json!([other, reference()]);
    let rig = Rig::new([
        pod("50", json!({ "ownerReferences": [other] })),
        pod("51", json!({})),
        pod("51", json!({ "ownerReferences": with_both })),
        pod("52", json!({})),
    ]);
    let leader = Leader::without_election();
    rig.writer
        .adopt(&leader, &rig.owner, SET, "pod-uid", &reference())
        .await
        .unwrap();
    rig.writer
        .release(&leader, &rig.owner, SET, "pod-uid", "set-uid")
        .await
        .unwrap();
    let calls = rig.script.calls();
    assert_eq!(calls[1].content_type, "application/merge-patch+json");
    assert_eq!(
        calls[1].body,
        json!({ "metadata": { "uid": "pod-uid", "resourceVersion": "50", "ownerReferences": with_both } })
    );
    assert_eq!(
        calls[3].body,
        json!({ "metadata": { "uid": "pod-uid", "resourceVersion": "51", "ownerReferences": [other] } })
    );
}

#[tokio::test]
async fn what_is_gone_or_free_counts_as_released() {
    for answer in [
        refusal(404, "NotFound", "pods \"web-x7k2p\" not found"),
        refusal(422, "Invalid", "uid: field is immutable"),
    ] {
        let rig = Rig::new([answer]);
        let released = rig
            .writer
            .release(
                &Leader::without_election(),
                &rig.owner,
                POD,
                "pod-uid",
                "set-uid",
            )
            .await;
        assert_eq!(released.unwrap(), None);
    }
    let rig = Rig::new([pod("50", json!({}))]);
    let released = rig
        .writer
        .release(
            &Leader::without_election(),
            &rig.owner,
            SET,
            "pod-uid",
            "set-uid",
        )
        .await;
    assert_eq!(released.unwrap(), None);
    assert_eq!(rig.script.calls().len(), 1, "a free object was patched");
}

#[tokio::test]
async fn a_graceful_delete_waits_for_the_version_that_it_was_answered() {
    let dying =
        json!({ "deletionTimestamp": "2026-11-21T10:00:30Z", "deletionGracePeriodSeconds": 30 });
    let rig = Rig::new([pod("60", dying)]);
    rig.delete().await.unwrap();
    let call = &rig.script.calls()[0];
    assert_eq!(call.line(), "DELETE /api/v1/namespaces/shop/pods/web-x7k2p");
    assert_eq!(call.body["preconditions"], json!({ "uid": "pod-uid" }));
    assert_eq!(call.body["propagationPolicy"], "Background");
    assert!(rig.is_held_back());
    rig.barrier.seen(PODS, 60);
    assert!(!rig.is_held_back());
}

#[tokio::test]
async fn an_immediate_delete_waits_for_the_object_to_go() {
    // A pod without a node goes at once, and the reply is its last state with an old version.
    let last =
        json!({ "deletionTimestamp": "2026-11-21T10:00:00Z", "deletionGracePeriodSeconds": 0 });
    for reply in [
        pod("60", last),
        Ok((
            200,
            json!({ "kind": "Status", "status": "Success", "details": { "uid": "pod-uid" } }),
        )),
    ] {
        let rig = Rig::new([reply]);
        rig.delete().await.unwrap();
        rig.barrier.seen(PODS, 1000);
        assert!(rig.is_held_back(), "an old version counted as the deletion");
        rig.barrier.gone(PODS, "pod-uid", Departure::Begun);
        assert!(!rig.is_held_back());
    }
}

#[tokio::test]
async fn a_refused_delete_holds_nothing_back() {
    for answer in [
        refusal(404, "NotFound", "pods \"web-x7k2p\" not found"),
        refusal(
            409,
            "Conflict",
            "the UID in the precondition does not match",
        ),
    ] {
        let rig = Rig::new([answer]);
        rig.delete().await.unwrap_err();
        assert!(!rig.is_held_back());
    }
}

#[tokio::test]
async fn a_dry_run_stores_nothing_and_holds_nothing_back() {
    let rig = Rig::new([
        pod("41", json!({})),
        refusal(422, "Invalid", "spec.containers: required"),
    ]);
    rig.writer
        .dry_run_create(POD, b"{}".to_vec())
        .await
        .unwrap();
    assert_eq!(
        rig.script.lines(),
        ["POST /api/v1/namespaces/shop/pods?dryRun=All&fieldValidation=Strict"]
    );
    assert!(!rig.is_held_back());
    let error = rig
        .writer
        .dry_run_create(POD, b"{}".to_vec())
        .await
        .unwrap_err();
    assert!(error.is_invalid());
}

/// Refusals as an API server of 1.37 words them.
#[tokio::test]
async fn refusals_keep_upstreams_words() {
    let quota = r#"pods "web-x7k2p" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#;
    let terminating = r#"pods "web-x7k2p" is forbidden: unable to create new content in namespace shop because it is being terminated"#;
    let cases: [(u16, &str, &str, Value, Refusal); 10] = [
        (
            403,
            "Forbidden",
            quota,
            Value::Null,
            Refusal::Forbidden(quota.to_owned()),
        ),
        (
            403,
            "Forbidden",
            terminating,
            json!({ "causes": [{ "reason": "NamespaceTerminating", "message": "namespace shop is being terminated", "field": "metadata.namespace" }] }),
            Refusal::NamespaceTerminating(terminating.to_owned()),
        ),
        (
            409,
            "AlreadyExists",
            "exists",
            Value::Null,
            Refusal::AlreadyExists("exists".to_owned()),
        ),
        (
            409,
            "Conflict",
            "modified",
            Value::Null,
            Refusal::Conflict("modified".to_owned()),
        ),
        (
            404,
            "NotFound",
            "missing",
            Value::Null,
            Refusal::NotFound("missing".to_owned()),
        ),
        (
            422,
            "Invalid",
            "bad",
            Value::Null,
            Refusal::Invalid("bad".to_owned()),
        ),
        (
            400,
            "BadRequest",
            "worse",
            Value::Null,
            Refusal::Invalid("worse".to_owned()),
        ),
        (
            429,
            "TooManyRequests",
            "slow down",
            json!({ "retryAfterSeconds": 3 }),
            Refusal::TooManyRequests {
                message: "slow down".to_owned(),
                retry_after: Duration::from_secs(3),
            },
        ),
        (
            401,
            "Unauthorized",
            "Unauthorized",
            Value::Null,
            Refusal::Unauthorized("Unauthorized".to_owned()),
        ),
        (
            500,
            "InternalError",
            "etcd",
            Value::Null,
            Refusal::Other {
                code: 500,
                message: "etcd".to_owned(),
            },
        ),
    ];
    for (code, reason, message, details, expected) in cases {
        let mut status = refusal(code, reason, message).unwrap().1;
        if !details.is_null() {
            status["details"] = details;
        }
        // The second answer is to the look after a 500.
        let rig = Rig::new([Ok((code, status)), refusal(404, "NotFound", "not there")]);
        let error = rig.create().await.unwrap_err();
        assert_eq!(error.refusal, expected);
        assert_eq!(error.message(), message);
        assert_eq!(
            error.to_string(),
            format!("create pods shop/web-x7k2p: {message}")
        );
        assert!(!rig.is_held_back());
    }
}

/// API Priority and Fairness answers 429 in plain text.
#[tokio::test]
async fn a_refusal_that_is_no_status_is_read_by_its_code() {
    let service = tower::service_fn(|_: ::http::Request<kube::client::Body>| async {
        let mut response = ::http::Response::new(kube::client::Body::from(
            b"Too many requests, please try again later.\n".to_vec(),
        ));
        *response.status_mut() = ::http::StatusCode::TOO_MANY_REQUESTS;
        Ok::<_, std::convert::Infallible>(response)
    });
    let rig = Rig::new([]);
    let writer = Writer::new(
        Client::new(service, "default"),
        Limits::default(),
        rig.barrier.clone(),
        WriteMetrics::default(),
    );
    let error = writer
        .create(&Leader::without_election(), &rig.owner, POD, b"{}".to_vec())
        .await
        .unwrap_err();
    assert_eq!(
        error.refusal,
        Refusal::TooManyRequests {
            message: "Too many requests, please try again later.".to_owned(),
            retry_after: Duration::from_secs(1)
        }
    );
}
