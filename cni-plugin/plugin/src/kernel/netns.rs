//! Network namespaces: opened by their path, entered by a thread of their own.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use super::socket::Socket;
use crate::error::{Code, Error, Result};

/// A network namespace that stays alive as long as this value.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: String,
}

impl Netns {
    /// Opens the one at `path`. `None` where there is none: nothing is there, or no namespace is mounted on it any more.
    pub fn open(path: &str) -> Result<Option<Self>> {
        let failed = |error: &io::Error| {
            Error::new(
                Code::InvalidNetns,
                format!("cannot open the network namespace {path}: {error}"),
            )
        };
        let file = match File::open(Path::new(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let is_namespace = fstatfs(&file).map_err(|error| failed(&error.into()))?;
        if is_namespace.filesystem_type() != NSFS_MAGIC {
            return Ok(None);
        }
        let path = path.to_owned();
        Ok(Some(Self { file, path }))
    }

    /// Runs `work` on a thread in this namespace, so that no other thread changes its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let enter = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).map_err(|error| {
                Error::new(
                    Code::InvalidNetns,
                    format!("cannot enter the network namespace {}: {error}", self.path),
                )
            })
        };
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter()?;
                work()
            });
            thread.join().unwrap_or_else(|_| {
                Err(Error::new(
                    Code::Internal,
                    format!(
                        "a thread in the network namespace {} has panicked",
                        self.path
                    ),
                ))
            })
        })
    }

    /// A socket to rtnetlink of this namespace; it may be used by any thread.
    pub fn socket(&self) -> Result<Socket> {
        self.run(|| {
            Socket::open().map_err(|error| {
                let what = format!("open a netlink socket in {}", self.path);
                super::Refused::from(error).of(&what)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_namespace_is_none() {
        assert!(Netns::open("/nowhere/at/all").unwrap().is_none());
        // A file, as it is left where a namespace was mounted.
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(
            Netns::open(file.path().to_str().unwrap())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn the_own_namespace_is_one() {
        assert!(Netns::open("/proc/self/ns/net").unwrap().is_some());
    }
}
