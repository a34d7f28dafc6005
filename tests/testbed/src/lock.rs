//! Locks between runs: one file each, held as long as the value lives, freed by the kernel with the process.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// A held lock.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock; where another run holds it, calls `say` once and waits.
    pub(crate) fn wait(path: &Path, say: impl FnOnce()) -> Result<Self> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say();
                file.lock()
                    .with_context(|| format!("lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        Ok(Self { file })
    }

    /// Writes into the lock's file who holds it, for those who are refused.
    pub(crate) fn sign(&mut self, who: &str) -> Result<()> {
        self.file.set_len(0)?;
        self.file.write_all(who.as_bytes())?;
        Ok(())
    }

    /// Takes the lock, or returns `None` where another run holds it.
    pub(crate) fn take(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("lock {}", path.display()))
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("open lock file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Lock;

    #[test]
    fn a_held_lock_is_refused_and_names_its_holder() {
        let path = std::env::temp_dir().join(format!("ironkeel-lock-{}", std::process::id()));
        let mut held = Lock::take(&path).unwrap().unwrap();
        held.sign("a long story (process 12)").unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "a long story (process 12)"
        );
        drop(held);
        let mut again = Lock::take(&path).unwrap().unwrap();
        again.sign("another").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "another");
        fs::remove_file(path).unwrap();
    }
}
