//! The cluster as a whole: up, repair, status.

mod down;
mod logs;
mod status;

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::addons::join;
use crate::control_plane::{ControlPlane, LOCAL_SERVER, kubectl};
use crate::kernel::{self, MOUNT_POINTS};
use crate::layout::{Layout, MOST_NODES, create_private_folder, write_if_changed};
use crate::lock::Lock;
use crate::network;
use crate::node::{Boot, Node};
use crate::packages;
use crate::pki::{Authority, Subject};
use crate::process::end_strays;
use crate::progress::{Outcome, Progress, step};
use crate::upstream::Programs;

pub use down::down;
pub use status::{NodeStatus, ProcessStatus, Status};

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

impl Config {
    fn validate(&self) -> Result<()> {
        if self.nodes == 0 || self.nodes > MOST_NODES {
            bail!(
                "{} nodes asked for; a cluster has 1 to {MOST_NODES}",
                self.nodes
            );
        }
        let hidden = ["/run", "/proc", "/sys"]
            .into_iter()
            .chain(MOUNT_POINTS.iter().map(|(_, target)| *target));
        for hidden in hidden {
            if self.state.starts_with(hidden) {
                bail!(
                    "state folder {} lies under {hidden}, which a node replaces by its own",
                    self.state.display()
                );
            }
        }
        if !self.state.is_absolute() {
            bail!(
                "state folder {} is not an absolute path",
                self.state.display()
            );
        }
        Ok(())
    }
}

/// A cluster that was brought up on this machine.
#[derive(Debug, Clone)]
pub struct Cluster {
    layout: Layout,
    saved: Saved,
}

/// The right to an undisturbed cluster; see [`Cluster::reserve`].
#[derive(Debug)]
pub struct Reservation {
    _lock: Lock,
}

/// What a later command has to know of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    config: Config,
    programs: Programs,
}

impl Cluster {
    /// Makes the running cluster match `config`: creates it, repairs it, or changes nothing. Loads `archives` into every
    /// real node. Returns when every node is Ready and CoreDNS runs on each real one.
    ///
    /// Needs root. Refused with a clear error: a second run at the same time, a port or address range in use by somebody
    /// else, a missing tool that cannot be installed.
    pub fn up(
        config: &Config,
        programs: &Programs,
        archives: &[PathBuf],
        progress: &dyn Progress,
    ) -> Result<Self> {
        config.validate()?;
        require_root()?;
        let layout = Layout::new(&config.state);
        let _lock = exclusive(&layout)?;
        if layout.is_foreign()? {
            bail!(
                "state folder {} holds files, and none of a cluster; name another folder in IRONKEEL_STATE",
                layout.state.display()
            );
        }
        packages::ensure(packages::CLUSTER, progress)?;
        create_private_folder(&layout.state)?;
        let before = Self::open(&layout.state)?;
        if before.is_none() {
            // The logs of an earlier cluster would only confuse.
            let _ = fs::remove_dir_all(layout.logs());
        }
        let cluster = Self {
            layout,
            saved: Saved {
                config: config.clone(),
                programs: programs.clone(),
            },
        };
        write_if_changed(
            &cluster.layout.saved(),
            &serde_json::to_string_pretty(&cluster.saved)?,
        )?;
        let strays = end_strays(&cluster.layout)?;
        if strays > 0 {
            progress.note(&format!(
                "ended {strays} processes that an interrupted run had left"
            ));
        }
        let before = before.map_or(0, |before| before.saved.config.nodes);
        cluster.converge(before, archives, progress)?;
        Ok(cluster)
    }

