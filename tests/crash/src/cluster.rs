//! The real cluster of a campaign: an API server, our kinds, and kube-controller-manager's garbage collector.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use http::Request;
use ironkeel_testbed::bare::{Bare, BareConfig};
use ironkeel_testbed::{Programs, Progress};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// How long the garbage collector may take to work at first, and a kind of ours to be served.
const LIMIT: Duration = Duration::from_mins(1);
/// The namespace in which it is tried out.
const TRIAL: &str = "crash-trial";

/// The API server and the garbage collector; both end when this is dropped.
pub struct Cluster {
    bare: Bare,
    collector: Option<Child>,
}

impl Cluster {
    /// Starts the API server with empty data in `folder`.
    pub fn start(folder: &Path, programs: &Programs, progress: &dyn Progress) -> Result<Self> {
        let config = BareConfig {
            folder: folder.to_owned(),
            fsync: false,
            apiserver_flags: Vec::new(),
        };
        Ok(Self {
            bare: Bare::start(&config, programs, progress)?,
            collector: None,
        })
    }

    /// The API server.
    pub const fn bare(&self) -> &Bare {
        &self.bare
    }

    /// A client of the administrator, who is not limited. It never tries a request again by itself.
    pub async fn client(&self) -> Result<Client> {
        ironkeel_runtime::client::install_tls_provider();
        let file = self.bare.kubeconfig();
        let kubeconfig =
            Kubeconfig::read_from(&file).with_context(|| format!("reading {}", file.display()))?;
        let mut config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// Installs our kinds and returns when they are served.
    pub async fn install_kinds(&self, client: &Client) -> Result<()> {
        for kind in ironkeel_crds::crds()? {
            let body = kind.definition.to_string().into_bytes();
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            client
                .request::<Value>(post(path, body)?)
                .await
                .with_context(|| format!("installing {}", kind.plural))?;
            let collection = format!(
                "/apis/{}/{}/{}?limit=1",
                ironkeel_crds::GROUP,
                ironkeel_crds::VERSION,
                kind.plural
            );
            until(&format!("{} being served", kind.plural), async || {
                let list = Request::get(&collection).body(Vec::new())?;
                Ok(client.request::<Value>(list).await.is_ok())
            })
            .await?;
        }
        Ok(())
    }

    /// Starts kube-controller-manager with the garbage collector alone, past the proxy, and returns when it works.
    pub async fn start_collector(&mut self, client: &Client) -> Result<()> {
        let kubeconfig = self.bare.kubeconfig();
        let flags = [
            "--use-service-account-credentials=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--v=2",
        ];
        let collector =
            self.bare
                .controller_manager(&kubeconfig, "garbage-collector-controller", 0, &flags)?;
        let log = self.bare.folder().join("garbage-collector.log");
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command
            .arg(collector.get_program())
            .args(collector.get_args());
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting setpriv, which is part of Debian's util-linux")?;
        self.collector = Some(child);
        self.try_collector(client)
            .await
            .with_context(|| format!("the garbage collector (log: {})", log.display()))
    }

    /// It knows kinds only after a while, and would be slow in the first runs.
    async fn try_collector(&self, client: &Client) -> Result<()> {
        create_namespace(client, TRIAL).await?;
        let maps = format!("/api/v1/namespaces/{TRIAL}/configmaps");
        let map = |name: &str, owners: Value| {
            json!({ "metadata": { "name": name, "ownerReferences": owners } })
                .to_string()
                .into_bytes()
        };
        let owner: Value = client
            .request(post(&maps, map("owner", json!([])))?)
            .await?;
        let reference = json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
                                 "uid": owner["metadata"]["uid"] }]);
        client
            .request::<Value>(post(&maps, map("dependent", reference))?)
            .await?;
        client
            .request::<Value>(Request::delete(format!("{maps}/owner")).body(Vec::new())?)
            .await?;
        until("a dependent without its owner being deleted", async || {
            let get = Request::get(format!("{maps}/dependent")).body(Vec::new())?;
            match client.request::<Value>(get).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
                other => Ok(other.map(|_| false)?),
            }
        })
        .await
    }
}

impl Cluster {
    /// Ends everything and removes the folder. This is of no use afterwards.
    pub fn discard(&mut self) -> Result<()> {
        self.end_collector();
        self.bare.discard()
    }

    fn end_collector(&mut self) {
        if let Some(collector) = &mut self.collector {
            // Both fail where it has ended already, which is as well.
            let _ = collector.kill();
            let _ = collector.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end_collector();
    }
}

/// Creates a namespace.
pub async fn create_namespace(client: &Client, name: &str) -> Result<()> {
    let body = json!({ "metadata": { "name": name } })
        .to_string()
        .into_bytes();
    client
        .request::<Value>(post("/api/v1/namespaces", body)?)
        .await
        .with_context(|| format!("creating namespace {name}"))?;
    Ok(())
}

/// A request that sends JSON.
pub(crate) fn post(path: &str, body: Vec<u8>) -> Result<Request<Vec<u8>>> {
    Ok(Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)?)
}

/// Asks until the answer is yes.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !ask().await? {
        if Instant::now() > deadline {
            bail!("waited {} s for {what}", LIMIT.as_secs());
        }
        // Set-up and tear-down of the cluster: what is asked differs, and most of it no watch tells.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
