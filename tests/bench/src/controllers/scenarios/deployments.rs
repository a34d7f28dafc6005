//! P2 and P3: many Deployments and ReplicaSets, and a rolling update.

use anyhow::Result;

use crate::controllers::api::Target;
use crate::controllers::kubelet::Kubelet;
use crate::controllers::measure::{Measuring, Recording};
use crate::controllers::objects::{Family, deployment, next_revision, replica_set};
use crate::controllers::race::Race;
use crate::controllers::subject::Subject;
use crate::controllers::track::{Seen, Tracker};
use crate::results::Run;

/// P2: Deployments and as many ReplicaSets at once, until each status tells of every pod. Nobody makes the pods ready.
pub async fn many(race: &Race, subject: Subject) -> Result<Run> {
    let namespace = race.namespace().await?;
    let (many, each) = (race.sizes.many, race.sizes.each);
    let pods = u64::from(many) * 2 * u64::from(each);
    let api = &race.cluster.api;
    let family = subject.family();
    let deployments = Target::new(family, &namespace, "deployments");
    let sets = Target::new(family, &namespace, "replicasets");
    let pods_of = Target::new(Family::BuiltIn, &namespace, "pods");
    let mut recording = Recording::new("P2", subject, pods);
    let mut running = race.start(subject).await?;
    let deployments_seen = Tracker::start(api, &deployments, true).await?;
    let sets_seen = Tracker::start(api, &sets, true).await?;

    let measuring = Measuring::begin(&race.cluster, Some(&running)).await?;
    let objects = (0..many).flat_map(|number| {
        let name = format!("deployment-{number:04}");
        let set = format!("set-{number:04}");
        [
            (deployments.clone(), deployment(family, &name, each)),
            (sets.clone(), replica_set(family, &set, each)),
        ]
    });
    api.create_all(objects).await?;
    api.wait_for_count(&pods_of, pods, race.sizes.limit, &|count| {
        race.screen.reached(count, pods);
    })
    .await?;
    let counts_all = |seen: &Seen| {
        seen.current_status()
            .is_some_and(|status| status.replicas == each)
    };
    sets_seen
        .wait(
            "ReplicaSets",
            2 * many as usize,
            race.sizes.limit,
            counts_all,
            &|_| {},
        )
        .await?;
    let settled = deployments_seen
        .wait(
            "Deployments",
            many as usize,
            race.sizes.limit,
            counts_all,
            &|_| {},
        )
        .await?;
    running.settled().await?;
    let phase = measuring.end(&race.cluster, &running, settled).await?;
    let counts = &phase.counts;
    recording.same("creates of pods", counts.accepted("POST pods"), pods);
    recording.same("deletes of pods", counts.accepted("DELETE pods"), 0);
    recording.same(
        "creates of ReplicaSets",
        counts.accepted("POST replicasets"),
        u64::from(many),
    );
    recording.phase("create", phase);
    recording.nothing_refused("create");

    let run = recording.finish(&running)?;
    running.kill();
    race.cluster.clear(&namespace).await?;
    Ok(run)
}

/// P3: Deployments come up and are then updated, all at once, 25 % above and 25 % below, until all pods are available.
pub async fn update(race: &Race, subject: Subject) -> Result<Run> {
    let namespace = race.namespace().await?;
    let (many, each) = (race.sizes.updated, race.sizes.each);
    let pods = u64::from(many) * u64::from(each);
    let api = &race.cluster.api;
    let family = subject.family();
    let deployments = Target::new(family, &namespace, "deployments");
    let pods_of = Target::new(Family::BuiltIn, &namespace, "pods");
    // Each place of a pod is filled twice.
    let mut recording = Recording::new("P3", subject, 2 * pods);
    let mut running = race.start(subject).await?;
    let kubelet = Kubelet::start(api, &namespace).await?;
    let seen = Tracker::start(api, &deployments, true).await?;
    let complete = |seen: &Seen| {
        seen.current_status().is_some_and(|status| {
            status.replicas == each
                && status.updated_replicas == each
                && status.available_replicas == each
        })
    };
    let on_good = |good: u64| race.screen.reached(good, u64::from(many));
    let names: Vec<String> = (0..many)
        .map(|number| format!("deployment-{number:04}"))
        .collect();

    let limit = race.sizes.limit;
    for (name, generation, deleted) in [("create", 1, 0), ("update", 2, pods)] {
        let measuring = Measuring::begin(&race.cluster, Some(&running)).await?;
        if generation == 1 {
            let objects = names
                .iter()
                .map(|name| (deployments.clone(), deployment(family, name, each)));
            api.create_all(objects).await?;
        } else {
            let patches = names
                .iter()
                .map(|name| (deployments.clone().named(name), next_revision(name)));
            api.patch_all(patches).await?;
        }
        // The generation went up with each patch, so a status of before does not pass for one of now.
        let done = |seen: &Seen| seen.metadata.generation >= generation && complete(seen);
        let reached = seen
            .wait("Deployments", many as usize, limit, done, &on_good)
            .await?;
        running.settled().await?;
        let phase = measuring.end(&race.cluster, &running, reached).await?;
        let counts = &phase.counts;
        for (what, verb, wanted) in [
            ("creates of pods", "POST pods", pods),
            ("deletes of pods", "DELETE pods", deleted),
            (
                "creates of ReplicaSets",
                "POST replicasets",
                u64::from(many),
            ),
        ] {
            recording.same(&format!("{name}: {what}"), counts.accepted(verb), wanted);
        }
        recording.phase(name, phase);
        recording.nothing_refused(name);
    }
    recording.same("pods at the end", api.count(&pods_of).await?, pods);
    recording.same("failures of the stand-in kubelet", kubelet.failures(), 0);

    let run = recording.finish(&running)?;
    running.kill();
    drop(kubelet);
    race.cluster.clear(&namespace).await?;
    Ok(run)
}
