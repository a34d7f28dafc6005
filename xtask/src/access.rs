//! Ways into a cluster: its kubeconfig, kubectl and helm.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Cluster, state_dir};

use crate::shell;

/// A cluster that can be talked to.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
}

impl Access {
    /// The cluster of the testbed, with the programs that came with it.
    pub(crate) fn local(cluster: &Cluster) -> Self {
        Self {
            kubeconfig: cluster.kubeconfig(),
            kubectl: cluster.bin_dir().join("kubectl"),
            helm: cluster.bin_dir().join("helm"),
        }
    }

    /// Somebody else's cluster, with the programs on the PATH.
    pub(crate) fn existing(kubeconfig: &Path) -> Result<Self> {
        let kubeconfig = std::path::absolute(kubeconfig)?;
        if !kubeconfig.is_file() {
            bail!("--kubeconfig: there is no file {}", kubeconfig.display());
        }
        let access = Self {
            kubeconfig,
            kubectl: shell::find_program("kubectl").context(
                "kubectl is not on the PATH; how to get it: https://kubernetes.io/docs/tasks/tools/#kubectl",
            )?,
            helm: shell::find_program("helm").context(
                "helm is not on the PATH; version 3.14 or newer is needed: https://helm.sh/docs/intro/install/",
            )?,
        };
        let mut version = access.kubectl();
        version.args(["version", "--request-timeout=10s"]);
        shell::read(version).with_context(|| {
            format!(
                "the cluster of {} does not answer",
                access.kubeconfig.display()
            )
        })?;
        Ok(access)
    }

    /// The kubeconfig file.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubectl command for this cluster.
    pub(crate) fn kubectl(&self) -> Command {
        self.command(&self.kubectl)
    }

    /// A helm command for this cluster.
    pub(crate) fn helm(&self) -> Command {
        self.command(&self.helm)
    }

    /// A command that finds this cluster by `KUBECONFIG`, and its kubectl and helm on the PATH.
    pub(crate) fn prepare(&self, command: &mut Command) {
        command.env("KUBECONFIG", &self.kubeconfig);
        let own = self.kubectl.parent().map(Path::to_owned);
        let inherited = env::var_os("PATH").unwrap_or_default();
        let folders = own.into_iter().chain(env::split_paths(&inherited));
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = shell::command(program);
        self.prepare(&mut command);
        command
    }
}

/// The cluster that `cargo xtask up` left running.
pub(crate) fn running_cluster() -> Result<Cluster> {
    Cluster::open(&state_dir()?)?.context("no cluster is up here; start one with `cargo xtask up`")
}
