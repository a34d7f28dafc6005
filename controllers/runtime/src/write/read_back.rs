//! Live reads: of owners before what cannot be taken back, and after a write whose outcome is open.
//!
//! A create that happened but counts as failed is repeated under another name, and a delete
//! that happened but counts as failed can be followed by a delete of another pod, because
//! the store may not show either yet. One live read settles nearly every case. An API server
//! that was killed behind the write cannot answer that either, and when it is back the queue
//! would be faster than the watch: so it is asked for as long as a restart takes. A request
//! that the API server executes only after this read is left to the next sync.

use std::time::Duration;

use ironkeel_plan::meta::{OwnerReference, Stored};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::error::Call;
use super::{Target, Verb, WriteError, Writer};
use crate::barrier::Owner;
use crate::request::{Accept, Content, Reply, ReplyMeta};
use crate::resource::PODS;

/// How long an API server that does not answer is asked again: as long as its restart takes. A
/// leader that reaches nobody for its renew deadline ends before.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// First pause between two questions; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(1600);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found {
    metadata: FoundMeta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FoundMeta {
    owner_references: Vec<OwnerReference>,
    #[serde(flatten)]
    rest: ReplyMeta,
}

/// Whether a create with this answer may have happened: a clear answer is missing, or the name is taken. A pod's name has a
/// random part, so whoever has it is most likely the same create, sent twice on the way; at a ReplicaSet that has the name
/// the planner looks itself.
pub(super) fn may_be_ours(target: Target<'_>, error: &WriteError) -> bool {
    error.leaves_open() || (target.resource == PODS && error.is_already_exists())
}

impl Writer {
    /// Reads an object live; asks again while there is no clear answer.
    async fn look<T: DeserializeOwned>(&self, target: Target<'_>) -> Result<T, WriteError> {
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.live(target).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let is_clear = !error.leaves_open() && error.retry_after().is_none();
            let wait = error.retry_after().unwrap_or_default().max(pause);
            if is_clear || Instant::now() + wait > until {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Reads an object from the API server itself, past every cache.
    pub async fn live<T: DeserializeOwned>(&self, target: Target<'_>) -> Result<T, WriteError> {
        let path = target
            .resource
            .path(Some(target.namespace), Some(target.name), None);
        let call = Call::new(Verb::Get, target, None);
        let _permit = self.limits.acquire().await;
        let (content, accept) = (Content::Json, Accept::Json);
        let answer = self.exchange(call, &path, content, accept, Vec::new());
        answer
            .await?
            .json()
            .map_err(|error| call.unreadable(&error))
    }

    /// Reads the owner itself live. Nothing is synced for it until its store shows what was read:
    /// this version, or, if it is gone or another object has its name by now, that it went.
    pub async fn live_owner<T>(&self, owner: &Owner) -> Result<T, WriteError>
    where
        T: DeserializeOwned + Stored,
    {
        let live: Result<T, WriteError> = self.live(Target::of(owner)).await;
        match &live {
            Ok(found) => self.note_owner(owner, Some((found.uid(), found.resource_version()))),
            Err(error) if error.is_not_found() => self.note_owner(owner, None),
            Err(_) => {}
        }
        live
    }

    /// A write of the owner itself was refused: somebody else changed it, or it is gone. Trying
    /// again makes sense when its store shows which.
    pub(super) async fn look_at_owner(&self, owner: &Owner) {
        match self.live::<Reply>(Target::of(owner)).await {
            Ok(Reply { metadata }) => {
                self.note_owner(owner, Some((&metadata.uid, metadata.resource_version)));
            }
            Err(error) if error.is_not_found() => self.note_owner(owner, None),
            Err(_) => {}
        }
    }

    /// Takes note of what has the owner's name: UID and version.
    fn note_owner(&self, owner: &Owner, live: Option<(&str, u64)>) {
        match live {
            Some((uid, version)) if *uid == *owner.uid => {
                self.barrier.wrote(owner, owner.resource, version);
            }
            _ => self.barrier.vanished(owner),
        }
    }

    /// The created object if it exists and `owner` controls it; else the error.
    pub(super) async fn created_after_all(
        &self,
        owner: &Owner,
        call: Call<'_>,
        error: WriteError,
    ) -> Result<Reply, WriteError> {
        let Ok(Found { metadata }) = self.look(call.target).await else {
            return Err(error);
        };
        let ours = metadata
            .owner_references
            .iter()
            .any(|known| known.controller == Some(true) && *known.uid == *owner.uid);
        if ours {
            tracing::info!(%error, "the create had happened, only its reply was lost");
            Ok(Reply {
                metadata: metadata.rest,
            })
        } else {
            Err(error)
        }
    }

    /// The state of the object if it is gone or being deleted; else the error.
    pub(super) async fn deleted_after_all(
        &self,
        uid: &str,
        call: Call<'_>,
        error: WriteError,
    ) -> Result<Reply, WriteError> {
        match self.look::<Reply>(call.target).await {
            Ok(found) if found.metadata.uid == uid => {
                if found.metadata.deletion_timestamp.is_some() {
                    Ok(found)
                } else {
                    Err(error)
                }
            }
            // Gone, or another object has the name by now.
            Ok(_) => Ok(Reply::default()),
            Err(live) if live.is_not_found() => Ok(Reply::default()),
            Err(_) => Err(error),
        }
    }
}

/// Whether the reply shows an object that is stored as being deleted, so that its version
/// is one the watch will deliver. An object that went at once is answered with a `Status`
/// or, for pods, with its last state, whose version may be an old one: only the watch's
/// deletion tells that it is gone.
pub(super) fn is_stored_deletion(reply: &Reply) -> bool {
    let meta = &reply.metadata;
    meta.resource_version > 0
        && meta.deletion_timestamp.is_some()
        && (meta.deletion_grace_period_seconds.unwrap_or(0) > 0 || !meta.finalizers.is_empty())
}
