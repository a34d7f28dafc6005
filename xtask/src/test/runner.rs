//! Runs stages one after the other, keeps their logs and counts, and sums up.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ironkeel_testbed::{Outcome, Progress};
use jiff::Zoned;

use super::counts::Counts;
use crate::progress::{Screen, seconds};
use crate::workspace;

/// Folders of earlier runs that are kept.
const KEPT_RUNS: usize = 9;
/// Lines of a failure that are shown; the log holds all.
const SHOWN_LINES: usize = 40;

/// What a stage works with.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    /// Its name, which is also its step on the screen.
    pub(super) name: &'a str,
    /// Where its output goes.
    pub(super) log: PathBuf,
    /// Where it may leave more.
    pub(super) folder: PathBuf,
    /// Where it shows what it does.
    pub(super) screen: &'a Screen,
}

/// A stage ended: what it counted, and what went wrong in words.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Its tests.
    pub(super) counts: Counts,
    /// What failed, for the user; empty where nothing did.
    pub(super) problem: String,
}

impl From<Counts> for Ended {
    fn from(counts: Counts) -> Self {
        Self {
            counts,
            problem: String::new(),
        }
    }
}

#[derive(Debug)]
struct Row {
    stage: String,
    counts: Counts,
    elapsed: Duration,
}

/// The stages of one run.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    screen: &'a Screen,
    folder: PathBuf,
    rows: Vec<Row>,
}

impl<'a> Runner<'a> {
    /// A run with a folder of its own for logs, named by the time.
    pub(super) fn new(screen: &'a Screen) -> Result<Self> {
        let all = workspace::target().join("test-logs");
        fs::create_dir_all(&all).with_context(|| format!("creating {}", all.display()))?;
        prune(&all, KEPT_RUNS)?;
        let stamp = Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
        let folder = all.join(format!("{stamp}-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self {
            screen,
            folder,
            rows: Vec::new(),
        })
    }

    /// Runs one stage and returns whether nothing in it failed. An error in it counts as one failed test.
    pub(super) fn run(
        &mut self,
        name: &str,
        work: impl FnOnce(&Stage<'_>) -> Result<Ended>,
    ) -> bool {
        let file = format!("{:02}-{}", self.rows.len() + 1, name.replace(' ', "-"));
        let stage = Stage {
            name,
            log: self.folder.join(format!("{file}.log")),
            folder: self.folder.join(file),
            screen: self.screen,
        };
        self.screen.start(name, None);
        let started = Instant::now();
        let ended = work(&stage).unwrap_or_else(|error| Ended {
            counts: Counts::FAILED,
            problem: format!("{error:#}"),
        });
        let good = ended.counts.failed == 0;
        self.screen
            .finish(name, if good { Outcome::Done } else { Outcome::Failed });
        if !ended.problem.is_empty() {
            self.screen.note(&shorten(&ended.problem, &stage.log));
        }
        self.rows.push(Row {
            stage: name.to_owned(),
            counts: ended.counts,
            elapsed: started.elapsed(),
        });
        good
    }

    /// Counts a stage that cannot run as skipped.
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        self.screen.note(&format!(" skip {name}: {why}"));
        self.rows.push(Row {
            stage: name.to_owned(),
            counts: Counts::SKIPPED,
            elapsed: Duration::ZERO,
        });
    }

    /// Prints the table, the folder of the logs after a failure, and the one last line. Returns whether all went well.
    pub(super) fn sum_up(&self) -> bool {
        let mut total = Counts::default();
        for row in &self.rows {
            total += row.counts;
        }
        for line in table(&self.rows) {
            self.screen.say(&line);
        }
        if total.failed > 0 {
            self.screen
                .say(&format!("logs: {}", workspace::shown(&self.folder)));
        }
        self.screen.say(&total.to_string());
        total.failed == 0
    }
}

fn table(rows: &[Row]) -> Vec<String> {
    let width = rows
        .iter()
        .map(|row| row.stage.len())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut lines = vec![format!("{:width$}  passed  failed  skipped  time", "stage")];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:width$}  {:>6}  {:>6}  {:>7}  {}",
            row.stage,
            row.counts.passed,
            row.counts.failed,
            row.counts.skipped,
            seconds(row.elapsed)
        )
    }));
    lines
}

/// The start and the end of a long text.
fn shorten(problem: &str, log: &Path) -> String {
    let lines: Vec<&str> = problem.lines().collect();
    let indent = |lines: &[&str]| {
        let mut text = String::new();
        for line in lines {
            let _ = writeln!(text, "      {line}");
        }
        text
    };
    if lines.len() <= SHOWN_LINES {
        return indent(&lines).trim_end().to_owned();
    }
    let half = SHOWN_LINES / 2;
    format!(
        "{}      … {} more lines in {}\n{}",
        indent(&lines[..half]),
        lines.len() - SHOWN_LINES,
        workspace::shown(log),
        indent(&lines[lines.len() - half..]).trim_end()
    )
}

/// Removes the oldest folders; their names sort by time.
fn prune(all: &Path, keep: usize) -> Result<()> {
    let mut runs: Vec<PathBuf> = fs::read_dir(all)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    runs.sort();
    let old = runs.len().saturating_sub(keep);
    for run in &runs[..old] {
        fs::remove_dir_all(run).with_context(|| format!("removing {}", run.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_table_lines_up() {
        let row = |stage: &str, counts, millis| Row {
            stage: stage.to_owned(),
            counts,
            elapsed: Duration::from_millis(millis),
        };
        let rows = [
            row("fmt", Counts::passed(1), 1_200),
            row(
                "unit and property tests",
                Counts {
                    passed: 312,
                    failed: 2,
                    skipped: 0,
                },
                75_000,
            ),
        ];
        expect![[r"
            stage                    passed  failed  skipped  time
            fmt                           1       0        0  1.2 s
            unit and property tests     312       2        0  1 min 15 s"]]
        .assert_eq(&table(&rows).join("\n"));
    }

    #[test]
    fn a_long_problem_keeps_its_start_and_end() {
        let long: Vec<String> = (0..100).map(|number| format!("line {number}")).collect();
        let short = shorten(&long.join("\n"), Path::new("x.log"));
        assert_eq!(short.lines().count(), SHOWN_LINES + 1);
        assert!(short.contains("line 0\n") && short.ends_with("line 99"));
        assert!(short.contains("60 more lines in x.log"));
    }

    #[test]
    fn only_the_newest_runs_are_kept() {
        let all = workspace::target().join(format!("xtask-tests/prune-{}", std::process::id()));
        for run in [
            "20260101-000000-1",
            "20260102-000000-2",
            "20260103-000000-3",
        ] {
            fs::create_dir_all(all.join(run)).unwrap();
        }
        prune(&all, 2).unwrap();
        let mut left: Vec<String> = fs::read_dir(&all)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["20260102-000000-2", "20260103-000000-3"]);
        fs::remove_dir_all(&all).unwrap();
    }
}
