//! What the API server takes and what it refuses: every case of `crds/cases.yaml`.
//!
//! On our kinds the schema and the CEL rules answer, on upstream's the API server's own code.
//! A refusal on our kinds also has to say what the case expects; on upstream's it has to happen.

use anyhow::{Context as _, Result, bail, ensure};
use ironkeel_e2e::scenario::run;
use ironkeel_e2e::{Scenario, Target};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: String,
    patch: Value,
    #[serde(default)]
    then: Option<Value>,
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    ours: bool,
}

/// The valid object that a case's patch is merged into. Without replicas, so that a stored one makes no pods.
fn valid(target: Target, kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": target.api_version(),
        "kind": kind,
        "metadata": { "name": name },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "main", "image": "pause" }] },
            },
        },
    })
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            if let Some(object) = target.as_object_mut() {
                object.remove(key);
            }
        } else {
            merge(&mut target[key], value);
        }
    }
}

/// What the API server answers: nothing, or the text of a refusal. An error of another sort is a failure.
fn answer(result: Result<DynamicObject, kube::Error>) -> Result<Option<String>> {
    match result {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Some(status.message.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn send(s: &Scenario, case: &Case, name: &str) -> Result<Option<String>> {
    let api: Api<DynamicObject> = match case.kind.as_str() {
        "Deployment" => s.deployments(),
        "ReplicaSet" => s.replica_sets(),
        other => bail!("{other} is no kind under test"),
    };
    let mut object = valid(s.target, &case.kind, name);
    merge(&mut object, &case.patch);
    let object: DynamicObject = serde_json::from_value(object)?;
    let Some(then) = &case.then else {
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        return answer(api.create(&dry_run, &object).await);
    };
    api.create(&PostParams::default(), &object)
        .await
        .context("create what is updated then")?;
    let dry_run = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    answer(api.patch(name, &dry_run, &Patch::Merge(then)).await)
}

fn check(s: &Scenario, case: &Case, refusal: Option<&str>) -> Result<()> {
    let Some(refusal) = refusal else {
        ensure!(case.refused.is_empty(), "was taken");
        return Ok(());
    };
    ensure!(!case.refused.is_empty(), "was refused: {refusal}");
    if s.target == Target::Ironkeel {
        for text in &case.refused {
            ensure!(
                refusal.contains(text),
                "was refused without a word of {text:?}: {refusal}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_api_server_takes_and_refuses_what_it_should() {
    run("manifests", async |s| -> Result<()> {
        let cases: Vec<Case> = serde_saphyr::from_str(include_str!("../../../../crds/cases.yaml"))?;
        let mut wrong = Vec::new();
        let relevant = cases
            .iter()
            .filter(|case| s.target == Target::Ironkeel || !case.ours);
        for (number, case) in relevant.enumerate() {
            let refusal = send(&s, case, &format!("case-{number}"))
                .await
                .with_context(|| format!("{}: {}", case.kind, case.name))?;
            if let Err(error) = check(&s, case, refusal.as_deref()) {
                wrong.push(format!("{}: {}: {error}", case.kind, case.name));
            }
        }
        ensure!(
            wrong.is_empty(),
            "{} cases came out wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        Ok(())
    });
}
