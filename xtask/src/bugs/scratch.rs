//! The copy of the repository that bugs are put into.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::patch::Bug;
use crate::{shell, workspace};

/// The simulator's program, and the cargo profile that it is built with.
const PROGRAM: &str = "ironkeel-sim";
const PROFILE: &str = "sim";

/// A copy of the repository. It is kept from one call to the next, with what cargo built in it: a bug then costs the
/// compilation of the crates that it is in and of those above them.
#[derive(Debug)]
pub(super) struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    /// The copy, brought up to date.
    pub(super) fn fresh() -> Result<Self> {
        let folder = workspace::target().join("bugs");
        let scratch = Self {
            tree: folder.join("tree"),
            target: folder.join("target"),
        };
        fs::create_dir_all(&scratch.tree)
            .with_context(|| format!("creating {}", scratch.tree.display()))?;
        scratch.update()?;
        Ok(scratch)
    }

    /// Copies what differs, so that cargo builds no more than that, and removes what is no more.
    fn update(&self) -> Result<()> {
        let mut git = shell::command("git");
        git.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = shell::read(git)?;
        let root = workspace::root();
        let mut paths: Vec<PathBuf> = Vec::new();
        for path in listed.split_terminator('\0') {
            let (from, to) = (root.join(path), self.tree.join(path));
            if !from.is_file() {
                continue;
            }
            copy_if_different(&from, &to)?;
            paths.push(to);
        }
        paths.sort();
        remove_others(&self.tree, &paths).map(drop)
    }

    /// Builds the simulator without a bug, and keeps it.
    pub(super) fn build_control(&self, log: &Path) -> Result<PathBuf> {
        let built = self.build(log)?;
        let kept = self.target.join("control");
        fs::copy(&built, &kept).with_context(|| format!("copying {}", built.display()))?;
        Ok(kept)
    }

    /// Applies the bug, runs `work` and takes the bug back, whatever came of it.
    pub(super) fn with<T>(&self, bug: &Bug, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        shell::read(bug.apply(&self.tree, &[]))?;
        let result = work(self);
        self.update()?;
        result
    }

    /// Builds the simulator.
    pub(super) fn build(&self, log: &Path) -> Result<PathBuf> {
        let mut cargo = shell::cargo();
        cargo
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .args([
                "build",
                "--profile",
                PROFILE,
                "--locked",
                "--package",
                PROGRAM,
            ]);
        shell::run(cargo, log, &mut |_| {})?;
        Ok(self.target.join(PROFILE).join(PROGRAM))
    }
}

fn copy_if_different(from: &Path, to: &Path) -> Result<()> {
    let wanted = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::write(to, wanted).with_context(|| format!("writing {}", to.display()))
}

/// Removes the files below `folder` that are none of `kept`, which is sorted, and folders that are empty then. Whether
/// the folder itself is empty.
fn remove_others(folder: &Path, kept: &[PathBuf]) -> Result<bool> {
    let mut is_empty = true;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let is_gone = if path.is_dir() {
            remove_others(&path, kept)? && fs::remove_dir(&path).is_ok()
        } else {
            kept.binary_search(&path).is_err() && fs::remove_file(&path).is_ok()
        };
        is_empty &= is_gone;
    }
    Ok(is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_keeps_its_time_and_what_is_no_more_goes() {
        let folder = workspace::target()
            .join("xtask-tests")
            .join(format!("scratch-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to/a/b"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&from, "one").unwrap();
        copy_if_different(&from, &to).unwrap();
        let time = fs::metadata(&to).unwrap().modified().unwrap();
        copy_if_different(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), time);
        let other = folder.join("to/c/d");
        copy_if_different(&from, &other).unwrap();
        remove_others(&folder.join("to"), std::slice::from_ref(&to)).unwrap();
        assert!(to.is_file());
        assert!(!folder.join("to/c").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
