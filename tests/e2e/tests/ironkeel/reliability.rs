//! A manager that dies in the middle of its work.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{int, settled};
use ironkeel_e2e::{LONG, Scenario, manifest, wait};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

const NAMESPACE: &str = "ironkeel-system";
const LEASE: &str = "ironkeel-controller-manager";

fn leases(s: &Scenario) -> Api<Lease> {
    Api::namespaced(s.client.clone(), NAMESPACE)
}

async fn holder(s: &Scenario) -> Result<String> {
    let lease = leases(s).get(LEASE).await?;
    lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .context("nobody holds the lease")
}

/// Kills the leader as a crash would: by signal 9 where its process is on this machine, else by
/// deleting its pod without grace.
async fn kill_leader(s: &Scenario) -> Result<String> {
    let identity = holder(s).await?;
    // client-go's form of an identity: the host name, which is the pod's name, and a unique part.
    let name = identity.split('_').next().unwrap_or(&identity);
    let pods: Api<Pod> = Api::namespaced(s.client.clone(), NAMESPACE);
    let pod = pods
        .get(name)
        .await
        .with_context(|| format!("the leader {identity} is no pod of {NAMESPACE}"))?;
    match process_of(&pod.uid().unwrap_or_default()) {
        Some(process) => {
            let status = tokio::process::Command::new("kill")
                .args(["-9", &process])
                .status()
                .await?;
            ensure!(status.success(), "kill -9 {process}: {status}");
        }
        None => {
            pods.delete(name, &DeleteParams::default().grace_period(0))
                .await?;
        }
    }
    Ok(identity)
}

/// The process of the manager in the pod with this UID, found by its control group.
fn process_of(uid: &str) -> Option<String> {
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let read = |file: &str| {
                std::fs::read_to_string(Path::new(&entry.path()).join(file)).unwrap_or_default()
            };
            let ours = read("cmdline").starts_with("/ironkeel-controller-manager")
                && read("cgroup").contains(uid);
            ours.then(|| entry.file_name().to_string_lossy().into_owned())
        })
}

async fn until_led_by_another(s: &Scenario, before: &str) -> Result<()> {
    wait::until_object(&leases(s), LEASE, LONG, |lease| {
        match lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref())
        {
            Some(identity) if !identity.is_empty() && identity != before => Ok(()),
            other => Err(format!("the lease is held by {other:?}")),
        }
    })
    .await
}

#[test]
fn a_rollout_survives_the_death_of_the_leader() {
    run("leader_killed", async |s| -> Result<()> {
        let strategy =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        s.start_deployment(6, &json!({"strategy": strategy}))
            .await?;
        s.set_image(manifest::OTHER_IMAGE).await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            let updated = int(object, "/status/updatedReplicas");
            if updated >= 2 {
                Ok(())
            } else {
                Err(format!("{updated} pods are updated"))
            }
        })
        .await?;
        let before = kill_leader(&s).await?;
        // Whatever the old leader had begun and the new one repeats, the bounds hold throughout.
        let bounds = wait::until(
            &s.pods(),
            &ListParams::default().labels("app=web"),
            LONG,
            |pods| {
                let live = pods
                    .iter()
                    .filter(|pod| pod.metadata.deletion_timestamp.is_none());
                let live: Vec<&Pod> = live.collect();
                if live.len() > 7 {
                    return Ok(Err(format!("{} pods, more than 6 + 1", live.len())));
                }
                let updated = live.iter().filter(|pod| {
                    pod.spec.as_ref().is_some_and(|spec| {
                        spec.containers[0].image.as_deref() == Some(manifest::OTHER_IMAGE)
                    })
                });
                let updated = updated.count();
                if updated == 6 && live.len() == 6 {
                    Ok(Ok(()))
                } else {
                    Err(format!("{updated} of {} pods are updated", live.len()))
                }
            },
        )
        .await?;
        bounds.map_err(anyhow::Error::msg)?;
        s.rolled_out().await?;
        until_led_by_another(&s, &before).await
    });
}

#[test]
fn a_restarted_manager_keeps_what_it_owns() {
    run("restart", async |s| -> Result<()> {
        s.create(&s.replica_sets(), manifest::replica_set(s.target, "web", 3))
            .await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 3)).await?;
        let uids = async || {
            let pods = s
                .pods()
                .list(&ListParams::default().labels("app=web"))
                .await?
                .items;
            anyhow::Ok(
                pods.iter()
                    .filter_map(ResourceExt::uid)
                    .collect::<BTreeSet<_>>(),
            )
        };
        let before = uids().await?;
        let managers: Api<Pod> = Api::namespaced(s.client.clone(), NAMESPACE);
        let identity = holder(&s).await?;
        let params =
            ListParams::default().labels("app.kubernetes.io/name=ironkeel-controller-manager");
        let pods = managers.list(&params).await?.items;
        if pods.is_empty() {
            bail!("no manager pod in {NAMESPACE}");
        }
        for pod in pods {
            managers
                .delete(&pod.name_any(), &DeleteParams::default())
                .await?;
        }
        until_led_by_another(&s, &identity).await?;
        // The new leader has acted once it has scaled the set; by then it has also counted the old pods.
        let patch = Patch::Merge(json!({"spec": {"replicas": 4}}));
        s.replica_sets()
            .patch("web", &PatchParams::default(), &patch)
            .await?;
        wait::until_object(&s.replica_sets(), "web", LONG, |set| settled(set, 4)).await?;
        let after = uids().await?;
        ensure!(
            before.is_subset(&after) && after.len() == 4,
            "the restart replaced pods: {before:?} {after:?}"
        );
        Ok(())
    });
}
