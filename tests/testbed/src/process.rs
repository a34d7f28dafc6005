//! Processes that outlive the command that started them.
//!
//! Each has a record: its process id, the time it started, which a reused id does not share, and a fingerprint of what it
//! was started with. A process that is alive with the right fingerprint and healthy is left alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::layout::{Layout, MARKER, create_folder, write_if_changed};
use crate::packages::SYSTEM_PATH;
use crate::ports;
use crate::progress::Outcome;
use crate::wait;

/// How long a process may take to end when asked.
const GRACE: Duration = Duration::from_secs(10);
/// How long a process that runs already may take to show that it is healthy: a moment of load is no illness.
const PATIENCE: Duration = Duration::from_secs(10);
/// A log that is longer when its program starts is set aside.
const LOG_LIMIT: u64 = 64 << 20;

/// A running process, so that another with the same id is not mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// In clock ticks since the machine started.
    pub(crate) started: u64,
}

impl Identity {
    /// The process that has this id now and is not about to end. One that is has left its namespaces already, which the
    /// kernel does long before a node's first process, say, has ended all others.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let (state, started) = stat(pid)?;
        let in_namespaces = fs::read_link(format!("/proc/{pid}/ns/net")).is_ok();
        let ending = matches!(state, 'Z' | 'X') || !in_namespaces || awaits_sigkill(pid);
        (!ending).then_some(Self { pid, started })
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether nothing of the process is left. Its first thread may be dead while another still holds its sockets.
    fn is_gone(self) -> bool {
        match stat(self.pid) {
            Some((state, started)) if started == self.started => {
                let threads =
                    fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count);
                matches!(state, 'Z' | 'X') && threads <= 1
            }
            _ => true,
        }
    }

    /// Sends a signal, unless the process is gone.
    pub(crate) fn signal(self, signal: Signal) {
        if !self.is_gone() {
            // It may end between the question and the signal.
            let _ = kill(Pid::from_raw(self.pid as i32), signal);
        }
    }

    /// Asks the process to end, makes it end after a while, and returns when it is gone.
    pub(crate) fn end(self) -> Result<()> {
        self.signal(Signal::SIGTERM);
        if self.wait_gone(GRACE).is_err() {
            self.kill()?;
        }
        Ok(())
    }

    /// Ends the process at once and returns when it is gone.
    pub(crate) fn kill(self) -> Result<()> {
        self.signal(Signal::SIGKILL);
        self.wait_gone(GRACE)
    }

    fn wait_gone(self, limit: Duration) -> Result<()> {
        wait::until(limit, &format!("the end of process {}", self.pid), || {
            Ok((!self.is_alive()).then_some(()))
        })
    }
}

/// Whether somebody has killed the process and it did not have its turn on a processor since: it is doomed.
fn awaits_sigkill(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    pending(&status) & (1 << (Signal::SIGKILL as u32 - 1)) != 0
}

/// The signals that wait for the process or its first thread, one bit each, from its `status` file.
fn pending(status: &str) -> u64 {
    status
        .lines()
        .filter_map(|line| {
            line.strip_prefix("SigPnd:")
                .or_else(|| line.strip_prefix("ShdPnd:"))
        })
        .filter_map(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .fold(0, |all, bits| all | bits)
}

/// The state letter and the start time of a process.
fn stat(pid: u32) -> Option<(char, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in parentheses, and may itself hold spaces and parentheses.
fn parse_stat(line: &str) -> Option<(char, u64)> {
    let (_, rest) = line.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// What is known of a process that we started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(flatten)]
    pub(crate) identity: Identity,
    pub(crate) fingerprint: String,
}

impl Record {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            create_folder(parent)?;
        }
        write_if_changed(path, &serde_json::to_string(self)?).map(|_| ())
    }
}

/// A program of the control plane, with everything that decides how it runs.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Files it reads when it starts: other content means a restart.
    pub(crate) inputs: Vec<PathBuf>,
    /// Ports it listens on.
    pub(crate) ports: Vec<u16>,
    /// How long it may take to become healthy.
    pub(crate) limit: Duration,
}

