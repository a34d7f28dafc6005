//! A namespace of its own for every case, and a dump of it when the case fails.

use std::future::Future;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Event, Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client, Config, ResourceExt as _};
use serde_json::{Value, json};

use crate::target::{Target, target};
use crate::{LONG, manifest, status, wait};

/// What a case works with: a client, a namespace and the kinds under test.
#[derive(Clone)]
pub struct Scenario {
    /// Client with the rights of the kubeconfig.
    pub client: Client,
    /// Namespace of this case alone.
    pub namespace: String,
    /// Kinds under test.
    pub target: Target,
}

/// Runs one case in a fresh namespace, which is deleted afterwards, and fails the test with a
/// dump of the namespace if the case fails.
///
/// # Panics
/// When the case fails: this is what makes the test fail.
#[expect(
    clippy::panic,
    clippy::print_stderr,
    reason = "a test reports by panicking, and its dump goes to standard error"
)]
pub fn run<F: Future<Output = Result<()>>>(name: &str, case: impl FnOnce(Scenario) -> F) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => panic!("{name}: cannot start a runtime: {error}"),
    };
    let result = runtime.block_on(async {
        let scenario = Scenario::start(name).await?;
        let result = case(scenario.clone()).await;
        if result.is_err() {
            let dump = scenario.dump().await;
            match scenario.keep_dump(name, &dump) {
                Some(file) => eprintln!("{name}: objects and events are in {}", file.display()),
                None => eprintln!("{dump}"),
            }
        }
        scenario.end().await;
        result
    });
    if let Err(error) = result {
        panic!("{name}: {error:#}");
    }
}

impl Scenario {
    async fn start(name: &str) -> Result<Self> {
        // Both providers may be linked in a workspace-wide build; the choice is made here once.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::infer()
            .await
            .context("no usable kubeconfig: set KUBECONFIG")?;
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let prefix = format!(
            "e2e-{}-",
            name.replace('_', "-").chars().take(40).collect::<String>()
        );
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let created = namespaces
            .create(
                &PostParams::default(),
                &Namespace {
                    metadata: ObjectMeta {
                        generate_name: Some(prefix),
                        ..ObjectMeta::default()
                    },
                    ..Namespace::default()
                },
            )
            .await
            .context("create the case's namespace")?;
        Ok(Self {
            client,
            namespace: created.name_any(),
            target: target(),
        })
    }

    /// Deployments under test.
    pub fn deployments(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &self.target.deployments(),
        )
    }

    /// ReplicaSets under test.
    pub fn replica_sets(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            &self.namespace,
            &self.target.replica_sets(),
        )
    }

    /// Pods of the namespace.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Events of the namespace.
    pub fn events(&self) -> Api<Event> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates the object of a manifest.
    pub async fn create(&self, api: &Api<DynamicObject>, manifest: Value) -> Result<DynamicObject> {
        let object: DynamicObject =
            serde_json::from_value(manifest).context("read the manifest")?;
        let name = object.name_any();
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("create {name}"))
    }

    /// Creates the Deployment `web` with further spec fields and waits for its first rollout.
    pub async fn start_deployment(&self, replicas: i32, spec: &Value) -> Result<DynamicObject> {
        let mut deployment = manifest::deployment(self.target, "web", replicas);
        for (field, value) in spec.as_object().into_iter().flatten() {
            deployment["spec"][field] = value.clone();
        }
        self.create(&self.deployments(), deployment).await?;
        self.rolled_out().await
    }

    /// Waits until the rollout of the Deployment `web` is complete.
    pub async fn rolled_out(&self) -> Result<DynamicObject> {
        wait::until_object(&self.deployments(), "web", LONG, |object| {
            status::rolled_out(object).map(|()| object.clone())
        })
        .await
    }

    /// Changes the Deployment `web` by merge patch.
    pub async fn patch_deployment(&self, patch: Value) -> Result<DynamicObject> {
        let patch = Patch::Merge(patch);
        Ok(self
            .deployments()
            .patch("web", &PatchParams::default(), &patch)
            .await?)
    }

    /// Changes the image of the Deployment `web`, which starts a rollout.
    pub async fn set_image(&self, image: &str) -> Result<DynamicObject> {
        let mut container = manifest::template("web")["spec"]["containers"][0].clone();
        container["image"] = json!(image);
        self.patch_deployment(json!({"spec": {"template": {"spec": {"containers": [container]}}}}))
            .await
    }

    /// Pods of the workload `web` that are not on their way out.
    pub async fn live_pods(&self) -> Result<Vec<Pod>> {
        let pods = self
            .pods()
            .list(&ListParams::default().labels("app=web"))
            .await?
            .items;
        Ok(pods
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .collect())
    }

    /// Waits until no pod is left.
    pub async fn pods_gone(&self) -> Result<()> {
        wait::until(&self.pods(), &ListParams::default(), LONG, |pods| {
            if pods.is_empty() {
                Ok(())
            } else {
                Err(format!("{} pods are left", pods.len()))
            }
        })
        .await
    }

    async fn end(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        // What is left is the next case's neighbour at worst: the namespace name is unique.
        let _ = namespaces
            .delete(&self.namespace, &DeleteParams::background())
            .await;
    }

    /// Objects and events of the namespace as readable JSON, for a failure's report.
    pub async fn dump(&self) -> String {
        let mut text = String::new();
        for (title, api) in [
            ("deployments", self.deployments()),
            ("replicasets", self.replica_sets()),
        ] {
            append(&mut text, title, api.list(&ListParams::default()).await);
        }
        append(
            &mut text,
            "pods",
            self.pods().list(&ListParams::default()).await,
        );
        append(
            &mut text,
            "events",
            self.events().list(&ListParams::default()).await,
        );
        text
    }

    fn keep_dump(&self, name: &str, dump: &str) -> Option<PathBuf> {
        let folder = PathBuf::from(std::env::var_os("IRONKEEL_E2E_LOGS")?);
        std::fs::create_dir_all(&folder).ok()?;
        let file = folder.join(format!("{name}-{}.txt", self.namespace));
        std::fs::write(&file, dump).ok()?;
        Some(file)
    }
}

fn append<K: serde::Serialize + Clone>(
    text: &mut String,
    title: &str,
    list: Result<kube::core::ObjectList<K>, kube::Error>,
) {
    use std::fmt::Write as _;
    let body = match list {
        Ok(list) => list
            .items
            .iter()
            .map(|item| {
                serde_json::to_string_pretty(item).unwrap_or_else(|error| error.to_string())
            })
            .collect::<Vec<_>>()
            .join("\n"),
        Err(error) => error.to_string(),
    };
    let _ = writeln!(text, "== {title}\n{body}");
}
