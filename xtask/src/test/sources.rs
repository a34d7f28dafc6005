//! Stages that need nothing but the sources.

use std::process::Command;

use anyhow::Result;
use ironkeel_testbed::Progress;

use super::counts::{Counts, Libtest};
use super::runner::{Ended, Stage};
use crate::{shell, tidy};

pub(super) fn fmt(stage: &Stage<'_>) -> Result<Ended> {
    // The names of the files are enough: `cargo fmt --all` puts them right.
    cargo(stage, &["fmt", "--all", "--", "--check", "-l"], &[])
}

pub(super) fn clippy(stage: &Stage<'_>) -> Result<Ended> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--keep-going",
        "--",
        "--deny=warnings",
    ];
    cargo(stage, &arguments, &[])
}

pub(super) fn doc(stage: &Stage<'_>) -> Result<Ended> {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
        "--keep-going",
    ];
    cargo(stage, &arguments, &[("RUSTDOCFLAGS", "--deny=warnings")])
}

pub(super) fn tidy(_: &Stage<'_>) -> Result<Ended> {
    let findings = tidy::check()?;
    Ok(Ended {
        counts: Counts {
            passed: findings.kept,
            failed: findings.breaches.len(),
            skipped: 0,
        },
        problem: findings.report(),
    })
}

/// Every test of the workspace that needs no cluster.
pub(super) fn unit(stage: &Stage<'_>, filter: Option<&str>, quick: bool) -> Result<Ended> {
    let mut command = shell::cargo();
    command.args([
        "test",
        "--workspace",
        "--exclude=ironkeel-e2e",
        "--locked",
        "--no-fail-fast",
    ]);
    if quick {
        // Examples in doc comments are compiled one by one, which takes longer than all other tests.
        command.args(["--lib", "--bins", "--tests"]);
    }
    // The gate repeats itself: whoever looks for more sets a seed, or a number in PROPTEST_CASES.
    if std::env::var_os(PROPTEST_SEED).is_none() {
        command.env(PROPTEST_SEED, "1");
    }
    command.arg("--");
    libtest(stage, command, filter)
}

/// The seed of property tests; proptest reads it from the environment.
const PROPTEST_SEED: &str = "PROPTEST_RNG_SEED";

/// Runs a `cargo test`, whose arguments end with those of the test programs, and counts its tests.
pub(super) fn libtest(
    stage: &Stage<'_>,
    mut command: Command,
    filter: Option<&str>,
) -> Result<Ended> {
    command.args(filter);
    let mut libtest = Libtest::default();
    let ended = shell::run_logged(command, &stage.log, &mut |line| {
        if let Some(shown) = libtest.line(line) {
            stage.screen.advance(stage.name, libtest.ended, shown);
        }
    })?;
    let mut counts = libtest.counts;
    let mut problem = String::new();
    if !libtest.failures.is_empty() {
        problem = format!("failed:\n  {}", libtest.failures.join("\n  "));
    } else if !ended.status.success() {
        // It did not compile, or a test program died: no test says so.
        problem = ended.last_words;
    }
    if ended.status.success() && filter.is_none() && counts == Counts::default() {
        "no test ran".clone_into(&mut problem);
        counts.failed = 1;
    }
    if !ended.status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(Ended { counts, problem })
}

fn cargo(stage: &Stage<'_>, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Ended> {
    let mut command = shell::cargo();
    command.args(arguments).envs(variables.iter().copied());
    let mut seen = 0;
    shell::run(command, &stage.log, &mut |line| {
        let line = line.trim_start();
        let what = ["Checking ", "Compiling ", "Documenting "]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        if let Some(what) = what {
            seen += 1;
            stage.screen.advance(stage.name, seen, what);
        }
    })?;
    Ok(Counts::passed(1).into())
}
