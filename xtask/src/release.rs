//! Installs a chart with helm, unless exactly that is installed already.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Outcome, Progress};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::access::Access;
use crate::progress::Screen;
use crate::{shell, workspace};

/// How long helm waits for what it installed.
const TIMEOUT: &str = "--timeout=4m";

/// A chart of this repository and how it is to be installed.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// The release's name.
    pub(crate) name: &'static str,
    /// The chart's folder name under `charts/`.
    pub(crate) chart: &'static str,
    /// The namespace, made if missing.
    pub(crate) namespace: &'static str,
    /// Values, as helm's `--set` takes them.
    pub(crate) values: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Installed {
    info: Info,
}

#[derive(Debug, Deserialize)]
struct Info {
    status: String,
    #[serde(default)]
    description: String,
}

impl Release {
    /// Brings the cluster to this release; does nothing where it is there, whole and the same.
    pub(crate) fn install(&self, access: &Access, log: &Path, screen: &Screen) -> Result<()> {
        let step = format!("helm upgrade --install {}", self.name);
        screen.start(&step, None);
        let outcome = self.bring(access, log);
        screen.finish(&step, *outcome.as_ref().unwrap_or(&Outcome::Failed));
        outcome.map(|_| ())
    }

    fn bring(&self, access: &Access, log: &Path) -> Result<Outcome> {
        let description = format!("ironkeel-xtask {}", self.fingerprint()?);
        match self.installed(access)? {
            Some(info)
                if info.status == "deployed"
                    && info.description == description
                    && self.is_whole(access) =>
            {
                return Ok(Outcome::Unchanged);
            }
            Some(info) if info.status.starts_with("pending-") => self.forget_pending(access)?,
            _ => {}
        }
        let mut helm = access.helm();
        helm.args(["upgrade", "--install", self.name]);
        helm.arg(self.chart_folder());
        helm.args(["--namespace", self.namespace, "--create-namespace"]);
        helm.args([
            "--wait",
            TIMEOUT,
            "--history-max=3",
            "--description",
            &description,
        ]);
        for value in &self.values {
            helm.args(["--set", value]);
        }
        shell::run(helm, log, &mut |_| {})?;
        Ok(Outcome::Done)
    }

    /// Removes the release and its namespace; what is not there is fine.
    pub(crate) fn remove(&self, access: &Access, log: &Path) -> Result<()> {
        let mut helm = access.helm();
        helm.args(["uninstall", self.name, "--namespace", self.namespace]);
        helm.args(["--ignore-not-found", "--wait", TIMEOUT]);
        shell::run(helm, log, &mut |_| {})?;
        let mut kubectl = access.kubectl();
        kubectl.args(["delete", "namespace", self.namespace, "--ignore-not-found"]);
        shell::run(kubectl, log, &mut |_| {})
    }

    /// The chart's folder.
    pub(crate) fn chart_folder(&self) -> PathBuf {
        workspace::root().join("charts").join(self.chart)
    }

    /// What is installed under this name, if anything is.
    fn installed(&self, access: &Access) -> Result<Option<Info>> {
        let mut helm = access.helm();
        helm.args(["status", self.name, "--output=json"]);
        helm.args(["--namespace", self.namespace]);
        match shell::read(helm) {
            Ok(text) => {
                let installed: Installed =
                    serde_json::from_str(&text).context("reading helm status")?;
                Ok(Some(installed.info))
            }
            // Helm has no other way to say so.
            Err(error) if error.to_string().contains("release: not found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether everything that the release consists of is still there.
    fn is_whole(&self, access: &Access) -> bool {
        let mut manifest = access.helm();
        manifest.args(["get", "manifest", self.name, "--namespace", self.namespace]);
        let Ok(manifest) = shell::read(manifest) else {
            return false;
        };
        let mut kubectl = access.kubectl();
        kubectl.args([
            "get",
            "--output=name",
            "--filename=-",
            "--namespace",
            self.namespace,
        ]);
        shell::feed(kubectl, &manifest)
    }

    /// A helm that was killed leaves a revision that blocks the next one.
    fn forget_pending(&self, access: &Access) -> Result<()> {
        for status in ["pending-install", "pending-upgrade", "pending-rollback"] {
            let mut kubectl = access.kubectl();
            kubectl.args([
                "delete",
                "secret",
                "--namespace",
                self.namespace,
                "--selector",
            ]);
            kubectl.arg(format!("owner=helm,name={},status={status}", self.name));
            shell::read(kubectl)?;
        }
        Ok(())
    }

    /// A digest over everything that decides what the release looks like.
    fn fingerprint(&self) -> Result<String> {
        let folder = self.chart_folder();
        let mut files = Vec::new();
        list_files(&folder, &mut files)?;
        if files.is_empty() {
            bail!("there is no chart in {}", folder.display());
        }
        files.sort();
        let mut digest = Sha256::new();
        let mut take = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        for file in files {
            let name = file.strip_prefix(&folder).unwrap_or(&file);
            take(name.to_string_lossy().as_bytes());
            take(&fs::read(&file).with_context(|| format!("reading {}", file.display()))?);
        }
        for value in &self.values {
            take(value.as_bytes());
        }
        Ok(hex(&digest.finalize()))
    }
}

/// Every file in `folder` and below.
fn list_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
