//! Stories of one server, as its clients see them. `tests/model` compares single answers with the real server's.

use std::sync::Arc;

use ironkeel_invariants::{Commit, Writer};
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS, Resource,
};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::EventKind::{Added, Deleted, Modified};
use super::resource::{NAMESPACES, RESOURCE_QUOTAS};
use super::{Api, EventKind, Request, Response, Settings};

fn api() -> Api {
    let start: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    Api::new(Settings {
        clock: Clock::from_fn(move || start),
        seed: 7,
    })
}

fn pod(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i" }] } })
}

fn set(resource: Resource, name: &str) -> Value {
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": { "name": name },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": "a" } },
            "template": {
                "metadata": { "labels": { "app": "a" } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    })
}

fn send(api: &Api, request: &Request) -> Response {
    api.handle(&Writer::User, request)
}

fn make(api: &Api, resource: Resource, object: &Value) -> Value {
    let answer = send(api, &Request::create(resource, "default", object));
    assert_eq!(answer.code, 201, "{}", answer.json());
    answer.json()
}

fn path(resource: Resource, name: &str) -> String {
    resource.path(Some("default"), Some(name), None)
}

fn owned(mut object: Value, owner: &Value) -> Value {
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    object
}

fn delete(api: &Api, resource: Resource, name: &str, policy: &str) -> Response {
    let options = json!({ "propagationPolicy": policy });
    send(api, &Request::delete(path(resource, name), &options))
}

fn settle(api: &Api) {
    while api.collect_garbage() {}
}

#[test]
fn a_pod_without_a_node_goes_at_once_and_one_with_a_node_waits_for_its_kubelet() {
    let api = api();
    for name in ["free", "bound"] {
        make(&api, PODS, &pod(name));
    }
    let binding =
        json!({ "metadata": { "name": "bound" }, "target": { "kind": "Node", "name": "n" } });
    let bind = PODS.path(Some("default"), Some("bound"), Some("binding"));
    assert_eq!(send(&api, &Request::post(bind, &binding)).code, 201);
    for name in ["free", "bound"] {
        assert_eq!(delete(&api, PODS, name, "Background").code, 200);
    }
    assert!(api.get(PODS, "default", "free").is_none());
    let bound = api.get(PODS, "default", "bound").unwrap();
    assert_eq!(
        bound["metadata"]["deletionTimestamp"],
        "2026-11-21T10:00:30Z"
    );
    assert_eq!(bound["metadata"]["generation"], 2);
    let now = Request::delete(path(PODS, "bound"), &json!({ "gracePeriodSeconds": 0 }));
    assert_eq!(send(&api, &now).code, 200);
    assert!(api.get(PODS, "default", "bound").is_none());
}

#[test]
fn dependents_go_after_their_owner_before_it_or_not_at_all() {
    for (policy, owner_stays, pod_stays) in [
        ("Background", false, false),
        ("Foreground", true, false),
        ("Orphan", true, true),
    ] {
        let api = api();
        let owner = make(&api, REPLICA_SETS, &set(REPLICA_SETS, "owner"));
        make(&api, PODS, &owned(pod("pod"), &owner));
        assert!(!api.collect_garbage(), "nothing is to be collected yet");
        delete(&api, REPLICA_SETS, "owner", policy);
        let is_there = api.get(REPLICA_SETS, "default", "owner").is_some();
        assert_eq!(is_there, owner_stays, "{policy}");
        settle(&api);
        assert!(
            api.get(REPLICA_SETS, "default", "owner").is_none(),
            "{policy}"
        );
        let left = api.get(PODS, "default", "pod");
        assert_eq!(left.is_some(), pod_stays, "{policy}");
        let owners = left.map(|pod| pod["metadata"]["ownerReferences"].clone());
        assert!(owners.is_none_or(|owners| owners.is_null()), "{policy}");
    }
}

#[test]
fn an_object_whose_owner_never_was_is_collected() {
    let api = api();
    let ghost = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "ghost", "uid": "u" } });
    make(&api, PODS, &owned(pod("pod"), &ghost));
    settle(&api);
    assert!(api.get(PODS, "default", "pod").is_none());
}

#[test]
fn a_status_is_written_alone_and_a_main_write_leaves_it() {
    for resource in [NATIVE_DEPLOYMENTS, DEPLOYMENTS] {
        let api = api();
        make(&api, resource, &set(resource, "d"));
        let status = resource.path(Some("default"), Some("d"), Some("status"));
        let both = json!({ "spec": { "replicas": 5 }, "status": { "replicas": 3, "observedGeneration": 1 } });
        let written = send(&api, &Request::merge_patch(status, &both)).json();
        assert_eq!(written["spec"]["replicas"], 1, "{resource}");
        assert_eq!(written["metadata"]["generation"], 1, "{resource}");
        let written = send(&api, &Request::merge_patch(path(resource, "d"), &both)).json();
        assert_eq!(written["spec"]["replicas"], 5, "{resource}");
        assert_eq!(written["status"]["replicas"], 3, "{resource}");
        assert_eq!(written["metadata"]["generation"], 2, "{resource}");
    }
}

