//! Automatic rollback, podReplacementPolicy and the kstatus conditions.

use anyhow::{Result, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{condition, may_run, rolled_out, text};
use ironkeel_e2e::{LONG, SHORT, manifest, wait};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

#[test]
fn returns_to_the_last_complete_revision_when_the_deadline_passes() {
    run("auto_rollback", async |s| -> Result<()> {
        let spec = json!({"progressDeadlineSeconds": 5, "rollback": {"onProgressDeadline": true}});
        s.start_deployment(2, &spec).await?;
        s.set_image(manifest::MISSING_IMAGE).await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            let image = text(object, "/spec/template/spec/containers/0/image");
            if image == manifest::AGNHOST {
                Ok(())
            } else {
                Err(format!("the template still has {image}"))
            }
        })
        .await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            rolled_out(object)?;
            match condition(object, "RolledBack") {
                Some(("True", ..)) => Ok(()),
                other => Err(format!("RolledBack is {other:?}")),
            }
        })
        .await?;
        wait::until(&s.events(), &ListParams::default(), SHORT, |events| {
            let told = events.iter().any(|event| {
                event
                    .reason
                    .as_deref()
                    .is_some_and(|reason| reason.contains("RolledBack"))
            });
            if told {
                Ok(())
            } else {
                Err("no event tells of the rollback".into())
            }
        })
        .await
    });
}

#[test]
fn without_the_policy_a_failed_rollout_stays() {
    run("no_rollback", async |s| -> Result<()> {
        s.start_deployment(1, &json!({"progressDeadlineSeconds": 5}))
            .await?;
        s.set_image(manifest::MISSING_IMAGE).await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            match condition(object, "Progressing") {
                Some(("False", "ProgressDeadlineExceeded", _)) => Ok(()),
                other => Err(format!("Progressing is {other:?}")),
            }
        })
        .await?;
        let stalled =
            wait::until_object(&s.deployments(), "web", SHORT, |object| {
                match condition(object, "Stalled") {
                    Some(("True", ..)) => Ok(object.clone()),
                    other => Err(format!("Stalled is {other:?}")),
                }
            })
            .await?;
        ensure!(
            text(&stalled, "/spec/template/spec/containers/0/image") == manifest::MISSING_IMAGE
        );
        Ok(())
    });
}

#[test]
fn a_replacement_waits_for_the_terminating_pod() {
    run("replacement_policy", async |s| -> Result<()> {
        let mut template = manifest::template("web");
        // Ignores SIGTERM, so that the old pod is seen terminating for a while.
        template["spec"]["terminationGracePeriodSeconds"] = json!(8);
        template["spec"]["containers"][0]["command"] = json!([
            "/bin/sh",
            "-c",
            "trap '' TERM; while true; do sleep 1; done"
        ]);
        template["spec"]["containers"][0]["args"] = json!([]);
        let spec = json!({
            "podReplacementPolicy": "TerminationComplete",
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": template,
        });
        s.start_deployment(2, &spec).await?;
        let patch = Patch::Merge(
            json!({"spec": {"template": {"metadata": {"annotations": {"round": "2"}}}}}),
        );
        s.deployments()
            .patch("web", &PatchParams::default(), &patch)
            .await?;
        let most = wait::until(
            &s.pods(),
            &ListParams::default().labels("app=web"),
            LONG,
            |pods| {
                let running = pods.iter().filter(|pod| may_run(pod)).count();
                if running > 2 {
                    return Ok(running);
                }
                let fresh = pods.iter().filter(|pod| {
                    let annotations = pod.metadata.annotations.clone().unwrap_or_default();
                    annotations.get("round").is_some_and(|round| round == "2")
                });
                let fresh = fresh.count();
                if fresh == 2 && pods.len() == 2 {
                    Ok(2)
                } else {
                    Err(format!("{fresh} of {} pods are new", pods.len()))
                }
            },
        )
        .await?;
        ensure!(
            most == 2,
            "{most} pods ran at once, terminating ones included"
        );
        wait::until_object(&s.deployments(), "web", LONG, rolled_out).await
    });
}
