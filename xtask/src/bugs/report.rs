//! What was found of each bug.

/// A finding, as the simulator tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rule: String,
    pub(super) scenario: String,
    /// 0 is the first run without faults.
    pub(super) seed: u64,
    /// What went wrong in the run, as the simulator takes it.
    pub(super) faults: String,
    /// Whether it took the enumeration of every step.
    pub(super) every_step: bool,
}

impl Found {
    /// Reads what the simulator printed of runs that broke one of the rules `finders`; lower seeds first.
    pub(super) fn all(output: &[String], finders: &[String]) -> Vec<Self> {
        let mut rule = None;
        let mut every_step = false;
        let mut all = Vec::new();
        for line in output {
            if let Some(found) = line.strip_prefix("FOUND ") {
                let broken = found.split_whitespace().next().unwrap_or_default();
                // Of several in one run the first is the one to look at.
                rule = rule.or_else(|| finders.iter().find(|name| *name == broken).cloned());
            } else if let Some(test) = line.strip_prefix("test ") {
                every_step = test.starts_with("every-step/");
            } else if let Some(command) = line.trim_start().strip_prefix("repeat: ") {
                let word = |flag: &str| {
                    let mut words = command.split_whitespace();
                    words.find(|word| *word == flag)?;
                    words.next().map(str::to_owned)
                };
                if let (Some(rule), Some(scenario), Some(seed)) = (
                    rule.take(),
                    word("--scenario"),
                    word("--seed").and_then(|seed| seed.parse().ok()),
                ) {
                    all.push(Self {
                        rule,
                        scenario,
                        seed,
                        faults: command.split('"').nth(1).unwrap_or_default().to_owned(),
                        every_step,
                    });
                }
            }
        }
        all.sort_by_key(|found: &Self| found.seed);
        all
    }
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) broken: String,
    pub(super) found: Option<Found>,
    pub(super) seconds: f64,
}

impl Row {
    fn cells(&self) -> [String; 5] {
        let (scenario, rule, seeds) = match &self.found {
            None => ("-".to_owned(), "not found".to_owned(), "-".to_owned()),
            Some(found) => {
                let seeds = match (found.every_step, found.seed) {
                    (true, seed) => format!("every step of seed {seed}"),
                    (false, 0) => "0 (no faults)".to_owned(),
                    (false, seed) => seed.to_string(),
                };
                (found.scenario.clone(), found.rule.clone(), seeds)
            }
        };
        [
            format!("`{}`: {}", self.name, self.broken),
            scenario,
            rule,
            seeds,
            format!("{:.1}", self.seconds),
        ]
    }

    /// The row for people who wait.
    pub(super) fn line(&self) -> String {
        let [_, scenario, rule, seeds, seconds] = self.cells();
        format!(
            "{:28}{rule}, scenario {scenario}, seeds {seeds}, {seconds} s",
            self.name
        )
    }
}

/// The table as ARCHITECTURE.md has it.
pub(super) fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        "| bug | scenario | found by | seeds | seconds |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    lines.extend(
        rows.iter()
            .map(|row| format!("| {} |", row.cells().join(" | "))),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finding_of_the_lowest_seed_comes_first() {
        let output: Vec<String> = [
            "test create ... FAILED",
            "",
            "FOUND RS-replicas at 41: controller 2 creates pod x",
            "FOUND convergence at 0: something else",
            "  repeat: cargo xtask sim --scenario create --seed 7 --faults \"write 3 crash\" --history",
            "test every-step/scale ... FAILED",
            "FOUND G1-adopt at 9: y",
            "  repeat: cargo xtask sim --scenario scale --seed 3 --faults \"\" --history",
        ]
        .map(str::to_owned)
        .into();
        let known = |rule: &str, scenario: &str, seed, faults: &str, every_step| Found {
            rule: rule.to_owned(),
            scenario: scenario.to_owned(),
            seed,
            faults: faults.to_owned(),
            every_step,
        };
        let of = |finders: &[&str]| {
            let finders: Vec<String> = finders.iter().map(|name| (*name).to_owned()).collect();
            Found::all(&output, &finders)
        };
        let adoption = known("G1-adopt", "scale", 3, "", true);
        let surplus = |rule| known(rule, "create", 7, "write 3 crash", false);
        assert_eq!(
            of(&["G1-adopt", "RS-replicas"]),
            [adoption.clone(), surplus("RS-replicas")]
        );
        assert_eq!(
            of(&["convergence", "G1-adopt"]),
            [adoption, surplus("convergence")]
        );
        assert_eq!(of(&["convergence"]), [surplus("convergence")]);
        assert_eq!(of(&["D-surge"]), []);
    }

    #[test]
    fn the_table_names_what_was_not_found() {
        let row = Row {
            name: "no-barrier".into(),
            broken: "own writes are forgotten".into(),
            found: None,
            seconds: 2.0,
        };
        assert_eq!(
            table(&[row]).lines().last(),
            Some("| `no-barrier`: own writes are forgotten | - | not found | - | 2.0 |")
        );
    }
}
