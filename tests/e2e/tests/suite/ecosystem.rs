//! What users and other controllers do to a workload: autoscale, evict, drain, apply, wait.

use anyhow::{Result, bail, ensure};
use ironkeel_e2e::program::kubectl;
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{int, rolled_out, text};
use ironkeel_e2e::{LONG, SHORT, manifest, wait};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{EvictParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::json;

#[test]
fn a_horizontal_pod_autoscaler_drives_the_scale_subresource() {
    run("hpa", async |s| -> Result<()> {
        s.start_deployment(1, &json!({})).await?;
        let scalers: Api<HorizontalPodAutoscaler> = Api::namespaced(s.client.clone(), &s.namespace);
        // Below its minimum an autoscaler acts without a metric, so that no metrics server is needed.
        let scaler = json!({
            "metadata": {"name": "web"},
            "spec": {
                "scaleTargetRef": {"apiVersion": s.target.api_version(), "kind": "Deployment", "name": "web"},
                "minReplicas": 3,
                "maxReplicas": 4,
            },
        });
        scalers
            .create(&PostParams::default(), &serde_json::from_value(scaler)?)
            .await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            rolled_out(object)?;
            let wanted = int(object, "/spec/replicas");
            if wanted == 3 {
                Ok(())
            } else {
                Err(format!("replicas is {wanted}, not 3"))
            }
        })
        .await?;
        let scale = s.deployments().get_scale("web").await?;
        let selector = scale
            .status
            .and_then(|status| status.selector)
            .unwrap_or_default();
        ensure!(
            selector.contains("app=web"),
            "the scale subresource shows the selector {selector:?}"
        );
        Ok(())
    });
}

#[test]
fn a_disruption_budget_by_percentage_holds_back_evictions() {
    run("pdb", async |s| -> Result<()> {
        s.start_deployment(2, &json!({})).await?;
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(s.client.clone(), &s.namespace);
        // A percentage makes the disruption controller look up the pods' controller and its scale.
        let budget = json!({
            "metadata": {"name": "web"},
            "spec": {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "web"}}},
        });
        budgets
            .create(&PostParams::default(), &serde_json::from_value(budget)?)
            .await?;
        wait::until_object(&budgets, "web", SHORT, |budget| {
            let status = budget.status.clone().unwrap_or_default();
            if status.disruptions_allowed == Some(1) && status.expected_pods == Some(2) {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await?;
        let pods = s.live_pods().await?;
        s.pods()
            .evict(&pods[0].name_any(), &EvictParams::default())
            .await?;
        match s
            .pods()
            .evict(&pods[1].name_any(), &EvictParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 429 => {}
            other => bail!("the second eviction was not refused: {other:?}"),
        }
        wait::until_object(&budgets, "web", LONG, |budget| {
            let status = budget.status.clone().unwrap_or_default();
            if status.disruptions_allowed == Some(1) {
                Ok(())
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await?;
        s.pods()
            .evict(&pods[1].name_any(), &EvictParams::default())
            .await?;
        s.rolled_out().await.map(drop)
    });
}

#[test]
fn a_drained_node_gives_its_pods_to_the_others() {
    run("drain", async |s| -> Result<()> {
        s.start_deployment(2, &json!({})).await?;
        let pods = s.live_pods().await?;
        let Some(node) = pods[0]
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.clone())
        else {
            bail!("{} is available but on no node", pods[0].name_any());
        };
        // Other cases run beside this one: only this namespace's pods may move.
        let label = format!("e2e={}", s.namespace);
        let patch = Patch::Merge(
            json!({"spec": {"template": {"metadata": {"labels": {"e2e": s.namespace}}}}}),
        );
        s.deployments()
            .patch("web", &PatchParams::default(), &patch)
            .await?;
        s.rolled_out().await?;
        let drained = kubectl(&[
            "drain",
            &node,
            "--pod-selector",
            &label,
            "--ignore-daemonsets",
            "--timeout=120s",
        ])
        .await;
        let moved = wait::until(
            &s.pods(),
            &ListParams::default().labels(&label),
            LONG,
            |pods| {
                let on_node = |pod: &&Pod| {
                    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(&node)
                };
                let left = pods.iter().filter(on_node).count();
                if left == 0 && pods.len() == 2 {
                    Ok(())
                } else {
                    Err(format!("{left} of {} pods are on {node}", pods.len()))
                }
            },
        )
        .await;
        kubectl(&["uncordon", &node]).await?;
        drained?;
        moved?;
        s.rolled_out().await.map(drop)
    });
}

#[test]
fn two_managers_apply_parts_of_one_pod_template() {
    run("server_side_apply", async |s| -> Result<()> {
        let apply = async |manager: &str, containers: serde_json::Value| {
            let mut manifest = manifest::deployment(s.target, "web", 1);
            manifest["spec"]["template"]["spec"]["containers"] = containers;
            let params = PatchParams::apply(manager);
            let object: DynamicObject = serde_json::from_value(manifest)?;
            anyhow::Ok(
                s.deployments()
                    .patch("web", &params, &Patch::Apply(&object))
                    .await?,
            )
        };
        let main = manifest::template("web")["spec"]["containers"][0].clone();
        apply("owner", json!([main])).await?;
        let sidecar = json!({"name": "sidecar", "image": manifest::AGNHOST, "args": ["pause"]});
        let merged = apply(
            "mesh",
            json!([{"name": "sidecar", "image": sidecar["image"], "args": ["pause"]}]),
        )
        .await?;
        let containers = merged
            .data
            .pointer("/spec/template/spec/containers")
            .and_then(|list| list.as_array().cloned());
        let names: Vec<String> = containers
            .unwrap_or_default()
            .iter()
            .filter_map(|container| Some(container.get("name")?.as_str()?.to_owned()))
            .collect();
        ensure!(
            names == ["main", "sidecar"],
            "the second manager's container list replaced the first's: {names:?}"
        );
        s.rolled_out().await.map(drop)
    });
}

#[test]
fn kubectl_scales_and_waits() {
    run("kubectl", async |s| -> Result<()> {
        s.start_deployment(1, &json!({})).await?;
        let resource = format!("deployments.{}/web", s.target.group());
        let namespace = format!("--namespace={}", s.namespace);
        kubectl(&["scale", &resource, "--replicas=2", &namespace]).await?;
        kubectl(&[
            "wait",
            &resource,
            "--for=jsonpath={.status.availableReplicas}=2",
            "--timeout=120s",
            &namespace,
        ])
        .await?;
        kubectl(&[
            "wait",
            &resource,
            "--for=condition=Available",
            "--timeout=60s",
            &namespace,
        ])
        .await?;
        let table = kubectl(&["get", &resource, &namespace]).await?;
        ensure!(
            table.contains("AVAILABLE") && table.contains("UP-TO-DATE"),
            "columns differ from upstream's: {table}"
        );
        let all = kubectl(&["get", "all", &namespace, "-o", "name"]).await?;
        ensure!(
            all.contains("/web"),
            "`kubectl get all` does not show the Deployment: {all}"
        );
        let deployment = s.deployments().get("web").await?;
        ensure!(text(&deployment, "/spec/template/spec/containers/0/name") == "main");
        Ok(())
    });
}
