//! The first process of a node: makes the node's view of the machine, runs its components, reaps its orphans.
//!
//! It is the calling program started again with a hidden argument. A first instance leaves the host's namespaces, and its
//! child is process 1 of the new ones; what it starts dies with it, so that killing it takes the whole node. A component
//! that dies is started again, as an init system would. The description of the node lies in a file, read again on SIGHUP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, sethostname, setsid};

use super::{Component, Running, Spec};
use crate::kernel::MOUNT_POINTS;
use crate::layout::{MARKER, create_folder, write_if_changed};
use crate::process::open_log;

/// Enters the namespaces.
pub(super) const ENTER: &str = "ironkeel-testbed-node";
/// Is process 1 in them.
const FIRST: &str = "ironkeel-testbed-node-first";
/// What the host writes to process 1 when the network is connected.
pub(super) const GO: &str = "go";

/// How soon a component is started again, and how soon when it did not live long.
const PAUSE: Duration = Duration::from_millis(200);
const LONG_PAUSE: Duration = Duration::from_secs(1);
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// How long a component may take to end when its description has changed.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the part of this file that the arguments ask for.
pub(crate) fn run_if_reexecuted() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let role = arguments.next()?;
    let result = if role == ENTER {
        enter(&PathBuf::from(arguments.next()?))
    } else if role == FIRST {
        first(&PathBuf::from(arguments.next()?))
    } else {
        return None;
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the node's log.
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    })
}

/// Leaves the host's namespaces, starts process 1 of the new ones and prints its id as the host sees it.
fn enter(spec: &Path) -> Result<()> {
    setsid().context("start a session")?;
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(flags).context("enter new namespaces")?;
    let child = Command::new("/proc/self/exe")
        .arg(FIRST)
        .arg(spec)
        .stdin(Stdio::inherit())
        .stdout(io::stderr())
        .stderr(Stdio::inherit())
        .spawn()
        .context("start the node's first process")?;
    write!(io::stdout(), "{}", child.id())?;
    Ok(())
}

fn first(path: &Path) -> Result<()> {
    let mut word = String::new();
    io::stdin().lock().read_line(&mut word)?;
    if word.trim() != GO {
        bail!("the command that starts this node ended before its network was connected");
    }
    let spec = Spec::read(path)?;
    sethostname(&spec.name).context("set the host name")?;
    make_view(&spec)?;
    supervise(path, &spec)
}

/// Gives the node its own mounts. What it mounts stays invisible to the host, and what is mounted in one of its pods can
/// reach the others, as volumes with bidirectional propagation need.
fn make_view(spec: &Spec) -> Result<()> {
    let bind = |from: &Path, to: &Path, flags| {
        mount(
            Some(from),
            to,
            None::<&str>,
            MsFlags::MS_BIND | flags,
            None::<&str>,
        )
        .with_context(|| format!("mount {} on {}", from.display(), to.display()))
    };
    let fresh = |kind: &str, to: &str| {
        mount(Some(kind), to, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("mount {kind} on {to}"))
    };
    let propagate = |flag| {
        mount(
            None::<&str>,
            "/",
            None::<&str>,
            MsFlags::MS_REC | flag,
            None::<&str>,
        )
        .context("set the propagation of mounts")
    };
    propagate(MsFlags::MS_PRIVATE)?;
    fresh("proc", "/proc")?;
    // A sysfs shows the links of the namespace that mounted it. The cgroup mounts under the old one are set aside for the
    // moment of the exchange.
    let (cgroups, aside) = (Path::new("/sys/fs/cgroup"), spec.folder.join("cgroups"));
    create_folder(&aside)?;
    bind(cgroups, &aside, MsFlags::MS_REC)?;
    fresh("sysfs", "/sys")?;
    bind(&aside, cgroups, MsFlags::MS_REC)?;
    umount2(&aside, MntFlags::MNT_DETACH).context("unmount the cgroups that were set aside")?;
    fresh("tmpfs", "/run")?;
    for (folder, target) in MOUNT_POINTS {
        let folder = spec.folder.join(folder);
        create_folder(&folder)?;
        bind(&folder, Path::new(target), MsFlags::empty())?;
    }
    propagate(MsFlags::MS_SHARED)?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("turn forwarding on")?;
    // Traffic between two pods on one bridge must pass the rules of Services. A kernel without the module has no such
    // setting, and there only that one path is lost.
    let _ = fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
    Ok(())
}

