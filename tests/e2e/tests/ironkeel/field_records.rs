//! `managedFields` of the ReplicaSets of our Deployments: who has set which field.

use anyhow::Result;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::{LONG, Scenario, wait};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::client::Body;
use kube::{Api, ResourceExt as _};
use serde_json::json;

/// Waits until the Deployment's only ReplicaSet has this size, and returns it.
async fn sized(s: &Scenario, sets: &Api<DynamicObject>, size: i32) -> Result<DynamicObject> {
    s.patch_deployment(json!({"spec": {"replicas": size}}))
        .await?;
    wait::until(sets, &ListParams::default(), LONG, |sets| {
        let sized = sets.iter().find(|set| {
            let replicas = set.data.pointer("/spec/replicas");
            replicas == Some(&json!(size)) && sets.len() == 1
        });
        sized
            .map(|set| (*set).clone())
            .ok_or_else(|| format!("no ReplicaSet of {size} among {}", sets.len()))
    })
    .await
}

/// Who has set which fields of the object, and by what.
fn records(set: &DynamicObject) -> Vec<(&str, &str)> {
    set.managed_fields()
        .iter()
        .map(|entry| {
            let manager = entry.manager.as_deref().unwrap_or_default();
            (manager, entry.operation.as_deref().unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_resize_ends_the_record_of_updates_and_keeps_that_of_an_apply() {
    run("field_records", async |s| -> Result<()> {
        let sets = s.replica_sets();
        s.start_deployment(1, &json!({})).await?;
        let grown = sized(&s, &sets, 2).await?;
        assert_eq!(records(&grown), []);

        let applied = json!({
            "apiVersion": s.target.api_version(),
            "kind": "ReplicaSet",
            "metadata": {"name": grown.name_any(), "annotations": {"note": "mine"}},
        });
        let as_someone = PatchParams::apply("someone");
        sets.patch(&grown.name_any(), &as_someone, &Patch::Apply(applied))
            .await?;
        // What the manager's own write rests on, should its watch not have shown the apply yet.
        let path = format!("{}/{}", sets.resource_url(), grown.name_any());
        let guarded = json!([
            {"op": "test", "path": "/metadata/managedFields/0/operation", "value": "Update"},
            {"op": "add", "path": "/metadata/managedFields", "value": [{}]},
        ]);
        let request = Request::patch(path).header(CONTENT_TYPE, "application/json-patch+json");
        let body = Body::from(guarded.to_string().into_bytes());
        let refused = s.client.send(request.body(body)?).await?;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);

        let shrunk = sized(&s, &sets, 1).await?;
        assert_eq!(records(&shrunk)[0], ("someone", "Apply"));
        assert_eq!(shrunk.annotations()["note"], "mine");
        Ok(())
    });
}
