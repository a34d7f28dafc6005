//! Programs of the operating system: found, or installed with apt where we may.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress::{Outcome, Progress, step};
use crate::run;

/// What is needed and the Debian package that has it. `file` is the name of a program, or an absolute path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// A program on the PATH or in a system folder, or the absolute path of a file.
    pub file: &'static str,
    /// The Debian package that brings it.
    pub package: &'static str,
}

const fn needs(file: &'static str, package: &'static str) -> Requirement {
    Requirement { file, package }
}

/// What the nodes of a cluster call.
pub const CLUSTER: &[Requirement] = &[
    needs("ip", "iproute2"),
    needs("setsid", "util-linux"),
    needs("mount", "mount"),
    needs("runc", "runc"),
    needs("nft", "nftables"),
    needs("iptables", "iptables"),
    needs("conntrack", "conntrack"),
    needs("ethtool", "ethtool"),
    // For those who kill parts of the cluster to see what becomes of it.
    needs("kill", "procps"),
];

/// What compiling our crates calls: some have C parts.
pub const COMPILING: &[Requirement] = &[needs("cc", "gcc"), needs("make", "make")];

/// What making the test images calls.
pub const TEST_IMAGES: &[Requirement] = &[
    needs("debootstrap", "debootstrap"),
    needs(
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "debian-archive-keyring",
    ),
];

/// What linking a static program with C parts calls, besides [`COMPILING`].
pub const STATIC_LINKING: &[Requirement] = &[needs("musl-gcc", "musl-tools")];

/// Makes sure that everything required is there: installs what is missing as root on a machine with apt, and otherwise
/// says what to install.
pub fn ensure(requirements: &[Requirement], progress: &dyn Progress) -> Result<()> {
    let missing = missing(requirements);
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|one| one.package).collect();
    packages.dedup();
    let files: Vec<_> = missing.iter().map(|one| one.file).collect();
    if !nix::unistd::geteuid().is_root() || find("apt-get").is_none() {
        bail!(
            "{} not found on this machine: install the package{} {} (on Debian: `apt-get install {}` as root)",
            files.join(", "),
            if packages.len() == 1 { "" } else { "s" },
            packages.join(", "),
            packages.join(" ")
        );
    }
    progress.note(&format!(
        "installing Debian packages: {}",
        packages.join(", ")
    ));
    let name = "install Debian packages";
    step(progress, name, None, || {
        let apt = |arguments: &[&str]| {
            run::output(
                Command::new("apt-get")
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    // Another apt may be at work, such as the one that keeps a machine up to date.
                    .args(["-qq", "-o", "DPkg::Lock::Timeout=300"])
                    .args(arguments),
            )
        };
        let mut install = vec!["install", "--yes", "--no-install-recommends"];
        install.extend(&packages);
        // A fresh machine has no package lists yet, or old ones that name files which are gone.
        if apt(&install).is_err() {
            progress.advance(name, 0, "apt-get update");
            apt(&["update"])?;
            progress.advance(name, 0, &packages.join(" "));
            apt(&install).context("install Debian packages")?;
        }
        Ok(((), Outcome::Done))
    })?;
    match self::missing(requirements).first() {
        Some(still) => bail!(
            "{} is still missing after installing the package {}",
            still.file,
            still.package
        ),
        None => Ok(()),
    }
}

/// Makes sure that Rust's standard library for `triple` is there: rustup adds what is missing.
pub fn ensure_rust_target(triple: &str, progress: &dyn Progress) -> Result<()> {
    // In this repository, so that its toolchain is meant.
    let here = env!("CARGO_MANIFEST_DIR");
    let folder = run::output(Command::new("rustc").current_dir(here).args([
        "--print=target-libdir",
        "--target",
        triple,
    ]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if find("rustup").is_none() {
        bail!(
            "Rust's target {triple} is missing, and so is rustup, which would add it: https://rustup.rs"
        );
    }
    progress.note(&format!("rustup target add {triple}"));
    run::output(
        Command::new("rustup")
            .current_dir(here)
            .args(["target", "add", triple]),
    )
    .map(|_| ())
}

fn missing(requirements: &[Requirement]) -> Vec<Requirement> {
    requirements
        .iter()
        .filter(|one| find(one.file).is_none())
        .copied()
        .collect()
}

/// The PATH of what belongs to the cluster. The caller's PATH is no part of it: it differs between two shells, and a
/// cluster that is right must stay as it is.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The PATH for what we run ourselves: the caller's, and the system folders that a user's PATH may lack.
pub(crate) fn search_path() -> String {
    format!("{}:{SYSTEM_PATH}", env::var("PATH").unwrap_or_default())
}

/// Where a program lies; an absolute path stands for itself.
pub(crate) fn find(file: &str) -> Option<PathBuf> {
    if file.starts_with('/') {
        return Some(PathBuf::from(file)).filter(|path| path.exists());
    }
    search_path()
        .split(':')
        .map(|folder| Path::new(folder).join(file))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::{Requirement, find, missing};

    #[test]
    fn what_is_missing_is_told_from_what_is_there() {
        let there = Requirement {
            file: "sh",
            package: "dash",
        };
        let gone = Requirement {
            file: "no-such-program-here",
            package: "nothing",
        };
        let path = Requirement {
            file: "/no/such/file",
            package: "nothing",
        };
        assert_eq!(missing(&[there, gone, path]), [gone, path]);
        assert!(find("/proc/self/stat").is_some());
    }
}