impl Service {
    /// Makes sure that the service runs as described and is healthy.
    pub(crate) fn ensure(&self, layout: &Layout, healthy: impl Fn() -> bool) -> Result<Outcome> {
        let path = layout.record(self.name);
        let fingerprint = fingerprint(&self.program, &self.arguments, &self.inputs)?;
        if let Some(record) = Record::read(&path) {
            let alive = record.identity.is_alive();
            if alive && record.fingerprint == fingerprint {
                let waiting = || Ok((healthy() || !record.identity.is_alive()).then_some(()));
                if wait::until(PATIENCE, "health", waiting).is_ok() && record.identity.is_alive() {
                    return Ok(Outcome::Unchanged);
                }
            }
            record.identity.end()?;
        }
        ports::require_free(self.name, &self.ports)?;
        let identity = self.start(layout)?;
        Record {
            identity,
            fingerprint,
        }
        .write(&path)?;
        let what = format!("{} becoming healthy", self.name);
        let log = layout.log(self.name);
        wait::until(self.limit, &what, || {
            if healthy() {
                return Ok(Some(()));
            }
            if !identity.is_alive() {
                bail!(
                    "{} ended right after its start; the end of {}:\n{}",
                    self.name,
                    log.display(),
                    tail(&log)
                );
            }
            Ok(None)
        })
        .with_context(|| format!("start {} (log: {})", self.name, log.display()))?;
        Ok(Outcome::Done)
    }

    /// `setsid` gives the process a session of its own, so that neither the terminal's end nor its interrupt reaches it,
    /// and becomes the program without another process id.
    fn start(&self, layout: &Layout) -> Result<Identity> {
        let log = open_log(&layout.log(self.name))?;
        let child = Command::new("setsid")
            .arg(&self.program)
            .args(&self.arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", SYSTEM_PATH)
            .env("HOME", "/root")
            .env(MARKER, &layout.state)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        Identity::of(child.id()).with_context(|| format!("{} ended at once", self.name))
    }
}

/// Names what a process is started with. The program's path holds the fingerprint of its build.
pub(crate) fn fingerprint(
    program: &Path,
    arguments: &[String],
    inputs: &[PathBuf],
) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{} {arguments:?}", program.display()));
    for input in inputs {
        hash.update(fs::read(input).with_context(|| format!("read {}", input.display()))?);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Opens a log for appending, after setting aside one that has become long.
pub(crate) fn open_log(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        create_folder(parent)?;
    }
    if fs::metadata(path).is_ok_and(|data| data.len() > LOG_LIMIT) {
        fs::rename(path, path.with_extension("old.log"))
            .with_context(|| format!("set {} aside", path.display()))?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

/// The last lines of a log, for an error.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Every process on this machine that belongs to the cluster with this state folder, by its environment. Containers do not
/// have the variable; they end with their node.
pub(crate) fn marked(state: &Path) -> Vec<Identity> {
    let mark = format!("{MARKER}={}", state.display());
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment
                    .split(|&byte| byte == 0)
                    .any(|one| one == mark.as_bytes())
            })
        })
        .filter_map(Identity::of)
        .collect()
}

/// Ends what belongs to the cluster and what no record names, which is what a run that was killed half-way leaves: it holds
/// ports and locks that its successor needs. A process of a node counts with the node's first process.
pub(crate) fn end_strays(layout: &Layout) -> Result<usize> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let host = namespace(std::process::id());
    let recorded: Vec<_> = recorded(layout)
        .into_iter()
        .map(|(_, record)| record.identity)
        .collect();
    let nodes: Vec<_> = recorded
        .iter()
        .map(|first| namespace(first.pid))
        .filter(|node| *node != host)
        .collect();
    let mut ended = 0;
    for process in marked(&layout.state) {
        if !recorded.contains(&process) && !nodes.contains(&namespace(process.pid)) {
            process.kill()?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// The records of processes that are alive, by name.
pub(crate) fn recorded(layout: &Layout) -> Vec<(String, Record)> {
    let entries = fs::read_dir(layout.records())
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            let record = Record::read(&entry.path()).filter(|record| record.identity.is_alive())?;
            Some((entry.path().file_stem()?.to_str()?.to_owned(), record))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Identity, parse_stat};

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = (3..=52).map(|field| {
            if field == 3 {
                "S".to_owned()
            } else {
                field.to_string()
            }
        });
        let line = format!("42 (a) b (c) {}", rest.collect::<Vec<_>>().join(" "));
        assert_eq!(parse_stat(&line), Some(('S', 22)));
        assert_eq!(parse_stat("42 (a"), None);
    }

    #[test]
    fn pending_signals_of_process_and_thread_are_added_up() {
        let status =
            "Name:\ta\nSigPnd:\t0000000000000002\nShdPnd:\t0000000000000100\nSigBlk:\tff\n";
        assert_eq!(super::pending(status), 0x102);
    }

    #[test]
    fn an_ended_process_is_not_alive_even_before_it_is_reaped() {
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        assert!(
            !Identity {
                started: identity.started + 1,
                ..identity
            }
            .is_alive(),
            "a reused process id"
        );
        identity.kill().unwrap();
        assert!(!identity.is_alive());
        child.wait().unwrap();
    }
}
