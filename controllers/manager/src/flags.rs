//! Command-line flags, named as kube-controller-manager's where they exist there.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ironkeel_runtime::lease::LeaseSettings;

use crate::run::PROGRAM;

/// Runs the Ironkeel controllers.
///
/// Watches Deployments and ReplicaSets (and, in native mode, ReplicationControllers), and
/// creates, replaces and deletes their pods as kube-controller-manager 1.37 does.
#[derive(Debug, Parser)]
#[command(
    name = "ironkeel-controller-manager",
    version,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do instead of running the controllers.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of the controllers.
    #[command(flatten)]
    pub run: RunFlags,
}

/// What the binary does beside running the controllers.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks an installation from inside the cluster; `helm test` runs this.
    Selftest(SelftestFlags),
}

/// Which API kinds the manager drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Our kinds in `apps.ironkeel.dev`.
    Crd,
    /// The built-in kinds; kube-controller-manager's own loops must be switched off.
    Native,
    /// Both at once.
    Both,
}

impl Mode {
    /// Whether our own kinds are driven.
    pub const fn drives_custom_kinds(self) -> bool {
        matches!(self, Self::Crd | Self::Both)
    }

    /// Whether the built-in kinds are driven.
    pub const fn drives_native_kinds(self) -> bool {
        matches!(self, Self::Native | Self::Both)
    }
}

/// Format of the log on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an entry.
    Text,
    /// One JSON object an entry.
    Json,
}

/// Flags of the controllers.
#[derive(Clone, Debug, Args)]
pub struct RunFlags {
    /// Kubeconfig file; without it, the ServiceAccount of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Controllers to run: `*` is all of them, `foo` adds one, `-foo` leaves one out.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "*",
        allow_hyphen_values = true
    )]
    pub controllers: Vec<String>,
    /// Which kinds to drive.
    #[arg(long, value_enum, default_value_t = Mode::Crd)]
    pub mode: Mode,
    /// Limits everything to one namespace; empty means all.
    #[arg(long, value_name = "NAMESPACE", default_value = "")]
    pub namespace: String,
    /// Deployments reconciled at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrent_deployment_syncs: u16,
    /// ReplicaSets reconciled at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrent_replicaset_syncs: u16,
    /// ReplicationControllers reconciled at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub concurrent_rc_syncs: u16,
    /// Writes a second, and live reads for them, that may be sent; 0 means no limit.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    pub kube_api_qps: f64,
    /// Writes that may be sent at once beyond the rate, if there is one.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub kube_api_burst: u32,
    /// Writes that may be under way at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_inflight_writes: u16,
    /// Lets each controller write with its own ServiceAccount, by token request.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub use_service_account_credentials: bool,
    /// Namespace of the controllers' ServiceAccounts and of the lease.
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "ironkeel-system",
        env = "POD_NAMESPACE"
    )]
    pub service_account_namespace: String,
    /// Address of the health and metrics endpoints.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub bind_address: IpAddr,
    /// Port of the health and metrics endpoints; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 10252)]
    pub port: u16,
    /// Format of the log.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log level: 0 is information, 4 adds each reconcile, 6 adds each request, 9 adds everything.
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 0)]
    pub verbosity: u8,
    /// Flags of leader election.
    #[command(flatten)]
    pub election: ElectionFlags,
}

/// Flags of leader election.
#[derive(Clone, Debug, Args)]
pub struct ElectionFlags {
    /// Runs the controllers only while holding a lease, so that several replicas may run.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub leader_elect: bool,
    /// How long a lease holds without being renewed.
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = duration)]
    pub leader_elect_lease_duration: Duration,
    /// How long the leader tries to renew before it gives up.
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = duration)]
    pub leader_elect_renew_deadline: Duration,
    /// How long to wait between tries.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub leader_elect_retry_period: Duration,
    /// Name of the lease.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "ironkeel-controller-manager"
    )]
    pub leader_elect_resource_name: String,
    /// Namespace of the lease; empty means that of the ServiceAccounts.
    #[arg(long, value_name = "NAMESPACE", default_value = "")]
    pub leader_elect_resource_namespace: String,
}

/// Flags of `selftest`.
#[derive(Clone, Debug, Args)]
pub struct SelftestFlags {
    /// Kubeconfig file; without it, the ServiceAccount of the pod.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Address of the manager's health endpoint, for example `http://ironkeel.ironkeel-system:10252`.
    #[arg(long, value_name = "URL")]
    pub service: String,
    /// Namespace in which a Deployment is created as a dry run.
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "default",
        env = "POD_NAMESPACE"
    )]
    pub namespace: String,
}

/// Reads a duration as Go prints it: `15s`, `1m30s`, `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| {
        format!("{text:?} is not a duration: write for example 15s, 1m30s or 500ms")
    })?;
    let duration = Duration::try_from(parsed).map_err(|_| format!("{text:?} is negative"))?;
    if duration.is_zero() {
        Err(format!("{text:?} is zero; it must be positive"))
    } else {
        Ok(duration)
    }
}

/// A mistake in the flags that the parser alone cannot see.
#[derive(Debug, PartialEq, Eq)]
pub struct FlagError(pub String);

impl std::fmt::Display for FlagError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FlagError {}