    /// `before` is how many real nodes an earlier run had.
    fn converge(&self, before: u8, archives: &[PathBuf], progress: &dyn Progress) -> Result<()> {
        let config = &self.saved.config;
        let control_plane = self.control_plane();
        let quick = |name: &str, work: &dyn Fn() -> Result<Outcome>| {
            step(progress, name, None, || Ok(((), work()?)))
        };
        control_plane.ensure_identities()?;
        control_plane.link_tools()?;
        kernel::prepare(&self.layout)?;
        quick("network", &network::ensure_host)?;
        let surplus =
            || (config.nodes.saturating_add(1)..=before).filter(|number| *number > config.nodes);
        for number in surplus() {
            Node::remove(&self.layout, number)?;
        }
        let started = thread::scope(|scope| -> Result<BTreeMap<_, _>> {
            // Loading images takes about as long as an API server takes to start.
            let boots: Vec<_> = self
                .nodes()
                .map(|node| scope.spawn(move || boot(&node, archives, progress)))
                .collect();
            quick("etcd", &|| control_plane.ensure_etcd())?;
            quick("kube-apiserver", &|| control_plane.ensure_apiserver())?;
            let others = [
                scope.spawn(|| {
                    quick("kube-controller-manager", &|| {
                        control_plane.ensure_controller_manager()
                    })
                }),
                scope.spawn(|| quick("kube-scheduler", &|| control_plane.ensure_scheduler())),
            ];
            control_plane.ensure_objects()?;
            others.into_iter().try_for_each(join)?;
            boots
                .into_iter()
                .filter_map(|boot| join(boot).transpose())
                .collect()
        })?;
        control_plane.forget_nodes(surplus())?;
        thread::scope(|scope| -> Result<()> {
            let joins: Vec<_> = self
                .nodes()
                .map(|node| scope.spawn(move || node.join().map(|_| ())))
                .collect();
            joins.into_iter().try_for_each(join)
        })?;
        quick("nodes ready", &|| {
            control_plane.ensure_nodes_ready().and_then(|outcome| {
                control_plane.ensure_pods_current(&started)?;
                Ok(outcome)
            })
        })?;
        if control_plane.concerns_fake_nodes() {
            quick("fake nodes", &|| control_plane.ensure_fake_nodes())?;
        }
        quick("cluster DNS", &|| control_plane.ensure_dns())
    }

    /// The cluster whose state lies in `state`, if one was brought up there; it need not be healthy.
    pub fn open(state: &Path) -> Result<Option<Self>> {
        let layout = Layout::new(state);
        let text = match fs::read(layout.saved()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("read {}", layout.saved().display()));
            }
        };
        // A file that an older version or a full disk left is as good as none: `up` writes it anew.
        Ok(serde_json::from_slice(&text)
            .ok()
            .map(|saved| Self { layout, saved }))
    }

    /// The administrator's kubeconfig; self-contained.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.admin_kubeconfig()
    }

    /// A folder with `kubectl` and `helm` for the user's PATH.
    pub fn bin_dir(&self) -> PathBuf {
        self.layout.bin()
    }

    /// The folder with one log per component.
    pub fn log_dir(&self) -> PathBuf {
        self.layout.logs()
    }

    /// The API server's address.
    pub fn server(&self) -> &'static str {
        LOCAL_SERVER
    }

    /// What the cluster was last asked to look like.
    pub fn config(&self) -> &Config {
        &self.saved.config
    }

    /// Upstream's programs that the cluster runs.
    pub fn programs(&self) -> &Programs {
        &self.saved.programs
    }

    /// A `kubectl` that talks to this cluster as its administrator.
    pub fn kubectl(&self) -> Command {
        kubectl(&self.bin_dir().join("kubectl"), &self.layout)
    }

    /// Writes a kubeconfig for a user with its own client certificate and returns its path; the same user and groups give
    /// the same file. Self-contained. At most two groups.
    pub fn issue_client_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let folder = self.layout.users();
        create_private_folder(&folder)?;
        let readable: String = user
            .chars()
            .map(|one| {
                if one.is_ascii_alphanumeric() {
                    one
                } else {
                    '-'
                }
            })
            .collect();
        let mut hash = DefaultHasher::new();
        (user, groups).hash(&mut hash);
        let name = format!("{readable}-{:08x}", hash.finish() as u32);
        let authority = Authority::ready(&self.layout.pki())?;
        authority.issue(
            &name,
            &Subject {
                user,
                groups,
                hosts: &[],
            },
        )?;
        let path = folder.join(format!("{name}.kubeconfig"));
        write_if_changed(&path, &authority.kubeconfig(&name, LOCAL_SERVER)?)?;
        Ok(path)
    }

    /// Restarts kube-controller-manager with another `--controllers` and further feature gates, and returns when it is
    /// healthy. Does nothing where it runs so already. The next [`Cluster::up`] goes by its own configuration again.
    pub fn restart_kube_controller_manager(
        &self,
        controllers: &str,
        feature_gates: &[String],
        progress: &dyn Progress,
    ) -> Result<()> {
        let _lock = Lock::wait(&self.layout.lock(), || {
            progress.note("waiting for another run that changes the cluster");
        })?;
        let mut config = self.saved.config.clone();
        controllers.clone_into(&mut config.controllers);
        config.feature_gates.extend_from_slice(feature_gates);
        let control_plane = ControlPlane {
            config: &config,
            ..self.control_plane()
        };
        step(progress, "kube-controller-manager", None, || {
            Ok(((), control_plane.ensure_controller_manager()?))
        })
    }

    /// Loads into every real node those images of the archives that it does not have yet, told by their digests.
    pub fn load_images(&self, archives: &[PathBuf], progress: &dyn Progress) -> Result<()> {
        thread::scope(|scope| {
            let loads: Vec<_> = self
                .nodes()
                .map(|node| scope.spawn(move || load(&node, archives, progress)))
                .collect();
            loads.into_iter().try_for_each(join)
        })
    }

    /// Keeps [`Cluster::up`] and [`down`] of every run, this one's too, away from the cluster for as long as the value
    /// lives: they are refused with an error that names `purpose`. For a test or a measurement that a change under it
    /// would spoil. [`Cluster::restart_kube_controller_manager`] still works.
    pub fn reserve(&self, purpose: &str) -> Result<Reservation> {
        let mut lock = reservation(&self.layout)?;
        lock.sign(&format!("{purpose} (process {})", std::process::id()))?;
        Ok(Reservation { _lock: lock })
    }

    fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let Saved { config, programs } = &self.saved;
        (1..=config.nodes).map(|number| Node {
            layout: &self.layout,
            programs,
            number,
            nodes: config.nodes,
        })
    }

    fn control_plane(&self) -> ControlPlane<'_> {
        ControlPlane {
            layout: &self.layout,
            programs: &self.saved.programs,
            config: &self.saved.config,
        }
    }
}

