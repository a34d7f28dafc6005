//! The life of the manager: connect, watch, lead, stop.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ironkeel_runtime::client::Connection;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::events::Recorder;
use ironkeel_runtime::http;
use ironkeel_runtime::identity::Identities;
use ironkeel_runtime::lease::{Candidate, Leader, TenureEnd};
use ironkeel_runtime::logging;
use ironkeel_runtime::metrics::Metrics;
use kube::Client;
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::flags::{LogFormat, RunFlags};
use crate::wiring::Wiring;

/// Name of this program in leases, events and the user agent.
pub const PROGRAM: &str = "ironkeel-controller-manager";

/// How long the last event about the lease may hold up the end of the process.
const LAST_EVENT: Duration = Duration::from_secs(1);

/// Runs the controllers until a signal asks to stop; an error is a reason to exit with a failure.
pub async fn run(flags: RunFlags) -> Result<()> {
    flags.validate()?;
    let format = match flags.log_format {
        LogFormat::Text => logging::LogFormat::Text,
        LogFormat::Json => logging::LogFormat::Json,
    };
    logging::init(format, flags.verbosity)?;

    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let user_agent = format!("{PROGRAM}/{}", env!("CARGO_PKG_VERSION"));
    let connection = Connection::open(
        flags.kubeconfig.as_deref(),
        &user_agent,
        metrics.client.clone(),
    )
    .await?;
    let listener = http::listen(SocketAddr::new(flags.bind_address, flags.port)).await?;
    tracing::info!(server = %connection.server(), mode = ?flags.mode, "starting {user_agent}");

    let stop = stop_on_signal()?;
    let clock = Clock::system();
    let seed = random_seed()?;
    let identities = flags
        .use_service_account_credentials
        .then(|| {
            Identities::new(
                connection.clone(),
                &flags.service_account_namespace,
                clock.clone(),
            )
        })
        .transpose()?;
    let process = Process {
        client: connection.client()?,
        flags,
        identities,
        clock,
        seed,
        identity: identity()?,
    };
    let wiring = Wiring::start(&process, &metrics, &mut registry, &stop)?;
    let mut site = http::Site::new(registry);
    for check in wiring.readiness() {
        site = site.ready_if(check);
    }
    // Metrics are served to the very end, also while the controllers drain.
    let ended = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, site, ended.clone()));

    // A lost lease ends the process at once: nothing below may hold it.
    process.lead(&metrics, wiring, &stop).await?;
    ended.cancel();
    server.await.context("the health and metrics server")??;
    Ok(())
}

/// What one process of the manager is made of. A simulator makes several, each with its own client
/// and clock.
pub struct Process {
    /// The flags.
    pub flags: RunFlags,
    /// Watches and leads with this.
    pub client: Client,
    /// Gives each controller a client of its own; `None`: all of them write with `client`.
    pub identities: Option<Identities>,
    /// Tells the time.
    pub clock: Clock,
    /// What pod names and jitter follow from.
    pub seed: u64,
    /// This process as a candidate for the lease.
    pub identity: String,
}

impl Process {
    /// Waits for the lease if there is one, runs the controllers under it until `stop`, and gives
    /// it up at the end. An error means that the process has to end at once.
    pub async fn lead(
        &self,
        metrics: &Metrics,
        wiring: Wiring,
        stop: &CancellationToken,
    ) -> Result<()> {
        let flags = &self.flags;
        if !flags.election.leader_elect {
            let since = Instant::now();
            wiring.watch_from_now_on()();
            wiring
                .run_controllers(&Leader::without_election(), since, stop)
                .await;
            return Ok(());
        }
        let settings = flags.lease(self.identity.clone());
        let (recorder, poster) = Recorder::new(
            PROGRAM,
            self.client.clone(),
            self.clock.clone(),
            self.seed,
            metrics.events.clone(),
        );
        // Not ended by the signal: the last event tells that this process stopped leading.
        let posting = tokio::spawn(poster.run(CancellationToken::new()));
        let candidate = Candidate::new(
            self.client.clone(),
            settings,
            self.clock.clone(),
            self.seed,
            metrics.lease.clone(),
        )?
        .with_events(recorder)
        .when_answered(wiring.watch_from_now_on());
        let Some(tenure) = candidate.acquire(stop).await else {
            tracing::info!("stopped before leading");
            return Ok(());
        };
        let leader = tenure.leader();
        let since = tenure.since();
        let drained = CancellationToken::new();
        // On a task of its own: renewing must not wait for anything that the controllers do.
        let mut holding = tokio::spawn({
            let drained = drained.clone();
            async move { tenure.hold(&drained).await }
        });
        let end = tokio::select! {
            biased;
            // A lost lease ends the process at once: no write may follow it.
            end = &mut holding => end,
            () = wiring.run_controllers(&leader, since, stop) => {
                drained.cancel();
                holding.await
            }
        };
        match end.context("the task that renews the lease")? {
            TenureEnd::Released => {}
            TenureEnd::NotReleased(why) => {
                tracing::warn!(error = %why, "the lease was not given up: the next leader waits until it runs out");
            }
            TenureEnd::Lost(why) => bail!("leader election lost: {why}"),
        }
        // The recorder went with the tenure, so the poster ends when it has posted all.
        if tokio::time::timeout(LAST_EVENT, posting).await.is_err() {
            tracing::warn!("the event that this process stopped leading was not posted in time");
        }
        Ok(())
    }
}

/// A token that SIGTERM or SIGINT cancels.
fn stop_on_signal() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::spawn({
        let stop = stop.clone();
        async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(
                signal = name,
                "stopping: the reconciles in flight are finished first"
            );
            stop.cancel();
        }
    });
    Ok(stop)
}

/// This process as a candidate, in client-go's form: the host, which in a pod is the pod's name,
/// and a part that no restart of the same pod has.
fn identity() -> Result<String> {
    let host = read("/proc/sys/kernel/hostname")?;
    let unique = read("/proc/sys/kernel/random/uuid")?;
    Ok(format!("{host}_{unique}"))
}

/// Randomness for pod names and jitter, taken once: everything after follows from it.
fn random_seed() -> Result<u64> {
    let uuid = read("/proc/sys/kernel/random/uuid")?;
    let digits: String = uuid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(16)
        .collect();
    u64::from_str_radix(&digits, 16).with_context(|| format!("{uuid:?} holds no random number"))
}

fn read(path: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    Ok(text.trim().to_owned())
}
