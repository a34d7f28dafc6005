//! P1 and P11: one ReplicaSet, from nothing to many pods and back.

use anyhow::Result;
use serde_json::json;
use tokio::time::Instant;

use crate::controllers::api::{Patch, Target};
use crate::controllers::measure::{Measuring, Recording};
use crate::controllers::objects::{Family, replica_set};
use crate::controllers::race::Race;
use crate::controllers::subject::Subject;
use crate::controllers::track::Tracker;
use crate::results::Run;

/// Phases `up` and `down`; figure `pods_per_s` from the request to the last pod.
pub async fn run(race: &Race, subject: Subject, scenario: &str, pods: u32) -> Result<Run> {
    let namespace = race.namespace().await?;
    let api = &race.cluster.api;
    let family = subject.family();
    let sets = Target::new(family, &namespace, "replicasets");
    let pods_of = Target::new(Family::BuiltIn, &namespace, "pods");
    let mut recording = Recording::new(scenario, subject, u64::from(pods));
    let mut running = race.start(subject).await?;
    let tracker = Tracker::start(api, &sets, true).await?;
    // A client that is limited to 20 requests a second needs more time than any other.
    let limit = race.sizes.limit.max(std::time::Duration::from_millis(
        100 * u64::from(race.sizes.one_set_limited),
    ));
    let on_count = |count: u64| race.screen.reached(count, u64::from(pods));

    let measuring = Measuring::begin(&race.cluster, Some(&running)).await?;
    api.create(&sets, &replica_set(family, "one", pods)).await?;
    api.wait_for_count(&pods_of, u64::from(pods), limit, &on_count)
        .await?;
    let exist = Instant::now();
    recording.figure(
        "pods_per_s",
        f64::from(pods) / exist.duration_since(measuring.began).as_secs_f64(),
    );
    let settled = settled(&tracker, pods, limit).await?;
    running.settled().await?;
    let up = measuring.end(&race.cluster, &running, settled).await?;
    recording.same(
        "up: creates of pods",
        up.counts.accepted("POST pods"),
        u64::from(pods),
    );
    recording.same("up: deletes of pods", up.counts.accepted("DELETE pods"), 0);
    recording.phase("up", up);
    recording.nothing_refused("up");

    let measuring = Measuring::begin(&race.cluster, Some(&running)).await?;
    api.patch(
        &sets.clone().named("one"),
        Patch::Merge,
        &json!({ "spec": { "replicas": 0 } }),
    )
    .await?;
    api.wait_for_count(&pods_of, 0, limit, &on_count).await?;
    let settled = self::settled(&tracker, 0, limit).await?;
    running.settled().await?;
    let down = measuring.end(&race.cluster, &running, settled).await?;
    recording.same(
        "down: deletes of pods",
        down.counts.accepted("DELETE pods"),
        u64::from(pods),
    );
    recording.same(
        "down: creates of pods",
        down.counts.accepted("POST pods"),
        0,
    );
    recording.phase("down", down);
    recording.nothing_refused("down");

    let run = recording.finish(&running)?;
    running.kill();
    race.cluster.clear(&namespace).await?;
    Ok(run)
}

async fn settled(tracker: &Tracker, pods: u32, limit: std::time::Duration) -> Result<Instant> {
    tracker
        .wait(
            "ReplicaSets",
            1,
            limit,
            |set| {
                set.current_status()
                    .is_some_and(|status| status.replicas == pods)
            },
            &|_| {},
        )
        .await
}
