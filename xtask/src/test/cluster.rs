//! Stages on a real cluster.

use anyhow::{Context, Result};
use ironkeel_testbed::Cluster;

use super::counts::Counts;
use super::runner::{Ended, Stage};
use super::sources::libtest;
use crate::access::Access;
use crate::conformance::{self, Mode, Selection, Set, SpecResult, Verdict};
use crate::{shell, up};

/// Upstream's specs that run at the same time: what its own jobs use on small machines.
const PROCS: u8 = 6;

/// Brings the cluster up with Ironkeel and every example; leaves it in `up` also where only the latter failed.
pub(super) fn up(stage: &Stage<'_>, up: &mut Option<Cluster>) -> Result<Ended> {
    let flags = up::Flags::default();
    let cluster = up::start_cluster(&flags, stage.screen)?;
    let filled = up::fill(&cluster, &flags, &stage.log, stage.screen);
    if filled.is_err() {
        cluster.collect_logs(&stage.folder.join("cluster"))?;
    }
    *up = Some(cluster);
    // The cluster, and each example that became ready.
    Ok(Counts::passed(1 + filled?.len()).into())
}

/// Our own cases against one family of kinds.
pub(super) fn e2e(
    stage: &Stage<'_>,
    access: &Access,
    target: &str,
    filter: Option<&str>,
) -> Result<Ended> {
    let mut command = shell::cargo();
    access.prepare(&mut command);
    command.args([
        "test",
        "--package=ironkeel-e2e",
        "--locked",
        "--no-fail-fast",
        "--tests",
    ]);
    command.arg("--").args(filter);
    command.env("IRONKEEL_E2E_TARGET", target);
    command.env("IRONKEEL_E2E_LOGS", stage.folder.join("cases"));
    libtest(stage, command)
}

/// Upstream's specs against our manager in native mode.
pub(super) fn conformance(
    stage: &Stage<'_>,
    cluster: &Cluster,
    filter: Option<&str>,
) -> Result<Ended> {
    let mut specs = Set::All.specs();
    specs.retain(|spec| filter.is_none_or(|text| spec.contains(text)));
    if specs.is_empty() {
        return Ok(Counts::default().into());
    }
    let selection = Selection::Named(specs);
    let results = conformance::run(
        cluster,
        Mode::Native,
        &selection,
        PROCS,
        &stage.folder,
        stage.screen,
    )?;
    conformance::record(&stage.folder, "native", &results)?;
    Ok(judge(&results))
}

fn judge(results: &[SpecResult]) -> Ended {
    let mut ended = Ended::default();
    for result in results {
        ended.counts += match result.verdict {
            Verdict::Passed | Verdict::Flaky => Counts::passed(1),
            // Every spec here is known to run on this cluster: one that did not is no better than one that failed.
            Verdict::Failed | Verdict::Missing | Verdict::Skipped => Counts::FAILED,
        };
        if result.verdict != Verdict::Passed {
            ended.problem.push_str(&conformance::describe(result));
            ended.problem.push('\n');
        }
    }
    ended
}

/// The chart's own test, from inside the cluster.
pub(super) fn helm_test(stage: &Stage<'_>, access: &Access) -> Result<Ended> {
    let mut helm = access.helm();
    helm.args([
        "test",
        "ironkeel",
        "--namespace",
        up::NAMESPACE,
        "--logs",
        "--timeout=2m",
    ]);
    shell::run(helm, &stage.log, &mut |_| {}).context("the chart's test")?;
    Ok(Counts::passed(1).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_that_did_not_run_fails_the_stage() {
        let result = |verdict| SpecResult {
            verdict,
            seconds: 1,
            spec: format!("[sig-apps] {verdict}"),
            message: "why".to_owned(),
        };
        let verdicts = [
            Verdict::Passed,
            Verdict::Flaky,
            Verdict::Failed,
            Verdict::Missing,
            Verdict::Skipped,
        ];
        let ended = judge(&verdicts.map(result));
        assert_eq!(
            ended.counts,
            Counts {
                passed: 2,
                failed: 3,
                skipped: 0
            }
        );
        assert_eq!(ended.problem.matches("[sig-apps]").count(), 4);
        assert!(ended.problem.contains("flaky: [sig-apps] flaky\n    why"));
    }
}
