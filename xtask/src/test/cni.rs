//! The CNI plugins' own suites, with our program in the place of theirs.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Programs, Progress};

use super::counts::Counts;
use super::runner::{Ended, Stage};
use crate::{program, shell};

/// The program.
const PROGRAM: &str = "ironkeel-cni";

/// The largest that it may be, in bytes.
const LARGEST: u64 = 2_500_000;

/// A suite: the plugin that it calls, and specs that say nothing of a program, with the reason.
struct Suite {
    plugin: &'static str,
    /// Specs that are left; every one of them fails if the program does nothing.
    specs: usize,
    /// A regular expression for their names; empty if there are none.
    skipped: &'static str,
}

const SUITES: [Suite; 2] = [
    Suite {
        plugin: "host-local",
        specs: 70,
        // In the first a container has a name with spaces, which the specification forbids and which is refused before a
        // plugin sees it. The second are about functions in the suite's own process.
        skipped: "ignores whitespace in disk files|parsing resolv.conf",
    },
    Suite {
        plugin: "loopback",
        specs: 14,
        skipped: "",
    },
];

/// Builds the program, checks its size and runs the suites. A spec is a test.
pub(super) fn suites(stage: &Stage<'_>, programs: &Programs) -> Result<Ended> {
    let program = program::build_static(PROGRAM, &stage.log, stage.screen)?;
    let mut ended = Ended::default();
    let size = fs::metadata(&program)?.len();
    if size <= LARGEST {
        ended.counts += Counts::passed(1);
    } else {
        ended.counts += Counts::FAILED;
        ended.problem = format!("{PROGRAM} has {size} bytes, more than {LARGEST}");
    }
    let folder = stage.folder.join("bin");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for suite in &SUITES {
        symlink(&program, folder.join(suite.plugin))?;
        stage.screen.advance(stage.name, 0, suite.plugin);
        let (counts, failed) = run(suite, &folder, stage, programs)?;
        ended.counts += counts;
        for spec in failed {
            let _ = writeln!(ended.problem, "{}: {spec}", suite.plugin);
        }
    }
    Ok(ended)
}

/// Runs one suite; the names of specs that failed are as ginkgo sums them up.
fn run(
    suite: &Suite,
    folder: &Path,
    stage: &Stage<'_>,
    programs: &Programs,
) -> Result<(Counts, Vec<String>)> {
    let mut command = shell::command(programs.path(&format!("{}.test", suite.plugin))?);
    command.arg("--ginkgo.no-color");
    if !suite.skipped.is_empty() {
        command.arg(format!("--ginkgo.skip={}", suite.skipped));
    }
    command.env("IRONKEEL_CNI", folder).current_dir(folder);
    let mut counts = None;
    let mut failed = Vec::new();
    let ended = shell::run_logged(command, &stage.log, &mut |line| {
        if let Some(spec) = line.trim_start().strip_prefix("[FAIL] ") {
            failed.push(spec.to_owned());
        }
        counts = summary(line).or(counts);
    })?;
    let counts = counts.with_context(|| {
        format!(
            "the suite of {} ended without a summary: {}\n{}",
            suite.plugin, ended.status, ended.last_words
        )
    })?;
    if counts.passed + counts.failed != suite.specs {
        bail!(
            "the suite of {} has {} specs and ran {}",
            suite.plugin,
            suite.specs,
            counts.passed + counts.failed
        );
    }
    if !ended.status.success() && counts.failed == 0 {
        bail!(
            "the suite of {} ended badly: {}\n{}",
            suite.plugin,
            ended.status,
            ended.last_words
        );
    }
    Ok((counts, failed))
}

/// Reads ginkgo's summary: `SUCCESS! -- 73 Passed | 0 Failed | 0 Pending | 7 Skipped`.
fn summary(line: &str) -> Option<Counts> {
    let (_, numbers) = line.split_once(" -- ")?;
    let number = |what: &str| {
        let mut parts = numbers.split(" | ");
        parts.find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    Some(Counts {
        passed: number(" Passed")?,
        failed: number(" Failed")?,
        skipped: number(" Skipped")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_ginkgo_is_read() {
        let counts = summary("FAIL! -- 72 Passed | 1 Failed | 0 Pending | 7 Skipped").unwrap();
        assert_eq!(counts.to_string(), "72 passed, 1 failed, 7 skipped");
        assert_eq!(summary("Ran 73 of 80 Specs in 0.5 seconds"), None);
    }
}
