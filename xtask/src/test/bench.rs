//! The smoke of the race: no time is asserted, but every write.

use anyhow::{Context, Result};
use ironkeel_testbed::Progress;

use super::counts::Counts;
use super::runner::{Ended, Stage};
use crate::{bench, image, shell};

/// Builds the bench and our manager and runs every scenario small.
pub(super) fn smoke(stage: &Stage<'_>) -> Result<Ended> {
    let image = image::build(&stage.log, stage.screen)?;
    let program = bench::build(&stage.log, stage.screen)?;
    let mut command = bench::prepared(&program, &image);
    command.arg("--smoke");
    let mut runs = 0;
    let mut counts = None;
    let mut failures = Vec::new();
    let ended = shell::run_logged(command, &stage.log, &mut |line| {
        if let Some(run) = line.strip_prefix("  ok ") {
            runs += 1;
            stage.screen.advance(stage.name, runs, run);
        } else if let Some(failed) = line.strip_prefix("failed: ") {
            failures.push(failed.to_owned());
        }
        counts = Counts::parse(line).or(counts);
    })?;
    let mut counts = counts.with_context(|| {
        format!(
            "ironkeel-bench ended without a summary: {}\n{}",
            ended.status, ended.last_words
        )
    })?;
    if !ended.status.success() && counts.failed == 0 {
        counts.failed = 1;
        failures.push(ended.last_words);
    }
    Ok(Ended {
        counts,
        problem: failures.join("\n"),
    })
}
