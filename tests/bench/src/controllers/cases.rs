//! What had to hold in the runs, as cases that are counted.

use crate::results::{Results, Run};

/// Cases by how they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    /// How many held.
    pub passed: usize,
    /// Those that did not, in words.
    pub failed: Vec<String>,
}

impl Cases {
    /// Every check of every run, and each run that could not be finished. Without `everyone`, what upstream's runs
    /// should have held is left out: it is no fault of ours.
    pub fn of(results: &Results, everyone: bool) -> Self {
        let mut cases = Self {
            passed: 0,
            failed: results.failures.clone(),
        };
        let counted = |run: &&Run| everyone || run.subject.is_ours();
        for run in results.runs.iter().filter(counted) {
            // That it ran to its end is a case too.
            cases.passed += 1;
            for check in &run.checks {
                if check.passed {
                    cases.passed += 1;
                } else {
                    cases.failed.push(format!(
                        "{} {}: {}: {}",
                        run.scenario,
                        run.subject.title(),
                        check.what,
                        check.found
                    ));
                }
            }
        }
        cases
    }

    /// The line that scripts look for.
    pub fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, 0 skipped",
            self.passed,
            self.failed.len()
        )
    }
}
