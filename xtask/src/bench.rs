//! `cargo xtask bench`: builds our manager as it is shipped and the bench, and runs the race.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use ironkeel_testbed::{ProgramSet, Programs};

use crate::image::{self, BuiltImage};
use crate::program::{self, Arguments};
use crate::progress::Screen;
use crate::shell;

/// Runs the bench in the foreground. Returns whether it was content.
pub(crate) fn command(arguments: &Arguments, screen: &Screen) -> Result<bool> {
    let log = shell::fresh_log("bench")?;
    let bench = build(&log, screen)?;
    if arguments.ask_for_help() {
        return arguments.hand_on(shell::command(bench));
    }
    let image = image::build(&log, screen)?;
    // Where they are missing they are built here, where that can be seen.
    Programs::ready(&[ProgramSet::Cluster], screen)?;
    arguments.hand_on(prepared(&bench, &image))
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
    program::build("ironkeel-bench", "release", log, screen)
}
