//! How many tests passed, and reading it from what `cargo test` prints.

use std::fmt;
use std::ops::AddAssign;

/// Tests by how they ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Tests that passed.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that did not run.
    pub(crate) skipped: usize,
}

impl Counts {
    /// So many passed, and nothing else.
    pub(crate) const fn passed(passed: usize) -> Self {
        Self {
            passed,
            failed: 0,
            skipped: 0,
        }
    }

    /// One failed, and nothing else.
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };

    /// One did not run, and nothing else.
    pub(crate) const SKIPPED: Self = Self {
        passed: 0,
        failed: 0,
        skipped: 1,
    };
}

impl Counts {
    /// Reads the line that a program of ours ends with, as [`fmt::Display`] writes it here.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let number = |part: &str, what: &str| part.trim().strip_suffix(what)?.parse().ok();
        let mut parts = line.split(',');
        let counts = Self {
            passed: number(parts.next()?, " passed")?,
            failed: number(parts.next()?, " failed")?,
            skipped: number(parts.next()?, " skipped")?,
        };
        parts.next().is_none().then_some(counts)
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Follows the output of `cargo test`, line by line.
#[derive(Debug, Default)]
pub(super) struct Libtest {
    /// The sum over the test programs that ended.
    pub(super) counts: Counts,
    /// Tests that ended, in programs that ended or not.
    pub(super) ended: u64,
    /// The names of those that failed.
    pub(super) failures: Vec<String>,
}

impl Libtest {
    /// Takes one line; returns what is worth showing of it.
    pub(super) fn line<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.counts += parse_summary(summary);
            return None;
        }
        if let Some((name, how)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        {
            self.ended += 1;
            if how.starts_with("FAILED") {
                self.failures.push(name.to_owned());
            }
            return Some(name);
        }
        line.trim_start().strip_prefix("Compiling ")
    }
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`
fn parse_summary(summary: &str) -> Counts {
    let mut counts = Counts::default();
    let (_, numbers) = summary.split_once(". ").unwrap_or_default();
    for part in numbers.split("; ") {
        let mut words = part.split(' ');
        let (Some(number), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let number = number.parse().unwrap_or(0);
        match what {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" => counts.skipped = number,
            // Those filtered out were not asked for.
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_over_several_programs() {
        let mut libtest = Libtest::default();
        let output = "   Compiling ironkeel-plan v0.1.0\n\
                      running 2 tests\n\
                      test claim::adopts ... ok\n\
                      test claim::releases ... FAILED\n\
                      \n\
                      test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s\n\
                      test result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        let shown: Vec<&str> = output
            .lines()
            .filter_map(|line| libtest.line(line))
            .collect();
        assert_eq!(
            shown,
            ["ironkeel-plan v0.1.0", "claim::adopts", "claim::releases"]
        );
        assert_eq!(
            libtest.counts,
            Counts {
                passed: 6,
                failed: 1,
                skipped: 2
            }
        );
        assert_eq!(
            (libtest.ended, libtest.failures),
            (2, vec!["claim::releases".to_owned()])
        );
    }

    #[test]
    fn the_last_line_is_what_scripts_look_for() {
        let mut counts = Counts::passed(3);
        counts += Counts::FAILED;
        counts += Counts::SKIPPED;
        assert_eq!(counts.to_string(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(Counts::parse(&counts.to_string()), Some(counts));
        assert_eq!(Counts::parse("3 passed, 1 failed"), None);
        assert_eq!(Counts::parse("ok: 3 passed, 1 failed, 0 skipped"), None);
    }
}
