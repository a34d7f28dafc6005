//! A run as a text for people: what was sent, and what was committed.

use std::fmt::Write as _;

use ironkeel_invariants::Commit;
use serde_json::Value;

use crate::proxy::Write;
use crate::run::Outcome;

/// A commit in one line: who did what to which object.
pub fn line(commit: &Commit) -> String {
    let what = match (&commit.before, &commit.after) {
        (None, _) => "creates",
        (_, None) => "removes",
        _ => "changes",
    };
    let object = commit.after.as_ref().or(commit.before.as_ref());
    let summary = object.map_or_else(String::new, |object| summary(object));
    format!(
        "{:>8}  {:<18} {what} {}/{}{summary}",
        commit.version,
        commit.writer.to_string(),
        commit.resource,
        commit.key.name
    )
}

/// What matters of an object in a history.
fn summary(object: &Value) -> String {
    let mut text = String::new();
    let mut tell = |name: &str, value: &Value| {
        if !value.is_null() {
            let _ = write!(text, " {name}={}", value.to_string().trim_matches('"'));
        }
    };
    tell("spec.replicas", &object["spec"]["replicas"]);
    for field in [
        "observedGeneration",
        "replicas",
        "readyReplicas",
        "terminatingReplicas",
        "phase",
    ] {
        tell(field, &object["status"][field]);
    }
    tell("deleted", &object["metadata"]["deletionTimestamp"]);
    text
}

/// The whole run as a text.
pub fn story(outcome: &Outcome, commits: &[Commit], writes: &[Write]) -> String {
    let mut text = String::new();
    let fault = outcome
        .fault
        .map_or_else(|| "none".to_owned(), |fault| fault.to_string());
    let _ = writeln!(
        text,
        "{} {} {}: fault {fault} at {}\n",
        outcome.subject.as_str(),
        outcome.mode.as_str(),
        outcome.scenario,
        outcome.k
    );
    for violation in outcome.violations.values().flatten() {
        let _ = writeln!(text, "broken: {violation}");
    }
    for problem in outcome.not_converged.iter().chain(&outcome.ended_alone) {
        let _ = writeln!(text, "wrong: {problem}");
    }
    let _ = writeln!(text, "\nwhat the managers sent");
    for write in writes {
        let code = write
            .code
            .map_or_else(|| "-".to_owned(), |code| code.to_string());
        let version = write
            .version
            .map_or_else(String::new, |version| format!(" version {version}"));
        let fault = write
            .fault
            .map_or_else(String::new, |fault| format!("   <== {fault}"));
        let _ = writeln!(
            text,
            "{:>5}  process {}  {} {code}{version}{fault}",
            write.number,
            write.process,
            write.asked.line()
        );
    }
    let _ = writeln!(text, "\nwhat was committed");
    for commit in commits {
        let _ = writeln!(text, "{}", line(commit));
    }
    text
}