#[test]
fn a_write_that_changes_nothing_is_no_commit() {
    let api = api();
    make(&api, NATIVE_REPLICA_SETS, &set(NATIVE_REPLICA_SETS, "s"));
    let before = api.version();
    let same = json!({ "spec": { "replicas": 1 } });
    assert_eq!(
        send(
            &api,
            &Request::merge_patch(path(NATIVE_REPLICA_SETS, "s"), &same)
        )
        .code,
        200
    );
    assert_eq!(api.version(), before);
}

#[test]
fn a_write_on_an_old_version_is_a_conflict() {
    let api = api();
    let made = make(&api, NATIVE_REPLICA_SETS, &set(NATIVE_REPLICA_SETS, "s"));
    let lock = |replicas: u64| json!({ "metadata": { "resourceVersion": made["metadata"]["resourceVersion"] }, "spec": { "replicas": replicas } });
    let patch = |replicas| {
        send(
            &api,
            &Request::merge_patch(path(NATIVE_REPLICA_SETS, "s"), &lock(replicas)),
        )
    };
    assert_eq!(patch(2).code, 200);
    assert_eq!(patch(3).code, 409);
}

#[test]
fn a_deletion_keeps_to_its_preconditions() {
    let api = api();
    let made = make(&api, PODS, &pod("p"));
    let wrong = json!({ "preconditions": { "uid": "another" } });
    let refused = send(&api, &Request::delete(path(PODS, "p"), &wrong));
    assert_eq!(
        (refused.code, refused.json()["reason"].as_str()),
        (409, Some("Conflict"))
    );
    let right = json!({ "preconditions": { "uid": made["metadata"]["uid"] } });
    assert_eq!(
        send(&api, &Request::delete(path(PODS, "p"), &right)).code,
        200
    );
}

#[test]
fn a_quota_refuses_in_the_servers_words() {
    let api = api();
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "pods": "1" } } });
    make(&api, RESOURCE_QUOTAS, &quota);
    make(&api, PODS, &pod("first"));
    let refused = send(&api, &Request::create(PODS, "default", &pod("second")));
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["message"],
        "pods \"second\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
    );
}

#[test]
fn admission_refuses_a_write_and_nothing_is_stored() {
    let api = api();
    api.admit(Box::new(|attempt| {
        (attempt.resource == PODS && attempt.verb == "create").then(|| "not today".to_owned())
    }));
    let refused = send(&api, &Request::create(PODS, "default", &pod("p")));
    assert_eq!(refused.code, 403);
    assert_eq!(
        refused.json()["message"],
        "pods \"p\" is forbidden: not today"
    );
    assert!(api.list(PODS, None).is_empty());
}

#[test]
fn a_namespace_that_ends_takes_nothing_new_and_goes_when_it_is_empty() {
    let api = api();
    let all = NAMESPACES.path(None, None, None);
    send(
        &api,
        &Request::post(all.as_str(), &json!({ "metadata": { "name": "n" } })),
    );
    assert_eq!(send(&api, &Request::create(PODS, "n", &pod("p"))).code, 201);
    send(&api, &Request::delete(format!("{all}/n"), &Value::Null));
    let refused = send(&api, &Request::create(PODS, "n", &pod("late"))).json();
    assert_eq!(
        refused["details"]["causes"][0]["reason"],
        "NamespaceTerminating"
    );
    settle(&api);
    assert!(api.get(NAMESPACES, "", "n").is_none());
    assert!(api.list(PODS, None).is_empty());
    assert_eq!(
        send(&api, &Request::create(PODS, "n", &pod("late"))).code,
        404
    );
}

#[test]
fn a_watch_sees_what_its_selector_lets_in_and_out() {
    let api = api();
    let mut labelled = pod("p");
    labelled["metadata"]["labels"] = json!({ "app": "a" });
    let watch = Request::get("/api/v1/pods?watch=true&resourceVersion=2&labelSelector=app%3Da");
    let mut cursor = api.open_watch(&watch).unwrap();
    make(&api, PODS, &labelled);
    make(&api, PODS, &pod("other"));
    for labels in [
        json!({ "app": "b" }),
        json!({ "app": "a" }),
        json!({ "more": "x" }),
    ] {
        let patch = json!({ "metadata": { "labels": labels } });
        send(&api, &Request::merge_patch(path(PODS, "p"), &patch));
    }
    delete(&api, PODS, "p", "Background");
    let kinds: Vec<EventKind> = std::iter::from_fn(|| cursor.next())
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, [Added, Deleted, Added, Modified, Modified, Deleted]);
    assert_eq!(cursor.version(), api.version());
}

