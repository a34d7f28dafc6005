//! The list that a watch starts from.

use std::sync::Arc;

use ironkeel_plan::meta::Stored;
use tokio::time::Instant;

use super::request::{self, Failure};
use super::wire::{self, Decoded, DecodedPage};
use super::{PAGE, Progress, Readable, Sink, Watch, WatchState, accept};
use crate::protobuf::Encoding;
use crate::store::{Change, Store};

impl Watch {
    /// Reads the list page by page and returns its version.
    pub(super) async fn list<V, C, P>(&mut self, sink: &Sink<'_, V, C, P>) -> Result<u64, Failure>
    where
        V: Readable,
        C: Fn(&Change<V>),
        P: Fn(Progress),
    {
        self.report_listing();
        let began = Instant::now();
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
                    self.swap_in(listed, version, began, sink);
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

    fn swap_in<V, C, P>(
        &self,
        listed: Vec<Arc<V>>,
        version: u64,
        began: Instant,
        sink: &Sink<'_, V, C, P>,
    ) where
        V: Stored,
        C: Fn(&Change<V>),
        P: Fn(Progress),
    {
        self.counters.lists.inc();
        let objects = listed.len();
        let changes = sink.store.replace(listed, version, began);
        tracing::info!(
            resource = %self.resource,
            objects,
            changes = changes.len(),
            version,
            "listed"
        );
        sink.tell(Progress::Listed { version, began }, &changes);
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
