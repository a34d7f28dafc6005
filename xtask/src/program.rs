//! Programs of this repository that a command builds, and hands its own arguments on to.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use ironkeel_testbed::{Outcome, Progress, packages};

use crate::progress::Screen;
use crate::{shell, workspace};

/// What is handed on to a program as it is.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Arguments of the program; --help names them
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

impl Arguments {
    /// Whether the program is only asked about itself, for which nothing else has to be built.
    pub(crate) fn ask_for_help(&self) -> bool {
        self.words
            .iter()
            .any(|word| matches!(word.as_str(), "-h" | "--help" | "-V" | "--version"))
    }

    /// Runs `command` with them, in the foreground. Returns whether it ended well.
    pub(crate) fn hand_on(&self, mut command: Command) -> Result<bool> {
        let status = command
            .args(&self.words)
            .status()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(status.success())
    }
}

/// Builds the program of the package of its name, with one of the profiles of `Cargo.toml`.
pub(crate) fn build(package: &str, profile: &str, log: &Path, screen: &Screen) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args([
        "build",
        "--locked",
        "--profile",
        profile,
        "--package",
        package,
    ]);
    compile(cargo, &format!("build {package}, {profile}"), log, screen)?;
    Ok(workspace::target().join(profile).join(package))
}

/// Builds the program of the package of its name as it is shipped: a release, static, without a C library beside it.
pub(crate) fn build_static(package: &str, log: &Path, screen: &Screen) -> Result<PathBuf> {
    let triple = format!("{ARCH}-unknown-linux-musl");
    packages::ensure_rust_target(&triple, screen)?;
    // The C compiler for musl, which the allocator and the cryptography of some need.
    packages::ensure(packages::COMPILING, screen)?;
    packages::ensure(packages::STATIC_LINKING, screen)?;
    let mut cargo = shell::cargo();
    cargo.args([
        "build",
        "--release",
        "--locked",
        "--package",
        package,
        "--target",
        &triple,
    ]);
    cargo.env(format!("CC_{}", triple.replace('-', "_")), "musl-gcc");
    let step = format!("build {package}, release, static");
    compile(cargo, &step, log, screen)?;
    let folder = workspace::target().join(triple).join("release");
    Ok(folder.join(package))
}

/// Runs a `cargo build`, as a step that names the crate that it is at.
pub(crate) fn compile(cargo: Command, step: &str, log: &Path, screen: &Screen) -> Result<()> {
    screen.start(step, None);
    let mut compiled = 0;
    let result = shell::run(cargo, log, &mut |line| {
        if let Some(crate_name) = line.trim_start().strip_prefix("Compiling ") {
            compiled += 1;
            screen.advance(step, compiled, crate_name);
        }
    });
    screen.finish(
        step,
        match &result {
            Ok(()) if compiled == 0 => Outcome::Unchanged,
            Ok(()) => Outcome::Done,
            Err(_) => Outcome::Failed,
        },
    );
    result
}
