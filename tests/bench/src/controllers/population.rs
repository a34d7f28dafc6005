//! Pods that fill caches: made once, and owned by ReplicaSets that have what they want.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use serde_json::json;

use super::api::{Api, IN_FLIGHT, Patch, Target};
use super::objects::{Family, owned_pod, replica_set};
use super::race::Race;
use super::subject::Subject;

/// ReplicaSets and their pods in one namespace.
pub struct Population {
    /// The namespace.
    pub namespace: String,
    /// Whose kinds they are.
    pub family: Family,
    sets: u32,
    each: u32,
    taken: AtomicU32,
    beats: AtomicU64,
}

impl Population {
    /// Makes them; nobody may run meanwhile.
    pub async fn make(race: &Race, family: Family) -> Result<Self> {
        let (sets, each) = (race.sizes.cached_sets, race.sizes.each);
        race.screen
            .doing(&format!("making {} pods that fill the caches", sets * each));
        let namespace = race.namespace().await?;
        let api = &race.cluster.api;
        let target = Target::new(family, &namespace, "replicasets");
        let uids: Vec<(String, String)> = futures::stream::iter(0..sets)
            .map(|number| make_set(api, &target, family, number, each))
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await?;
        let pods = Target::new(Family::BuiltIn, &namespace, "pods");
        let objects = uids.iter().flat_map(|(name, uid)| {
            (0..each).map(|number| (pods.clone(), owned_pod(family, name, uid, number)))
        });
        api.create_all(objects).await?;
        Ok(Self {
            namespace,
            family,
            sets,
            each,
            taken: AtomicU32::new(0),
            beats: AtomicU64::new(0),
        })
    }

    /// How many pods there are.
    pub fn pods(&self) -> u64 {
        u64::from(self.sets) * u64::from(self.each)
    }

    /// Lets a subject write whatever it would still write, so that a measured start finds nothing to do.
    pub async fn settle(&self, race: &Race, subject: Subject) -> Result<()> {
        race.screen
            .doing(&format!("letting {} settle on them", subject.title()));
        let mut running = race.spawn(subject, false)?;
        self.take_one(&race.cluster.api).await?;
        self.wait_whole(race).await?;
        running.quiet().await
    }

    /// Deletes one pod, each time of another ReplicaSet.
    pub async fn take_one(&self, api: &Api) -> Result<()> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed) % self.sets;
        let name = format!("{}-{:05}", set_name(number), 0);
        let pods = Target::new(Family::BuiltIn, &self.namespace, "pods");
        api.delete(&pods.named(&name)).await
    }

    /// Waits until every pod is there (again).
    pub async fn wait_whole(&self, race: &Race) -> Result<()> {
        let pods = Target::new(Family::BuiltIn, &self.namespace, "pods");
        race.cluster
            .api
            .wait_for_count(&pods, self.pods(), race.sizes.limit, &|_| {})
            .await
    }

    /// The number of the next heartbeat, which no other of this population has: one that a pod has had already would
    /// change nothing, and nobody would be sent anything.
    pub fn next_beat(&self) -> u64 {
        self.beats.fetch_add(1, Ordering::Relaxed)
    }

    /// A pod's place for its `number`-th heartbeat: all pods in turn, but not those that are replaced between runs.
    pub fn pod(&self, number: u64) -> Target {
        let set = (number % u64::from(self.sets)) as u32;
        let rest = u64::from(self.each.max(2) - 1);
        let pod = 1 + (number / u64::from(self.sets)) % rest;
        let name = format!("{}-{pod:05}", set_name(set));
        Target::new(Family::BuiltIn, &self.namespace, "pods")
            .named(&name)
            .status()
    }
}

fn set_name(number: u32) -> String {
    format!("cached-{number:04}")
}

/// Makes one ReplicaSet with the status that it will deserve, and returns its name and UID.
async fn make_set(
    api: &Api,
    target: &Target,
    family: Family,
    number: u32,
    replicas: u32,
) -> Result<(String, String)> {
    let name = set_name(number);
    let made = api
        .create(target, &replica_set(family, &name, replicas))
        .await?;
    let uid = made
        .pointer("/metadata/uid")
        .and_then(|uid| uid.as_str())
        .context("a created ReplicaSet has no uid")?
        .to_owned();
    let status = json!({ "status": {
        "replicas": replicas,
        "fullyLabeledReplicas": replicas,
        "observedGeneration": 1,
    } });
    api.patch(&target.clone().named(&name).status(), Patch::Merge, &status)
        .await?;
    Ok((name, uid))
}
