//! A ReplicaSet keeps its number of pods.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{condition, int, settled};
use ironkeel_e2e::{LONG, SHORT, Scenario, manifest, wait};
use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::json;

async fn start(s: &Scenario, replicas: i32) -> Result<DynamicObject> {
    s.create(
        &s.replica_sets(),
        manifest::replica_set(s.target, "web", replicas),
    )
    .await?;
    wait::until_object(&s.replica_sets(), "web", LONG, |set| {
        settled(set, i64::from(replicas)).map(|()| set.clone())
    })
    .await
}

async fn scale(s: &Scenario, replicas: i32) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    s.replica_sets()
        .patch_scale("web", &PatchParams::default(), &patch)
        .await?;
    Ok(())
}

fn owned_by(pod: &Pod, uid: &str) -> bool {
    pod.owner_references()
        .iter()
        .any(|owner| owner.uid == uid && owner.controller == Some(true))
}

/// A bare pod that the selector `app=<app>` matches.
async fn bare_pod(s: &Scenario, name: &str, app: &str) -> Result<Pod> {
    let mut pod = manifest::template(app);
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    Ok(s.pods()
        .create(&PostParams::default(), &serde_json::from_value(pod)?)
        .await?)
}

#[test]
fn scales_up_and_down() {
    run("rs_scales", async |s| -> Result<()> {
        let set = start(&s, 1).await?;
        scale(&s, 3).await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 3)).await?;
        for pod in s.live_pods().await? {
            ensure!(
                owned_by(&pod, &set.uid().unwrap_or_default()),
                "{} has another owner",
                pod.name_any()
            );
            ensure!(
                pod.name_any().starts_with("web-"),
                "{} is not named after its set",
                pod.name_any()
            );
        }
        scale(&s, 0).await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 0)).await?;
        s.pods_gone().await
    });
}

#[test]
fn replaces_a_deleted_pod() {
    run("rs_replaces", async |s| -> Result<()> {
        start(&s, 2).await?;
        let before: BTreeSet<String> = s
            .live_pods()
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        let victim = before.first().cloned().unwrap_or_default();
        s.pods()
            .delete(&victim, &DeleteParams::default().grace_period(0))
            .await?;
        wait::until(
            &s.pods(),
            &ListParams::default().labels("app=web"),
            LONG,
            |pods| {
                let names: BTreeSet<String> = pods
                    .iter()
                    .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                    .map(ResourceExt::name_any)
                    .collect();
                if names.len() == 2 && !names.contains(&victim) {
                    Ok(())
                } else {
                    Err(format!("{names:?}"))
                }
            },
        )
        .await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 2)).await
    });
}

#[test]
fn adopts_orphans_and_releases_relabelled_pods() {
    run("rs_adopts", async |s| -> Result<()> {
        bare_pod(&s, "orphan", "web").await?;
        let set = start(&s, 1).await?;
        let uid = set.uid().unwrap_or_default();
        wait::until_object(&s.pods(), "orphan", SHORT, |pod| {
            if owned_by(pod, &uid) {
                Ok(())
            } else {
                Err("the orphan was not adopted".into())
            }
        })
        .await?;
        ensure!(
            s.live_pods().await?.len() == 1,
            "a pod was created although the orphan was there"
        );
        let patch = Patch::Merge(json!({"metadata": {"labels": {"app": "elsewhere"}}}));
        s.pods()
            .patch("orphan", &PatchParams::default(), &patch)
            .await?;
        wait::until_object(&s.pods(), "orphan", SHORT, |pod| {
            if pod.owner_references().is_empty() {
                Ok(())
            } else {
                Err("the pod was not released".into())
            }
        })
        .await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 1)).await?;
        ensure!(
            s.live_pods().await?.len() == 1,
            "the released pod was not replaced"
        );
        Ok(())
    });
}

