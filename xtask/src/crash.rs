//! `cargo xtask crash`: builds our manager as it is shipped and the campaign, and runs the campaign.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use ironkeel_testbed::{ProgramSet, Programs};

use crate::program::{self, Arguments};
use crate::progress::Screen;
use crate::{image, shell, sim, workspace};

/// Runs the campaign in the foreground. Returns whether it found nothing.
pub(crate) fn command(arguments: &Arguments, screen: &Screen) -> Result<bool> {
    let log = shell::fresh_log("crash")?;
    arguments.hand_on(if arguments.ask_for_help() {
        shell::command(build(&log, screen)?)
    } else {
        prepared(&log, screen)?
    })
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
    program::build("ironkeel-crash", sim::PROFILE, log, screen)
}
