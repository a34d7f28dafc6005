//! A real upstream Kubernetes cluster on one Linux machine.
//!
//! Everything here blocks; an asynchronous caller wraps it in `spawn_blocking`. Errors are `anyhow` chains whose message
//! is meant to be shown to the user as it is.
//!
//! ```text
//! fn main() -> ExitCode {
//!     // A node's first process is this very program, started again: this line must come before anything else,
//!     // above all before a thread or an asynchronous runtime starts.
//!     if let Some(code) = ironkeel_testbed::run_if_reexecuted() { return code; }
//!     ...
//! }
//!
//! let progress: &dyn Progress = &my_bars;
//! // Upstream's programs from the per-user cache, built first where missing.
//! let programs = Programs::ready(&[ProgramSet::Cluster], progress)?;        // + Kwok, Conformance when asked for
//! // OCI archives from the same cache.
//! let mut archives = images::ready(&[ImageSet::Base, ImageSet::Test], &programs, progress)?;
//! // Our own image: one static program, from scratch.
//! let image = Image::of_binary(&binary, "/ironkeel-controller-manager", "ghcr.io/…/ironkeel-controller-manager:dev")?;
//! image.label("org.opencontainers.image.version", "0.1.0").write(&archive)?;
//! archives.push(archive);
//!
//! let config = Config { nodes: 2, fake_nodes: 100, ..Config::default() };
//! let cluster = Cluster::up(&config, &programs, &archives, progress)?;      // creates, repairs or changes nothing
//! cluster.kubectl().args(["get", "nodes"]).status()?;                       // KUBECONFIG set
//! cluster.restart_kube_controller_manager("*,-deployment-controller", &[], progress)?;
//! let file = cluster.issue_client_kubeconfig("system:serviceaccount:ns:name", &["system:serviceaccounts"])?;
//! let undisturbed = cluster.reserve("the conformance suite")?;               // up and down are refused meanwhile
//! cluster.load_images(&[new_archive], progress)?;
//! cluster.collect_logs(&folder)?;
//!
//! let cluster = Cluster::open(&state_dir()?)?;                              // Option<Cluster>: what `up` left running
//! let left: Vec<String> = down(&state_dir()?, progress)?;                   // empty: nothing left behind
//! ```

pub mod bare;
pub mod image;
pub mod images;
pub mod packages;

mod addons;
mod cgroups;
mod cluster;
mod control_plane;
mod fake_nodes;
mod kernel;
mod layout;
mod lock;
mod mounts;
mod network;
mod node;
mod paths;
mod pki;
mod ports;
mod process;
mod progress;
mod run;
mod upstream;
mod wait;

use std::process::ExitCode;

pub use cluster::{Cluster, Config, NodeStatus, ProcessStatus, Reservation, Status, down};
pub use image::Image;
pub use images::ImageSet;
pub use paths::{cache_dir, state_dir};
pub use progress::{Outcome, Progress, Silent};
pub use upstream::{ProgramSet, Programs};

/// Runs the part of this crate that needs a process of its own, if that is what this process was started for.
///
/// The first process of a node is the calling program started again with a hidden argument, so that no second program has
/// to be built or found. `None` means an ordinary start: go on.
pub fn run_if_reexecuted() -> Option<ExitCode> {
    node::first::run_if_reexecuted()
}
