//! What the charts promise: helm waits rightly, and the usual roles hold for our kinds.

use anyhow::{Context as _, Result, bail, ensure};
use ironkeel_e2e::Scenario;
use ironkeel_e2e::manifest;
use ironkeel_e2e::program::helm;
use ironkeel_e2e::scenario::run;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;

/// A chart of one Deployment of ours, in a folder of its own.
fn chart(s: &Scenario, image: &str) -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(&s.namespace);
    std::fs::create_dir_all(folder.join("templates"))?;
    std::fs::write(
        folder.join("Chart.yaml"),
        "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    )?;
    let mut deployment = manifest::deployment(s.target, "web", 2);
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    // JSON is YAML, and nothing in it looks like a template.
    std::fs::write(
        folder.join("templates/deployment.yaml"),
        serde_json::to_string_pretty(&deployment)?,
    )?;
    Ok(folder)
}

async fn install(s: &Scenario, image: &str, timeout: &str) -> Result<String> {
    let folder = chart(s, image)?;
    let path = folder.to_string_lossy().into_owned();
    let namespace = format!("--namespace={}", s.namespace);
    let timeout = format!("--timeout={timeout}");
    let result = helm(&["install", "web", &path, &namespace, "--wait", &timeout]).await;
    std::fs::remove_dir_all(folder)?;
    result
}

#[test]
fn helm_waits_until_our_deployment_is_available() {
    run("helm_wait", async |s| -> Result<()> {
        install(&s, manifest::AGNHOST, "3m").await?;
        // No watching here: helm has said that it is ready, so it has to be.
        let deployment = s.deployments().get("web").await?;
        let available = ironkeel_e2e::status::int(&deployment, "/status/availableReplicas");
        ensure!(
            available == 2,
            "helm said ready at {available} available pods"
        );
        Ok(())
    });
}

#[test]
fn helm_does_not_call_a_broken_deployment_ready() {
    run("helm_wait_broken", async |s| -> Result<()> {
        match install(&s, manifest::MISSING_IMAGE, "10s").await {
            Err(_) => Ok(()),
            Ok(text) => bail!("helm called a Deployment ready whose image does not exist: {text}"),
        }
    });
}

#[test]
fn view_and_edit_hold_for_our_kinds() {
    run("roles", async |s| -> Result<()> {
        let bindings: Api<RoleBinding> = Api::namespaced(s.client.clone(), &s.namespace);
        for role in ["view", "edit"] {
            let binding = json!({
                "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
            });
            bindings
                .create(&PostParams::default(), &serde_json::from_value(binding)?)
                .await?;
        }
        let expected = [
            ("view", "get", "", true),
            ("view", "list", "status", true),
            ("view", "create", "", false),
            ("view", "patch", "scale", false),
            ("edit", "create", "", true),
            ("edit", "delete", "", true),
            ("edit", "patch", "scale", true),
            ("edit", "patch", "status", false),
        ];
        for resource in ["deployments", "replicasets"] {
            for (user, verb, subresource, allowed) in expected {
                let answer = may(&s, user, verb, resource, subresource, allowed).await?;
                ensure!(
                    answer == allowed,
                    "{user} may {verb} {resource}/{subresource}: {answer}, not {allowed}"
                );
            }
        }
        Ok(())
    });
}

/// Whether the user may. The authorizer reads bindings from a cache, so an answer that is not the
/// expected one is asked for again, 50 times at most.
async fn may(
    s: &Scenario,
    user: &str,
    verb: &str,
    resource: &str,
    subresource: &str,
    expected: bool,
) -> Result<bool> {
    let reviews: Api<SubjectAccessReview> = Api::all(s.client.clone());
    let review: SubjectAccessReview = serde_json::from_value(json!({
        "metadata": {},
        "spec": {"user": user, "resourceAttributes": {
            "namespace": s.namespace, "verb": verb, "group": s.target.group(),
            "resource": resource, "subresource": subresource,
        }},
    }))?;
    let mut answer = !expected;
    for _ in 0..50 {
        let reviewed = reviews.create(&PostParams::default(), &review).await?;
        answer = reviewed
            .status
            .with_context(|| format!("no answer for {}", review.name_any()))?
            .allowed;
        if answer == expected {
            break;
        }
    }
    Ok(answer)
}
