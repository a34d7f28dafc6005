//! Where an interface is, and whether that has gone.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{NSFS_MAGIC, statfs};
use serde::{Deserialize, Serialize};

/// A network namespace that is mounted on a file, as it was when an address was reserved for an interface in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Sandbox {
    /// The one at `path`. `None` where there is none, and where the path leads to a process, by `/proc` or by a link: it
    /// ends with that process, and another one may keep the namespace.
    pub fn at(path: &Path) -> Option<Self> {
        let is_link = fs::symlink_metadata(path).ok()?.is_symlink();
        if path.starts_with("/proc") || is_link || !is_namespace(path) {
            return None;
        }
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// Whether it is certain that it has gone: its file has been removed, or another namespace is mounted on it. A file
    /// without a namespace is what is seen where the mounts of the runtime are not.
    pub(super) fn is_gone(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(now) => {
                (now.dev(), now.ino()) != (self.device, self.inode) && is_namespace(&self.path)
            }
            Err(error) => {
                error.kind() == ErrorKind::NotFound && self.path.parent().is_some_and(Path::is_dir)
            }
        }
    }
}

fn is_namespace(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC)
}
