//! The simulator: seeds of every scenario, and every fault at every step of those that are marked for it.

use anyhow::Result;
use ironkeel_testbed::Progress;

use super::counts::Libtest;
use super::runner::{Ended, Stage};
use crate::{shell, sim};

/// Builds the simulator and runs its gate; a scenario is a test.
pub(super) fn gate(stage: &Stage<'_>) -> Result<Ended> {
    let mut command = shell::command(sim::build(&stage.log, stage.screen)?);
    command.arg("--gate");
    let mut libtest = Libtest::default();
    let mut findings = Vec::new();
    let ended = shell::run_logged(command, &stage.log, &mut |line| {
        if let Some(shown) = libtest.line(line) {
            stage.screen.advance(stage.name, libtest.ended, shown);
        }
        if line.starts_with("FOUND ") || line.starts_with("  repeat: ") {
            findings.push(line.to_owned());
        }
    })?;
    let mut counts = libtest.counts;
    if !ended.status.success() && counts.failed == 0 {
        // It died: no scenario says so.
        counts.failed = 1;
        findings.push(ended.last_words);
    }
    Ok(Ended {
        counts,
        problem: findings.join("\n"),
    })
}
