//! What the controllers' executions share.

use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::{Meta, OwnerReference};
use ironkeel_plan::pod::Pod;
use ironkeel_runtime::queue::Reason;
use ironkeel_runtime::resource::Resource;
use ironkeel_runtime::write::WriteError;
use jiff::SignedDuration;

/// Why a sync has to be repeated.
#[derive(Debug)]
pub enum SyncError {
    /// A write failed.
    Write(WriteError),
    /// What the sync rested on is not so any more.
    Outdated(String),
}

impl std::fmt::Display for SyncError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(error) => error.fmt(f),
            Self::Outdated(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for SyncError {}

impl From<WriteError> for SyncError {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl SyncError {
    /// The delay that the API server asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Write(error) => error.retry_after(),
            Self::Outdated(_) => None,
        }
    }
}

/// Writes a plan in a few words, for the reconcile's span.
pub fn write_words<A>(
    f: &mut std::fmt::Formatter<'_>,
    actions: &[A],
    write_one: impl Fn(&mut std::fmt::Formatter<'_>, &A) -> std::fmt::Result,
) -> std::fmt::Result {
    if actions.is_empty() {
        return f.write_str("nothing to do");
    }
    for (at, action) in actions.iter().enumerate() {
        f.write_str(if at > 0 { ", " } else { "" })?;
        write_one(f, action)?;
    }
    Ok(())
}

/// The delay that a plan asks for, as the queue takes it; a moment in the past is now.
pub fn after(delay: Option<SignedDuration>) -> Option<Duration> {
    delay.map(|delay| Duration::try_from(delay).unwrap_or_default())
}

/// The shorter of two delays, of which either may be absent.
pub fn earliest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

/// Whether a pod's change starts nothing in the set that controls it now, so that it may wait for
/// others of the same set.
///
/// A set that grows sees many pods appear and turn ready at almost the same time, and each would
/// cost a status write. A pod that stops being a replica is never held back: its replacement
/// depends on it.
pub fn only_counts(old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            old.is_active() == new.is_active() && old.controller == new.controller
        }
        (Some(old), None) => !old.is_active(),
        (None, _) => true,
    }
}

/// Why an object that was added or changed runs. What its own reconcile has told must not send it
/// back behind every object that waits for its first.
pub fn reason_of(old: Option<&Meta>, new: &Meta) -> Reason {
    let only_status = old.is_some_and(|old| {
        old.generation == new.generation
            && old.deletion_timestamp == new.deletion_timestamp
            && old.labels == new.labels
            && old.annotations == new.annotations
            && old.owner_references == new.owner_references
    });
    if only_status {
        Reason::Status
    } else {
        Reason::Changed
    }
}

/// The reference that makes `owner` the managing controller of an object.
pub fn controller_reference(resource: Resource, owner: &Meta) -> OwnerReference {
    OwnerReference {
        api_version: resource.api_version(),
        kind: resource.kind.to_owned(),
        name: owner.name.clone(),
        uid: owner.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Whether something may be adopted or made for an owner that was read live: it must be the one that was observed, and not
/// be on its way out (kubernetes#42639).
pub fn still_the_same(observed: &Meta, live: &Meta) -> Result<(), SyncError> {
    let key = observed.key();
    if live.uid != observed.uid {
        return Err(SyncError::Outdated(format!(
            "{key}: uid {} is gone, the live object has uid {}: nothing is done for it",
            observed.uid, live.uid
        )));
    }
    match live.deletion_timestamp {
        Some(at) => Err(SyncError::Outdated(format!(
            "{key} is being deleted since {at}: nothing is done for it"
        ))),
        None => Ok(()),
    }
}

/// Whether an owner that was read live still wants what was planned for it; a plan that deletes
/// has to ask. A new leader may see an owner late, and would delete what it wants by now.
pub fn still_wanted(observed: &Meta, live: &Meta) -> Result<(), SyncError> {
    still_the_same(observed, live)?;
    if live.generation == observed.generation {
        return Ok(());
    }
    Err(SyncError::Outdated(format!(
        "{}: generation {} was planned for, the live object has {}: nothing is deleted",
        observed.key(),
        observed.generation,
        live.generation
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: &str, generation: i64, deleting: bool) -> Meta {
        Meta {
            name: "web".into(),
            namespace: "shop".into(),
            uid: uid.into(),
            generation,
            deletion_timestamp: deleting.then_some(jiff::Timestamp::UNIX_EPOCH),
            ..Meta::default()
        }
    }

    fn refusal(result: Result<(), SyncError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "none".to_owned())
    }

    #[test]
    fn an_owner_that_was_replaced_or_goes_away_adopts_and_deletes_nothing() {
        let observed = meta("u1", 4, false);
        assert_eq!(
            refusal(still_the_same(&observed, &meta("u1", 5, false))),
            "none"
        );
        for judge in [still_the_same, still_wanted] {
            let replaced = refusal(judge(&observed, &meta("u2", 4, false)));
            assert!(replaced.contains("shop/web: uid u1 is gone"), "{replaced}");
            let deleting = refusal(judge(&observed, &meta("u1", 4, true)));
            assert!(
                deleting.contains("is being deleted since 1970"),
                "{deleting}"
            );
        }
    }

    #[test]
    fn a_plan_for_an_older_spec_deletes_nothing() {
        let observed = meta("u1", 4, false);
        assert_eq!(
            refusal(still_wanted(&observed, &meta("u1", 4, false))),
            "none"
        );
        let outdated = refusal(still_wanted(&observed, &meta("u1", 5, false)));
        assert!(
            outdated.contains("generation 4 was planned for, the live object has 5"),
            "{outdated}"
        );
    }
}
