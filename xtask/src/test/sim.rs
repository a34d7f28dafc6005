//! The simulator: seeds of every scenario, every fault at every step of those that are marked for it, and its model of the
//! API server beside a real one.

use anyhow::Result;
use ironkeel_testbed::Progress;

use super::counts::Libtest;
use super::runner::{Ended, Stage};
use super::sources;
use crate::{shell, sim};

/// Runs of the comparison with the real API server, of 150 random requests each.
const MODEL_RUNS: &str = "8";

/// Compares the model of the API server with a real one.
pub(super) fn model(stage: &Stage<'_>) -> Result<Ended> {
    let mut command = shell::cargo();
    command.args(["test", "--package=ironkeel-sim", "--locked", "--test=model"]);
    // One API server at a time.
    command.args(["--", "--test-threads=1"]);
    command.env("IRONKEEL_MODEL_RUNS", MODEL_RUNS);
    sources::libtest(stage, command, None)
}

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
