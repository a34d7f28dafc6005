//! Upstream's own tests as the referee: e2e.test, unmodified, against our controllers or kube-controller-manager.

mod manager;
mod report;
mod specs;
mod table;
mod tsv;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use ironkeel_testbed::{Cluster, Outcome, ProgramSet, Programs, Progress};

pub(crate) use report::{SpecResult, Verdict};
pub(crate) use specs::Set;

use crate::access::running_cluster;
use crate::progress::Screen;
use crate::{image, shell, workspace};

/// Where recorded runs lie, relative to the root of the repository.
const RECORDS: &str = "docs/conformance";

/// Who drives Deployments, ReplicaSets and ReplicationControllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Our manager in native mode, with upstream's three loops switched off.
    Native,
    /// kube-controller-manager alone: the control.
    Upstream,
}

impl Mode {
    /// The name used in file names and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Upstream => "upstream",
        }
    }
}

/// Flags of `cargo xtask conformance`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Who drives Deployments, ReplicaSets and ReplicationControllers
    #[arg(long, value_enum, default_value_t = Mode::Native)]
    mode: Mode,
    /// Which specs to run
    #[arg(long, value_enum, default_value_t = Set::All)]
    set: Set,
    /// Run whatever matches this regular expression instead of a set; nothing is recorded then
    #[arg(long, value_name = "REGEX", conflicts_with = "set")]
    focus: Option<String>,
    /// Specs that run at the same time
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=64))]
    procs: u8,
    /// Write results here instead of into docs/conformance and README.md
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run nothing: only write the table in README.md from docs/conformance
    #[arg(long, conflicts_with_all = ["focus", "out", "set"])]
    table: bool,
}

/// Which specs of upstream's suite a run takes.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Exactly these, each of which has to come out.
    Named(Vec<&'static str>),
    /// Whatever matches.
    Focus(String),
}

/// Runs the command: the specs, their record, the table, a summary. Returns whether every spec passed.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<bool> {
    if flags.table {
        renew_table(&workspace::root())?;
        return Ok(true);
    }
    let cluster = running_cluster()?;
    let scratch = workspace::target()
        .join("conformance")
        .join(flags.mode.name());
    let (selection, out) = match &flags.focus {
        Some(focus) => (Selection::Focus(focus.clone()), flags.out.clone()),
        None => (
            Selection::Named(flags.set.specs()),
            Some(
                flags
                    .out
                    .clone()
                    .unwrap_or_else(|| workspace::root().join(RECORDS)),
            ),
        ),
    };
    let results = run(
        &cluster,
        flags.mode,
        &selection,
        flags.procs,
        &scratch,
        screen,
    )?;
    if let Some(out) = out {
        match &flags.focus {
            Some(_) => record(&out, &format!("{}-focus", flags.mode.name()), &results)?,
            None => record_set(&out, flags.mode, flags.set, &results)?,
        }
        screen.say(&format!("results: {}", workspace::shown(&out)));
        if flags.focus.is_none() && flags.out.is_none() {
            renew_table(&workspace::root())?;
        }
    }
    summarise(&results, screen);
    Ok(!results.is_empty() && results.iter().all(|result| result.verdict.is_pass()))
}

/// Runs the selected specs and says how each ended. Logs go to `folder`, which is emptied first.
pub(crate) fn run(
    cluster: &Cluster,
    mode: Mode,
    selection: &Selection,
    procs: u8,
    folder: &Path,
    screen: &Screen,
) -> Result<Vec<SpecResult>> {
    if folder.is_dir() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let programs = Programs::ready(&[ProgramSet::Cluster, ProgramSet::Conformance], screen)?;
    let specs = || run_specs(cluster, &programs, selection, procs, folder, screen);
    match mode {
        Mode::Native => {
            let image = image::build(&folder.join("build.log"), screen)?;
            manager::with_native_manager(cluster, &image.binary, folder, screen, specs)
        }
        Mode::Upstream => {
            cluster.restart_kube_controller_manager("*", &[], screen)?;
            let results = specs();
            cluster.restart_kube_controller_manager(&cluster.config().controllers, &[], screen)?;
            results
        }
    }
}

fn run_specs(
    cluster: &Cluster,
    programs: &Programs,
    selection: &Selection,
    procs: u8,
    folder: &Path,
    screen: &Screen,
) -> Result<Vec<SpecResult>> {
    let (focus, wanted) = match selection {
        Selection::Named(specs) => (specs::focus(specs), Some(specs.as_slice())),
        Selection::Focus(focus) => (focus.clone(), None),
    };
    let report = folder.join("report.json");
    let command = ginkgo(cluster, programs, &focus, procs, folder)?;

    let step = "upstream's specs";
    screen.start(step, wanted.map(|specs| specs.len() as u64));
    let (mut done, mut failed) = (0, 0);
    let ended = shell::run_logged(command, &folder.join("ginkgo.log"), &mut |line| {
        if let Some(passed) = spec_ended(line) {
            done += 1;
            failed += u64::from(!passed);
        } else if !line.starts_with("[sig-") {
            return;
        }
        let what = if line.starts_with("[sig-") { line } else { "" };
        screen.advance(step, done, &format!("{failed} failed {what}"));
    });
    // Ginkgo fails when a spec fails; whether there is a report tells if it ran at all.
    let results = ended.and_then(|ended| {
        let json = fs::read_to_string(&report).with_context(|| {
            format!(
                "ginkgo ({}) left no report: {}",
                ended.status, ended.last_words
            )
        })?;
        report::read(&json, wanted)
    });
    screen.finish(
        step,
        if results.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        },
    );
    let results = results?;
    if results.is_empty() {
        bail!("no spec of upstream's suite matches {focus}");
    }
    Ok(results)
}

