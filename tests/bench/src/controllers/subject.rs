//! Who runs: our manager or kube-controller-manager, each as a process of its own that is fresh for each run.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::cluster::{Cluster, OUR_NAMESPACE};
use super::objects::Family;
use crate::proc;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Our manager on the built-in kinds.
    Native,
    /// Our manager on our kinds.
    Crd,
    /// kube-controller-manager with its client limit raised.
    Upstream,
    /// kube-controller-manager with its default client limit.
    UpstreamDefault,
}

/// The same loops as ours. The others of kube-controller-manager are off, so that nothing is counted against it that we
/// do not do.
pub const UPSTREAM_CONTROLLERS: &str =
    "deployment-controller,replicaset-controller,replicationcontroller-controller";

/// The raised limit: high enough never to be met.
pub const UPSTREAM_LIMIT: [&str; 2] = ["--kube-api-qps=5000", "--kube-api-burst=5000"];

impl Subject {
    /// Whose kinds it drives.
    pub const fn family(self) -> Family {
        match self {
            Self::Crd => Family::Ours,
            _ => Family::BuiltIn,
        }
    }

    /// Whether it is our manager.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Native | Self::Crd)
    }

    /// For tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Native => "ours, native",
            Self::Crd => "ours, CRD",
            Self::Upstream => "upstream",
            Self::UpstreamDefault => "upstream, default limit",
        }
    }

    /// The lease that it is elected with: namespace and name.
    pub const fn lease(self) -> (&'static str, &'static str) {
        if self.is_ours() {
            (OUR_NAMESPACE, "ironkeel-controller-manager")
        } else {
            ("kube-system", "kube-controller-manager")
        }
    }
}

/// The periods of leader election.
#[derive(Clone, Copy, Debug)]
pub enum Election {
    /// What each side runs with where nobody sets anything.
    Defaults,
    /// The same on both sides.
    Periods {
        /// How long a lease holds without being renewed.
        lease: Duration,
        /// How long the leader tries to renew.
        renew: Duration,
        /// The pause between tries.
        retry: Duration,
    },
}

impl Election {
    fn flags(self) -> Vec<String> {
        let flag = |name: &str, value: Duration| format!("--{name}={}ms", value.as_millis());
        let mut flags = vec!["--leader-elect=true".to_owned()];
        if let Self::Periods {
            lease,
            renew,
            retry,
        } = self
        {
            flags.push(flag("leader-elect-lease-duration", lease));
            flags.push(flag("leader-elect-renew-deadline", renew));
            flags.push(flag("leader-elect-retry-period", retry));
        }
        flags
    }
}

/// A subject that runs; dropping it kills it.
pub struct Running {
    child: Child,
    log: PathBuf,
    /// Which it is.
    pub subject: Subject,
    /// When it was started.
    pub started: Instant,
}

impl Running {
    /// Starts `subject`; without `election` it leads at once. `manager` is our program. The log goes to `logs`.
    pub fn start(
        cluster: &Cluster,
        subject: Subject,
        election: Option<Election>,
        manager: &Path,
        logs: &Path,
        name: &str,
    ) -> Result<Self> {
        let command = if subject.is_ours() {
            ours(cluster, subject, election, manager)
        } else {
            upstream(cluster, subject, election)?
        };
        fs::create_dir_all(logs).with_context(|| format!("creating {}", logs.display()))?;
        let log = logs.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        // If the bench is killed, no controller may live on. `setpriv` becomes the program without another process id.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting setpriv, which is part of Debian's util-linux")?;
        Ok(Self {
            child,
            log,
            subject,
            started: Instant::now(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of the log if the process has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            bail!(
                "{} ended: {status}; the end of {}:\n{}",
                self.subject.title(),
                self.log.display(),
                lines[lines.len().saturating_sub(15)..].join("\n")
            );
        }
        Ok(())
    }

    /// Waits until it does nothing and has nothing left to tell: an event of ours waits a second for others like it, which
    /// nothing outside the process shows.
    pub async fn settled(&mut self) -> Result<()> {
        const LAST_EVENTS: Duration = Duration::from_millis(1200);
        self.quiet().await?;
        // What waits inside another process can only be waited out.
        tokio::time::sleep(LAST_EVENTS).await;
        self.quiet().await
    }

    /// Waits until it does nothing: not more than 2 % of a processor for half a second.
    pub async fn quiet(&mut self) -> Result<()> {
        // The kernel counts a process's time in ticks of 10 ms, and tells nobody when it stands still.
        const WINDOW: Duration = Duration::from_millis(500);
        const LONGEST: Duration = Duration::from_secs(45);
        let deadline = Instant::now() + LONGEST;
        let mut before = proc::cpu_seconds(self.pid())?;
        loop {
            // Processor time is a counter to be read twice.
            tokio::time::sleep(WINDOW).await;
            self.check()?;
            let now = proc::cpu_seconds(self.pid())?;
            if now - before <= 0.0101 {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "{} still works {} s after it had reached what was asked for",
                    self.subject.title(),
                    LONGEST.as_secs()
                );
            }
            before = now;
        }
    }

    /// Ends it as kill -9 does.
    pub fn kill(&mut self) {
        // It may have ended by itself, which the caller finds out otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn ours(
    cluster: &Cluster,
    subject: Subject,
    election: Option<Election>,
    manager: &Path,
) -> Command {
    let mut command = Command::new(manager);
    command.args([
        format!("--kubeconfig={}", cluster.our_kubeconfig.display()),
        format!("--service-account-namespace={OUR_NAMESPACE}"),
        "--use-service-account-credentials=true".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--port=0".to_owned(),
    ]);
    command.arg(match subject.family() {
        Family::Ours => "--mode=crd",
        Family::BuiltIn => "--mode=native",
    });
    match election {
        Some(election) => command.args(election.flags()),
        None => command.arg("--leader-elect=false"),
    };
    command
}

fn upstream(cluster: &Cluster, subject: Subject, election: Option<Election>) -> Result<Command> {
    let mut flags: Vec<String> = match election {
        Some(election) => election.flags(),
        None => vec!["--leader-elect=false".to_owned()],
    };
    if subject == Subject::Upstream {
        flags.extend(UPSTREAM_LIMIT.map(str::to_owned));
    }
    // The port is free again when the program asks for it; nobody else here picks ports at random.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    cluster.bare.controller_manager(
        &cluster.upstream_kubeconfig,
        UPSTREAM_CONTROLLERS,
        port,
        &flags,
    )
}
