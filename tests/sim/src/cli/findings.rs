//! What is told of a finding: the rule, the command that repeats it, the smallest history that shows it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Result, bail};
use ironkeel_sim::campaign::{Case, Finding};
use ironkeel_sim::run::run;
use ironkeel_sim::scenario::{Scenario, Story};
use ironkeel_sim::table::{self, Detail};
use ironkeel_sim::{shrink, shrink::Shrunk};

use super::crew::Row;
use super::{Flags, say};

/// Runs that shrinking may take.
const TRIES: usize = 400;
/// Findings of one rule that are told, of each piece of work.
const TOLD: usize = 3;
/// Rules whose findings are shrunk, of each piece of work.
const SHRUNK: usize = 2;

/// Tells the findings of `row`; the first of a rule with its smallest history.
pub(super) fn tell(row: &Row, flags: &Flags) {
    let mut rules: BTreeSet<&str> = BTreeSet::new();
    let mut told: Vec<&str> = Vec::new();
    for finding in &row.findings {
        let Some(first) = finding.violations.first() else {
            continue;
        };
        let count = told.iter().filter(|rule| **rule == first.rule).count();
        if count >= TOLD {
            continue;
        }
        told.push(first.rule);
        say("");
        for violation in &finding.violations {
            say(&format!("FOUND {violation}"));
        }
        say(&format!("  repeat: {}", command(&finding.case)));
        if rules.insert(first.rule) && rules.len() <= SHRUNK {
            say(&smallest(finding, first.rule, flags));
        }
    }
    let more = row.findings.len() - told.len();
    if more > 0 {
        say(&format!(
            "and {more} more findings of these rules in {}",
            row.name
        ));
    }
}

/// The command that repeats a run.
fn command(case: &Case) -> String {
    let Case {
        scenario,
        seed,
        plan,
    } = case;
    format!(
        "cargo xtask sim --scenario {} --seed {seed} --faults \"{plan}\" --history",
        scenario.name
    )
}

fn smallest(finding: &Finding, rule: &str, flags: &Flags) -> String {
    let case = shrink::Case {
        story: finding.case.story(),
        config: finding.case.config(),
    };
    let most = if flags.no_shrink { 0 } else { TRIES };
    let Shrunk { mut case, tries } =
        shrink::shrink(case, rule, most, &mut |case| run(&case.story, &case.config));
    case.config.record = true;
    let outcome = run(&case.story, &case.config);
    let mut text = format!(
        "  smallest after {tries} tries: {}\n{}",
        describe(&case.story),
        faults(&case.config.plan.to_string())
    );
    for violation in &outcome.violations {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {violation}");
    }
    text.push_str(&table::render(&outcome.history, detail(flags)));
    text
}

fn detail(flags: &Flags) -> Detail {
    Detail {
        leases: flags.all_details,
        watches: flags.all_details,
    }
}

fn faults(plan: &str) -> String {
    if plan.is_empty() {
        "  no faults\n".to_owned()
    } else {
        format!("  faults: {plan}\n")
    }
}

/// A story in one line.
fn describe(story: &Story) -> String {
    let steps: Vec<String> = story
        .steps
        .iter()
        .map(|step| {
            let delay = if step.delay.is_zero() {
                String::new()
            } else {
                format!(" after {} ms", step.delay.as_millis())
            };
            match &step.gate {
                ironkeel_sim::scenario::Gate::Open => format!("{}{delay}", step.deed),
                gate => format!("{}{delay}, once there is {gate}", step.deed),
            }
        })
        .collect();
    let setup = match story.setup.len() {
        0 => String::new(),
        count => format!("{count} objects before, "),
    };
    let mishaps = match story.kubelet.mishaps.len() {
        0 => String::new(),
        count => format!(", {count} mishaps of pods"),
    };
    format!(
        "{:?} kinds, {setup}{}{mishaps}",
        story.kinds,
        steps.join("; ")
    )
}

/// Prints the history of the run that the flags ask for; whether it broke no rule.
pub(super) fn show(flags: &Flags, scenarios: &[&'static Scenario]) -> Result<bool> {
    let ([scenario], Some(seed)) = (scenarios, flags.seed) else {
        bail!("--history shows one run: name one --scenario and one --seed");
    };
    let case = Case {
        scenario,
        seed,
        plan: flags.faults.clone().unwrap_or_default(),
    };
    let story = case.story();
    let outcome = run(&story, &case.config().recorded());
    say(&format!(
        "{}\n{}",
        describe(&story),
        faults(&case.plan.to_string())
    ));
    say(&table::render(&outcome.history, detail(flags)));
    say(&outcome.counts.to_string());
    for violation in &outcome.violations {
        say(&format!("FOUND {violation}"));
    }
    Ok(outcome.violations.is_empty())
}