fn ginkgo(
    cluster: &Cluster,
    programs: &Programs,
    focus: &str,
    procs: u8,
    folder: &Path,
) -> Result<Command> {
    let nodes = cluster
        .status()?
        .nodes
        .iter()
        .filter(|node| !node.fake)
        .count();
    let mut command = shell::command(programs.path("ginkgo")?);
    command.args([
        &format!("--procs={procs}"),
        "--timeout=60m",
        "--flake-attempts=2",
    ]);
    command.args([
        "--v",
        "--silence-skips",
        "--no-color",
        "--json-report=report.json",
    ]);
    command.arg(format!("--output-dir={}", folder.display()));
    command.arg(format!("--focus={focus}"));
    command.arg(programs.path("e2e.test")?);
    command.args(["--", "--provider=skeleton", &format!("--num-nodes={nodes}")]);
    command.arg(format!("--kubeconfig={}", cluster.kubeconfig().display()));
    command.arg(format!(
        "--kubectl-path={}",
        programs.path("kubectl")?.display()
    ));
    command.arg(format!("--e2e-output-dir={}", folder.display()));
    command.env("KUBECONFIG", cluster.kubeconfig());
    Ok(command)
}

/// Whether this line of ginkgo's output says that a spec ended, and if so, whether it passed.
fn spec_ended(line: &str) -> Option<bool> {
    let rest = line.strip_prefix('•').or_else(|| line.strip_prefix('↺'))?;
    let failed = [
        "[FAILED]",
        "[PANICKED!]",
        "[TIMEDOUT]",
        "[INTERRUPTED]",
        "[ABORTED]",
    ];
    Some(!failed.iter().any(|word| rest.contains(word)))
}

/// Prints how many passed, and every spec that did not at its first try.
fn summarise(results: &[SpecResult], screen: &Screen) {
    for result in results
        .iter()
        .filter(|result| result.verdict != Verdict::Passed)
    {
        screen.say(&describe(result));
    }
    let count = |verdict| {
        results
            .iter()
            .filter(|result| result.verdict == verdict)
            .count()
    };
    let passed = results
        .iter()
        .filter(|result| result.verdict.is_pass())
        .count();
    screen.say(&format!(
        "{passed} of {} specs passed, {} of them at the second try",
        results.len(),
        count(Verdict::Flaky)
    ));
}

/// One result in words: the spec, and in a few lines what upstream's suite said.
pub(crate) fn describe(result: &SpecResult) -> String {
    let mut text = format!("{}: {}", result.verdict, result.spec);
    for line in result.message.lines().take(6) {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}

fn record_set(out: &Path, mode: Mode, set: Set, results: &[SpecResult]) -> Result<()> {
    for part in set.parts() {
        let specs = part.specs();
        let of_part: Vec<SpecResult> = results
            .iter()
            .filter(|result| specs.contains(&result.spec.as_str()))
            .cloned()
            .collect();
        record(out, &format!("{}-{}", mode.name(), part.name()), &of_part)?;
    }
    Ok(())
}

/// Writes one results file.
pub(crate) fn record(out: &Path, name: &str, results: &[SpecResult]) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let file = out.join(format!("{name}.tsv"));
    fs::write(&file, tsv::write(results)).with_context(|| format!("writing {}", file.display()))
}

/// What is wrong with the table in README.md, if anything.
pub(crate) fn stale_table(root: &Path) -> Result<Vec<String>> {
    let readme = fs::read_to_string(root.join("README.md")).unwrap_or_default();
    Ok(match table::splice(&readme, &recorded_table(root)?) {
        Ok(current) if current == readme => Vec::new(),
        Ok(_) => vec![format!(
            "README.md: the table does not show what {RECORDS} holds; `cargo xtask conformance --table` writes it"
        )],
        Err(error) => vec![format!("{error:#}")],
    })
}

/// Writes the table in README.md anew.
pub(crate) fn renew_table(root: &Path) -> Result<()> {
    let file = root.join("README.md");
    let readme = fs::read_to_string(&file).context("reading README.md")?;
    let current = table::splice(&readme, &recorded_table(root)?)?;
    if current != readme {
        fs::write(&file, current).context("writing README.md")?;
    }
    Ok(())
}

fn recorded_table(root: &Path) -> Result<String> {
    let recorded = |mode: Mode| -> Result<table::Recorded> {
        Ok(table::Recorded {
            ours: read_record(root, mode, Set::Ours)?,
            apps: read_record(root, mode, Set::Apps)?,
        })
    };
    Ok(table::render(
        &recorded(Mode::Native)?,
        &recorded(Mode::Upstream)?,
    ))
}

fn read_record(root: &Path, mode: Mode, set: Set) -> Result<Option<Vec<SpecResult>>> {
    let name = format!("{RECORDS}/{}-{}.tsv", mode.name(), set.name());
    let file = root.join(&name);
    if !file.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
    tsv::read(&text).with_context(|| name).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ginkgo_tells_how_a_spec_ended() {
        assert_eq!(spec_ended("• [12.345 seconds]"), Some(true));
        assert_eq!(spec_ended("• [FAILED] [60.100 seconds]"), Some(false));
        assert_eq!(
            spec_ended("↺ [FLAKEY TEST - TOOK 2 ATTEMPTS TO PASS] [5.000 seconds]"),
            Some(true)
        );
        assert_eq!(spec_ended("  STEP: creating a pod"), None);
    }
}
