//! A process of the manager: the real wiring, lease and controllers on a runtime of their own.
//!
//! Each process has its own runtime, so that it can be killed between two steps (the runtime is dropped, and with it every
//! task), and stopped as SIGSTOP does it (the runtime is not run, while time goes on).

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use clap::Parser as _;
use ironkeel_controller_manager::flags::{Cli, Mode, RunFlags};
use ironkeel_controller_manager::run::Process;
use ironkeel_controller_manager::wiring::Wiring;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::metrics::Metrics;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::network::{Outgoing, Wire};

/// How long a lease holds without being renewed: upstream's.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// How long a leader goes on without a renewal: upstream's.
pub(crate) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two renewals: longer than upstream's 2 s, because renewals are all that a system at rest costs here.
const RETRY_PERIOD: Duration = Duration::from_secs(5);

static FLAGS: LazyLock<RunFlags> = LazyLock::new(|| {
    // Flags with defaults alone always parse; a mistake would show in every test.
    let mut flags = Cli::parse_from(["ironkeel-controller-manager"]).run;
    NAMESPACE.clone_into(&mut flags.service_account_namespace);
    flags.election.leader_elect_lease_duration = LEASE;
    flags.election.leader_elect_renew_deadline = RENEW_DEADLINE;
    flags.election.leader_elect_retry_period = RETRY_PERIOD;
    flags
});

/// Namespace of the lease.
pub(crate) const NAMESPACE: &str = "kube-system";

/// What a process is started with.
#[derive(Debug)]
pub(crate) struct Start {
    /// Its number; no other process of the run has it.
    pub(crate) number: u32,
    /// Milliseconds after the start of the run.
    pub(crate) at: u64,
    /// What its names and its jitter follow from.
    pub(crate) seed: u64,
    /// Which kinds it drives.
    pub(crate) mode: Mode,
    /// The wall clock's time at the start of the run.
    pub(crate) origin: Timestamp,
    /// How far its wall clock is ahead, in milliseconds; may change while it runs.
    pub(crate) ahead: Arc<AtomicI64>,
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Manager {
    runtime: Runtime,
    wire: Wire,
    stop: CancellationToken,
    ended: Arc<Mutex<Option<Result<(), String>>>>,
    started: Instant,
    born: u64,
    now: u64,
}

impl Manager {
    /// Starts a process. Nothing of it runs before [`Manager::run_until`].
    pub(crate) fn start(start: Start) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let born = start.at;
        let entered = runtime.enter();
        let (wire, started) = (Wire::new(), Instant::now());
        let stop = CancellationToken::new();
        let ended: Arc<Mutex<Option<Result<(), String>>>> = Arc::default();
        runtime.spawn({
            let (wire, stop, ended) = (wire.clone(), stop.clone(), Arc::clone(&ended));
            let at = Duration::from_millis(born);
            async move {
                let end = live(&start, &wire, at, started, &stop).await;
                *ended.lock() = Some(end.map_err(|error| format!("{error:#}")));
                wire.stirred.notify_one();
            }
        });
        drop(entered);
        Ok(Self {
            runtime,
            wire,
            stop,
            ended,
            started,
            born,
            now: born,
        })
    }

    /// Milliseconds after the start of the run that the process has got to.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// When a request was sent, in milliseconds after the start of the run.
    pub(crate) fn sent_at(&self, sent: &Outgoing) -> u64 {
        self.born + millis(sent.at)
    }

    /// Runs up to `until`, or to where something is sent or the process ends. Answers with what was sent.
    pub(crate) fn run_until(&mut self, until: u64) -> Vec<Outgoing> {
        let (wire, started) = (&self.wire, self.started);
        let due = started + Duration::from_millis(until - self.born);
        let elapsed = self.runtime.block_on(async move {
            tokio::select! {
                biased;
                () = wire.stirred.notified() => {}
                () = tokio::time::sleep_until(due) => {}
            }
            started.elapsed()
        });
        self.now = self.born + millis(elapsed);
        self.wire.take()
    }

    /// Goes on after a stop of the whole process: its time is now `at`, and everything that became due meanwhile is due.
    pub(crate) fn skip_to(&mut self, at: u64) {
        let by = Duration::from_millis(at.saturating_sub(self.now));
        self.runtime.block_on(tokio::time::advance(by));
        self.now = at.max(self.now);
    }

    /// Asks it to end, as SIGTERM does.
    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<Result<(), String>> {
        self.ended.lock().clone()
    }
}

/// The life of a process, as `ironkeel_controller_manager::run::run` has it behind connection, log and metrics server.
async fn live(
    start: &Start,
    wire: &Wire,
    at: Duration,
    started: Instant,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let (origin, ahead) = (start.origin, Arc::clone(&start.ahead));
    let clock = Clock::from_fn(move || {
        let ahead = jiff::SignedDuration::from_millis(ahead.load(Ordering::Relaxed));
        let true_time = origin.checked_add(at + started.elapsed());
        true_time
            .and_then(|time| time.checked_add(ahead))
            .unwrap_or(origin)
    });
    let process = Process {
        flags: RunFlags {
            mode: start.mode,
            ..FLAGS.clone()
        },
        client: wire.client(),
        identities: None,
        clock,
        seed: start.seed,
        identity: format!("process-{}", start.number),
    };
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let wiring = Wiring::start(&process, &metrics, &mut registry, stop)?;
    process.lead(&metrics, wiring, stop).await
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
