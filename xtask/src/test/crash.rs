//! A sample of the crash campaign: our manager, both modes, a real API server.

use anyhow::{Context, Result};
use ironkeel_testbed::Progress;

use super::counts::Counts;
use super::runner::{Ended, Stage};
use crate::{crash, shell};

/// Runs with a fault, in each mode.
const SAMPLE: u32 = 40;

/// Runs every scenario without a fault and a sample of those with one. A run is a test.
pub(super) fn sample(stage: &Stage<'_>) -> Result<Ended> {
    let mut command = crash::prepared(&stage.log, stage.screen)?;
    command.args(["--subject=ironkeel", "--mode=native,crd"]);
    command.arg(format!("--sample={SAMPLE}"));
    let mut counts = None;
    let mut findings = Vec::new();
    let ended = shell::run_logged(command, &stage.log, &mut |line| {
        if let Some(finding) = line.strip_prefix("FOUND ") {
            findings.push(finding.to_owned());
        } else if let Some(at) = line.trim_start().strip_prefix('…') {
            stage.screen.advance(stage.name, 0, at.trim_start());
        }
        counts = Counts::parse(line).or(counts);
    })?;
    let mut counts = counts.with_context(|| {
        format!(
            "ironkeel-crash ended without a summary: {}\n{}",
            ended.status, ended.last_words
        )
    })?;
    if !ended.status.success() && counts.failed == 0 {
        counts.failed = 1;
        findings.push(ended.last_words);
    }
    Ok(Ended {
        counts,
        problem: findings.join("\n"),
    })
}
