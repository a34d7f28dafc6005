//! The same seed gives the same history, to the byte: within one process, on two threads, and in two processes.

use std::process::Command;
use std::time::Duration;

use ironkeel_sim::campaign::{self, Case};
use ironkeel_sim::fault::Extent;
use ironkeel_sim::history::canonical;
use ironkeel_sim::run::run;
use ironkeel_sim::scenario;

/// Set for the process that only prints.
const PRINT: &str = "IRONKEEL_SIM_PRINT";

/// A random plan of every scenario, of one replica and of two.
fn cases() -> Vec<Case> {
    let extent = Extent {
        writes: 20,
        events: 40,
        lasted: Duration::from_secs(4),
        replicas: 1,
    };
    let scenarios = scenario::ALL.iter().zip(0..);
    scenarios
        .map(|(scenario, seed)| campaign::random(scenario, seed, extent))
        .collect()
}

fn history(case: &Case) -> String {
    let story = case.story();
    let outcome = run(&story, &case.config().recorded());
    let text = canonical(&outcome.history);
    assert!(text.lines().count() > 20, "{case}: {text}");
    format!("{text}{:?}\n{}\n", outcome.violations, outcome.counts)
}

/// The first line in which two histories differ.
fn difference(one: &str, other: &str) -> String {
    let mut lines = one.lines().zip(other.lines()).enumerate();
    match lines.find(|(_, (one, other))| one != other) {
        Some((number, (one, other))) => format!("line {number}:\n  {one}\n  {other}"),
        None => format!(
            "{} and {} lines",
            one.lines().count(),
            other.lines().count()
        ),
    }
}

#[test]
fn the_same_seed_gives_the_same_history_in_one_process() {
    let cases = cases();
    let first: Vec<String> = cases.iter().map(history).collect();
    // On another thread, whose thread-local state is new.
    let second: Vec<String> = std::thread::scope(|scope| {
        let second = scope.spawn(|| cases.iter().rev().map(history).collect());
        second.join().unwrap()
    });
    for ((case, first), second) in cases.iter().zip(first).zip(second.into_iter().rev()) {
        assert!(first == second, "{case}: {}", difference(&first, &second));
    }
}

#[test]
fn the_same_seed_gives_the_same_history_in_two_processes() {
    let mine: String = cases().iter().map(history).collect();
    if std::env::var_os(PRINT).is_some() {
        println!("<<<{mine}>>>");
        return;
    }
    let test = "the_same_seed_gives_the_same_history_in_two_processes";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(PRINT, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let theirs = printed.split_once("<<<").unwrap().1;
    let theirs = theirs.rsplit_once(">>>").unwrap().0;
    assert!(mine == theirs, "{}", difference(&mine, theirs));
}

#[test]
fn another_seed_gives_another_history() {
    let scenario = &scenario::ALL[0];
    assert_ne!(
        history(&Case::calm(scenario, 1)),
        history(&Case::calm(scenario, 2))
    );
}

#[test]
fn a_run_without_history_ends_as_one_with() {
    for case in cases() {
        let story = case.story();
        let (with, without) = (run(&story, &case.config().recorded()), case.run());
        assert_eq!(
            (with.violations, with.counts),
            (without.violations, without.counts),
            "{case}"
        );
        assert!(without.history.is_empty());
    }
}
