//! Command-line flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::family::Mode;
use crate::fault::Fault;
use crate::scenario::{self, Scenario};
use crate::subject::Subject;

/// Kills a controller at every one of its writes to a real API server, and checks what it left behind.
///
/// Each run has a namespace of its own on one real API server. A proxy numbers the writes of the manager and strikes at the
/// k-th, or at the k-th event of its watches; a killed manager is started again. An independent watch records every commit,
/// the rules of ironkeel-invariants are judged on them, and the run must end complete, silent, and as without the fault.
///
/// Exits with 1 when Ironkeel breaks a rule, does not converge, ends differently, or ends by itself; what is found with
/// kube-controller-manager, the control, is reported only.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask crash", bin_name = "cargo xtask crash")]
pub struct Flags {
    /// Whose controllers run
    #[arg(long, value_enum, default_value_t = Who::Ironkeel)]
    pub subject: Who,
    /// The kinds that Ironkeel drives; upstream drives its own
    #[arg(long, value_enum, default_value = "native", value_delimiter = ',')]
    pub mode: Vec<Mode>,
    /// Only these scenarios
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = scenario::named)]
    pub scenario: Vec<&'static Scenario>,
    /// Only these faults: kill-before, kill-after, cut-before, cut-after, CODE, CODE-applied, watch-close, watch-cut, watch-410
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub fault: Vec<Fault>,
    /// Strikes at every K-th write or event only
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub step: u64,
    /// Strikes only at this write or event
    #[arg(long, value_name = "K", conflicts_with = "step")]
    pub at: Option<u64>,
    /// Only so many runs with a fault, drawn by the seed
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
    /// Seed of the sample
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: u16,
    /// How long nobody may write at the end of a run, in milliseconds
    #[arg(long, value_name = "MS", default_value = "1200", value_parser = milliseconds)]
    pub silence: Duration,
    /// How long a run may take to converge, in seconds
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub limit: Duration,
    /// Our manager
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/release/ironkeel-controller-manager",
        overrides_with = "manager"
    )]
    pub manager: PathBuf,
    /// Where the report and the logs of runs with findings go
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "target/crash",
        overrides_with = "out"
    )]
    pub out: PathBuf,
    /// Keeps the logs and histories of all runs, and those of the API server
    #[arg(long)]
    pub keep: bool,
}

/// Whose controllers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Who {
    /// ironkeel-controller-manager
    Ironkeel,
    /// kube-controller-manager, the control
    Upstream,
    /// One after the other
    Both,
}

impl Flags {
    /// The subjects, each with its kinds.
    pub fn subjects(&self) -> Vec<(Subject, Mode)> {
        let ours = self.mode.iter().map(|mode| (Subject::Ironkeel, *mode));
        let theirs = [(Subject::Upstream, Mode::Native)];
        match self.subject {
            Who::Ironkeel => ours.collect(),
            Who::Upstream => theirs.to_vec(),
            Who::Both => ours.chain(theirs).collect(),
        }
    }

    /// The scenarios.
    pub fn scenarios(&self) -> Vec<&'static Scenario> {
        if self.scenario.is_empty() {
            scenario::ALL.to_vec()
        } else {
            self.scenario.clone()
        }
    }

    /// The faults.
    pub fn faults(&self) -> Vec<Fault> {
        if self.fault.is_empty() {
            Fault::all()
        } else {
            self.fault.clone()
        }
    }
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_means_every_mode_of_ours_and_upstreams_own() {
        let flags =
            Flags::try_parse_from(["crash", "--subject=both", "--mode=native,crd"]).unwrap();
        assert_eq!(
            flags.subjects(),
            [
                (Subject::Ironkeel, Mode::Native),
                (Subject::Ironkeel, Mode::Crd),
                (Subject::Upstream, Mode::Native)
            ]
        );
        assert_eq!(flags.scenarios().len(), scenario::ALL.len());
    }

    #[test]
    fn a_name_that_is_not_known_is_refused_with_those_that_are() {
        for (flag, known) in [
            ("--fault=x", "kill-before"),
            ("--scenario=x", "rolling-update"),
        ] {
            let error = Flags::try_parse_from(["crash", flag])
                .unwrap_err()
                .to_string();
            assert!(error.contains(known), "{error}");
        }
    }
}
