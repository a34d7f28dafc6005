//! Quotas: how many objects a namespace may have.
//!
//! Usage is counted on the objects themselves when a write asks for it, where the API server keeps it in the quota's
//! status; that shows what was used when the quota was last written.

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::{PODS, REPLICATION_CONTROLLERS};
use serde_json::{Map, Value, json};

use super::object;
use super::resource::{RESOURCE_QUOTAS, STRATEGIES, Strategy, index_of};
use super::route::Place;
use super::state::{Change, State};
use super::{Response, status};

/// Whether an entry of `spec.hard` counts objects of the kind; those that ended do not count as `pods`.
fn counts(entry: &str, strategy: &Strategy) -> bool {
    let resource = strategy.resource;
    match entry.strip_prefix("count/") {
        Some(counted) => counted == resource.to_string(),
        None => entry == resource.plural && [PODS, REPLICATION_CONTROLLERS].contains(&resource),
    }
}

fn limit(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

impl State {
    /// Refuses a new object for which a quota has no room.
    pub(super) fn check_quota(&self, place: &Place<'_>, object: &Value) -> Result<(), Response> {
        let Some(quotas) = index_of(RESOURCE_QUOTAS).and_then(|index| self.collections.get(index))
        else {
            return Ok(());
        };
        let Some(namespace) = place.namespace else {
            return Ok(());
        };
        for (key, quota) in quotas.at(Some(namespace), u64::MAX, None) {
            let mut requested = Vec::new();
            let mut used = Vec::new();
            let mut limited = Vec::new();
            for (entry, hard) in quota.value["spec"]["hard"]
                .as_object()
                .into_iter()
                .flatten()
            {
                let Some(hard) = limit(hard).filter(|_| counts(entry, place.strategy)) else {
                    continue;
                };
                let now = self.usage(namespace, entry);
                if now + 1 > hard {
                    requested.push(format!("{entry}=1"));
                    used.push(format!("{entry}={now}"));
                    limited.push(format!("{entry}={hard}"));
                }
            }
            if !requested.is_empty() {
                let why = format!(
                    "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                    key.name,
                    requested.join(","),
                    used.join(","),
                    limited.join(",")
                );
                return Err(status::forbidden(
                    place.strategy.resource,
                    object::name(object),
                    &why,
                ));
            }
        }
        Ok(())
    }

    /// How many objects an entry of `spec.hard` counts in a namespace.
    fn usage(&self, namespace: &str, entry: &str) -> u64 {
        let counted = STRATEGIES.iter().zip(&self.collections);
        let objects = counted
            .filter(|(strategy, _)| counts(entry, strategy))
            .flat_map(|(_, collection)| collection.at(Some(namespace), u64::MAX, None));
        let is_counted = |object: &Value| {
            entry != "pods"
                || !matches!(
                    object["status"]["phase"].as_str(),
                    Some("Succeeded" | "Failed")
                )
        };
        objects
            .filter(|(_, object)| is_counted(&object.value))
            .count() as u64
    }

    /// What other controllers of the cluster do at once after a write: here that of quotas, which shows the usage.
    pub(super) fn after_write(&mut self, index: usize, key: &Key) {
        if STRATEGIES.get(index).map(|strategy| strategy.resource) != Some(RESOURCE_QUOTAS) {
            return;
        }
        let Some(quota) = self.find(index, key).cloned() else {
            return;
        };
        let mut new = (*quota.value).clone();
        let hard = new["spec"]["hard"].clone();
        let used: Map<String, Value> = hard
            .as_object()
            .into_iter()
            .flatten()
            .map(|(entry, _)| {
                (
                    entry.clone(),
                    json!(self.usage(&key.namespace, entry).to_string()),
                )
            })
            .collect();
        new["status"] = json!({ "hard": hard, "used": used });
        if new != *quota.value {
            let writer = Writer::Other("resource quota controller".into());
            self.commit(
                &writer,
                index,
                key,
                Change::Put {
                    object: new,
                    bare: false,
                },
            );
        }
    }
}
