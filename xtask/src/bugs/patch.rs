//! The bugs: one patch each, whose first lines say what it breaks and what is to find it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{shell, workspace};

/// Where the patches lie.
const FOLDER: &str = "tests/sim/bugs";

/// A deliberate bug.
#[derive(Clone, Debug)]
pub(super) struct Bug {
    /// The patch's file name without its end.
    pub(super) name: String,
    /// What is broken, in a sentence.
    pub(super) broken: String,
    /// The rules that are to find it, any of them.
    pub(super) finders: Vec<String>,
    /// Scenarios in which it is likely to show, as the simulator takes them.
    pub(super) likely: String,
    /// The patch.
    pub(super) path: PathBuf,
}

impl Bug {
    fn read(path: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&path)
            .with_context(|| format!("reading {}", workspace::shown(&path)))?;
        let line = |start: &str| {
            let said = text.lines().find_map(|line| line.strip_prefix(start));
            said.map(|said| said.trim().to_owned())
                .with_context(|| format!("{} has no line {start:?}", workspace::shown(&path)))
        };
        Ok(Self {
            name: path
                .file_stem()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            broken: line("# Broken:")?,
            finders: line("# Found by:")?
                .split(',')
                .map(|rule| rule.trim().to_owned())
                .collect(),
            likely: line("# Likely in:")?,
            path,
        })
    }

    /// A `git apply` of this patch in `folder`, which need not be a repository of its own.
    pub(super) fn apply(&self, folder: &Path, flags: &[&str]) -> Command {
        let mut git = shell::command("git");
        // Within a repository git would leave out what lies beside the folder that it is called in.
        let parent = folder.parent().unwrap_or(folder);
        git.current_dir(folder)
            .env("GIT_CEILING_DIRECTORIES", parent)
            .arg("apply")
            .args(flags)
            .arg(&self.path);
        git
    }
}

/// Every bug, by name.
pub(super) fn all() -> Result<Vec<Bug>> {
    let folder = workspace::root().join(FOLDER);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {FOLDER}"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "patch") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(Bug::read).collect()
}

/// Patches that do not apply to the files as they are: a refactoring has to take them along.
pub(crate) fn stale() -> Result<Vec<String>> {
    let root = workspace::root();
    let mut stale = Vec::new();
    for bug in all()? {
        if let Err(error) = shell::read(bug.apply(&root, &["--check"])) {
            let path = workspace::shown(&bug.path);
            stale.push(format!("{path} does not apply any more: {error}"));
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_patch_applies_and_says_what_it_breaks() {
        assert!(all().unwrap().len() >= 12);
        assert_eq!(stale().unwrap(), Vec::<String>::new());
    }
}