/// Boots a node and loads its images; returns its name and the time where it was started.
fn boot(
    node: &Node<'_>,
    archives: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Option<(String, Timestamp)>> {
    let started = step(progress, &node.name(), None, || {
        Ok(match node.boot()? {
            Boot::Unchanged => (None, Outcome::Unchanged),
            Boot::Repaired => (None, Outcome::Done),
            Boot::Started(since) => (Some((node.name(), since)), Outcome::Done),
        })
    })?;
    load(node, archives, progress)?;
    Ok(started)
}

fn load(node: &Node<'_>, archives: &[PathBuf], progress: &dyn Progress) -> Result<()> {
    step(
        progress,
        &format!("images on {}", node.name()),
        None,
        || {
            let loaded = node.load_images(archives)?;
            Ok((
                (),
                if loaded == 0 {
                    Outcome::Unchanged
                } else {
                    Outcome::Done
                },
            ))
        },
    )
}

fn require_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    bail!(
        "a cluster of real nodes needs root, for namespaces, mounts and cgroups: run this as root"
    )
}

/// Two runs that change one cluster at once would undo each other's work, and one that changes it under a running test
/// would make the test's result worthless.
fn exclusive(layout: &Layout) -> Result<(Lock, Lock)> {
    let changing = Lock::take(&layout.lock())?.with_context(|| {
        format!(
            "another run is changing the cluster in {}; wait for its end and try again",
            layout.state.display()
        )
    })?;
    Ok((changing, reservation(layout)?))
}

fn reservation(layout: &Layout) -> Result<Lock> {
    let path = layout.reservation();
    Lock::take(&path)?.with_context(|| {
        let who = fs::read_to_string(&path).unwrap_or_default();
        format!(
            "the cluster in {} is reserved by {who}; wait for its end and try again",
            layout.state.display()
        )
    })
}
