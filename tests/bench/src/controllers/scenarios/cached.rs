//! P8, P9 and P10: a cold start with many pods, the memory they cost, and what idling beside busy nodes costs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};

use crate::controllers::api::{Api, Patch, Target};
use crate::controllers::kubelet::heartbeat;
use crate::controllers::measure::{Measuring, Recording, megabytes};
use crate::controllers::population::Population;
use crate::controllers::race::Race;
use crate::controllers::sizes::WINDOWS;
use crate::controllers::subject::Subject;
use crate::proc;
use crate::results::Run;

/// How long a process may settle before its memory is read: it comes back from the allocator late.
const SETTLE: Duration = Duration::from_secs(2);
/// Heartbeats under way at once.
const IN_FLIGHT: usize = 16;

/// P8 and P9. One pod is missing when the subject starts: the time to its replacement is the time to full caches and to
/// the first correct write. Figures `rss_mb` and `rss_peak_mb` are P9's.
pub async fn cold_start(race: &Race, subject: Subject, population: &Population) -> Result<Run> {
    let mut recording = Recording::new("P8", subject, population.pods());
    population.take_one(&race.cluster.api).await?;
    let measuring = Measuring::begin(&race.cluster, None).await?;
    let mut running = race.spawn(subject, false)?;
    population.wait_whole(race).await?;
    let first_write = Instant::now();
    running.settled().await?;
    let phase = measuring.end(&race.cluster, &running, first_write).await?;
    recording.same("creates of pods", phase.counts.write("POST pods"), 1);
    recording.same("deletes of pods", phase.counts.write("DELETE pods"), 0);
    // The new pod, and its ReplicaSet's status with one pod fewer and with all.
    recording.at_most("writes", phase.counts.workload_writes(), 3);
    recording.phase("start", phase);
    recording.nothing_refused("start");
    // Nothing tells when an allocator gives memory back.
    tokio::time::sleep(SETTLE).await;
    let run = recording.finish(&running)?;
    running.kill();
    Ok(run)
}

/// P10: changes of status that mean nothing, in [`WINDOWS`] windows, each a run of its own. Nothing may be written.
pub async fn churn(race: &Race, subject: Subject, population: &Population) -> Result<Vec<Run>> {
    let mut running = race.spawn(subject, false)?;
    population.take_one(&race.cluster.api).await?;
    population.wait_whole(race).await?;
    running.settled().await?;
    let mut runs: Vec<Run> = Vec::new();
    for window in 0..WINDOWS {
        let mut recording = Recording::new("P10", subject, population.pods());
        let measuring = Measuring::begin(&race.cluster, Some(&running)).await?;
        let changes = beat(race, population).await?;
        let reached = Instant::now();
        running.check()?;
        let phase = measuring.end(&race.cluster, &running, reached).await?;
        let seconds = phase.wall_s;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand changes")]
        recording.figure("changes_per_s", changes as f64 / seconds);
        recording.same("writes", phase.counts.all_writes(), 0);
        recording.phase("idle", phase);
        let mut run = recording.finish(&running)?;
        run.pair = window;
        if let Some(first) = runs.first().and_then(|first| first.figures.get("rss_mb")) {
            let now = megabytes(proc::rss(running.pid())?);
            run.figures.insert("rss_growth_mb".to_owned(), now - first);
        }
        runs.push(run);
    }
    running.kill();
    Ok(runs)
}

/// One window of heartbeats; returns how many there were, after the last was answered. It fails if they change nothing:
/// then nobody is sent anything, and the window measures silence.
async fn beat(race: &Race, population: &Population) -> Result<u64> {
    let api = &race.cluster.api;
    let first = population.next_beat();
    let witness = population.pod(first);
    let before = version(api, &witness).await?;
    let code = api
        .patch(&witness, Patch::Strategic, &heartbeat(first))
        .await?;
    anyhow::ensure!(
        code.is_success() && version(api, &witness).await? != before,
        "heartbeat {first} changed nothing"
    );
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / race.sizes.churn.max(1));
    // After a pause of the machine the rate is made up for: every side gets the same number.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let wanted = race.sizes.churn_window.as_millis() * u128::from(race.sizes.churn) / 1000;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 1..wanted {
        ticks.tick().await;
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let number = population.next_beat();
        let (api, target, patch) = (api.clone(), population.pod(number), heartbeat(number));
        tasks.spawn(async move {
            let outcome = api.patch(&target, Patch::Strategic, &patch).await;
            drop(permit);
            outcome
        });
    }
    let mut done = 1;
    while let Some(outcome) = tasks.join_next().await {
        let code = outcome??;
        anyhow::ensure!(code.is_success(), "a heartbeat was answered with {code}");
        done += 1;
    }
    Ok(done)
}

async fn version(api: &Api, pod: &Target) -> Result<String> {
    let pod = api
        .get(pod)
        .await?
        .context("a pod of the population is gone")?;
    let version = pod.pointer("/metadata/resourceVersion");
    Ok(version
        .and_then(|version| version.as_str())
        .unwrap_or_default()
        .to_owned())
}
