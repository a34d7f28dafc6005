//! The list that a watch starts from: streamed as events, or page by page.

use std::sync::Arc;

use ironkeel_plan::meta::Stored;

use super::frames::Frames;
use super::request::{self, Failure};
use super::wire::{self, Decoded, DecodedPage, Event};
use super::{LIST_SILENCE, PAGE, Readable, Sink, Watch, WatchState, accept, decode};
use crate::protobuf::Encoding;
use crate::store::{Change, Store};

impl Watch {
    /// Reads the list as the first part of a watch, which goes on with the events after it.
    pub(super) async fn stream_list<V, C, P>(
        &self,
        sink: &Sink<'_, V, C, P>,
    ) -> Result<(Frames, u64), Failure>
    where
        V: Readable,
        C: Fn(&Change<V>),
        P: Fn(u64),
    {
        self.report_listing();
        // No resourceVersion: the list is as new as the request.
        let target = self
            .source
            .target()
            .with("sendInitialEvents", "true")
            .with("resourceVersionMatch", "NotOlderThan");
        let mut frames = match self.source.open::<V>(target, self.watch_time()).await {
            Err(Failure::Refused {
                code: 400 | 422,
                message,
                ..
            }) => return Err(Failure::NoStreaming(message)),
            other => other?,
        };
        // The objects so far: nobody sees them before they are complete.
        let listed = Store::new();
        loop {
            let frame = match frames.next(LIST_SILENCE).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(Failure::Transport("the list was cut off".to_owned())),
                Err(Failure::Silent(_)) => {
                    return Err(Failure::NoStreaming("the list does not end".to_owned()));
                }
                Err(other) => return Err(other),
            };
            match decode(frames.encoding, &frame)? {
                Event::Put(object) => {
                    if let Some(object) = self.known_or_new(object, sink.store) {
                        listed.apply_shared(object);
                    }
                }
                Event::Deleted(object) => {
                    listed.delete(&object.key(), object.uid());
                }
                Event::Bookmark(mark) if mark.ends_initial_events => {
                    let version = mark.resource_version;
                    self.swap_in(listed.all(), version, sink);
                    return Ok((frames, version));
                }
                Event::Bookmark(_) => {}
                Event::Error(status) => return Err(Failure::of_status(self.resource, &status)),
            }
        }
    }

    /// Reads the list page by page and returns its version.
    pub(super) async fn page_list<V, C, P>(
        &mut self,
        sink: &Sink<'_, V, C, P>,
    ) -> Result<u64, Failure>
    where
        V: Readable,
        C: Fn(&Change<V>),
        P: Fn(u64),
    {
        self.report_listing();
        let mut listed = Vec::new();
        let mut next = String::new();
        loop {
            let mut target = self.source.target();
            if let Some(page) = self.page {
                target = target.with("limit", page);
            }
            if !next.is_empty() {
                target = target.with("continue", &next);
            }
            let accept = accept::<V>();
            let reply = request::get(&self.source.client, self.resource, &target, accept).await;
            if matches!(reply, Err(Failure::Expired(_))) && !next.is_empty() {
                // Compacted between two pages: client-go's pager then asks for all at once.
                self.page = None;
            }
            let page: DecodedPage<V> = {
                let reply = reply?;
                let encoding = Encoding::of(reply.headers());
                let text = request::read(reply).await?;
                wire::page(encoding, &text)
                    .map_err(|error| Failure::Garbled(format!("{:?}: {error}", target.uri())))?
            };
            let objects = page.items.into_iter();
            listed.extend(objects.filter_map(|object| self.known_or_new(object, sink.store)));
            match page.metadata.next {
                Some(token) if !token.is_empty() => next = token,
                _ => {
                    self.page = Some(PAGE);
                    let version = page.metadata.resource_version;
                    self.swap_in(listed, version, sink);
                    return Ok(version);
                }
            }
        }
    }

    /// A watch that works lists anew; one that failed or never listed keeps saying so.
    fn report_listing(&self) {
        self.state.send_if_modified(|state| {
            let was_live = *state == WatchState::Live;
            if was_live {
                *state = WatchState::Listing;
            }
            was_live
        });
    }

    fn swap_in<V, C, P>(&self, listed: Vec<Arc<V>>, version: u64, sink: &Sink<'_, V, C, P>)
    where
        V: Stored,
        C: Fn(&Change<V>),
        P: Fn(u64),
    {
        self.counters.lists.inc();
        let objects = listed.len();
        let changes = sink.store.replace(listed, version);
        tracing::info!(
            resource = %self.resource,
            objects,
            changes = changes.len(),
            version,
            "listed"
        );
        sink.tell(version, &changes);
    }

    /// The object as the store has it if it is the same version (so that a new list costs
    /// memory only for what is new), or if this one cannot be decoded: an object that is there
    /// must not look deleted.
    fn known_or_new<V: Stored>(&self, object: Decoded<V>, store: &Store<V>) -> Option<Arc<V>> {
        let known = store.get(&object.key());
        let known = known.filter(|known| known.uid() == object.uid());
        match object {
            Decoded::Whole(object) => {
                let same =
                    known.filter(|known| known.resource_version() == object.resource_version());
                Some(same.unwrap_or_else(|| Arc::new(object)))
            }
            Decoded::Broken { identity, error } => {
                self.report_broken(&identity, &error);
                known
            }
        }
    }
}
