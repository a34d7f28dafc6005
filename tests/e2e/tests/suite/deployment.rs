//! A Deployment moves its pods from one template to the next.

use anyhow::{Context as _, Result, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{self, has_condition, int, may_run, observed, text};
use ironkeel_e2e::{LONG, SHORT, Scenario, manifest, wait};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use kube::core::DynamicObject;
use serde_json::json;

const REVISION: &str = "deployment.kubernetes.io/revision";

async fn sets(s: &Scenario) -> Result<Vec<DynamicObject>> {
    Ok(s.replica_sets()
        .list(&ListParams::default().labels("app=web"))
        .await?
        .items)
}

fn image(set: &DynamicObject) -> &str {
    text(set, "/spec/template/spec/containers/0/image")
}

fn revision(object: &DynamicObject) -> &str {
    object
        .annotations()
        .get(REVISION)
        .map_or("", String::as_str)
}

#[test]
fn rolls_out_and_reports_conditions() {
    run("deploy_rolls_out", async |s| -> Result<()> {
        s.start_deployment(3, &json!({})).await?;
        let deployment = wait::until_object(&s.deployments(), "web", SHORT, |object| {
            has_condition(object, "Available", "True", "MinimumReplicasAvailable")?;
            has_condition(object, "Progressing", "True", "NewReplicaSetAvailable")
                .map(|()| object.clone())
        })
        .await?;
        ensure!(
            revision(&deployment) == "1",
            "the first revision is {:?}",
            revision(&deployment)
        );
        let sets = sets(&s).await?;
        ensure!(sets.len() == 1, "{} ReplicaSets", sets.len());
        let set = &sets[0];
        let hash = set
            .labels()
            .get("pod-template-hash")
            .cloned()
            .unwrap_or_default();
        ensure!(
            set.name_any() == format!("web-{hash}"),
            "{} does not carry the hash {hash}",
            set.name_any()
        );
        ensure!(
            text(set, "/spec/selector/matchLabels/pod-template-hash") == hash,
            "the selector lacks the hash"
        );
        ensure!(
            text(set, "/spec/template/metadata/labels/pod-template-hash") == hash,
            "the template lacks the hash"
        );
        ensure!(
            set.owner_references()
                .iter()
                .any(|owner| owner.kind == "Deployment"
                    && owner.block_owner_deletion == Some(true)
                    && Some(&owner.uid) == deployment.metadata.uid.as_ref())
        );
        Ok(())
    });
}

#[test]
fn keeps_its_bounds_during_a_rolling_update() {
    run("deploy_bounds", async |s| -> Result<()> {
        let strategy =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}});
        s.start_deployment(4, &json!({"strategy": strategy}))
            .await?;
        s.set_image(manifest::OTHER_IMAGE).await?;
        // Every state of the sets that the API server shows has to respect the surge.
        let watched = wait::until(
            &s.replica_sets(),
            &ListParams::default().labels("app=web"),
            LONG,
            |sets| {
                let total: i64 = sets.iter().map(|set| int(set, "/spec/replicas")).sum();
                if total > 5 {
                    return Ok(Err(format!(
                        "the ReplicaSets want {total} pods, more than 4 + 1"
                    )));
                }
                let available: i64 = sets
                    .iter()
                    .map(|set| int(set, "/status/availableReplicas"))
                    .sum();
                let done = sets.iter().any(|set| {
                    image(set) == manifest::OTHER_IMAGE
                        && int(set, "/status/availableReplicas") == 4
                });
                if done {
                    Ok(Ok(()))
                } else {
                    Err(format!("{total} wanted, {available} available"))
                }
            },
        )
        .await?;
        watched.map_err(anyhow::Error::msg)?;
        let deployment = s.rolled_out().await?;
        ensure!(
            revision(&deployment) == "2",
            "revision is {:?}",
            revision(&deployment)
        );
        Ok(())
    });
}

