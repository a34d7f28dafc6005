use expect_test::{Expect, expect};
use serde_json::Value;

use crate::fixture::Scene;
use crate::replicaset::{PodManifests, pod_manifest};

/// The manifest of a pod of the set `web` whose template is `template`.
#[track_caller]
fn check_manifest(template: &str, expected: Expect) {
    let mut scene = Scene::parse("replicas=1 |");
    scene.set.spec.template = serde_json::from_str(template).unwrap();
    let manifest = pod_manifest("apps/v1", "ReplicaSet", &scene.set, "web-x2k9z");
    expected.assert_eq(&serde_json::to_string_pretty(&manifest).unwrap());
    // Written once for all pods, it is the same.
    let manifests = PodManifests::of("apps/v1", "ReplicaSet", &scene.set);
    let written: Value = serde_json::from_slice(&manifests.named("web-x2k9z")).unwrap();
    assert_eq!(written, manifest);
}

#[test]
fn a_pod_takes_from_the_template_what_upstream_takes() {
    check_manifest(
        r#"{
            "metadata": {
                "name": "ignored", "namespace": "ignored", "creationTimestamp": null,
                "labels": {"app": "web"}, "annotations": {"note": "x"},
                "finalizers": ["example.com/hold"]
            },
            "spec": {"containers": [{"name": "c"}], "fieldOfTheFuture": 1}
        }"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Pod",
              "metadata": {
                "annotations": {
                  "note": "x"
                },
                "finalizers": [
                  "example.com/hold"
                ],
                "generateName": "web-",
                "labels": {
                  "app": "web"
                },
                "name": "web-x2k9z",
                "ownerReferences": [
                  {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": true,
                    "controller": true,
                    "kind": "ReplicaSet",
                    "name": "web",
                    "uid": "web-uid"
                  }
                ]
              },
              "spec": {
                "containers": [
                  {
                    "name": "c"
                  }
                ],
                "fieldOfTheFuture": 1
              }
            }"#]],
    );
}

#[test]
fn an_empty_template_makes_a_pod_that_the_server_can_refuse() {
    check_manifest(
        r#"{"metadata": {"labels": {}, "annotations": null, "finalizers": []}}"#,
        expect![[r#"
            {
              "apiVersion": "v1",
              "kind": "Pod",
              "metadata": {
                "generateName": "web-",
                "name": "web-x2k9z",
                "ownerReferences": [
                  {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": true,
                    "controller": true,
                    "kind": "ReplicaSet",
                    "name": "web",
                    "uid": "web-uid"
                  }
                ]
              },
              "spec": {}
            }"#]],
    );
}