/// Runs the components for ever.
fn supervise(path: &Path, spec: &Spec) -> Result<()> {
    let mut expected = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGHUP] {
        expected.add(signal);
    }
    // Process 1 gets no signal that it does not handle; a blocked one waits for `wait`. Children start unblocked.
    expected.thread_block().context("block signals")?;
    let mut spec = spec.clone();
    let mut running: BTreeMap<String, Live> = BTreeMap::new();
    loop {
        // Changed or no longer wanted.
        running.retain(|name, live| {
            let wanted = spec
                .components
                .iter()
                .any(|one| one.name == *name && one.fingerprint == live.fingerprint);
            if !wanted {
                end(live.pid);
            }
            wanted
        });
        for component in &spec.components {
            if !running.contains_key(&component.name) {
                match start(&spec, component) {
                    Ok(live) => {
                        running.insert(component.name.clone(), live);
                    }
                    Err(error) => {
                        let _ = writeln!(io::stderr(), "{error:#}");
                        thread::sleep(LONG_PAUSE);
                        // Tried again when the next signal comes; this is that signal.
                        let _ = kill(Pid::this(), Signal::SIGHUP);
                    }
                }
            }
        }
        match expected.wait() {
            Ok(Signal::SIGHUP) => match Spec::read(path) {
                Ok(read) => spec = read,
                Err(error) => {
                    let _ = writeln!(io::stderr(), "{error:#}");
                }
            },
            Ok(_) => reap(&mut running),
            Err(_) => {}
        }
    }
}

/// A component that was started.
struct Live {
    pid: Pid,
    fingerprint: String,
    since: Instant,
}

fn start(spec: &Spec, component: &Component) -> Result<Live> {
    let log = open_log(&component.log)?;
    let (program, arguments) = component
        .command
        .split_first()
        .context("a component without a command")?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .process_group(0)
        .env_clear()
        .env("PATH", &spec.search_path)
        .env("HOME", "/root")
        .env(MARKER, &spec.marker)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let running = Running {
        pid: child.id(),
        fingerprint: component.fingerprint.clone(),
    };
    write_if_changed(
        &Running::path(&spec.folder, &component.name),
        &serde_json::to_string(&running)?,
    )?;
    Ok(Live {
        pid: Pid::from_raw(child.id() as i32),
        fingerprint: running.fingerprint,
        since: Instant::now(),
    })
}

/// Collects what has ended: components, and the orphans that every program leaves to process 1.
fn reap(running: &mut BTreeMap<String, Live>) {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        let Some(pid) = status.pid() else { return };
        let Some(name) = running
            .iter()
            .find(|(_, live)| live.pid == pid)
            .map(|(name, _)| name.clone())
        else {
            continue;
        };
        let Some(live) = running.remove(&name) else {
            continue;
        };
        let _ = writeln!(io::stderr(), "{name} ended ({status:?}); starting it again");
        thread::sleep(if live.since.elapsed() < SHORT_LIFE {
            LONG_PAUSE
        } else {
            PAUSE
        });
    }
}

/// Asks a component to end, and makes it end.
fn end(pid: Pid) {
    let _ = kill(pid, Signal::SIGTERM);
    let since = Instant::now();
    loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {}
            _ => return,
        }
        if since.elapsed() > GRACE {
            let _ = kill(pid, Signal::SIGKILL);
        }
        thread::sleep(PAUSE / 10);
    }
}
