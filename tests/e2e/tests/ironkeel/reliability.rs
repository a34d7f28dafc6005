//! A manager that dies in the middle of its work.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{image, int, settled, text};
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
        // Whatever the old leader had begun and the new one repeats: the sets never want more than the
        // surge allows, and no pod is made that is not needed.
        let selected = ListParams::default().labels("app=web");
        let sets_api = s.replica_sets();
        let sets = wait::until(&sets_api, &selected, LONG, |sets| {
            let wanted: i64 = sets.iter().map(|set| int(set, "/spec/replicas")).sum();
            if wanted > 7 {
                return Ok(Err(format!("the sets want {wanted} pods, more than 6 + 1")));
            }
            let done = sets.iter().any(|set| {
                text(set, "/spec/template/spec/containers/0/image") == manifest::OTHER_IMAGE
                    && int(set, "/status/availableReplicas") == 6
            });
            if done {
                Ok(Ok(()))
            } else {
                Err(format!("{wanted} pods are wanted"))
            }
        });
        let mut made = BTreeSet::new();
        let pods_api = s.pods();
        let pods = wait::until(&pods_api, &selected, LONG, |pods| {
            let new = pods
                .iter()
                .filter(|pod| image(pod) == manifest::OTHER_IMAGE);
            made.extend(new.filter_map(ResourceExt::uid));
            let old = pods
                .iter()
                .filter(|pod| image(pod) != manifest::OTHER_IMAGE)
                .count();
            if old == 0 && made.len() >= 6 {
                Ok(())
            } else {
                Err(format!("{old} old pods are left"))
            }
        });
        let (sets, pods) = tokio::join!(sets, pods);
        sets?.map_err(anyhow::Error::msg)?;
        pods?;
        ensure!(
            made.len() == 6,
            "{} pods were made for 6 replicas",
            made.len()
        );
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
