//! P12 and the start: how soon a process leads, and how soon another takes over.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use crate::controllers::api::Target;
use crate::controllers::measure::Recording;
use crate::controllers::objects::{Family, replica_set};
use crate::controllers::race::Race;
use crate::controllers::subject::Subject;
use crate::controllers::track::Tracker;
use crate::results::Run;

/// What was under way when the leader was killed has been answered or lost by then.
const IN_FLIGHT: Duration = Duration::from_millis(500);

fn lease(subject: Subject) -> Target {
    let (namespace, name) = subject.lease();
    Target::new(Family::BuiltIn, namespace, "leases").named(name)
}

/// From the start of the process to its name in a lease that nobody held: figure `leading_s`.
pub async fn start(race: &Race, subject: Subject) -> Result<Run> {
    let api = &race.cluster.api;
    api.delete(&lease(subject)).await?;
    let mut recording = Recording::new("start", subject, 0);
    let mut running = race.spawn(subject, true)?;
    let deadline = running.started + race.sizes.limit;
    while !is_held(api.get(&lease(subject)).await?.as_ref()) {
        running.check()?;
        ensure!(Instant::now() < deadline, "nobody took the lease");
        // The answer is wanted to 5 ms, of one object, from a server that does nothing else.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    recording.figure("leading_s", running.started.elapsed().as_secs_f64());
    recording.finish(&running)
}

fn is_held(lease: Option<&serde_json::Value>) -> bool {
    lease
        .and_then(|lease| lease.pointer("/spec/holderIdentity")?.as_str())
        .is_some_and(|holder| !holder.is_empty())
}

/// P12: two replicas; the leader is killed when a third of the pods are there. Figures: `takeover_s`, from the kill to
/// the other's first pod; `finish_s`, to the last pod; `surplus`, pods that were ever there beyond those wanted.
pub async fn fail_over(race: &Race, subject: Subject) -> Result<Run> {
    let namespace = race.namespace().await?;
    let api = &race.cluster.api;
    let family = subject.family();
    let pods = race.sizes.fail_over;
    let sets = Target::new(family, &namespace, "replicasets");
    let pods_of = Target::new(Family::BuiltIn, &namespace, "pods");
    let mut recording = Recording::new("P12", subject, u64::from(pods));
    api.delete(&lease(subject)).await?;
    race.cluster.clear("canary").await?;
    let mut leader = race.spawn(subject, true)?;
    race.sees_canary(&mut leader).await?;
    let mut follower = race.spawn(subject, true)?;
    follower.quiet().await?;
    let seen = Tracker::start(api, &pods_of, false).await?;

    api.create(&sets, &replica_set(family, "one", pods)).await?;
    let deadline = Instant::now() + race.sizes.limit;
    while seen.len() < pods as usize / 3 {
        leader.check()?;
        ensure!(Instant::now() < deadline, "the leader makes no pods");
        // What the watch has seen is at hand; the leader itself may have ended.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    leader.kill();
    let killed = Instant::now();
    // The API server goes on with what it had taken in, and tells nobody when that is over.
    tokio::time::sleep(IN_FLIGHT).await;
    let left = u64::from(pods).saturating_sub(seen.len() as u64);
    ensure!(left > 0, "every pod was there before the leader was killed");
    let after = Instant::now();
    let on_good = |good: u64| race.screen.reached(good, u64::from(pods));
    let all = seen
        .wait("pods", pods as usize, race.sizes.limit, |_| true, &on_good)
        .await?;
    follower.quiet().await?;
    ensure!(
        seen.gaps() == 0,
        "the watch of the pods had gaps: this run proves nothing"
    );
    if let Some(first) = seen.first_added_after(after) {
        recording.figure("takeover_s", first.duration_since(killed).as_secs_f64());
    }
    recording.figure("finish_s", all.duration_since(killed).as_secs_f64());
    let surplus = (seen.most() as u64).saturating_sub(u64::from(pods));
    #[expect(clippy::cast_precision_loss, reason = "a few pods")]
    recording.figure("surplus", surplus as f64);
    recording.same("surplus pods", surplus, 0);
    recording.same(
        "pods at the end",
        api.count(&pods_of).await?,
        u64::from(pods),
    );
    let run = recording.finish(&follower)?;
    follower.kill();
    race.cluster.clear(&namespace).await?;
    Ok(run)
}
