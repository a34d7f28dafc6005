//! `cargo xtask test`: every check there is, as stages, and one line at the end.

mod bench;
mod charts;
mod cluster;
mod cni;
mod counts;
mod crash;
mod runner;
mod sim;
mod sources;

use std::thread;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use ironkeel_testbed::{Cluster, ImageSet, ProgramSet, Programs, images, packages};

use crate::access::Access;
use crate::progress::Screen;
use crate::up;
use runner::Runner;

/// Flags of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Only what needs no cluster: fmt, clippy, tidy, unit tests; about a minute when warm
    #[arg(long, conflicts_with_all = ["keep", "only"])]
    quick: bool,
    /// Run only unit tests, e2e cases and upstream specs whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run only these stages; those that need a cluster bring it up
    #[arg(long, value_enum, value_name = "STAGE", value_delimiter = ',')]
    only: Vec<Stage>,
    /// Leave the cluster running at the end
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// cargo fmt --check
    Fmt,
    /// House rules and generated files
    Tidy,
    /// cargo clippy, every target, no warnings
    Clippy,
    /// Unit and property tests
    Unit,
    /// 1,000 seeds of every scenario on a model of the API server, and every fault at every step of those marked for it
    Sim,
    /// cargo doc, no warnings
    Doc,
    /// helm lint and helm template with every set of values
    Charts,
    /// The CNI plugins' own suites against our program
    Cni,
    /// The model of the API server answers random requests as a real one does
    Model,
    /// The race against kube-controller-manager in small: every scenario works, every write is counted
    Bench,
    /// The manager is killed, and its requests fail, at a sample of its writes to a real API server
    Crash,
    /// Our e2e against Ironkeel's kinds
    E2e,
    /// Our e2e against upstream's kinds
    E2eUpstream,
    /// Upstream's e2e.test against Ironkeel in native mode
    Conformance,
    /// helm test
    HelmTest,
    /// A second `up` changes nothing; after a kill -9 of half the cluster, `up` repairs it
    Repair,
    /// Upgrade and removal of the charts leave the users' objects alone
    Packaging,
}

impl Stage {
    const QUICK: [Self; 4] = [Self::Fmt, Self::Tidy, Self::Clippy, Self::Unit];

    const fn needs_cluster(self) -> bool {
        matches!(
            self,
            Self::E2e
                | Self::E2eUpstream
                | Self::Conformance
                | Self::HelmTest
                | Self::Repair
                | Self::Packaging
        )
    }

    /// Whether it uses upstream's programs.
    const fn needs_programs(self) -> bool {
        self.needs_cluster()
            || matches!(
                self,
                Self::Charts | Self::Cni | Self::Model | Self::Bench | Self::Crash
            )
    }
}

/// Runs the stages. Returns whether nothing failed.
pub(crate) fn command(flags: &Flags, screen: &Screen) -> Result<bool> {
    let stages: Vec<Stage> = match (flags.quick, flags.only.as_slice()) {
        (true, _) => Stage::QUICK.to_vec(),
        (false, []) => Stage::value_variants().to_vec(),
        (false, only) => only.to_vec(),
    };
    let wanted = |stage: Stage| stages.contains(&stage);
    let filter = flags.filter.as_deref();
    let mut runner = Runner::new(screen)?;
    packages::ensure(packages::COMPILING, screen)?;

    thread::scope(|scope| -> Result<()> {
        // Go compiles upstream's programs while cargo compiles ours. Where the cache has them, this ends at once.
        let programs = stages
            .iter()
            .any(|stage| stage.needs_programs())
            .then(|| scope.spawn(|| prepare(&stages, screen)));

        if wanted(Stage::Fmt) {
            runner.run("fmt", sources::fmt);
        }
        if wanted(Stage::Tidy) {
            runner.run("tidy", sources::tidy);
        }
        if wanted(Stage::Clippy) {
            runner.run("clippy", sources::clippy);
        }
        if wanted(Stage::Unit) {
            runner.run("unit tests", |stage| {
                sources::unit(stage, filter, flags.quick)
            });
        }
        if wanted(Stage::Sim) {
            runner.run("sim", sim::gate);
        }
        if wanted(Stage::Doc) {
            runner.run("doc", sources::doc);
        }
        let Some(programs) = programs else {
            return Ok(());
        };
        let mut ready = None;
        runner.run("upstream programs and images", |_| {
            let programs = programs
                .join()
                .map_err(|_| anyhow!("building them panicked"))??;
            ready = Some(programs);
            Ok(counts::Counts::passed(1).into())
        });
        match &ready {
            Some(programs) => {
                if wanted(Stage::Charts) {
                    runner.run("charts", |stage| charts::check(stage, programs));
                }
                if wanted(Stage::Cni) {
                    runner.run("cni", |stage| cni::suites(stage, programs));
                }
                if wanted(Stage::Model) {
                    runner.run("model", sim::model);
                }
                if wanted(Stage::Bench) {
                    runner.run("bench", bench::smoke);
                }
                if wanted(Stage::Crash) {
                    runner.run("crash", crash::sample);
                }
                if stages.iter().any(|stage| stage.needs_cluster()) {
                    run_on_cluster(&mut runner, &stages, filter, flags.keep);
                }
            }
            None => runner.skip(
                "charts, cni, model, bench, crash and cluster",
                "upstream's programs are missing",
            ),
        }
        Ok(())
    })?;
    Ok(runner.sum_up())
}

