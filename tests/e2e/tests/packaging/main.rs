//! Upgrade and removal of the charts: these take the manager away, so they run alone.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use ironkeel_e2e::program::helm;
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::settled;
use ironkeel_e2e::{LONG, Scenario, wait};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

const RELEASE: &str = "ironkeel";
const NAMESPACE: &str = "--namespace=ironkeel-system";

fn chart() -> String {
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../charts/ironkeel-controllers"
    )
    .to_owned()
}

async fn pods(s: &Scenario) -> Result<BTreeSet<String>> {
    let pods = s
        .pods()
        .list(&ListParams::default().labels("app=web"))
        .await?
        .items;
    Ok(pods.iter().filter_map(ResourceExt::uid).collect())
}

async fn works(s: &Scenario, replicas: i64) -> Result<()> {
    s.patch_deployment(json!({"spec": {"replicas": replicas}}))
        .await?;
    s.rolled_out().await.map(drop)
}

/// One case, because each step needs the state that the one before left.
#[test]
fn upgrade_and_removal_leave_the_users_objects_alone() {
    run("packaging", async |s| -> Result<()> {
        s.start_deployment(2, &json!({})).await?;
        let before = pods(&s).await?;
        let sets = s.replica_sets().list(&ListParams::default()).await?.items;
        let set = sets
            .first()
            .context("the Deployment has no ReplicaSet")?
            .name_any();

        let chart = chart();
        let stamp = format!("--set-string=podAnnotations.test={}", s.namespace);
        let upgrade = [
            "upgrade",
            RELEASE,
            &chart,
            NAMESPACE,
            "--reuse-values",
            &stamp,
            "--wait",
            "--timeout=3m",
        ];
        helm(&upgrade).await?;
        // The new manager has looked at every object once it has acted on this one.
        works(&s, 3).await?;
        ensure!(
            before.is_subset(&pods(&s).await?),
            "an upgrade restarted pods"
        );
        let grown = pods(&s).await?;

        let values = helm(&["get", "values", RELEASE, NAMESPACE, "--output=yaml"]).await?;
        let file = std::env::temp_dir().join(format!("{}.yaml", s.namespace));
        std::fs::write(&file, values)?;
        helm(&["uninstall", RELEASE, NAMESPACE, "--wait", "--timeout=3m"]).await?;
        let removed = async {
            ensure!(
                s.deployments().get_opt("web").await?.is_some(),
                "uninstalling deleted a Deployment"
            );
            ensure!(
                s.replica_sets().get_opt(&set).await?.is_some(),
                "uninstalling deleted a ReplicaSet"
            );
            ensure!(grown == pods(&s).await?, "uninstalling touched pods");
            // Nobody acts now: what a user asks meanwhile is done by the next installation.
            let patch = Patch::Merge(json!({"spec": {"replicas": 1}}));
            s.deployments()
                .patch("web", &PatchParams::default(), &patch)
                .await?;
            anyhow::Ok(())
        }
        .await;
        // Installed again whatever came out, for whoever uses the cluster next.
        let values = format!("--values={}", file.display());
        helm(&[
            "install",
            RELEASE,
            &chart,
            NAMESPACE,
            &values,
            "--wait",
            "--timeout=3m",
        ])
        .await?;
        std::fs::remove_file(&file)?;
        removed?;
        wait::until_object(&s.replica_sets(), &set, LONG, |set| settled(set, 1)).await?;
        ensure!(
            pods(&s).await?.is_subset(&grown),
            "installing again replaced pods"
        );
        Ok(())
    });
}
