//! What each scenario does and what must hold in it.

pub mod cached;
pub mod deployments;
pub mod election;
pub mod one_set;

use anyhow::{Context, Result};

use super::population::Population;
use super::race::Race;
use super::subject::Subject;
use crate::results::Run;

/// The scenarios, in the order in which they run: the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// From the start of the process to the lease.
    Start,
    /// P1.
    OneSet,
    /// P3.
    Update,
    /// P2.
    Many,
    /// P8, P9 and P10.
    Cached,
    /// P12.
    FailOver,
    /// P11.
    Growth,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::OneSet,
        Self::Update,
        Self::Many,
        Self::Cached,
        Self::FailOver,
        Self::Growth,
    ];

    /// Its name in tables and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::OneSet => "P1",
            Self::Update => "P3",
            Self::Many => "P2",
            Self::Cached => "P8",
            Self::FailOver => "P12",
            Self::Growth => "P11",
        }
    }

    /// The scenarios that a name on the command line means: P9 and P10 are measured with P8, P13 is P1 and P3.
    pub fn named(name: &str) -> Option<&'static [Self]> {
        Some(match name.to_ascii_uppercase().as_str() {
            "START" => &[Self::Start],
            "P1" => &[Self::OneSet],
            "P2" => &[Self::Many],
            "P3" => &[Self::Update],
            "P8" | "P9" | "P10" => &[Self::Cached],
            "P11" => &[Self::Growth],
            "P12" => &[Self::FailOver],
            "P13" => &[Self::OneSet, Self::Update],
            _ => return None,
        })
    }
}

/// Runs one subject once. `population` is what [`Scenario::Cached`] runs on.
pub async fn run(
    race: &Race,
    scenario: Scenario,
    subject: Subject,
    population: Option<&Population>,
) -> Result<Run> {
    match scenario {
        Scenario::Start => election::start(race, subject).await,
        Scenario::OneSet => {
            let pods = if subject == Subject::UpstreamDefault {
                race.sizes.one_set_limited
            } else {
                race.sizes.one_set
            };
            one_set::run(race, subject, "P1", pods).await
        }
        Scenario::Update => deployments::update(race, subject).await,
        Scenario::Many => deployments::many(race, subject).await,
        Scenario::Cached => {
            let population = population.context("a cold start needs pods that fill the caches")?;
            cached::cold_start(race, subject, population).await
        }
        Scenario::FailOver => election::fail_over(race, subject).await,
        Scenario::Growth => one_set::run(race, subject, "P11", race.sizes.one_set).await,
    }
}