fn prepare(stages: &[Stage], screen: &Screen) -> Result<Programs> {
    let mut sets = vec![ProgramSet::Cluster, ProgramSet::TestImages];
    if stages.contains(&Stage::Conformance) {
        sets.push(ProgramSet::Conformance);
    }
    if stages.contains(&Stage::Cni) {
        sets.push(ProgramSet::CniSuites);
    }
    let programs = Programs::ready(&sets, screen)?;
    if stages.iter().any(|stage| stage.needs_cluster()) {
        images::ready(&[ImageSet::Base, ImageSet::Test], &programs, screen)?;
    }
    Ok(programs)
}

/// Brings a cluster up, runs the stages that need it, takes it down.
fn run_on_cluster(runner: &mut Runner<'_>, stages: &[Stage], filter: Option<&str>, keep: bool) {
    let wanted = |stage: Stage| stages.contains(&stage);
    let mut up = None;
    runner.run("up", |stage| cluster::up(stage, &mut up));
    match &up {
        Some(cluster) => {
            let access = Access::local(cluster);
            if wanted(Stage::E2e) {
                undisturbed(runner, cluster, "e2e ironkeel", |stage| {
                    cluster::e2e(stage, &access, "ironkeel", filter)
                });
            }
            if wanted(Stage::E2eUpstream) {
                undisturbed(runner, cluster, "e2e upstream", |stage| {
                    cluster::e2e(stage, &access, "upstream", filter)
                });
            }
            if wanted(Stage::Conformance) {
                undisturbed(runner, cluster, "conformance native", |stage| {
                    cluster::conformance(stage, cluster, filter)
                });
            }
            if wanted(Stage::HelmTest) {
                undisturbed(runner, cluster, "helm test", |stage| {
                    cluster::helm_test(stage, &access)
                });
            }
            if wanted(Stage::Repair) {
                checked(runner, cluster, "up again", |stage| {
                    cluster::up_again(stage, &access)
                });
            }
            if wanted(Stage::Packaging) {
                undisturbed(runner, cluster, "packaging", |stage| {
                    cluster::packaging(stage, &access, filter)
                });
            }
            // Last, because the others need what it kills, and because its `up` puts back what packaging took away.
            if wanted(Stage::Repair) {
                checked(runner, cluster, "repair", |stage| {
                    cluster::repair(stage, cluster)
                });
            }
        }
        None => {
            for stage in stages.iter().filter(|stage| stage.needs_cluster()) {
                let name = stage.to_possible_value();
                runner.skip(
                    name.as_ref().map_or("", |name| name.get_name()),
                    "there is no cluster",
                );
            }
        }
    }
    if !keep {
        runner.run("down", |stage| {
            up::down(stage.screen)?;
            Ok(counts::Counts::passed(1).into())
        });
    }
}

/// Runs a stage as [`checked`] does, while `up` and `down` of every other run are refused.
fn undisturbed(
    runner: &mut Runner<'_>,
    cluster: &Cluster,
    name: &str,
    work: impl FnOnce(&runner::Stage<'_>) -> Result<runner::Ended>,
) {
    checked(runner, cluster, name, |stage| {
        let _reserved = cluster.reserve(&format!("cargo xtask test, {name}"))?;
        work(stage)
    });
}

/// Runs a stage on the cluster; after a failure, leaves the logs of every component, and all objects and events, in the
/// stage's folder.
fn checked(
    runner: &mut Runner<'_>,
    cluster: &Cluster,
    name: &str,
    work: impl FnOnce(&runner::Stage<'_>) -> Result<runner::Ended>,
) {
    runner.run(name, |stage| {
        let ended = work(stage);
        if ended.as_ref().map_or(true, |ended| ended.counts.failed > 0) {
            cluster::leave_logs(stage, cluster);
        }
        ended
    });
}
