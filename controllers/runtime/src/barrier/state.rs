//! What the barrier remembers; no locks, no wake-ups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use tokio::time::Instant;

use super::recent::{Departure, Recent};
use super::{LIMIT, Owner};
use crate::resource::Resource;

#[derive(Default)]
pub(super) struct State {
    pub(super) owners: HashMap<Arc<str>, Pending>,
    resources: BTreeMap<Resource, Progress>,
}

/// What one owner waits for.
pub(super) struct Pending {
    pub(super) owner: Owner,
    /// The newest own write by resource, as long as it was not seen.
    writes: BTreeMap<Resource, u64>,
    /// UIDs of objects that are to go.
    deletes: BTreeSet<(Resource, Arc<str>)>,
    /// The owner itself is gone, though its store shows it.
    is_gone: bool,
    /// Whether a sync was refused: only then somebody has to be woken.
    pub(super) refused: bool,
    /// When the last of it was recorded.
    since: Instant,
}

/// What the watch of a resource has owed for too long.
pub(super) struct Overdue {
    pub(super) resource: Resource,
    /// Since when it owes the last of it.
    pub(super) last: Instant,
    /// What it owes first, for people.
    pub(super) first: String,
}

/// What is known of one resource's store.
#[derive(Default)]
struct Progress {
    /// When a new list was last asked for.
    hurried: Option<Instant>,
    /// How far the store is complete; `None` as long as no watch has fed it.
    seen: Option<u64>,
    /// Objects seen gone or terminating a short while ago: their delete may not be recorded yet.
    gone: Recent,
    /// Owners by the version they wait for.
    writes: BTreeSet<(u64, Arc<str>)>,
    /// Owner by the object it waits for.
    deletes: HashMap<Arc<str>, Arc<str>>,
}

impl Pending {
    fn is_complete(&self) -> bool {
        self.writes.is_empty() && self.deletes.is_empty() && !self.is_gone
    }

    /// The resources whose stores lag; one may come twice.
    fn resources(&self) -> impl Iterator<Item = Resource> {
        let deletes = self.deletes.iter().map(|(resource, _)| *resource);
        let own = self.is_gone.then_some(self.owner.resource);
        self.writes.keys().copied().chain(deletes).chain(own)
    }

    fn waits_for(&self, resource: Resource) -> bool {
        self.resources().any(|lagging| lagging == resource)
    }
}

impl State {
    pub(super) fn wrote(&mut self, owner: &Owner, resource: Resource, version: u64, now: Instant) {
        let progress = self.resources.entry(resource).or_default();
        // Without a watch of the resource nobody could end the wait.
        if progress.seen.is_none_or(|seen| seen >= version) {
            return;
        }
        let pending = pending(&mut self.owners, owner, now);
        let known = pending.writes.entry(resource).or_default();
        if *known < version {
            progress.writes.remove(&(*known, Arc::clone(&owner.uid)));
            progress.writes.insert((version, Arc::clone(&owner.uid)));
            *known = version;
        }
    }

    pub(super) fn deleting(&mut self, owner: &Owner, resource: Resource, uid: &str, now: Instant) {
        let progress = self.resources.entry(resource).or_default();
        if progress.seen.is_none() || progress.gone.get(uid).is_some() {
            return;
        }
        let uid: Arc<str> = uid.into();
        progress
            .deletes
            .insert(Arc::clone(&uid), Arc::clone(&owner.uid));
        pending(&mut self.owners, owner, now)
            .deletes
            .insert((resource, uid));
    }

    pub(super) fn vanished(&mut self, owner: &Owner, now: Instant) {
        let progress = self.resources.entry(owner.resource).or_default();
        let is_seen = progress.gone.get(&owner.uid) == Some(Departure::Over);
        if progress.seen.is_some() && !is_seen {
            pending(&mut self.owners, owner, now).is_gone = true;
        }
    }

    /// Takes a delete back. The owner, if that was the last thing it waited for.
    pub(super) fn failed_delete(
        &mut self,
        owner: &Owner,
        resource: Resource,
        uid: &str,
    ) -> Option<Pending> {
        if let Some(progress) = self.resources.get_mut(&resource) {
            progress.deletes.remove(uid);
        }
        self.complete_delete(&owner.uid, resource, uid)
    }

    /// The owners that waited for nothing but versions up to this one, by version and UID.
    ///
    /// A version falls only with a new list, from an etcd that was restored from a backup. Later
    /// writes are then compared with what the store really holds; who waited already goes on
    /// waiting, until [`State::listed`].
    pub(super) fn seen(&mut self, resource: Resource, version: u64) -> Vec<Pending> {
        let progress = self.resources.entry(resource).or_default();
        progress.seen = Some(version);
        let mut caught_up = Vec::new();
        while progress
            .writes
            .first()
            .is_some_and(|(waits_for, _)| *waits_for <= version)
        {
            caught_up.extend(progress.writes.pop_first());
        }
        caught_up
            .into_iter()
            .filter_map(|(_, uid)| {
                let pending = self.owners.get_mut(&uid)?;
                pending.writes.remove(&resource);
                self.take_if_complete(&uid)
            })
            .collect()
    }

