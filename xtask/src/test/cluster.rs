//! Stages on a real cluster.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Cluster, Progress};

use super::counts::Counts;
use super::runner::{Ended, Stage};
use super::sources::libtest;
use crate::access::{Access, running_cluster};
use crate::conformance::{self, Mode, Selection, Set, SpecResult, Verdict};
use crate::{shell, up};

/// Upstream's specs that run at the same time: what its own jobs use on small machines.
const PROCS: u8 = 6;

/// Brings the cluster up with Ironkeel and every example; leaves it in `up` also where only the latter failed.
pub(super) fn up(stage: &Stage<'_>, up: &mut Option<Cluster>) -> Result<Ended> {
    let flags = up::Flags::default();
    let cluster = up::start_cluster(&flags, stage.screen).inspect_err(|_| {
        // Half a cluster has logs too.
        if let Ok(half) = running_cluster() {
            leave_logs(stage, &half);
        }
    })?;
    let filled = up::fill(&cluster, &flags, &stage.log, stage.screen);
    if filled.is_err() {
        leave_logs(stage, &cluster);
    }
    *up = Some(cluster);
    // The cluster, and each example that became ready.
    Ok(Counts::passed(1 + filled?.len()).into())
}

/// Leaves the logs of every component, and all objects and events, in the stage's folder. Where that fails it says so, and
/// no more: what went wrong in the stage matters more.
pub(super) fn leave_logs(stage: &Stage<'_>, cluster: &Cluster) {
    if let Err(error) = cluster.collect_logs(&stage.folder.join("cluster")) {
        stage
            .screen
            .note(&format!("collecting the logs: {error:#}"));
    }
}

/// Brings up what is up already: nothing may change, neither an object nor a release.
pub(super) fn up_again(stage: &Stage<'_>, access: &Access) -> Result<Ended> {
    let before = identities(access)?;
    let mut again = None;
    up(stage, &mut again)?;
    let after = identities(access)?;
    let changed: Vec<&str> = before
        .symmetric_difference(&after)
        .map(String::as_str)
        .collect();
    if !changed.is_empty() {
        bail!("a second `up` changed:\n  {}", changed.join("\n  "));
    }
    Ok(Counts::passed(1).into())
}

/// What tells if an object was replaced or its specification changed, one line an object, and each release's revision.
fn identities(access: &Access) -> Result<BTreeSet<String>> {
    let mut lines = BTreeSet::new();
    // The namespaces of cases that have ended go by themselves, with all that is in them.
    let mut kubectl = access.kubectl();
    kubectl.args(["get", "namespaces", "--no-headers", "--output"]);
    kubectl.arg("custom-columns=N:.metadata.name,P:.status.phase");
    let namespaces = shell::read(kubectl)?;
    let stands = |namespace: &str| {
        namespaces
            .lines()
            .any(|line| line.split_whitespace().eq([namespace, "Active"]))
    };
    for kinds in [
        "pods,services,configmaps,secrets,serviceaccounts,deployments.apps",
        "ikdeploy,ikrs",
    ] {
        let mut kubectl = access.kubectl();
        kubectl.args(["get", kinds, "--all-namespaces", "--no-headers", "--output"]);
        kubectl.arg(
            "custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name,U:.metadata.uid,G:.metadata.generation,D:.metadata.deletionTimestamp",
        );
        for line in shell::read(kubectl)?.lines() {
            // The width of a column depends on the other lines.
            let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
            // What is about to go, such as the pods of a case that has ended, changes by itself.
            let namespace = line.split(' ').nth(1).unwrap_or_default();
            if line.ends_with(" <none>") && stands(namespace) {
                lines.insert(line);
            }
        }
    }
    Ok(lines)
}

/// Kills every process of the control plane and of the first node at once; `up` has to bring all of it back.
pub(super) fn repair(stage: &Stage<'_>, cluster: &Cluster) -> Result<Ended> {
    let status = cluster.status()?;
    let first = status.nodes.first().map(|node| node.name.clone());
    let near = |node: &Option<String>| node.is_none() || *node == first;
    let victims: Vec<u32> = status
        .processes
        .iter()
        .filter(|process| near(&process.node))
        .filter_map(|process| process.pid)
        .collect();
    if victims.is_empty() {
        bail!("the cluster names no running process that could be killed");
    }
    let mut kill = shell::command("kill");
    kill.arg("-KILL").args(victims.iter().map(u32::to_string));
    // One of them may take another along before its turn comes; what counts is that they are gone.
    let _ = shell::succeeds(kill);
    let mut repaired = None;
    up(stage, &mut repaired)?;
    let status = cluster.status()?;
    let survivors: Vec<&str> = status
        .processes
        .iter()
        .filter(|process| process.pid.is_some_and(|pid| victims.contains(&pid)))
        .map(|process| process.program.as_str())
        .collect();
    if !survivors.is_empty() {
        bail!("kill -9 did not end {}", survivors.join(", "));
    }
    let dead: Vec<&str> = status
        .processes
        .iter()
        .filter(|process| process.pid.is_none())
        .map(|process| process.program.as_str())
        .collect();
    let unready = status.nodes.iter().filter(|node| !node.ready).count();
    if !dead.is_empty() || unready > 0 {
        bail!(
            "after a kill -9 of {} processes `up` left {unready} nodes not ready and these programs dead: {}",
            victims.len(),
            dead.join(", ")
        );
    }
    Ok(Counts::passed(1).into())
}

/// Our own cases against one family of kinds.
pub(super) fn e2e(
    stage: &Stage<'_>,
    access: &Access,
    target: &str,
    filter: Option<&str>,
) -> Result<Ended> {
    let mut suites = vec!["--test", "suite"];
    if target == "ironkeel" {
        suites.extend(["--lib", "--test", "ironkeel"]);
    }
    cases(stage, access, target, &suites, filter)
}

/// Upgrade and removal of the charts. The manager goes away in it, so nothing else may run.
pub(super) fn packaging(stage: &Stage<'_>, access: &Access, filter: Option<&str>) -> Result<Ended> {
    cases(stage, access, "ironkeel", &["--test", "packaging"], filter)
}

fn cases(
    stage: &Stage<'_>,
    access: &Access,
    target: &str,
    suites: &[&str],
    filter: Option<&str>,
) -> Result<Ended> {
    let mut command = shell::cargo();
    access.prepare(&mut command);
    command.args([
        "test",
        "--package=ironkeel-e2e",
        "--locked",
        "--no-fail-fast",
    ]);
    command.args(suites);
    // A case mostly waits for the cluster, each in a namespace of its own: more of them than processors.
    command.args(["--", "--test-threads=6"]);
    command.env("IRONKEEL_E2E_TARGET", target);
    command.env("IRONKEEL_E2E_LOGS", stage.folder.join("cases"));
    libtest(stage, command, filter)
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
