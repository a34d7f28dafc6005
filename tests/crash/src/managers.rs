//! The processes of the manager in one run: started, killed, and started again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::Child;

use crate::history::Observer;
use crate::proxy::{Gate, Proxy};
use crate::subject::Program;

/// How long a process may take until it watches everything.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// What a manager says that ends because it no longer leads: ours, and kube-controller-manager.
const LEASE_LOST: [&str; 2] = ["leader election lost", "leaderelection lost"];
/// How many lines of a log say why a process ended.
const LAST_WORDS: usize = 12;

/// The processes of one run.
pub struct Managers<'a> {
    program: &'a Program,
    proxy: &'a Proxy,
    observer: &'a Observer,
    namespace: &'a str,
    folder: &'a Path,
    wanted: u32,
    /// What was committed when each process started: it lists after that.
    starts: Vec<u64>,
    running: Vec<Running>,
    /// Processes that ended while writes of theirs were under way.
    leaving: Vec<Gate>,
    /// When all that has to watch did.
    ready_since: Option<Instant>,
    ended_alone: Vec<String>,
    leases_lost: u32,
}

struct Running {
    number: u32,
    gate: Gate,
    child: Child,
    log: PathBuf,
}

impl<'a> Managers<'a> {
    /// Starts `wanted` processes and returns when one of them watches everything. Logs and kubeconfigs go to `folder`.
    pub async fn start(
        program: &'a Program,
        proxy: &'a Proxy,
        observer: &'a Observer,
        namespace: &'a str,
        folder: &'a Path,
        wanted: u32,
    ) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut managers = Self {
            program,
            proxy,
            observer,
            namespace,
            folder,
            wanted,
            starts: Vec::new(),
            running: Vec::new(),
            leaving: Vec::new(),
            ready_since: None,
            ended_alone: Vec::new(),
            leases_lost: 0,
        };
        let deadline = Instant::now() + READY_WITHIN;
        while managers.tend().await?.is_none() {
            if let [why, ..] = managers.ended_alone.as_slice() {
                bail!("{why}");
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not watch everything after {} s: {:?}",
                    program.subject.as_str(),
                    READY_WITHIN.as_secs(),
                    managers.watched()
                );
            }
            // The proxy has no signal for it: a watch counts when the server answered it.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(managers)
    }

    /// Starts what is missing; says since when a process watches everything, if one does.
    pub async fn tend(&mut self) -> Result<Option<Instant>> {
        let mut index = 0;
        while index < self.running.len() {
            let running = &mut self.running[index];
            let Some(status) = running.child.try_wait()? else {
                index += 1;
                continue;
            };
            let ended = self.running.swap_remove(index);
            if !ended.gate.is_dead() {
                let words = last_words(&ended.log);
                // A process that cannot renew in time has to end, and on a busy machine some cannot.
                if LEASE_LOST.iter().any(|lost| words.contains(lost)) {
                    self.leases_lost += 1;
                } else {
                    self.ended_alone.push(format!(
                        "process {} ended by itself: {status}\n{words}",
                        ended.number
                    ));
                }
            }
            self.leaving.push(ended.gate);
        }
        // A successor that listed before the last write of the dead was carried out cannot know of it, and nothing that
        // it does could be held against it. In a cluster the start of a container, or the lease, takes longer than that.
        self.leaving.retain(|gate| !gate.is_idle());
        if !self.leaving.is_empty() {
            self.ready_since = None;
            return Ok(None);
        }
        while self.running.len() < self.wanted as usize {
            self.ready_since = None;
            let running = self.start_one().await?;
            self.running.push(running);
        }
        let kinds = self.program.mode.resources();
        let watches_all = |running: &Running| {
            let watched = running.gate.watched();
            kinds.iter().all(|kind| watched.contains(kind.plural))
        };
        if !self.running.iter().any(watches_all) {
            self.ready_since = None;
        } else if self.ready_since.is_none() {
            self.ready_since = Some(Instant::now());
        }
        Ok(self.ready_since)
    }

    async fn start_one(&mut self) -> Result<Running> {
        self.starts.push(self.observer.newest(self.namespace));
        let number = self.starts.len() as u32;
        let gate = self.proxy.open(number).await?;
        let kubeconfig = self.folder.join(format!("{number}.kubeconfig"));
        fs::write(&kubeconfig, kubeconfig_text(&gate.server()))
            .with_context(|| format!("writing {}", kubeconfig.display()))?;
        let log = self.folder.join(format!("{number}.log"));
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = self
            .program
            .command(&kubeconfig, self.namespace, self.wanted > 1)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .context("starting setpriv, which is part of Debian's util-linux")?;
        if let Some(pid) = child.id() {
            gate.serves(pid);
        }
        Ok(Running {
            number,
            gate,
            child,
            log,
        })
    }

    fn watched(&self) -> BTreeSet<String> {
        self.running
            .iter()
            .flat_map(|running| running.gate.watched())
            .collect()
    }

    /// The processes that were started so far, each with a version that it cannot be behind.
    pub fn starts(&self) -> Vec<(u32, u64)> {
        (1..).zip(self.starts.iter().copied()).collect()
    }

    /// Kills them all; returns how many ended by themselves because they lost the lease, and what the others said that
    /// ended by themselves.
    pub async fn stop(mut self) -> Result<(u32, Vec<String>)> {
        for running in &self.running {
            running.gate.kill();
        }
        for running in &mut self.running {
            running.child.wait().await?;
        }
        Ok((self.leases_lost, self.ended_alone))
    }
}

fn kubeconfig_text(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: crash\nclusters:\n- name: crash\n  cluster:\n    server: {server}\n\
         users:\n- name: crash\n  user: {{}}\ncontexts:\n- name: crash\n  context:\n    cluster: crash\n    user: crash\n"
    )
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
}
