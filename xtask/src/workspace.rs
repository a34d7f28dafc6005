//! Where things lie in this repository.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository: the folder above this crate.
///
/// `cargo run` says at run time where the crate lies; the place where it was compiled is the answer when the program is
/// started by itself.
pub(crate) fn root() -> PathBuf {
    let crate_dir = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    crate_dir.parent().map(Path::to_owned).unwrap_or(crate_dir)
}

/// Cargo's folder for what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A path as the user would type it: relative to the repository where it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
