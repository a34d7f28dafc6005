//! Writes to the API server: every one conditional, none without a valid lease.
//!
//! A [`Writer`] acts with one controller's identity. It waits for a place in flight, asks
//! the [`Leader`] right before the request leaves, sends raw JSON, reads only name, UID and
//! resourceVersion of the reply and tells the [`Barrier`] what the stores have yet to see.
//! It never retries: that is the queue's business.

mod error;
mod operations;
mod patch;
mod read_back;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;

use http::Method;
use ironkeel_plan::meta::OwnerReference;
use kube::Client;
use serde::Serialize;
use serde_json::{Value, json};

use crate::barrier::{Barrier, Owner};
use crate::lease::Leader;
use crate::limit::Limits;
use crate::metrics::WriteMetrics;
use crate::request::{Accept, Answer, Content, Failure, REQUEST_TIMEOUT, Reply, send};

use error::Call;
pub use error::{Refusal, WriteError};
pub use operations::Operations;
use read_back::{is_stored_deletion, may_be_ours};
pub use target::{Precondition, Propagation, Target};

/// A write that the API server accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Name of the object.
    pub name: String,
    /// UID of the object.
    pub uid: String,
    /// Its version after the write.
    pub resource_version: u64,
}

/// What a write is called in metrics, logs and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// POST.
    Create,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// GET of a single object.
    Get,
}

impl Verb {
    /// The verb as RBAC and audit spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Get => "get",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Sends one controller's writes. Clones share limits, barrier and metrics.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    limits: Limits,
    barrier: Barrier,
    metrics: WriteMetrics,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer that acts through `client`, whose identity is the controller's own.
    pub fn new(client: Client, limits: Limits, barrier: Barrier, metrics: WriteMetrics) -> Self {
        Self {
            client,
            limits,
            barrier,
            metrics,
        }
    }

    /// Creates an object from its JSON. `target.name` must be `metadata.name` of the body:
    /// names are chosen by us, so a create that is repeated after a lost reply meets
    /// [`Refusal::AlreadyExists`] instead of making a second object. After an answer that
    /// [leaves it open](WriteError::leaves_open) the object is looked for, so that a create that
    /// did happen is not repeated under another name.
    pub async fn create(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        body: Vec<u8>,
    ) -> Result<Written, WriteError> {
        let path = target.resource.path(Some(target.namespace), None, None);
        let call = Call::new(Verb::Create, target, None);
        let reply = match self.write(leader, call, &path, Content::Json, body).await {
            Err(error) if may_be_ours(target, &error) => {
                self.created_after_all(owner, call, error).await?
            }
            other => other?,
        };
        Ok(self.record(owner, target, reply))
    }

    /// Asks the API server whether it would accept a create (`dryRun=All`): admission and
    /// validation run, nothing is stored, the barrier learns nothing. A field that the server does
    /// not know is refused too, as `kubectl apply` has it for the built-in kinds: a misspelt one
    /// would otherwise be dropped in silence.
    ///
    /// It needs no lease, because it changes nothing.
    pub async fn dry_run_create(
        &self,
        target: Target<'_>,
        body: Vec<u8>,
    ) -> Result<(), WriteError> {
        let path = target.resource.path(Some(target.namespace), None, None);
        let call = Call::new(Verb::Create, target, Some("dry-run"));
        let _permit = self.limits.acquire().await;
        self.exchange(
            call,
            &format!("{path}?dryRun=All&fieldValidation=Strict"),
            Content::Json,
            Accept::Metadata,
            body,
        )
        .await
        .map(drop)
    }

    /// Patches an object or one of its subresources with a JSON merge patch.
    ///
    /// The precondition is merged into `patch.metadata`; a patch that is not a JSON object
    /// is refused by the API server.
    pub async fn patch_merge(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        subresource: Option<&'static str>,
        precondition: Precondition<'_>,
        mut patch: Value,
    ) -> Result<Written, WriteError> {
        patch::require(&mut patch, precondition);
        self.patch(
            leader,
            owner,
            target,
            subresource,
            Content::MergePatch,
            &patch,
        )
        .await
    }

    /// Makes `reference` the managing controller of an object that has none.
    ///
    /// Built-in kinds take upstream's strategic merge patch with the object's UID. Custom
    /// resources know no strategic merge, so theirs is read first and the whole list is
    /// written back against the version that was read.
    ///
    /// The caller re-reads the owner with [`Writer::live_owner`] before: an owner that is being
    /// deleted must not adopt.
    pub async fn adopt(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        uid: &str,
        reference: &OwnerReference,
    ) -> Result<Written, WriteError> {
        if patch::knows_strategic_merge(target.resource) {
            let patch = patch::adopt(uid, reference);
            return self
                .patch(
                    leader,
                    owner,
                    target,
                    None,
                    Content::StrategicMergePatch,
                    &patch,
                )
                .await;
        }
        let live: patch::Owned = self.live(target).await?;
        let owners = live.with_owner(reference);
        self.patch_owners(leader, owner, target, uid, &live, owners)
            .await
    }