    /// The owner that waited for nothing but this object to go. What was written for the object
    /// itself no longer matters once that is over.
    pub(super) fn gone(
        &mut self,
        resource: Resource,
        uid: &str,
        departure: Departure,
    ) -> Option<Pending> {
        if departure == Departure::Over {
            self.forget(uid);
        }
        let progress = self.resources.entry(resource).or_default();
        progress.gone.insert(uid, departure);
        let owner = progress.deletes.remove(uid)?;
        self.complete_delete(&owner, resource, uid)
    }

    fn forget(&mut self, owner_uid: &str) {
        let Some(pending) = self.owners.remove(owner_uid) else {
            return;
        };
        for (resource, version) in &pending.writes {
            if let Some(progress) = self.resources.get_mut(resource) {
                progress
                    .writes
                    .remove(&(*version, Arc::clone(&pending.owner.uid)));
            }
        }
        for (resource, object) in &pending.deletes {
            if let Some(progress) = self.resources.get_mut(resource) {
                progress.deletes.remove(object);
            }
        }
    }

    /// The owners that waited for nothing but what this list has settled, by UID.
    pub(super) fn listed(&mut self, resource: Resource, began: Instant) -> Vec<Pending> {
        let mut settled: Vec<Arc<str>> = self
            .owners
            .iter()
            .filter(|(_, pending)| pending.since < began && pending.waits_for(resource))
            .map(|(uid, _)| Arc::clone(uid))
            .collect();
        settled.sort();
        let Some(progress) = self.resources.get_mut(&resource) else {
            return Vec::new();
        };
        for uid in &settled {
            let Some(pending) = self.owners.get_mut(uid) else {
                continue;
            };
            if let Some(version) = pending.writes.remove(&resource) {
                progress.writes.remove(&(version, Arc::clone(uid)));
            }
            pending.deletes.retain(|(of, object)| {
                let stays = *of != resource;
                if !stays {
                    progress.deletes.remove(object);
                }
                stays
            });
            pending.is_gone &= pending.owner.resource != resource;
        }
        settled
            .iter()
            .filter_map(|uid| self.take_if_complete(uid))
            .collect()
    }

    /// What watches have owed for too long, for each resource at most once per [`LIMIT`].
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Overdue> {
        let mut overdue: BTreeMap<Resource, (Instant, &Pending)> = BTreeMap::new();
        for pending in self.owners.values() {
            if now < pending.since + LIMIT {
                continue;
            }
            for resource in pending.resources() {
                let (last, first) = overdue.entry(resource).or_insert((pending.since, pending));
                *last = pending.since.max(*last);
                // By UID too, so that the log says the same in every run.
                if (pending.since, &pending.owner.uid) < (first.since, &first.owner.uid) {
                    *first = pending;
                }
            }
        }
        let overdue: Vec<Overdue> = overdue
            .into_iter()
            .map(|(resource, (last, first))| Overdue {
                resource,
                last,
                first: format!(
                    "{}, for {} {}",
                    self.describe(first),
                    first.owner.resource,
                    first.owner.key
                ),
            })
            .collect();
        overdue
            .into_iter()
            .filter(|overdue| {
                let progress = self.resources.entry(overdue.resource).or_default();
                let due = progress.hurried.is_none_or(|last| last + LIMIT <= now);
                if due {
                    progress.hurried = Some(now);
                }
                due
            })
            .collect()
    }

    /// What an owner waits for, for people.
    pub(super) fn describe(&self, pending: &Pending) -> String {
        let mut text = String::new();
        for (resource, version) in &pending.writes {
            let seen = self.resources.get(resource).and_then(|known| known.seen);
            let seen = seen.unwrap_or_default();
            let _ = write!(text, "{resource} at {version} (seen {seen}), ");
        }
        if pending.is_gone {
            let _ = write!(text, "its own removal, ");
        }
        if let Some((resource, uid)) = pending.deletes.first() {
            let count = pending.deletes.len();
            let _ = write!(text, "{count} deletes, first {resource} with uid {uid}, ");
        }
        text.truncate(text.trim_end_matches(", ").len());
        text
    }

    /// Whether nobody waits for anything; indexes included.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.owners.is_empty()
            && self
                .resources
                .values()
                .all(|progress| progress.writes.is_empty() && progress.deletes.is_empty())
    }

    fn complete_delete(&mut self, owner: &str, resource: Resource, uid: &str) -> Option<Pending> {
        let pending = self.owners.get_mut(owner)?;
        pending.deletes.remove(&(resource, Arc::from(uid)));
        self.take_if_complete(owner)
    }

    fn take_if_complete(&mut self, owner: &str) -> Option<Pending> {
        if self.owners.get(owner)?.is_complete() {
            self.owners.remove(owner)
        } else {
            None
        }
    }
}

fn pending<'a>(
    owners: &'a mut HashMap<Arc<str>, Pending>,
    owner: &Owner,
    now: Instant,
) -> &'a mut Pending {
    let pending = owners
        .entry(Arc::clone(&owner.uid))
        .or_insert_with(|| Pending {
            owner: owner.clone(),
            writes: BTreeMap::new(),
            deletes: BTreeSet::new(),
            is_gone: false,
            refused: false,
            since: now,
        });
    pending.since = now;
    pending
}
