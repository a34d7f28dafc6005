//! After a write without a reply: did it happen?
//!
//! A create that happened but counts as failed is repeated under another name, and a delete
//! that happened but counts as failed can be followed by a delete of another pod, because
//! the store may not show either yet. One live read settles nearly every case; a request
//! that the API server executes only after this read is left to the next sync.

use ironkeel_plan::meta::OwnerReference;
use serde::Deserialize;

use super::{Call, WriteError, Writer};
use crate::barrier::Owner;
use crate::request::{Reply, ReplyMeta};

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

impl Writer {
    /// The created object if it exists and `owner` controls it; else the error.
    pub(super) async fn created_after_all(
        &self,
        owner: &Owner,
        call: Call<'_>,
        error: WriteError,
    ) -> Result<Reply, WriteError> {
        let Ok(Found { metadata }) = self.live(call.target).await else {
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
        match self.live::<Reply>(call.target).await {
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
