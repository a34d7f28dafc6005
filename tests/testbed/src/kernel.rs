//! Kernel settings that the cluster changes for the whole machine, and that its end puts back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::layout::{Layout, write_if_changed};

/// We forward between the nodes; kubelet sets the others when it starts.
const CHANGED: &[&str] = &[
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
];

/// The host folders that a node mounts its own over.
pub(crate) const MOUNT_POINTS: &[(&str, &str)] = &[
    ("kubelet", "/var/lib/kubelet"),
    ("containerd", "/var/lib/containerd"),
    ("cni-net", "/etc/cni/net.d"),
    ("cni-lib", "/var/lib/cni"),
    ("pods", "/var/log/pods"),
    ("containers", "/var/log/containers"),
];

/// Notes the settings, once per cluster, and turns forwarding on.
pub(crate) fn prepare(layout: &Layout) -> Result<()> {
    if !layout.sysctls().exists() {
        let before: BTreeMap<_, _> = CHANGED
            .iter()
            .filter_map(|name| Some((*name, fs::read_to_string(setting(name)).ok()?)))
            .collect();
        write_if_changed(&layout.sysctls(), &serde_json::to_string(&before)?)?;
    }
    let forward = setting("net/ipv4/ip_forward");
    if fs::read_to_string(&forward).is_ok_and(|value| value.trim() != "1") {
        fs::write(&forward, "1").with_context(|| format!("write {}", forward.display()))?;
    }
    prepare_mount_points(layout)
}

/// Makes the mount points that the host lacks, and notes every folder made, innermost first.
fn prepare_mount_points(layout: &Layout) -> Result<()> {
    let noted = fs::read(layout.mount_points())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let mut made: Vec<PathBuf> = noted.unwrap_or_default();
    for (_, target) in MOUNT_POINTS {
        let missing: Vec<_> = Path::new(target)
            .ancestors()
            .take_while(|path| !path.exists())
            .map(PathBuf::from)
            .collect();
        if !missing.is_empty() {
            fs::create_dir_all(target).with_context(|| format!("create {target}"))?;
            made.splice(0..0, missing);
        }
    }
    write_if_changed(&layout.mount_points(), &serde_json::to_string(&made)?).map(|_| ())
}

/// Puts everything back and says what could not be.
pub(crate) fn restore(layout: &Layout) -> Vec<String> {
    let mut left = Vec::new();
    let before: BTreeMap<String, String> = fs::read(layout.sysctls())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    for (name, value) in before {
        let path = setting(&name);
        if fs::read_to_string(&path).is_ok_and(|now| now != value)
            && let Err(error) = fs::write(&path, value.trim())
        {
            left.push(format!("kernel setting {name}: {error}"));
        }
    }
    let made: Vec<PathBuf> = fs::read(layout.mount_points())
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    for path in made {
        // Somebody else may have put something there meanwhile; then it is theirs.
        let _ = fs::remove_dir(path);
    }
    left
}

fn setting(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name)
}
