//! Real nodes: each in network, mount, process, host-name and IPC namespaces of its own, with its own containerd, kubelet
//! and kube-proxy.

mod files;
pub(crate) mod first;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::cgroups;
use crate::image::names_in;
use crate::layout::{Layout, create_folder, node_address, node_name, write_if_changed};
use crate::network;
use crate::packages::SYSTEM_PATH;
use crate::process::{Identity, Record, fingerprint, open_log, tail};
use crate::progress::Outcome;
use crate::run;
use crate::upstream::Programs;
use crate::wait;

pub(crate) use files::{has_server, resolver};

/// Changes whenever a node that an older version started has to be started anew.
const FORMAT: u32 = 1;
/// How long a component may take to become healthy.
const LIMIT: Duration = Duration::from_mins(1);
/// How long one that runs already may take to show it.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a node's first process has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    name: String,
    folder: PathBuf,
    /// The value of [`crate::layout::MARKER`].
    marker: PathBuf,
    search_path: String,
    components: Vec<Component>,
}

impl Spec {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))
    }
}

/// A program that the first process keeps running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Component {
    name: String,
    command: Vec<String>,
    log: PathBuf,
    /// Another one means another start.
    fingerprint: String,
}

/// What the first process says of a component that it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// As the node sees it.
    pid: u32,
    fingerprint: String,
}

impl Running {
    fn path(folder: &Path, component: &str) -> PathBuf {
        folder.join("run").join(format!("{component}.json"))
    }
}

/// The names of a node's components, in the order they start.
pub(crate) const COMPONENTS: [&str; 3] = ["containerd", "kubelet", "kube-proxy"];

/// What booting a node came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Boot {
    /// Everything was right already.
    Unchanged,
    /// Something was not, and the node went on.
    Repaired,
    /// The node was started, at this time; whatever ran on an earlier one of its name is gone.
    Started(Timestamp),
}

/// One real node of a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) programs: &'a Programs,
    /// From 1.
    pub(crate) number: u8,
    /// How many real nodes there are.
    pub(crate) nodes: u8,
}

