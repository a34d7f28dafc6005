//! The table at the end, and the line behind it.

use std::time::Duration;

use super::crew::Row;

/// What all runs came to.
#[derive(Debug, Default)]
pub(super) struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    /// Adds a scenario.
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Whether nothing was found.
    pub(super) fn is_clean(&self) -> bool {
        self.rows.iter().all(|row| row.findings.is_empty())
    }

    /// One line for each scenario, and the sum.
    pub(super) fn table(&self) -> String {
        let width = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0)
            .max("scenario".len());
        let line = |name: &str, numbers: [u64; 4], elapsed: Duration| {
            let [runs, writes, faults, findings] = numbers;
            format!(
                "{name:width$}  {runs:>8}  {writes:>9}  {faults:>8}  {findings:>8}  {:>7.1}",
                elapsed.as_secs_f64()
            )
        };
        let mut lines = vec![format!(
            "{:width$}  {:>8}  {:>9}  {:>8}  {:>8}  {:>7}",
            "scenario", "runs", "writes", "faults", "findings", "seconds"
        )];
        let mut sum = ([0; 4], Duration::ZERO);
        for row in &self.rows {
            let numbers = [row.runs, row.writes, row.faults, row.findings.len() as u64];
            for (total, number) in sum.0.iter_mut().zip(numbers) {
                *total += number;
            }
            sum.1 += row.elapsed;
            lines.push(line(&row.name, numbers, row.elapsed));
        }
        if self.rows.len() > 1 {
            lines.push(line("all", sum.0, sum.1));
        }
        lines.join("\n")
    }

    /// The last line, as `cargo test` ends: `cargo xtask test` counts by it.
    pub(super) fn line(&self, elapsed: Duration) -> String {
        let failed = self
            .rows
            .iter()
            .filter(|row| !row.findings.is_empty())
            .count();
        let passed = self.rows.len() - failed;
        let how = if failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {how}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s",
            elapsed.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use ironkeel_sim::campaign::{Case, Finding};
    use ironkeel_sim::scenario;

    use super::*;

    #[test]
    fn the_table_lines_up_and_the_line_counts() {
        let row = |name: &str, runs, writes, findings| Row {
            name: name.to_owned(),
            runs,
            writes,
            faults: 7,
            findings: (0..findings)
                .map(|seed| Finding {
                    case: Case::calm(&scenario::ALL[0], seed),
                    violations: Vec::new(),
                })
                .collect(),
            elapsed: Duration::from_millis(12_340),
        };
        let mut summary = Summary::default();
        summary.add(row("create", 2_000, 31_234, 0));
        summary.add(row("every-step/rolling-update", 18_211, 1_512_000, 2));
        expect![[r"
            scenario                       runs     writes    faults  findings  seconds
            create                         2000      31234         7         0     12.3
            every-step/rolling-update     18211    1512000         7         2     12.3
            all                           20211    1543234        14         2     24.7"]]
        .assert_eq(&summary.table());
        assert_eq!(
            summary.line(Duration::from_secs(3)),
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 3.00s"
        );
        assert!(!summary.is_clean());
    }
}
