//! What the controllers' executions share.

use std::sync::Arc;
use std::time::Duration;

use ironkeel_plan::meta::{Meta, OwnerReference};
use ironkeel_plan::pod::Pod;
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

/// The delay that a plan asks for, as the queue takes it; a moment in the past is now.
pub fn after(delay: Option<SignedDuration>) -> Option<Duration> {
    delay.map(|delay| Duration::try_from(delay).unwrap_or_default())
}

/// How long a change that starts nothing may wait for others of the same owner.
pub const WINDOW: Duration = Duration::from_millis(20);

/// How long a pod's change may wait for others of the same owner.
///
/// A set that grows sees many pods turn ready at almost the same time, and each would cost a
/// status write. A pod that appears or goes away is never held back: replacements depend on it.
pub fn pod_event_delay(old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) -> Option<Duration> {
    let (old, new) = (old?, new?);
    let stays = old.is_active() == new.is_active() && old.controller == new.controller;
    stays.then_some(WINDOW)
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

/// Whether an owner that was read live may adopt: it must be the one that was observed, and not
/// be on its way out (kubernetes#42639).
pub fn still_the_same(observed: &Meta, live: &Meta) -> Result<(), SyncError> {
    let key = observed.key();
    if live.uid != observed.uid {
        return Err(SyncError::Outdated(format!(
            "{key}: uid {} is gone, the live object has uid {}: it adopts nothing",
            observed.uid, live.uid
        )));
    }
    match live.deletion_timestamp {
        Some(at) => Err(SyncError::Outdated(format!(
            "{key} is being deleted since {at}: it adopts nothing"
        ))),
        None => Ok(()),
    }
}
