//! Where everything lies and which addresses it has.

use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The bridge that joins the nodes and the host.
pub(crate) const BRIDGE: &str = "ironkeel0";
/// The host's address on the bridge; nodes reach the API server there.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 1);
pub(crate) const NODE_RANGE: &str = "172.31.0.0/24";
pub(crate) const POD_RANGE: &str = "10.244.0.0/16";
pub(crate) const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The first address of the service range is the API server's Service.
pub(crate) const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
pub(crate) const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
pub(crate) const DNS_DOMAIN: &str = "cluster.local";
pub(crate) const API_PORT: u16 = 6443;
/// Every process of a cluster has this variable, set to the state folder, so that `down` finds those that no record names.
pub(crate) const MARKER: &str = "IRONKEEL_TESTBED";
/// The folder of our cgroups in each hierarchy.
pub(crate) const CGROUP: &str = "ironkeel";
/// More would not fit the ranges above.
pub(crate) const MOST_NODES: u8 = 200;

/// The address of real node `number`, from 1.
pub(crate) fn node_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 0, 10 + number)
}

/// The range of the pods of real node `number`.
pub(crate) fn pod_range(number: u8) -> String {
    format!("10.244.{number}.0/24")
}

pub(crate) fn node_name(number: u8) -> String {
    format!("node{number}")
}

/// The host's end of a node's cable.
pub(crate) fn node_link(number: u8) -> String {
    format!("ironkeel-n{number}")
}

/// The state folder of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) state: PathBuf,
}

impl Layout {
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    /// Beside the state folder, so that `down` can remove that.
    pub(crate) fn lock(&self) -> PathBuf {
        self.state.with_added_extension("lock")
    }

    /// Held by whoever measures or tests on the cluster and must not be disturbed.
    pub(crate) fn reservation(&self) -> PathBuf {
        self.state.with_added_extension("reserved")
    }

    pub(crate) fn saved(&self) -> PathBuf {
        self.state.join("cluster.json")
    }

    /// Whether the state folder holds something, and no cluster: then it is somebody else's, and neither to be filled nor
    /// to be emptied. The logs of an earlier cluster do not count.
    pub(crate) fn is_foreign(&self) -> Result<bool> {
        let entries = match fs::read_dir(&self.state) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(error).with_context(|| format!("read {}", self.state.display()));
            }
        };
        let mut others = false;
        for entry in entries {
            let path = entry?.path();
            if path == self.saved() {
                return Ok(false);
            }
            others |= path != self.logs() && path != unfinished(&self.saved());
        }
        Ok(others)
    }

    /// What the kernel was set to before we changed it.
    pub(crate) fn sysctls(&self) -> PathBuf {
        self.state.join("sysctls.json")
    }

    /// The host folders that we made as mount points.
    pub(crate) fn mount_points(&self) -> PathBuf {
        self.state.join("mount-points.json")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    /// The kubeconfig of one of the cluster's own programs.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.pki().join(format!("{user}.kubeconfig"))
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.state.join("users")
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.state.join("bin")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.state.join("log")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    pub(crate) fn records(&self) -> PathBuf {
        self.state.join("run")
    }

    /// The record of a running process of the host: a service, or a node's first process.
    pub(crate) fn record(&self, name: &str) -> PathBuf {
        self.records().join(format!("{name}.json"))
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.state.join("etcd")
    }

    pub(crate) fn nodes(&self) -> PathBuf {
        self.state.join("nodes")
    }

    pub(crate) fn node(&self, number: u8) -> PathBuf {
        self.nodes().join(node_name(number))
    }
}

/// Makes a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("create {}", path.display()))
}

/// Makes a folder that only its owner may read.
pub(crate) fn create_private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("create {}", path.display()))
}

/// Writes a file unless it has this content already. Appears whole, and readable for its owner alone.
pub(crate) fn write_if_changed(path: &Path, content: &str) -> Result<bool> {
    if fs::read(path).is_ok_and(|there| there == content.as_bytes()) {
        return Ok(false);
    }
    let unfinished = unfinished(path);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(content.as_bytes())?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("write {}", path.display()))?;
    Ok(true)
}

/// The name of a file while it is written.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Layout;

    #[test]
    fn a_folder_with_other_things_in_it_is_not_ours() {
        let state = std::env::temp_dir().join(format!("ironkeel-layout-{}", std::process::id()));
        let layout = Layout::new(&state);
        assert!(!layout.is_foreign().unwrap(), "not there");
        fs::create_dir_all(layout.logs()).unwrap();
        assert!(!layout.is_foreign().unwrap(), "logs of an earlier cluster");
        fs::create_dir(state.join("documents")).unwrap();
        assert!(layout.is_foreign().unwrap());
        fs::write(layout.saved(), "{}").unwrap();
        assert!(!layout.is_foreign().unwrap(), "a cluster");
        fs::remove_dir_all(state).unwrap();
    }
}