/// Which of the `known` controllers the list in `--controllers` asks for.
///
/// As kube-controller-manager: an explicit `foo` or `-foo` wins over `*`; a name that no
/// controller has is an error.
pub fn wanted_controllers(
    list: &[String],
    known: &[&'static str],
) -> Result<BTreeSet<&'static str>, FlagError> {
    for entry in list {
        let name = entry.strip_prefix('-').unwrap_or(entry);
        if name != "*" && !known.contains(&name) {
            return Err(FlagError(format!(
                "--controllers names {name:?}, which is none of: {}",
                known.join(", ")
            )));
        }
    }
    let listed = |name: &str| list.iter().any(|entry| entry == name);
    Ok(known
        .iter()
        .copied()
        .filter(|name| listed(name) || (listed("*") && !listed(&format!("-{name}"))))
        .collect())
}

impl RunFlags {
    /// The lease that the flags ask for, held in the name of `identity`.
    pub fn lease(&self, identity: String) -> LeaseSettings {
        let election = &self.election;
        let namespace = match election.leader_elect_resource_namespace.as_str() {
            "" => self.service_account_namespace.as_str(),
            namespace => namespace,
        };
        LeaseSettings {
            lease_duration: election.leader_elect_lease_duration,
            renew_deadline: election.leader_elect_renew_deadline,
            retry_period: election.leader_elect_retry_period,
            ..LeaseSettings::new(namespace, &election.leader_elect_resource_name, identity)
        }
    }

    /// Checks what depends on more than one flag.
    pub fn validate(&self) -> Result<(), FlagError> {
        if self.election.leader_elect {
            // Who runs this is not known yet, and no rule is about it.
            self.lease(PROGRAM.to_owned()).validate().map_err(|error| {
                FlagError(format!(
                    "--leader-elect-lease-duration, --leader-elect-renew-deadline and --leader-elect-retry-period: {error}"
                ))
            })?;
        }
        if !self.kube_api_qps.is_finite() || self.kube_api_qps < 0.0 {
            return Err(FlagError(format!(
                "--kube-api-qps={} must be 0 (no limit) or a positive number",
                self.kube_api_qps
            )));
        }
        if self.kube_api_qps > 0.0 && self.kube_api_burst == 0 {
            return Err(FlagError(
                "--kube-api-burst must be at least 1 where --kube-api-qps limits".into(),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = [
        "deployment-controller",
        "replicaset-controller",
        "replicationcontroller-controller",
    ];

    fn wanted(list: &str) -> Result<Vec<&'static str>, String> {
        let list: Vec<String> = list.split(',').map(str::to_owned).collect();
        wanted_controllers(&list, &KNOWN)
            .map(|set| set.into_iter().collect())
            .map_err(|error| error.0)
    }

    #[test]
    fn controllers_list_follows_upstream_rules() {
        assert_eq!(wanted("*").unwrap(), KNOWN);
        assert_eq!(wanted("*,-deployment-controller").unwrap(), KNOWN[1..]);
        assert_eq!(
            wanted("replicaset-controller").unwrap(),
            ["replicaset-controller"]
        );
        assert_eq!(
            wanted("*,deployment-controller,-deployment-controller").unwrap(),
            KNOWN
        );
        assert_eq!(
            wanted("-deployment-controller").unwrap(),
            Vec::<&str>::new()
        );
        let error = wanted("*,deploy").unwrap_err();
        assert!(
            error.contains("\"deploy\"") && error.contains("replicaset-controller"),
            "{error}"
        );
    }

    fn parse(args: &[&str]) -> Result<RunFlags, String> {
        let cli = Cli::try_parse_from(std::iter::once("manager").chain(args.iter().copied()))
            .map_err(|error| error.to_string())?;
        cli.run.validate().map_err(|error| error.0)?;
        Ok(cli.run)
    }

    #[test]
    fn leader_election_flags_are_checked_together() {
        assert!(parse(&[]).is_ok());
        assert!(
            !parse(&["--leader-elect=false"])
                .unwrap()
                .election
                .leader_elect
        );
        assert!(parse(&["--leader-elect"]).unwrap().election.leader_elect);
        let error = parse(&["--leader-elect-lease-duration=3s"]).unwrap_err();
        assert!(
            error.contains("--leader-elect-lease-duration") && error.contains("renew deadline, 4s"),
            "{error}"
        );
        let error = parse(&["--leader-elect-retry-period=3500ms"]).unwrap_err();
        assert!(
            error.contains("--leader-elect-retry-period") && error.contains("retry period, 4.2s"),
            "{error}"
        );
        assert!(parse(&["--leader-elect=false", "--leader-elect-lease-duration=3s"]).is_ok());
        let error = parse(&["--leader-elect-retry-period=fast"]).unwrap_err();
        assert!(error.contains("not a duration"), "{error}");
    }

    #[test]
    fn mode_and_limits_are_checked() {
        assert_eq!(parse(&["--mode", "both"]).unwrap().mode, Mode::Both);
        assert!(parse(&["--mode", "neither"]).is_err());
        assert!(
            parse(&["--kube-api-qps=-1"])
                .unwrap_err()
                .contains("--kube-api-qps")
        );
        assert!(parse(&["--kube-api-qps=5", "--kube-api-burst=0"]).is_err());
        assert!(parse(&["--concurrent-replicaset-syncs=0"]).is_err());
    }
}
