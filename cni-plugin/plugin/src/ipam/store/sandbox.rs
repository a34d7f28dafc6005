//! Where an interface is, and whether that has gone.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A network namespace, as it was when an address was reserved for an interface in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Sandbox {
    /// The one at `path`. `None` where there is none, and below `/proc`: there it ends with a process, and another one
    /// may keep the namespace.
    pub fn at(path: &Path) -> Option<Self> {
        if path.as_os_str().is_empty() || path.starts_with("/proc") {
            return None;
        }
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// Whether it is certain that it has gone. Where its folder cannot be seen either, nothing is certain.
    pub(super) fn is_gone(&self) -> bool {
        match fs::metadata(&self.path) {
            Ok(now) => (now.dev(), now.ino()) != (self.device, self.inode),
            Err(error) => {
                error.kind() == ErrorKind::NotFound && self.path.parent().is_some_and(Path::is_dir)
            }
        }
    }
}
