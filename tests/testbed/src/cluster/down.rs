//! The end of a cluster.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{exclusive, require_root};
use crate::cgroups;
use crate::kernel;
use crate::layout::Layout;
use crate::mounts;
use crate::network;
use crate::process::{marked, recorded};
use crate::progress::{Outcome, Progress, step};

/// Ends the cluster and removes all of it but the logs: processes, namespaces, mounts, links, routes, rules, cgroups,
/// kernel settings, files. Works on what a half-dead run left. Returns what could not be removed, in words; empty is
/// clean. Where there is nothing, does nothing.
pub fn down(state: &Path, progress: &dyn Progress) -> Result<Vec<String>> {
    require_root()?;
    let layout = Layout::new(state);
    let _lock = exclusive(&layout)?;
    let mut left = Vec::new();
    step(progress, "end the processes", None, || {
        let ended = end_processes(&layout, &mut left);
        Ok((
            (),
            if ended == 0 {
                Outcome::Unchanged
            } else {
                Outcome::Done
            },
        ))
    })?;
    let removable = step(progress, "remove network and cgroups", None, || {
        // Nothing is mounted there unless a node's start went wrong half-way. A mount that stays would be emptied with the
        // folder it lies in.
        let mounts = mounts::detach_below(&layout.state);
        let removable = mounts.is_empty();
        left.extend(
            mounts
                .iter()
                .map(|path| format!("mount {}", path.display())),
        );
        left.extend(network::remove());
        left.extend(cgroups::remove(None));
        left.extend(kernel::restore(&layout));
        Ok((removable, Outcome::Done))
    })?;
    if layout.is_foreign()? {
        left.push(format!(
            "the files in {}, for none of them is a cluster's",
            layout.state.display()
        ));
    } else if removable {
        step(progress, "delete the nodes' files", None, || {
            Ok((remove_files(&layout)?, Outcome::Done))
        })?;
    }
    Ok(left)
}

/// Nothing of a test cluster is worth a clean shutdown. The first process of a node takes the whole node with it, with the
/// containers, which no record names.
fn end_processes(layout: &Layout, left: &mut Vec<String>) -> usize {
    let mut processes: Vec<_> = recorded(layout)
        .into_iter()
        .map(|(_, record)| record.identity)
        .collect();
    processes.extend(marked(&layout.state));
    processes.sort_by_key(|process| process.pid);
    processes.dedup();
    for process in &processes {
        process.signal(Signal::SIGKILL);
    }
    for process in &processes {
        if let Err(error) = process.kill() {
            left.push(format!("process {}: {error:#}", process.pid));
        }
    }
    processes.len()
}

/// Removes everything in the state folder but the logs of what just ended. What says that the folder is ours goes last.
fn remove_files(layout: &Layout) -> Result<()> {
    let entries = match fs::read_dir(&layout.state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("read {}", layout.state.display()));
        }
    };
    for entry in entries {
        let path = entry?.path();
        if path == layout.logs() || path == layout.saved() {
            continue;
        }
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.with_context(|| format!("remove {}", path.display()))?;
    }
    match fs::remove_file(layout.saved()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", layout.saved().display()))
        }
        _ => Ok(()),
    }
}
