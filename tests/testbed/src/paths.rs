//! Where things lie between runs.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The per-user cache: `$IRONKEEL_CACHE`, else `$XDG_CACHE_HOME/ironkeel`, else `~/.cache/ironkeel`.
///
/// Holds what is dear to make and safe to delete: upstream's programs and the test images.
pub fn cache_dir() -> Result<PathBuf> {
    folder("IRONKEEL_CACHE", "XDG_CACHE_HOME", ".cache", "ironkeel")
}

/// The state of the local cluster: `$IRONKEEL_STATE`, else `$XDG_STATE_HOME/ironkeel/testbed`, else
/// `~/.local/state/ironkeel/testbed`.
pub fn state_dir() -> Result<PathBuf> {
    folder(
        "IRONKEEL_STATE",
        "XDG_STATE_HOME",
        ".local/state",
        "ironkeel/testbed",
    )
}

fn folder(own: &str, xdg: &str, under_home: &str, name: &str) -> Result<PathBuf> {
    if let Some(path) = absolute(own) {
        return Ok(path);
    }
    if let Some(path) = absolute(xdg) {
        return Ok(path.join(name));
    }
    let home = absolute("HOME")
        .with_context(|| format!("neither {own}, {xdg} nor HOME names an absolute folder"))?;
    Ok(home.join(under_home).join(name))
}

/// The XDG specification asks to ignore a relative path.
fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}
