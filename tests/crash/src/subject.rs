//! The programs under test, and how each is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use ironkeel_testbed::bare::Bare;
use serde::Serialize;

use crate::family::Mode;

/// Whose controllers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// ironkeel-controller-manager
    Ironkeel,
    /// kube-controller-manager, the control
    Upstream,
}

impl Subject {
    /// As in `--subject`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ironkeel => "ironkeel",
            Self::Upstream => "upstream",
        }
    }
}

/// The controllers of kube-controller-manager that ours stand for.
const UPSTREAM_CONTROLLERS: &str = "deployment-controller,replicaset-controller";

/// Leases short enough that a run with a fail-over takes seconds, long enough for a machine that is busy.
const ELECTION: [&str; 3] = [
    "--leader-elect-lease-duration=6s",
    "--leader-elect-renew-deadline=4s",
    "--leader-elect-retry-period=500ms",
];

/// Flags that open kube-controller-manager's own limit on requests: it is no part of what is tested.
const UNLIMITED: [&str; 2] = ["--kube-api-qps=1000", "--kube-api-burst=2000"];

/// How to start one subject.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whose it is.
    pub subject: Subject,
    /// The kinds it drives.
    pub mode: Mode,
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Our manager.
    pub fn ironkeel(path: &Path, mode: Mode) -> Result<Self> {
        if !path.is_file() {
            bail!(
                "--manager: there is no file {}; `cargo xtask crash` builds it",
                path.display()
            );
        }
        let arguments = [
            format!("--mode={}", mode.as_str()),
            "--bind-address=127.0.0.1".to_owned(),
            "--port=0".to_owned(),
            "--v=4".to_owned(),
        ];
        Ok(Self {
            subject: Subject::Ironkeel,
            mode,
            path: path.to_owned(),
            arguments: arguments.into_iter().map(OsString::from).collect(),
        })
    }

    /// kube-controller-manager with the controllers that ours stand for.
    pub fn upstream(bare: &Bare) -> Result<Self> {
        let kubeconfig = bare.controller_manager_kubeconfig()?;
        let mut flags = UNLIMITED.to_vec();
        flags.extend([
            // The proxy acts for all of them.
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            "--v=2",
        ]);
        let command = bare
            .controller_manager(&kubeconfig, UPSTREAM_CONTROLLERS, 0, &flags)
            .context("kube-controller-manager")?;
        Ok(Self {
            subject: Subject::Upstream,
            mode: Mode::Native,
            path: command.get_program().into(),
            arguments: command.get_args().map(Into::into).collect(),
        })
    }

    /// The command for one process that finds the server by `kubeconfig` and works in `namespace`.
    pub fn command(
        &self,
        kubeconfig: &Path,
        namespace: &str,
        elected: bool,
    ) -> tokio::process::Command {
        // It must not outlive us: it would go on writing.
        let mut command = tokio::process::Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.arg(&self.path).args(&self.arguments);
        // Of a flag that is given twice the last counts; clap refuses such a flag, so ours are not.
        command.arg(format!("--kubeconfig={}", kubeconfig.display()));
        match self.subject {
            Subject::Ironkeel => {
                command.arg(format!("--namespace={namespace}"));
            }
            Subject::Upstream => {
                for name in ["authentication", "authorization"] {
                    command.arg(format!("--{name}-kubeconfig={}", kubeconfig.display()));
                }
            }
        }
        command.arg(format!("--leader-elect={elected}"));
        if elected {
            command.args(ELECTION);
            command.arg(format!("--leader-elect-resource-namespace={namespace}"));
        }
        command
    }
}
