//! `cargo xtask sim`: builds the simulator and runs it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::program::{self, Arguments};
use crate::progress::Screen;
use crate::shell;

/// The cargo profile of the simulator, and of the campaign that judges by the same rules: optimised and with every check.
pub(crate) const PROFILE: &str = "sim";

/// Runs the simulator in the foreground. Returns whether it found nothing.
pub(crate) fn command(arguments: &Arguments, screen: &Screen) -> Result<bool> {
    let program = build(&shell::fresh_log("sim")?, screen)?;
    arguments.hand_on(shell::command(program))
}

/// Builds the simulator.
pub(crate) fn build(log: &Path, screen: &Screen) -> Result<PathBuf> {
    program::build("ironkeel-sim", PROFILE, log, screen)
}
