//! `cargo xtask bench`: builds our manager as it is shipped and the bench, and runs the race.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use ironkeel_testbed::{Outcome, ProgramSet, Programs, Progress};

use crate::image::{self, BuiltImage};
use crate::progress::Screen;
use crate::{shell, workspace};

/// The bench's program.
const PROGRAM: &str = "ironkeel-bench";

/// What is handed on to `ironkeel-bench`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Flags {
    /// Arguments of the bench; --help names them
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    arguments: Vec<String>,
}

/// Runs the bench in the foreground. Returns whether it was content.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<bool> {
    let log = shell::fresh_log("bench")?;
    let bench = build(&log, screen)?;
    let mut command = if flags
        .arguments
        .iter()
        .any(|word| matches!(word.as_str(), "-h" | "--help" | "--version"))
    {
        shell::command(bench)
    } else {
        let image = image::build(&log, screen)?;
        // Where they are missing they are built here, where that can be seen.
        Programs::ready(&[ProgramSet::Cluster], screen)?;
        prepared(&bench, &image)
    };
    command.args(&flags.arguments);
    let status = command
        .status()
        .with_context(|| format!("starting {PROGRAM}"))?;
    Ok(status.success())
}

/// The bench with what it has to know of our manager.
pub(crate) fn prepared(bench: &Path, image: &BuiltImage) -> Command {
    let mut command = shell::command(bench);
    command.arg(format!("--manager={}", image.binary.display()));
    command.arg(format!("--image-bytes={}", image.size));
    command
}

/// Builds the bench as a release, because it shares the machine with what it measures.
pub(crate) fn build(log: &Path, screen: &Screen) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--locked", "--package", PROGRAM]);
    let step = format!("build {PROGRAM}, release");
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
    Ok(workspace::target().join("release").join(PROGRAM))
}
