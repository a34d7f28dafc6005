//! The model of the API server against a real one: the same random requests go to both.
//!
//! Needs upstream's programs, so it does not run with the other tests: `cargo test -p ironkeel-sim --test model`.
//! `IRONKEEL_MODEL_SEED` chooses the first seed, `IRONKEEL_MODEL_RUNS` how many runs of 150 requests there are, and
//! `IRONKEEL_MODEL_SERVER` an API server that is there already (`127.0.0.1:8001`, through `kubectl proxy`).

mod client;
mod compare;
mod dice;
mod objects;
mod real;
mod requests;
mod settle;
mod sides;

use std::fmt::Write as _;

use ironkeel_sim::api::Request;

use dice::Dice;
use real::Real;
use sides::Sides;

/// Requests of one run; each run has a namespace of its own.
const REQUESTS: u64 = 150;

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A request as a person reads it.
pub(crate) fn show(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.path);
    if !request.query.is_empty() {
        let _ = write!(text, "?{}", request.query);
    }
    if !request.body.is_empty() {
        let _ = write!(
            text,
            "\n    {}\n    {}",
            request.content_type,
            String::from_utf8_lossy(&request.body)
        );
    }
    text
}

#[test]
fn the_model_answers_as_the_api_server_does() {
    let mut real = Real::start(&[]).unwrap();
    let (first, runs) = (
        number("IRONKEEL_MODEL_SEED", 1),
        number("IRONKEEL_MODEL_RUNS", 20),
    );
    let mut failures = Vec::new();
    for seed in first..first + runs {
        if let Err(error) = answers(&mut real, seed) {
            failures.push(format!("seed {seed}: {error}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {runs} runs differ:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn answers(real: &mut Real, seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut sides = Sides::open(real, &format!("answers-{seed}"), seed)?;
    for _ in 0..REQUESTS {
        let step = requests::next(&mut dice, &mut sides)?;
        sides.exchange(&step)?;
    }
    sides.compare_lists()?;
    sides.compare_watches()
}

#[test]
fn the_garbage_collector_leaves_what_the_clusters_leaves() {
    let mut real = Real::start(&[
        "garbage-collector-controller",
        "namespace-controller",
        "resourcequota-controller",
    ])
    .unwrap();
    let (first, runs) = (
        number("IRONKEEL_MODEL_SEED", 1),
        number("IRONKEEL_MODEL_RUNS", 20).div_ceil(2),
    );
    let mut failures = Vec::new();
    for seed in first..first + runs {
        if let Err(error) = settle::run(&mut real, seed) {
            failures.push(format!("seed {seed}: {error}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {runs} runs differ:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}
