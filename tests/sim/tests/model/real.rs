//! A real API server of the run's own, with the controllers of the cluster that a test asks for.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ironkeel_sim::api::Request;
use ironkeel_testbed::bare::{Bare, BareConfig};
use ironkeel_testbed::{ProgramSet, Programs, Silent};
use serde_json::{Value, json};

use crate::client::Client;

const PATIENCE: Duration = Duration::from_mins(2);

/// etcd, kube-apiserver, a proxy without encryption, and perhaps kube-controller-manager.
pub(crate) struct Real {
    pub(crate) client: Client,
    children: Vec<Child>,
    /// Ended after its clients.
    server: Option<Bare>,
}

impl Real {
    /// Starts everything and installs our definitions.
    pub(crate) fn start(controllers: &[&str]) -> Result<Self> {
        let given = std::env::var("IRONKEEL_MODEL_SERVER").ok();
        let mut real = match given {
            Some(address) => Self {
                client: Client::new(&address),
                children: Vec::new(),
                server: None,
            },
            None => Self::start_own(controllers)?,
        };
        real.install()?;
        Ok(real)
    }

    fn start_own(controllers: &[&str]) -> Result<Self> {
        let programs = Programs::ready(&[ProgramSet::Cluster], &Silent)?;
        let name = format!(
            "ironkeel-model-{}-{}",
            std::process::id(),
            controllers.len()
        );
        let config = BareConfig {
            folder: std::env::temp_dir().join(name),
            fsync: false,
            apiserver_flags: Vec::new(),
        };
        let server = Bare::start(&config, &programs, &Silent)?;
        let mut proxy = server.kubectl()?;
        proxy
            .args(["proxy", "--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut proxy = proxy.spawn().context("start kubectl proxy")?;
        let mut said = String::new();
        let output = proxy.stdout.take().context("kubectl proxy has no output")?;
        let mut output = BufReader::new(output);
        output.read_line(&mut said)?;
        let address = said
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut children = vec![proxy];
        if !controllers.is_empty() {
            let kubeconfig = server.controller_manager_kubeconfig()?;
            let mut manager =
                server.controller_manager(&kubeconfig, &controllers.join(","), 0, &[])?;
            manager.stdout(Stdio::null()).stderr(Stdio::null());
            children.push(manager.spawn().context("start kube-controller-manager")?);
        }
        Ok(Self {
            client: Client::new(&address),
            children,
            server: Some(server),
        })
    }

    pub(crate) fn another_client(&self) -> Client {
        self.client.another()
    }

    pub(crate) fn send(&mut self, request: &Request) -> Result<(u16, Value), String> {
        let (code, body) = self.client.send(request)?;
        Ok((
            code,
            serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))),
        ))
    }

    fn install(&mut self) -> Result<()> {
        const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for kind in ironkeel_crds::crds()? {
            let (code, answer) = self
                .send(&Request::post(DEFINITIONS, &kind.definition))
                .map_err(anyhow::Error::msg)?;
            if code != 201 && code != 409 {
                bail!("{} was refused: {answer}", kind.plural);
            }
            let path = format!(
                "/apis/apps.ironkeel.dev/v1/namespaces/default/{}",
                kind.plural
            );
            let until = Instant::now() + PATIENCE;
            while self
                .send(&Request::get(path.as_str()))
                .map_err(anyhow::Error::msg)?
                .0
                != 200
            {
                if Instant::now() > until {
                    bail!("{} is not served after {PATIENCE:?}", kind.plural);
                }
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that is gone already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
        // A hundred megabytes, of which only a run that failed has something to tell.
        if let Some(server) = &mut self.server
            && !std::thread::panicking()
            && let Err(error) = server.discard()
        {
            eprintln!("{error:#}");
        }
    }
}