#[test]
fn deletes_the_cheapest_pod_first() {
    run("rs_deletion_cost", async |s| -> Result<()> {
        start(&s, 3).await?;
        let pods = s.live_pods().await?;
        let cheap = pods[1].name_any();
        let patch = Patch::Merge(
            json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-100"}}}),
        );
        s.pods()
            .patch(&cheap, &PatchParams::default(), &patch)
            .await?;
        scale(&s, 2).await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 2)).await?;
        let left: Vec<String> = s
            .live_pods()
            .await?
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        ensure!(
            !left.contains(&cheap),
            "{cheap} has the lowest deletion cost but {left:?} are left"
        );
        Ok(())
    });
}

#[test]
fn reports_a_quota_refusal_and_recovers() {
    run("rs_quota", async |s| -> Result<()> {
        let quotas: Api<ResourceQuota> = Api::namespaced(s.client.clone(), &s.namespace);
        let quota = json!({"metadata": {"name": "two"}, "spec": {"hard": {"pods": "2"}}});
        quotas
            .create(&PostParams::default(), &serde_json::from_value(quota)?)
            .await?;
        wait::until_object(&quotas, "two", SHORT, |quota| {
            let seen = quota
                .status
                .as_ref()
                .and_then(|status| status.hard.as_ref())
                .is_some();
            if seen {
                Ok(())
            } else {
                Err("the quota is not enforced yet".into())
            }
        })
        .await?;
        s.create(&s.replica_sets(), manifest::replica_set(s.target, "web", 3))
            .await?;
        wait::until_object(&s.replica_sets(), "web", SHORT, |set| {
            match condition(set, "ReplicaFailure") {
                Some(("True", "FailedCreate", message)) if message.contains("exceeded quota") => {
                    Ok(())
                }
                other => Err(format!("ReplicaFailure is {other:?}")),
            }
        })
        .await?;
        wait::until(&s.events(), &ListParams::default(), SHORT, |events| {
            let refused = events.iter().any(|event| {
                event.reason.as_deref() == Some("FailedCreate")
                    && event.type_.as_deref() == Some("Warning")
            });
            if refused {
                Ok(())
            } else {
                Err("no event FailedCreate".into())
            }
        })
        .await?;
        let patch = Patch::Merge(json!({"spec": {"hard": {"pods": "10"}}}));
        quotas.patch("two", &PatchParams::default(), &patch).await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| {
            settled(set, 3)?;
            match condition(set, "ReplicaFailure") {
                None => Ok(()),
                Some(still) => Err(format!("ReplicaFailure is still {still:?}")),
            }
        })
        .await
    });
}

async fn delete_with(s: &Scenario, policy: PropagationPolicy) -> Result<DynamicObject> {
    let set = start(s, 2).await?;
    let params = DeleteParams {
        propagation_policy: Some(policy),
        ..DeleteParams::default()
    };
    s.replica_sets().delete("web", &params).await?;
    wait::until_gone(
        &s.replica_sets(),
        "web",
        &set.uid().unwrap_or_default(),
        LONG,
    )
    .await?;
    Ok(set)
}

#[test]
fn foreground_delete_waits_for_the_pods() {
    run("rs_foreground", async |s| -> Result<()> {
        delete_with(&s, PropagationPolicy::Foreground).await?;
        ensure!(
            s.live_pods().await?.is_empty(),
            "the set went before its pods"
        );
        Ok(())
    });
}

#[test]
fn background_delete_takes_the_pods_along() {
    run("rs_background", async |s| -> Result<()> {
        delete_with(&s, PropagationPolicy::Background).await?;
        s.pods_gone().await
    });
}

#[test]
fn orphaning_delete_keeps_the_pods_for_the_next_set() {
    run("rs_orphan", async |s| -> Result<()> {
        delete_with(&s, PropagationPolicy::Orphan).await?;
        let before: BTreeSet<Option<String>> =
            s.live_pods().await?.iter().map(ResourceExt::uid).collect();
        ensure!(before.len() == 2, "{} pods were left, not 2", before.len());
        let set = start(&s, 2).await?;
        ensure!(
            int(&set, "/status/replicas") == 2,
            "the new set does not count the adopted pods"
        );
        let after: BTreeSet<Option<String>> =
            s.live_pods().await?.iter().map(ResourceExt::uid).collect();
        ensure!(
            before == after,
            "the new set replaced pods that it could have adopted"
        );
        Ok(())
    });
}
