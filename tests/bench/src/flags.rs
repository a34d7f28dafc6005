//! The command line of `ironkeel-bench`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Runs our manager against kube-controller-manager on a real API server.
///
/// etcd and kube-apiserver run alone on free ports of the loopback; pods stay unscheduled. Both sides run the same three
/// loops: Deployments, ReplicaSets and ReplicationControllers. Runs alternate (A B B A), each with a process of its own (P10:
/// windows of one process), and figures are medians with quartiles. At the end: a table, target/bench/results.json, docs/benchmarks.md with plots.
#[derive(Clone, Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags are independent of each other"
)]
#[command(name = "cargo xtask bench", version)]
pub struct Flags {
    /// What to measure
    #[arg(value_enum, default_value_t = Suite::Controllers)]
    pub suite: Suite,
    /// Our program; `cargo xtask bench` builds it and says where it is
    #[arg(long, value_name = "FILE", hide = true)]
    pub manager: PathBuf,
    /// Size of our image in bytes
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    pub image_bytes: u64,
    /// Pairs per scenario
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub pairs: u16,
    /// Only these scenarios: start, P1, P2, P3, P8 (with P9 and P10), P11, P12, P13 (is P1 and P3)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Multiplies every size
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub size_factor: f64,
    /// P11 ends at this many pods
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub largest: u32,
    /// No pair begins later than this, in minutes
    #[arg(long, value_name = "N", default_value_t = 33.0)]
    pub minutes: f64,
    /// Small sizes, one pair: does every scenario work on every subject, and are the writes those that they must be?
    #[arg(long)]
    pub smoke: bool,
    /// Fail if a bar is missed, and name each
    #[arg(long)]
    pub check: bool,
    /// Run nothing: read results.json of the last race and write the report again
    #[arg(long)]
    pub report: bool,
    /// Write nothing into docs/
    #[arg(long)]
    pub no_docs: bool,
}

/// A set of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Deployments, ReplicaSets and their pods, against kube-controller-manager
    Controllers,
}