#[test]
fn rolls_over_a_stuck_rollout() {
    run("deploy_rollover", async |s| -> Result<()> {
        s.start_deployment(2, &json!({})).await?;
        s.set_image(manifest::MISSING_IMAGE).await?;
        wait::until(
            &s.replica_sets(),
            &ListParams::default().labels("app=web"),
            LONG,
            |sets| {
                let stuck = sets.iter().any(|set| {
                    image(set) == manifest::MISSING_IMAGE && int(set, "/status/replicas") > 0
                });
                if stuck {
                    Ok(())
                } else {
                    Err("the broken revision has no pod yet".into())
                }
            },
        )
        .await?;
        s.set_image(manifest::OTHER_IMAGE).await?;
        s.rolled_out().await?;
        for set in sets(&s).await? {
            let wanted = if image(&set) == manifest::OTHER_IMAGE {
                2
            } else {
                0
            };
            ensure!(
                int(&set, "/spec/replicas") == wanted,
                "{} wants {} pods",
                set.name_any(),
                int(&set, "/spec/replicas")
            );
        }
        Ok(())
    });
}

#[test]
fn rolls_back_to_the_old_set_with_a_new_number() {
    run("deploy_rollback", async |s| -> Result<()> {
        s.start_deployment(2, &json!({})).await?;
        let first = sets(&s).await?[0].name_any();
        s.set_image(manifest::OTHER_IMAGE).await?;
        s.rolled_out().await?;
        s.set_image(manifest::AGNHOST).await?;
        let deployment = s.rolled_out().await?;
        ensure!(
            revision(&deployment) == "3",
            "revision is {:?}",
            revision(&deployment)
        );
        let sets = sets(&s).await?;
        ensure!(
            sets.len() == 2,
            "a third ReplicaSet was made for a template that one had already"
        );
        let old = sets
            .iter()
            .find(|set| set.name_any() == first)
            .context("the first set is gone")?;
        ensure!(
            revision(old) == "3" && int(old, "/spec/replicas") == 2,
            "the first set was not taken back"
        );
        let history = old
            .annotations()
            .get("deployment.kubernetes.io/revision-history")
            .map(String::as_str);
        ensure!(history == Some("1"), "revision-history is {history:?}");
        Ok(())
    });
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    run("deploy_paused", async |s| -> Result<()> {
        s.start_deployment(1, &json!({})).await?;
        s.patch_deployment(json!({"spec": {"paused": true}}))
            .await?;
        wait::until_object(&s.deployments(), "web", SHORT, |object| {
            has_condition(object, "Progressing", "Unknown", "DeploymentPaused")
        })
        .await?;
        s.set_image(manifest::OTHER_IMAGE).await?;
        s.patch_deployment(json!({"spec": {"replicas": 2}})).await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            observed(object)?;
            let available = int(object, "/status/availableReplicas");
            if available == 2 {
                Ok(())
            } else {
                Err(format!("{available} available, not 2"))
            }
        })
        .await?;
        ensure!(
            sets(&s).await?.len() == 1,
            "a paused Deployment started a rollout"
        );
        s.patch_deployment(json!({"spec": {"paused": false}}))
            .await?;
        s.rolled_out().await?;
        let sets = sets(&s).await?;
        ensure!(
            sets.iter()
                .any(|set| image(set) == manifest::OTHER_IMAGE && int(set, "/spec/replicas") == 2)
        );
        Ok(())
    });
}

#[test]
fn scales_proportionally_during_a_rollout() {
    run("deploy_proportional", async |s| -> Result<()> {
        let strategy =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}});
        s.start_deployment(10, &json!({"strategy": strategy}))
            .await?;
        s.set_image(manifest::MISSING_IMAGE).await?;
        let sizes = async |old: i64, new: i64| {
            wait::until(
                &s.replica_sets(),
                &ListParams::default().labels("app=web"),
                LONG,
                |sets| {
                    let of = |broken: bool| -> i64 {
                        let matching = |set: &&DynamicObject| {
                            (image(set) == manifest::MISSING_IMAGE) == broken
                        };
                        sets.iter()
                            .filter(matching)
                            .map(|set| int(set, "/spec/replicas"))
                            .sum()
                    };
                    let found = (of(false), of(true));
                    if found == (old, new) {
                        Ok(())
                    } else {
                        Err(format!("{found:?} instead of {:?}", (old, new)))
                    }
                },
            )
            .await
        };
        sizes(8, 5).await?;
        s.patch_deployment(json!({"spec": {"replicas": 30}}))
            .await?;
        sizes(20, 13).await
    });
}

