//! What somebody needs who was not there when it went wrong.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Cluster;
use crate::layout::create_folder;
use crate::run;

impl Cluster {
    /// Copies every component's log and every container's, and writes every object and event as YAML, into `folder`.
    /// Takes what it can get: an API server that does not answer leaves a note instead. Secrets are left out.
    pub fn collect_logs(&self, folder: &Path) -> Result<()> {
        create_folder(folder)?;
        copy_tree(&self.layout.logs(), &folder.join("components"))?;
        for node in self.nodes() {
            let pods = self.layout.node(node.number).join("pods");
            if pods.is_dir() {
                copy_tree(&pods, &folder.join("pods").join(node.name()))?;
            }
        }
        if let Err(error) = self.write_objects(&folder.join("objects")) {
            fs::write(folder.join("objects.error"), format!("{error:#}\n"))?;
        }
        Ok(())
    }

    fn write_objects(&self, folder: &Path) -> Result<()> {
        create_folder(folder)?;
        let kinds =
            run::output(
                self.kubectl()
                    .args(["api-resources", "--verbs=list", "--output=name"]),
            )?;
        // Events stand here in the order they happened, and under their newer group once more.
        let events = [
            "get",
            "events",
            "--all-namespaces",
            "--sort-by=.metadata.creationTimestamp",
            "--output=wide",
        ];
        fs::write(
            folder.join("events.txt"),
            run::output(self.kubectl().args(events))?,
        )?;
        for kind in kinds
            .lines()
            .filter(|&kind| kind != "secrets" && kind != "events.events.k8s.io")
        {
            let got = run::output(self.kubectl().args([
                "get",
                kind,
                "--all-namespaces",
                "--output=yaml",
            ]));
            let text = got.unwrap_or_else(|error| format!("# {error:#}\n"));
            if !text.contains("\nitems: []") {
                fs::write(folder.join(format!("{kind}.yaml")), text)?;
            }
        }
        Ok(())
    }
}

/// Copies files and folders; a link is followed where it leads to a file.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    create_folder(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        if path.is_dir() {
            copy_tree(&path, &to.join(name))?;
        } else if path.is_file() {
            fs::copy(&path, to.join(name)).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}
