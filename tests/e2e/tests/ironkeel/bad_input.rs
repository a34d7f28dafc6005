//! What the API server refuses, and what the controllers say of the rest.

use anyhow::{Result, bail, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::status::{condition, rolled_out, settled};
use ironkeel_e2e::{LONG, SHORT, Scenario, manifest, wait};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// Sets the field at a JSON pointer of a Deployment manifest and returns the API server's refusal.
async fn refusal(s: &Scenario, pointer: &str, value: Value) -> Result<String> {
    let mut manifest = manifest::deployment(s.target, "web", 1);
    let (parent, field) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let mut at = &mut manifest;
    for step in parent.split('/').filter(|step| !step.is_empty()) {
        at = &mut at[step];
    }
    at[field] = value.clone();
    let object: DynamicObject = serde_json::from_value(manifest)?;
    match s
        .deployments()
        .create(
            &PostParams {
                dry_run: true,
                ..PostParams::default()
            },
            &object,
        )
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 422 => Ok(status.message),
        other => bail!("{pointer}={value} was not refused: {other:?}"),
    }
}

#[test]
fn invalid_deployments_are_refused_by_name() {
    run("refused", async |s| -> Result<()> {
        let cases = [
            ("/spec/replicas", json!(-1), "spec.replicas"),
            ("/spec/selector", json!({}), "selector"),
            (
                "/spec/selector",
                json!({"matchLabels": {"app": "other"}}),
                "selector",
            ),
            (
                "/spec/strategy",
                json!({"type": "Sideways"}),
                "spec.strategy.type",
            ),
            (
                "/spec/strategy",
                json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
                "maxUnavailable",
            ),
            (
                "/spec/strategy",
                json!({"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": 0}}),
                "maxUnavailable",
            ),
            (
                "/spec/strategy",
                json!({"rollingUpdate": {"maxSurge": "lots"}}),
                "maxSurge",
            ),
            (
                "/spec/strategy",
                json!({"rollingUpdate": {"maxUnavailable": "150%"}}),
                "maxUnavailable",
            ),
            (
                "/spec/strategy",
                json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
                "rollingUpdate",
            ),
            (
                "/spec/progressDeadlineSeconds",
                json!(0),
                "progressDeadlineSeconds",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "restartPolicy",
            ),
            (
                "/spec/podReplacementPolicy",
                json!("Whenever"),
                "podReplacementPolicy",
            ),
        ];
        for (pointer, value, named) in cases {
            let message = refusal(&s, pointer, value.clone()).await?;
            ensure!(
                message.contains(named),
                "{pointer}={value}: the refusal does not name {named}: {message}"
            );
        }
        Ok(())
    });
}

#[test]
fn a_selector_never_changes() {
    run("immutable_selector", async |s| -> Result<()> {
        s.create(&s.deployments(), manifest::deployment(s.target, "web", 0))
            .await?;
        let patch = Patch::Merge(json!({"spec": {
            "selector": {"matchLabels": {"app": "web", "tier": "front"}},
            "template": {"metadata": {"labels": {"app": "web", "tier": "front"}}},
        }}));
        match s
            .deployments()
            .patch("web", &PatchParams::default(), &patch)
            .await
        {
            Err(kube::Error::Api(status))
                if status.code == 422 && status.message.contains("immutable") =>
            {
                Ok(())
            }
            other => bail!("the selector could be changed: {other:?}"),
        }
    });
}

#[test]
fn a_template_that_admission_refuses_is_a_condition_with_its_message() {
    run("invalid_template", async |s| -> Result<()> {
        let mut manifest = manifest::deployment(s.target, "web", 1);
        // Schemas cannot see this: the volume is mounted but not declared.
        manifest["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] =
            json!([{"name": "nowhere", "mountPath": "/data"}]);
        s.create(&s.deployments(), manifest).await?;
        wait::until_object(&s.deployments(), "web", SHORT, |object| {
            match condition(object, "Progressing") {
                Some(("False", "ReplicaSetCreateError", message))
                    if message.contains("volumeMounts[0].name") =>
                {
                    Ok(())
                }
                other => Err(format!("Progressing is {other:?}")),
            }
        })
        .await?;
        wait::until_object(&s.deployments(), "web", SHORT, |object| {
            match condition(object, "Stalled") {
                Some(("True", ..)) => Ok(()),
                other => Err(format!("Stalled is {other:?}")),
            }
        })
        .await?;
        let fixed = manifest::template("web")["spec"]["containers"].clone();
        let patch = Patch::Merge(json!({"spec": {"template": {"spec": {"containers": fixed}}}}));
        s.deployments()
            .patch("web", &PatchParams::default(), &patch)
            .await?;
        wait::until_object(&s.deployments(), "web", LONG, |object| {
            rolled_out(object)?;
            match condition(object, "Ready") {
                Some(("True", ..)) => Ok(()),
                other => Err(format!("Ready is {other:?}")),
            }
        })
        .await
    });
}

#[test]
fn sets_with_overlapping_selectors_keep_their_own_pods() {
    run("overlap", async |s| -> Result<()> {
        for name in ["one", "two"] {
            let mut set = manifest::replica_set(s.target, name, 2);
            set["spec"]["selector"] = json!({"matchLabels": {"app": "shared"}});
            set["spec"]["template"] = manifest::template("shared");
            s.create(&s.replica_sets(), set).await?;
        }
        for name in ["one", "two"] {
            wait::until_object(&s.replica_sets(), name, LONG, |set| settled(set, 2)).await?;
        }
        let pods = s.pods().list(&ListParams::default()).await?.items;
        ensure!(pods.len() == 4, "{} pods for two sets of 2", pods.len());
        Ok(())
    });
}

#[test]
fn a_name_too_long_for_its_labels_is_refused_or_reported() {
    run("long_name", async |s| -> Result<()> {
        let name = "n".repeat(250);
        let mut manifest = manifest::deployment(s.target, &name, 1);
        manifest["metadata"]["labels"] = json!({"app": "web"});
        manifest["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
        manifest["spec"]["template"] = manifest::template("web");
        let object: DynamicObject = serde_json::from_value(manifest)?;
        match s
            .deployments()
            .create(&PostParams::default(), &object)
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 422 => {
                ensure!(
                    status.message.contains("name"),
                    "the refusal does not name the field: {}",
                    status.message
                );
                Ok(())
            }
            Err(other) => bail!("{other}"),
            Ok(_) => {
                wait::until_object(&s.deployments(), &name, SHORT, |object| {
                    match condition(object, "Stalled") {
                        Some(("True", _, message)) if message.contains("name") => Ok(()),
                        other => Err(format!("Stalled is {other:?}")),
                    }
                })
                .await
            }
        }
    });
}
