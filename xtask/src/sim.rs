//! `cargo xtask sim`: builds the simulator and runs it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use ironkeel_testbed::{Outcome, Progress};

use crate::progress::Screen;
use crate::{shell, workspace};

/// The simulator's program, and the cargo profile that it is built with.
const PROGRAM: &str = "ironkeel-sim";
const PROFILE: &str = "sim";

/// What is handed on to `ironkeel-sim`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    /// Arguments of the simulator; --help names them
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<String>,
}

/// Runs the simulator in the foreground. Returns whether it found nothing.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<bool> {
    let program = build(&shell::fresh_log("sim")?, screen)?;
    let status = shell::command(program)
        .args(&flags.arguments)
        .status()
        .with_context(|| format!("starting {PROGRAM}"))?;
    Ok(status.success())
}

/// Builds the simulator, optimised and with every check.
pub(crate) fn build(log: &Path, screen: &Screen) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args([
        "build",
        "--profile",
        PROFILE,
        "--locked",
        "--package",
        PROGRAM,
    ]);
    let step = format!("build {PROGRAM}");
    screen.start(&step, None);
    let mut compiled = 0;
    let result = shell::run(cargo, log, &mut |line| {
        if let Some(crate_name) = line.trim_start().strip_prefix("Compiling ") {
            compiled += 1;
            screen.advance(&step, compiled, crate_name);
        }
    });
    screen.finish(
        &step,
        match &result {
            Ok(()) if compiled == 0 => Outcome::Unchanged,
            Ok(()) => Outcome::Done,
            Err(_) => Outcome::Failed,
        },
    );
    result?;
    Ok(workspace::target().join(PROFILE).join(PROGRAM))
}
