//! Pods are read in protobuf; what the API server says of them in JSON must be the same.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::{LONG, Scenario};
use ironkeel_plan::meta::Stored as _;
use ironkeel_plan::pod::Pod;
use ironkeel_runtime::resource::PODS;
use ironkeel_runtime::store::Store;
use ironkeel_runtime::watch::{Scope, Watch, WatchMetrics};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::PostParams;
use kube::client::Body;
use kube::{Api, ResourceExt as _};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pods of this case, beside all that the cluster has.
const NAMES: [&str; 2] = ["before", "after"];

/// Something that owns the pods: without it they would be collected. Returns its UID.
async fn prepare(s: &Scenario) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(s.client.clone(), &s.namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}}))?;
    match accounts.create(&PostParams::default(), &account).await {
        // Pods need one. A cluster makes it soon after the namespace, or has made it.
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        other => drop(other?),
    }
    let maps: Api<ConfigMap> = Api::namespaced(s.client.clone(), &s.namespace);
    let owner = serde_json::from_value(json!({"metadata": {"name": "owner"}}))?;
    let owner = maps.create(&PostParams::default(), &owner).await?;
    owner.uid().context("the owner has no UID")
}

async fn create(s: &Scenario, name: &str, owner: &str) -> Result<()> {
    let pod = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": {"app": "web", "tier": "x"},
            "annotations": {"controller.kubernetes.io/pod-deletion-cost": "-7", "note": "é"},
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner, "controller": true,
            }],
        },
        "spec": {
            "initContainers": [{"name": "side", "image": "none.invalid/side:1", "restartPolicy": "Always"}],
            "containers": [{"name": "c", "image": "none.invalid/c:1", "env": [{"name": "A", "value": "b"}]}],
        },
    }))?;
    s.pods().create(&PostParams::default(), &pod).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Pods {
    items: Vec<Pod>,
}

async fn in_json(s: &Scenario) -> Result<Vec<Pod>> {
    let request = Request::get("/api/v1/pods").header(ACCEPT, "application/json");
    let text = s.client.request_text(request.body(Vec::new())?).await?;
    let pods: Pods = serde_json::from_str(&text).context("the list of pods in JSON")?;
    Ok(pods.items)
}

/// How many of this case's pods are in the store as they are in JSON; any pod that differs at the
/// same version is an error.
fn compare(s: &Scenario, store: &Store<Pod>, listed: &[Pod]) -> Result<usize> {
    let mut same = 0;
    for pod in listed {
        let Some(known) = store.get(&pod.key()) else {
            continue;
        };
        if known.resource_version != pod.resource_version {
            continue;
        }
        ensure!(*known == *pod, "in protobuf {known:?}, in JSON {pod:?}");
        same += usize::from(*pod.namespace == *s.namespace);
    }
    Ok(same)
}

#[test]
fn pods_are_the_same_in_either_encoding() {
    run("encodings", async |s| -> Result<()> {
        let wish = "application/vnd.kubernetes.protobuf, application/json";
        let request = Request::get("/api/v1/pods?limit=1").header(ACCEPT, wish);
        let reply = s.client.send(request.body(Body::empty())?).await?;
        let kind = reply.headers()[CONTENT_TYPE].to_str()?;
        ensure!(kind == "application/vnd.kubernetes.protobuf", "{kind}");

        let owner = prepare(&s).await?;
        create(&s, NAMES[0], &owner).await?;
        let metrics = WatchMetrics::register(&mut Registry::default());
        let watch = Watch::new(s.client.clone(), PODS, Scope::default(), &metrics, 1);
        let (store, changed) = (Store::new(), Arc::new(Notify::new()));
        let stop = CancellationToken::new();
        let tell = Arc::clone(&changed);
        tokio::spawn(watch.run(
            store.clone(),
            |_| {},
            move |_| tell.notify_one(),
            stop.clone(),
        ));
        let all_seen = async {
            store.synced().await;
            // The first pod came with the list, the second comes as an event.
            create(&s, NAMES[1], &owner).await?;
            while compare(&s, &store, &in_json(&s).await?)? < NAMES.len() {
                changed.notified().await;
            }
            anyhow::Ok(())
        };
        let seen = tokio::time::timeout(LONG, all_seen).await;
        stop.cancel();
        seen.context("the pods never were the same in both")?
    });
}