#[test]
fn a_streamed_list_ends_with_its_bookmark_and_goes_on() {
    let api = api();
    make(&api, PODS, &pod("p"));
    let watch = Request::get(
        "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    );
    let mut cursor = api.open_watch(&watch).unwrap();
    let kinds: Vec<EventKind> = cursor.by_ref().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Added, EventKind::Bookmark]);
    make(&api, PODS, &pod("q"));
    assert_eq!(
        cursor.next().map(|event| event.kind),
        Some(EventKind::Added)
    );
}

#[test]
fn a_watch_from_a_forgotten_version_is_told_so_and_ends() {
    let api = api();
    make(&api, PODS, &pod("p"));
    api.compact(api.version());
    let mut cursor = api
        .open_watch(&Request::get("/api/v1/pods?watch=true&resourceVersion=1"))
        .unwrap();
    let event = cursor.next().unwrap();
    let line: Value = serde_json::from_slice(&event.line).unwrap();
    assert_eq!(
        (event.kind, line["object"]["code"].as_u64()),
        (EventKind::Error, Some(410))
    );
    make(&api, PODS, &pod("q"));
    assert!(cursor.next().is_none());
}

#[test]
fn pages_of_a_list_are_of_one_version() {
    let api = api();
    for name in ["a", "b", "c"] {
        make(&api, PODS, &pod(name));
    }
    let first = send(&api, &Request::get("/api/v1/pods?limit=2")).json();
    make(&api, PODS, &pod("d"));
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    let next = Request::get(format!("/api/v1/pods?limit=2&continue={token}"));
    let second = send(&api, &next).json();
    assert_eq!(second["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    api.compact(api.version());
    assert_eq!(send(&api, &next).code, 410);
}

#[test]
fn a_server_that_lags_serves_old_lists_to_who_allows_it() {
    let api = api();
    make(&api, PODS, &pod("a"));
    let seen = api.version();
    make(&api, PODS, &pod("b"));
    let count = |query: &str| {
        let answer = api.handle_at(
            &Writer::User,
            &Request::get(format!("/api/v1/pods{query}")),
            seen,
        );
        (answer.code, answer.json()["items"].as_array().map(Vec::len))
    };
    assert_eq!(count(""), (200, Some(2)));
    assert_eq!(count("?resourceVersion=0"), (200, Some(1)));
    assert_eq!(count(&format!("?resourceVersion={}", seen + 1)).0, 504);
    assert_eq!(api.list_at(PODS, None, seen).len(), 1);
}

#[test]
fn a_dry_run_stores_nothing_and_strict_fields_are_checked() {
    let api = api();
    let before = api.version();
    let dry = |object: &Value| {
        let url = format!(
            "{}?dryRun=All&fieldValidation=Strict",
            PODS.path(Some("default"), None, None)
        );
        send(&api, &Request::post(url, object))
    };
    assert_eq!(dry(&pod("p")).code, 201);
    let mut misspelt = pod("p");
    misspelt["spec"]["containers"][0]["imagee"] = json!("i");
    let refused = dry(&misspelt);
    assert_eq!(refused.code, 400);
    let message = refused.json()["message"].to_string();
    assert!(
        message.contains("unknown field \\\"spec.containers[0].imagee\\\""),
        "{message}"
    );
    assert_eq!(api.version(), before);
}

#[test]
fn every_commit_is_observed_in_order() {
    let api = api();
    let seen: Arc<Mutex<Vec<Commit>>> = Arc::default();
    let sink = Arc::clone(&seen);
    api.observe(Box::new(move |commit| sink.lock().push(commit.clone())));
    make(&api, PODS, &pod("p"));
    delete(&api, PODS, "p", "Background");
    let seen = seen.lock();
    let shapes: Vec<(bool, bool)> = seen
        .iter()
        .map(|commit| (commit.before.is_some(), commit.after.is_some()))
        .collect();
    // A deletion of a pod marks it first.
    assert_eq!(shapes, [(false, true), (true, true), (true, false)]);
    assert!(
        seen.windows(2)
            .all(|pair| pair[0].version + 1 == pair[1].version)
    );
}

#[test]
fn the_same_seed_gives_the_same_identities() {
    let uid = |api: Api| make(&api, PODS, &pod("p"))["metadata"]["uid"].clone();
    assert_eq!(uid(api()), uid(api()));
}

#[test]
fn a_resource_that_is_not_served_is_not_found() {
    let api = api();
    let document = || send(&api, &Request::get("/openapi/v3/apis/apps.ironkeel.dev/v1"));
    assert!(document().json()["components"]["schemas"].is_object());
    for resource in [DEPLOYMENTS, REPLICA_SETS] {
        api.serve(resource, false);
        assert_eq!(
            send(&api, &Request::get(resource.path(None, None, None))).code,
            404
        );
    }
    assert_eq!(document().code, 404);
    api.serve(DEPLOYMENTS, true);
    assert_eq!(document().code, 200);
}