#[test]
fn recreate_never_runs_old_and_new_together() {
    run("deploy_recreate", async |s| -> Result<()> {
        s.start_deployment(2, &json!({"strategy": {"type": "Recreate"}}))
            .await?;
        s.set_image(manifest::OTHER_IMAGE).await?;
        let together = wait::until(
            &s.pods(),
            &ListParams::default().labels("app=web"),
            LONG,
            |pods| {
                let with = |name: &str| {
                    pods.iter()
                        .filter(|pod| may_run(pod) && status::image(pod) == name)
                        .count()
                };
                let (old, new) = (with(manifest::AGNHOST), with(manifest::OTHER_IMAGE));
                if old > 0 && new > 0 {
                    return Ok(true);
                }
                if old == 0 && new == 2 {
                    Ok(false)
                } else {
                    Err(format!("{old} old and {new} new pods"))
                }
            },
        )
        .await?;
        ensure!(!together, "old and new pods ran at the same time");
        s.rolled_out().await.map(drop)
    });
}

#[test]
fn old_sets_go_beyond_the_history_limit() {
    run("deploy_history", async |s| -> Result<()> {
        s.start_deployment(1, &json!({"revisionHistoryLimit": 0}))
            .await?;
        s.set_image(manifest::OTHER_IMAGE).await?;
        s.rolled_out().await?;
        wait::until(
            &s.replica_sets(),
            &ListParams::default().labels("app=web"),
            SHORT,
            |sets| {
                if sets.len() == 1 {
                    Ok(())
                } else {
                    Err(format!("{} ReplicaSets are left", sets.len()))
                }
            },
        )
        .await
    });
}

#[test]
fn says_when_the_progress_deadline_has_passed() {
    run("deploy_deadline", async |s| -> Result<()> {
        s.start_deployment(1, &json!({"progressDeadlineSeconds": 5}))
            .await?;
        s.set_image(manifest::MISSING_IMAGE).await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            has_condition(object, "Progressing", "False", "ProgressDeadlineExceeded")
        })
        .await?;
        s.set_image(manifest::AGNHOST).await?;
        s.rolled_out().await?;
        wait::until_object(&s.deployments(), "web", SHORT, |object| {
            has_condition(object, "Progressing", "True", "NewReplicaSetAvailable")
        })
        .await
    });
}

async fn delete_with(s: &Scenario, policy: PropagationPolicy) -> Result<()> {
    let deployment = s.start_deployment(2, &json!({})).await?;
    let params = DeleteParams {
        propagation_policy: Some(policy),
        ..DeleteParams::default()
    };
    s.deployments().delete("web", &params).await?;
    wait::until_gone(
        &s.deployments(),
        "web",
        &deployment.uid().unwrap_or_default(),
        LONG,
    )
    .await
}

#[test]
fn foreground_delete_waits_for_sets_and_pods() {
    run("deploy_foreground", async |s| -> Result<()> {
        delete_with(&s, PropagationPolicy::Foreground).await?;
        ensure!(
            sets(&s).await?.is_empty(),
            "the Deployment went before its ReplicaSets"
        );
        let pods = s.pods().list(&ListParams::default()).await?.items;
        ensure!(
            pods.iter()
                .all(|pod| pod.metadata.deletion_timestamp.is_some()),
            "the Deployment went before its pods"
        );
        Ok(())
    });
}

#[test]
fn an_orphaned_set_is_adopted_without_a_restart() {
    run("deploy_orphan", async |s| -> Result<()> {
        delete_with(&s, PropagationPolicy::Orphan).await?;
        let pods = |list: Vec<k8s_openapi::api::core::v1::Pod>| {
            list.into_iter()
                .filter_map(|pod| pod.metadata.uid)
                .collect::<std::collections::BTreeSet<_>>()
        };
        let before = pods(s.pods().list(&ListParams::default()).await?.items);
        wait::until(
            &s.replica_sets(),
            &ListParams::default().labels("app=web"),
            SHORT,
            |sets| {
                let free = sets.len() == 1 && sets[0].owner_references().is_empty();
                if free {
                    Ok(())
                } else {
                    Err("the set is not orphaned yet".into())
                }
            },
        )
        .await?;
        let deployment = s.start_deployment(2, &json!({})).await?;
        let sets = sets(&s).await?;
        ensure!(
            sets.len() == 1,
            "{} ReplicaSets: the orphan was not taken",
            sets.len()
        );
        ensure!(
            sets[0]
                .owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
        );
        ensure!(
            before == pods(s.pods().list(&ListParams::default()).await?.items),
            "pods were restarted"
        );
        Ok(())
    });
}
