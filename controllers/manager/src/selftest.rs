//! `selftest`: checks an installation from inside the cluster; `helm test` runs it.

use anyhow::{Context as _, Result, ensure};
use http::Request;
use ironkeel_runtime::client::Connection;
use ironkeel_runtime::metrics::ClientMetrics;
use ironkeel_runtime::resource::{DEPLOYMENTS, REPLICA_SETS};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::flags::SelftestFlags;
use crate::schema::{OPENAPI_PATH, Served, served};

/// Runs every check and reports each on standard output; the first failure ends the run.
pub async fn run(flags: SelftestFlags) -> Result<()> {
    let connection = Connection::open(
        flags.kubeconfig.as_deref(),
        "ironkeel-selftest",
        ClientMetrics::default(),
    )
    .await?;
    let client = connection.client()?;
    kinds_are_served(&client).await?;
    report("our kinds are served with a current schema");
    manager_is_ready(&flags.service).await?;
    report("the manager's /readyz answers through its Service");
    deployment_is_accepted(&client, &flags.namespace).await?;
    report("the API server takes a Deployment of ours (dry run)");
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the report is what a person who runs `helm test` reads"
)]
fn report(what: &str) {
    println!("ok: {what}");
}

async fn kinds_are_served(client: &Client) -> Result<()> {
    let document: Value = client
        .request(get(OPENAPI_PATH)?)
        .await
        .with_context(|| format!("read {OPENAPI_PATH}"))?;
    for resource in [DEPLOYMENTS, REPLICA_SETS] {
        let found: Served = served(Some(&document), resource.kind);
        ensure!(
            found == Served::Current,
            found
                .advice(resource.plural, resource.group)
                .unwrap_or_default()
        );
    }
    Ok(())
}

async fn manager_is_ready(service: &str) -> Result<()> {
    let url = service
        .parse()
        .with_context(|| format!("--service={service:?} is not a URL"))?;
    let mut config = Config::new(url);
    // Plain HTTP needs none; without this the client looks for the system's, and our image holds no other file.
    config.root_cert = Some(Vec::new());
    let client = Client::try_from(config)?;
    client
        .request_text(get("/readyz")?)
        .await
        .with_context(|| format!("{service}/readyz does not answer 200: see the manager's log"))?;
    Ok(())
}

async fn deployment_is_accepted(client: &Client, namespace: &str) -> Result<()> {
    let labels = json!({"app": "ironkeel-selftest"});
    let manifest = json!({
        "apiVersion": DEPLOYMENTS.api_version(),
        "kind": DEPLOYMENTS.kind,
        "metadata": {"name": "ironkeel-selftest", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10.2"}]},
            },
        },
    });
    let path = format!(
        "{}?dryRun=All",
        DEPLOYMENTS.path(Some(namespace), None, None)
    );
    let request = Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(manifest.to_string().into_bytes())?;
    client
        .request_text(request)
        .await
        .with_context(|| format!("create a Deployment in namespace {namespace} as a dry run"))?;
    Ok(())
}

fn get(path: &str) -> Result<Request<Vec<u8>>> {
    Ok(Request::get(path).body(Vec::new())?)
}
