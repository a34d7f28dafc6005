//! `cargo xtask crash`: builds our manager as it is shipped and the campaign, and runs the campaign.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use ironkeel_testbed::{Outcome, ProgramSet, Programs, Progress};

use crate::image;
use crate::progress::Screen;
use crate::{shell, workspace};

/// The campaign's program, and the cargo profile that it is built with, which is the simulator's.
const PROGRAM: &str = "ironkeel-crash";
const PROFILE: &str = "sim";

/// What is handed on to `ironkeel-crash`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    /// Arguments of the campaign; --help names them
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<String>,
}

/// Runs the campaign in the foreground. Returns whether it found nothing.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<bool> {
    let log = shell::fresh_log("crash")?;
    let asks = |words: &[&str]| {
        flags
            .arguments
            .iter()
            .any(|word| words.contains(&word.as_str()))
    };
    let mut command = if asks(&["-h", "--help"]) {
        shell::command(build(&log, screen)?)
    } else {
        prepared(&log, screen)?
    };
    let status = command
        .args(&flags.arguments)
        .status()
        .with_context(|| format!("starting {PROGRAM}"))?;
    Ok(status.success())
}

/// The campaign with the manager that it is to kill; both are built first.
pub(crate) fn prepared(log: &Path, screen: &Screen) -> Result<Command> {
    let program = build(log, screen)?;
    let image = image::build(log, screen)?;
    // Where they are missing they are built here, where that can be seen.
    Programs::ready(&[ProgramSet::Cluster], screen)?;
    let mut command = shell::command(program);
    command.arg(format!("--manager={}", image.binary.display()));
    command.arg(format!(
        "--out={}",
        workspace::target().join("crash").display()
    ));
    Ok(command)
}

fn build(log: &Path, screen: &Screen) -> Result<PathBuf> {
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