impl Node<'_> {
    pub(crate) fn name(&self) -> String {
        node_name(self.number)
    }

    fn folder(&self) -> PathBuf {
        self.layout.node(self.number)
    }

    /// Makes sure that the node's first process and containerd run; a fresh node gets no kubelet yet, so that no pod
    /// starts before its image is there.
    pub(crate) fn boot(&self) -> Result<Boot> {
        let folder = self.folder();
        create_folder(&folder.join("run"))?;
        files::write(self)?;
        let record_path = self.layout.record(&self.name());
        let right = format!("{FORMAT} {}", folder.display());
        let record = Record::read(&record_path);
        if let Some(record) = &record
            && record.identity.is_alive()
            && record.fingerprint == right
        {
            cgroups::ensure(&self.name())?;
            let network = network::ensure_node(self.number, record.identity.pid, self.nodes)?;
            let components = self.run_components(record.identity, &COMPONENTS)?;
            let unchanged = network == Outcome::Unchanged && components == Outcome::Unchanged;
            return Ok(if unchanged {
                Boot::Unchanged
            } else {
                Boot::Repaired
            });
        }
        if let Some(record) = record {
            record.identity.kill()?;
        }
        // Kubelet would ask containerd for the container of each old group, for seconds each, before its first pod.
        cgroups::remove(Some(&self.name()));
        cgroups::ensure(&self.name())?;
        for component in COMPONENTS {
            let _ = fs::remove_file(Running::path(&folder, component));
        }
        self.write_spec(&COMPONENTS[..1])?;
        let since = Timestamp::now();
        let identity = self.start_first()?;
        Record {
            identity,
            fingerprint: right,
        }
        .write(&record_path)?;
        self.run_components(identity, &COMPONENTS[..1])?;
        Ok(Boot::Started(since))
    }

    /// Makes sure that kubelet and kube-proxy run too.
    pub(crate) fn join(&self) -> Result<Outcome> {
        self.run_components(self.first()?, &COMPONENTS)
    }

    /// Loads the images that the node does not have, and says how many archives that took.
    pub(crate) fn load_images(&self, archives: &[PathBuf]) -> Result<usize> {
        let first = self.first()?;
        let there = run::output(self.ctr(first)?.args(["images", "list"]))?;
        let has = |name: &str, digest: &str| {
            there.lines().any(|line| {
                let mut fields = line.split_whitespace();
                fields.next() == Some(name) && fields.nth(1) == Some(digest)
            })
        };
        let mut loaded = 0;
        for archive in archives {
            if names_in(archive)?
                .iter()
                .any(|(name, digest)| !has(name, digest))
            {
                run::output(self.ctr(first)?.args(["images", "import"]).arg(archive))
                    .with_context(|| format!("load {} into {}", archive.display(), self.name()))?;
                loaded += 1;
            }
        }
        Ok(loaded)
    }

    /// The host's process ids of the node's first process and of its components.
    pub(crate) fn processes(&self) -> Vec<(&'static str, Option<u32>)> {
        let first = self.first().ok();
        let component = |name| {
            (
                name,
                first
                    .and_then(|first| self.running(first, name))
                    .map(|(pid, _)| pid),
            )
        };
        std::iter::once(("init", first.map(|first| first.pid)))
            .chain(COMPONENTS.map(component))
            .collect()
    }

    /// Ends the node and everything in it.
    pub(crate) fn remove(layout: &Layout, number: u8) -> Result<()> {
        let record_path = layout.record(&node_name(number));
        if let Some(record) = Record::read(&record_path) {
            record.identity.kill()?;
            fs::remove_file(&record_path)
                .with_context(|| format!("remove {}", record_path.display()))?;
        }
        network::remove_node(number)?;
        cgroups::remove(Some(&node_name(number)));
        let folder = layout.node(number);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        Ok(())
    }

    fn first(&self) -> Result<Identity> {
        Record::read(&self.layout.record(&self.name()))
            .map(|record| record.identity)
            .filter(|identity| identity.is_alive())
            .with_context(|| format!("{} does not run; `cargo xtask up` starts it", self.name()))
    }

    /// A `ctr` for the node's containerd, whose socket the host sees through the first process's root.
    fn ctr(&self, first: Identity) -> Result<Command> {
        let mut ctr = Command::new(self.programs.path("ctr")?);
        ctr.args(["--namespace", "k8s.io", "--address"])
            .arg(format!(
                "/proc/{}/root/run/containerd/containerd.sock",
                first.pid
            ));
        Ok(ctr)
    }

    fn start_first(&self) -> Result<Identity> {
        let log_path = self.layout.log(&self.name());
        let log = open_log(&log_path)?;
        // Not by its path: cargo may have put a newer build there since this program started.
        let mut enter = Command::new("/proc/self/exe")
            .arg(first::ENTER)
            .arg(self.spec_path())
            .current_dir("/")
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .env("HOME", "/root")
            .env(crate::layout::MARKER, &self.layout.state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.name()))?;
        let stdin = enter.stdin.take();
        let said = enter.wait_with_output()?;
        let pid = String::from_utf8_lossy(&said.stdout)
            .trim()
            .parse()
            .ok()
            .and_then(Identity::of);
        let (Some(identity), Some(mut stdin)) = (pid, stdin) else {
            bail!(
                "{} did not start; does `main` call ironkeel_testbed::run_if_reexecuted first? The end of {}:\n{}",
                self.name(),
                log_path.display(),
                tail(&log_path)
            );
        };
        network::ensure_node(self.number, identity.pid, self.nodes)?;
        writeln!(stdin, "{}", first::GO)
            .with_context(|| format!("tell {} to go on", self.name()))?;
        Ok(identity)
    }

    fn spec_path(&self) -> PathBuf {
        self.folder().join("spec.json")
    }

    fn write_spec(&self, components: &[&str]) -> Result<(Spec, bool)> {
        let folder = self.folder();
        let components = components
            .iter()
            .map(|name| self.component(name))
            .collect::<Result<_>>()?;
        // containerd finds its shim there.
        let own = self.programs.folder("containerd")?.display();
        let spec = Spec {
            name: self.name(),
            marker: self.layout.state.clone(),
            search_path: format!("{own}:{SYSTEM_PATH}"),
            components,
            folder,
        };
        let changed = write_if_changed(&self.spec_path(), &serde_json::to_string_pretty(&spec)?)?;
        Ok((spec, changed))
    }

    fn component(&self, name: &str) -> Result<Component> {
        let (arguments, inputs) = files::command(self, name);
        let program = self.programs.path(name)?;
        let fingerprint = fingerprint(&program, &arguments, &inputs)?;
        let mut command = vec![program.display().to_string()];
        command.extend(arguments);
        let log = self.layout.log(&format!("{}-{name}", self.name()));
        Ok(Component {
            name: name.to_owned(),
            command,
            log,
            fingerprint,
        })
    }

    /// Makes sure that these components run as described and are healthy.
    fn run_components(&self, first: Identity, names: &[&str]) -> Result<Outcome> {
        let (spec, changed) = self.write_spec(names)?;
        if changed {
            first.signal(Signal::SIGHUP);
        }
        let mut outcome = if changed {
            Outcome::Done
        } else {
            Outcome::Unchanged
        };
        for component in &spec.components {
            let settle = |limit| {
                let what = format!(
                    "{} of {} becoming healthy (log: {})",
                    component.name,
                    self.name(),
                    component.log.display()
                );
                wait::until(limit, &what, || {
                    if !first.is_alive() {
                        let log = self.layout.log(&self.name());
                        bail!(
                            "{} ended right after its start; the end of {}:\n{}",
                            self.name(),
                            log.display(),
                            tail(&log)
                        );
                    }
                    let running = self.running(first, &component.name);
                    let right = running
                        .is_some_and(|(_, fingerprint)| fingerprint == component.fingerprint);
                    Ok((right && self.is_healthy(first, &component.name)).then_some(()))
                })
            };
            let right = self.running(first, &component.name);
            if let Some((pid, fingerprint)) = right
                && fingerprint == component.fingerprint
            {
                if settle(PATIENCE).is_ok() {
                    continue;
                }
                // Alive and of no use: the first process starts it again.
                if let Some(hung) = Identity::of(pid) {
                    hung.kill()?;
                }
            }
            outcome = Outcome::Done;
            settle(LIMIT)?;
        }
        Ok(outcome)
    }

    /// The host's process id and the fingerprint of a component that runs.
    fn running(&self, first: Identity, component: &str) -> Option<(u32, String)> {
        let text = fs::read(Running::path(&self.folder(), component)).ok()?;
        let running: Running = serde_json::from_slice(&text).ok()?;
        let pid = host_pid(first.pid, running.pid)?;
        Identity::of(pid).map(|_| (pid, running.fingerprint))
    }

    fn is_healthy(&self, first: Identity, component: &str) -> bool {
        let address = node_address(self.number);
        match component {
            "containerd" => self
                .ctr(first)
                .and_then(|mut ctr| run::output(ctr.arg("version")))
                .is_ok(),
            "kubelet" => wait::answers(address, files::KUBELET_HEALTH_PORT, "/healthz"),
            _ => wait::answers(address, files::PROXY_HEALTH_PORT, "/livez"),
        }
    }
}

/// The host's id of the process that a node's first process knows by another.
fn host_pid(first: u32, inside: u32) -> Option<u32> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let node = namespace(first)?;
    fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|&pid| {
            namespace(pid).as_ref() == Some(&node)
                && fs::read_to_string(format!("/proc/{pid}/status"))
                    .is_ok_and(|status| innermost_pid(&status) == Some(inside))
        })
}

/// The last of a process's ids: the one in the innermost namespace.
fn innermost_pid(status: &str) -> Option<u32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?
        .split_whitespace()
        .next_back()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::innermost_pid;

    #[test]
    fn the_last_id_is_the_innermost() {
        assert_eq!(
            innermost_pid("Name:\tkubelet\nNSpid:\t5123\t17\nNSpgid:\t1\n"),
            Some(17)
        );
        assert_eq!(innermost_pid("NSpid:\t5123\n"), Some(5123));
        assert_eq!(innermost_pid("Name:\tx\n"), None);
    }
}
