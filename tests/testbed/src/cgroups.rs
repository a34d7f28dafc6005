//! The control groups of the nodes, in either version of the kernel's interface.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::layout::CGROUP;
use crate::wait;

const ROOT: &str = "/sys/fs/cgroup";
/// What kubelet counts and limits by.
const CONTROLLERS: &str = "+cpu +cpuset +memory +pids +io";

/// Makes the group of a node; kubelet makes those of its pods inside.
pub(crate) fn ensure(node: &str) -> Result<()> {
    if is_unified() {
        return ensure_unified(node);
    }
    for hierarchy in hierarchies()? {
        let mut group = hierarchy.clone();
        for part in [CGROUP, node] {
            let parent = group.clone();
            group.push(part);
            create(&group)?;
            // A new cpuset is empty, and nothing can run in it or below it.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if let Ok(value) = fs::read(parent.join(file))
                    && fs::read_to_string(group.join(file))
                        .is_ok_and(|there| there.trim().is_empty())
                {
                    write(&group.join(file), &value)?;
                }
            }
        }
    }
    Ok(())
}

fn ensure_unified(node: &str) -> Result<()> {
    let mut group = PathBuf::from(ROOT);
    for part in [CGROUP, node] {
        // Without a controller here there is none below; io is missing on some kernels, so each is tried alone.
        for controller in CONTROLLERS.split(' ') {
            let _ = fs::write(group.join("cgroup.subtree_control"), controller);
        }
        group.push(part);
        create(&group)?;
    }
    for controller in CONTROLLERS.split(' ') {
        let _ = fs::write(group.join("cgroup.subtree_control"), controller);
    }
    Ok(())
}

/// Removes the groups of a node, or of all; returns those that stayed.
pub(crate) fn remove(node: Option<&str>) -> Vec<String> {
    let mut groups: Vec<_> = if is_unified() {
        vec![PathBuf::from(ROOT)]
    } else {
        hierarchies().unwrap_or_default()
    };
    for group in &mut groups {
        group.push(CGROUP);
        group.extend(node);
    }
    // The kernel empties a group a moment after its last process is gone.
    let gone = || {
        for group in &groups {
            remove_tree(group);
        }
        Ok(groups.iter().all(|group| !group.exists()).then_some(()))
    };
    let _ = wait::until(Duration::from_secs(10), "the end of the cgroups", gone);
    groups
        .iter()
        .filter(|group| group.exists())
        .map(|group| format!("cgroup {}", group.display()))
        .collect()
}

/// A group is removed by `rmdir`, its children first; the files in it are not files.
fn remove_tree(group: &Path) {
    for child in fs::read_dir(group).into_iter().flatten().flatten() {
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&child.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// Whether this machine has version 2 alone.
fn is_unified() -> bool {
    Path::new(ROOT).join("cgroup.controllers").exists()
}

/// The hierarchies of version 1, each of them once: `cpu` may be a link to `cpu,cpuacct`. Beside them there may be one of
/// version 2 without controllers, which runc uses too.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(ROOT).with_context(|| format!("read {ROOT}"))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() && path.join("cgroup.procs").exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn create(group: &Path) -> Result<()> {
    fs::create_dir_all(group).with_context(|| format!("create cgroup {}", group.display()))
}

fn write(path: &Path, value: &[u8]) -> Result<()> {
    fs::write(path, value).with_context(|| format!("write {}", path.display()))
}
