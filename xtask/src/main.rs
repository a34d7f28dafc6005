//! Every automation of this repository.
//!
//! `cargo xtask up` brings up a real Kubernetes cluster with Ironkeel on it, `cargo xtask test` runs every check;
//! `cargo xtask --help` names the rest. There is no logic in shell scripts.

mod access;
mod bench;
mod bugs;
mod conformance;
mod crash;
mod examples;
mod generate;
mod image;
mod program;
mod progress;
mod release;
mod shell;
mod sim;
mod status;
mod test;
mod tidy;
mod up;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use ironkeel_testbed::Progress;

use progress::Screen;

/// Builds, runs and tests Ironkeel.
///
/// A fresh Debian-like machine with Rust, Go and root needs nothing else. Upstream's programs are built once into
/// ~/.cache/ironkeel ($IRONKEEL_CACHE); the cluster keeps its state in ~/.local/state/ironkeel ($IRONKEEL_STATE).
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a real Kubernetes cluster on this machine, install Ironkeel, apply examples/ and wait until all is ready
    ///
    /// Run again, it repairs what is broken and leaves the rest alone. Needs root. With --kubeconfig it starts nothing
    /// and installs into that cluster: it loads the image with kind or k3d, or the cluster pulls it (--image-registry).
    Up(up::Flags),
    /// Stop the cluster and remove every process, namespace, mount, link, rule and cgroup of it
    Down,
    /// Show nodes, processes, pods and releases
    Status,
    /// Print the log of one component, or name the components
    Logs {
        /// Such as kube-apiserver or ironkeel-controller-manager
        component: Option<String>,
        /// Go on as the log grows
        #[arg(long, short, requires = "component")]
        follow: bool,
    },
    /// Print the path of the cluster's kubeconfig
    Kubeconfig,
    /// Build our image as an OCI archive that ctr, docker load and kind load image-archive take
    Image,
    /// Write the files that are made from code: CRDs and RBAC rules
    Generate {
        /// Write nothing; fail if a file is not current
        #[arg(long)]
        check: bool,
    },
    /// Run every check; ends with `N passed, N failed, N skipped`
    ///
    /// Format, house rules, lints, unit and property tests, simulator, docs, charts; the simulator's model, the race in
    /// small and a sample of crashes on a real API server; then on a real cluster our own end-to-end cases against
    /// Ironkeel's kinds and upstream's, upstream's unmodified e2e.test in native mode, helm test, repair and upgrade.
    /// Logs lie in target/test-logs.
    Test(test::Flags),
    /// Run the real controllers on a model of the API server, with faults, and check every commit
    ///
    /// Deterministic: a finding names its seed and prints the smallest history that shows it. `--help` behind it names the
    /// flags of the simulator.
    Sim(program::Arguments),
    /// Put deliberate bugs into a copy of the product and check that the simulator finds each
    ///
    /// The bugs are the patches in tests/sim/bugs. Ends with a table; exits 1 if one is not found.
    Bugs(bugs::Flags),
    /// Kill the manager at every one of its writes to a real API server, and check what it leaves behind
    ///
    /// Every k of a create, a rolling update and a delete, with every fault of a proxy between the two; the same for
    /// kube-controller-manager as the control. `--help` behind it names the flags of the campaign. Reports lie in target/crash.
    Crash(program::Arguments),
    /// Run upstream's unmodified e2e.test against the cluster that is up
    ///
    /// In native mode kube-controller-manager runs without its deployment, replicaset and replicationcontroller loops,
    /// and our manager, as a host process, drives those kinds. A spec that fails is tried once more; one that passes
    /// then is counted as flaky and printed.
    Conformance(conformance::Flags),
    /// Race against kube-controller-manager; ends with a table, target/bench/results.json and docs/benchmarks.md
    ///
    /// `cargo xtask bench --help` names the flags. --check exits 1 and names each bar that is missed.
    #[command(disable_help_flag = true)]
    Bench(program::Arguments),
    /// Check the house rules that no compiler checks
    Tidy,
}

fn main() -> ExitCode {
    // Before anything else: a node's first process is this program, started again.
    if let Some(code) = ironkeel_testbed::run_if_reexecuted() {
        return code;
    }
    let cli = Cli::parse();
    let screen = Screen::new();
    match run(cli.command, &screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one command. `false` is a failure that has been told already.
fn run(command: Command, screen: &Screen) -> Result<bool> {
    match command {
        Command::Up(flags) => up::command(&flags, screen)?,
        Command::Down => up::down(screen)?,
        Command::Status => status::command(screen)?,
        Command::Logs { component, follow } => status::logs(component.as_deref(), follow, screen)?,
        Command::Kubeconfig => {
            let cluster = access::running_cluster()?;
            screen.say(&cluster.kubeconfig().display().to_string());
        }
        Command::Image => print_image(screen)?,
        Command::Generate { check } => generate::run(check)?,
        Command::Sim(flags) => return sim::command(&flags, screen),
        Command::Bugs(flags) => return bugs::command(&flags, screen),
        Command::Test(flags) => return test::command(&flags, screen),
        Command::Conformance(flags) => return conformance::command(&flags, screen),
        Command::Crash(flags) => return crash::command(&flags, screen),
        Command::Bench(flags) => return bench::command(&flags, screen),
        Command::Tidy => {
            let findings = tidy::check()?;
            screen.say(findings.report().trim_end());
            screen.say(&format!(
                "{} rules kept, {} broken",
                findings.kept,
                findings.breaches.len()
            ));
            return Ok(findings.breaches.is_empty());
        }
    }
    Ok(true)
}

fn print_image(screen: &Screen) -> Result<()> {
    let image = image::build(&shell::fresh_log("image")?, screen)?;
    screen.say(&format!(
        "{}  {:.1} MB",
        workspace::shown(&image.archive),
        image::megabytes(image.size)
    ));
    screen.say(&format!("{}  {}", image.reference(), image.digest));
    Ok(())
}