    /// Removes the reference to `owner_uid` from an object. An object that is gone, that was
    /// recreated or that has no such reference counts as released, as upstream has it:
    /// `None` then.
    pub async fn release(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        uid: &str,
        owner_uid: &str,
    ) -> Result<Option<Written>, WriteError> {
        let result = if patch::knows_strategic_merge(target.resource) {
            let patch = patch::release(uid, owner_uid);
            self.patch(
                leader,
                owner,
                target,
                None,
                Content::StrategicMergePatch,
                &patch,
            )
            .await
        } else {
            match self.live::<patch::Owned>(target).await {
                Ok(live) => {
                    let Some(owners) = live.without_owner(owner_uid) else {
                        return Ok(None);
                    };
                    self.patch_owners(leader, owner, target, uid, &live, owners)
                        .await
                }
                Err(error) => Err(error),
            }
        };
        match result {
            Ok(written) => Ok(Some(written)),
            Err(error) if error.is_not_found() || error.is_invalid() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object, provided that it still is the one that the precondition names.
    ///
    /// An object that is already gone is [`Refusal::NotFound`], a recreated one of the same
    /// name is [`Refusal::Conflict`]. After an answer that
    /// [leaves it open](WriteError::leaves_open) the object is looked at, so that a delete that
    /// did happen is not followed by one of another object.
    pub async fn delete(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        precondition: Precondition<'_>,
        propagation: Propagation,
    ) -> Result<(), WriteError> {
        let mut preconditions = json!({ "uid": precondition.uid });
        if let Some(version) = precondition.resource_version {
            preconditions["resourceVersion"] = Value::from(version.to_string());
        }
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": propagation.as_str(),
        })
        .to_string()
        .into_bytes();
        let path = target
            .resource
            .path(Some(target.namespace), Some(target.name), None);
        let call = Call::new(Verb::Delete, target, None);

        // Noted before the request: its watch event can overtake the reply.
        self.barrier
            .deleting(owner, target.resource, precondition.uid);
        let answer = self.write(leader, call, &path, Content::Json, body).await;
        let was_looked_for = matches!(&answer, Err(error) if error.leaves_open());
        let result = match answer {
            Err(error) if was_looked_for => {
                self.deleted_after_all(precondition.uid, call, error).await
            }
            other => other,
        };
        let gone_later = matches!(&result, Ok(reply) if !is_stored_deletion(reply));
        let settled = result.map(|reply| self.record(owner, target, reply));
        if gone_later && !was_looked_for {
            // Again: a list that was made before the delete was done may have settled the first note.
            self.barrier
                .deleting(owner, target.resource, precondition.uid);
        } else if !gone_later {
            // Refused, or told by its version: the object's end is not what to wait for.
            self.barrier
                .failed_delete(owner, target.resource, precondition.uid);
        }
        settled.map(drop)
    }

    async fn patch(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        subresource: Option<&'static str>,
        content: Content,
        body: &impl Serialize,
    ) -> Result<Written, WriteError> {
        let path = target
            .resource
            .path(Some(target.namespace), Some(target.name), subresource);
        let call = Call::new(Verb::Patch, target, subresource);
        let body = serde_json::to_vec(body).map_err(|error| call.unreadable(&error))?;
        match self.write(leader, call, &path, content, body).await {
            Ok(reply) => Ok(self.record(owner, target, reply)),
            Err(error) => {
                if target.is(owner) && error.contradicts_view() {
                    self.look_at_owner(owner).await;
                }
                Err(error)
            }
        }
    }

    async fn patch_owners(
        &self,
        leader: &Leader,
        owner: &Owner,
        target: Target<'_>,
        uid: &str,
        live: &patch::Owned,
        owners: Vec<Value>,
    ) -> Result<Written, WriteError> {
        let patch = json!({ "metadata": { "ownerReferences": owners } });
        let precondition = Precondition::version(uid, live.metadata.resource_version);
        self.patch_merge(leader, owner, target, None, precondition, patch)
            .await
    }

    /// Sends a write once it has a place in flight and the lease still holds.
    async fn write(
        &self,
        leader: &Leader,
        call: Call<'_>,
        path: &str,
        content: Content,
        body: Vec<u8>,
    ) -> Result<Reply, WriteError> {
        let _permit = self.limits.acquire().await;
        // After the wait and right before the request: a process that was stopped in between
        // must not act on a lease that another one may hold by now.
        leader.check().map_err(|error| call.not_leading(&error))?;
        let answer = self.exchange(call, path, content, Accept::Metadata, body);
        answer
            .await?
            .reply()
            .map_err(|error| call.unreadable(&error))
    }

    async fn exchange(
        &self,
        call: Call<'_>,
        path: &str,
        content: Content,
        accept: Accept,
        body: Vec<u8>,
    ) -> Result<Answer, WriteError> {
        let method = match call.verb {
            Verb::Create => Method::POST,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
            Verb::Get => Method::GET,
        };
        let result = send(
            &self.client,
            method,
            path,
            content,
            accept,
            body,
            REQUEST_TIMEOUT,
        )
        .await;
        if call.verb != Verb::Get {
            self.metrics.count(
                call.verb,
                call.target.resource,
                call.subresource,
                &result
                    .as_ref()
                    .err()
                    .map_or_else(|| "2xx".to_owned(), code_text),
            );
        }
        result.map_err(|failure| call.failed(failure))
    }

    fn record(&self, owner: &Owner, target: Target<'_>, reply: Reply) -> Written {
        let meta = reply.metadata;
        if meta.resource_version > 0 {
            self.barrier
                .wrote(owner, target.resource, meta.resource_version);
        }
        Written {
            name: meta.name,
            uid: meta.uid,
            resource_version: meta.resource_version,
        }
    }
}

fn code_text(failure: &Failure) -> String {
    failure
        .code()
        .map_or_else(|| "<error>".to_owned(), |code| code.to_string())
}
