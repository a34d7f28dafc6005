//! GET, LIST and WATCH.

use std::collections::VecDeque;
use std::sync::Arc;

use ironkeel_plan::meta::Key;
use serde_json::{Map, Value, json};

use super::log::{EventKind, WatchEvent};
use super::object::Object;
use super::query::Query;
use super::resource::Strategy;
use super::route::{Place, Route};
use super::selection::Selection;
use super::state::{Opened, State};
use super::status::FieldError;
use super::{Request, Response, status};

/// What a list says of itself.
pub(super) struct ListMeta {
    version: u64,
    next: Option<String>,
    remaining: Option<usize>,
}

impl ListMeta {
    pub(super) fn at(version: u64) -> Self {
        Self {
            version,
            next: None,
            remaining: None,
        }
    }
}

/// The text of a list: each object's own text is put in as it is.
pub(super) fn list_body(strategy: &Strategy, objects: &[Arc<Object>], about: &ListMeta) -> Vec<u8> {
    let mut metadata = Map::new();
    metadata.insert(
        "resourceVersion".to_owned(),
        json!(about.version.to_string()),
    );
    if let Some(next) = &about.next {
        metadata.insert("continue".to_owned(), json!(next));
    }
    if let Some(remaining) = about.remaining {
        metadata.insert("remainingItemCount".to_owned(), json!(remaining));
    }
    let resource = strategy.resource;
    let head = format!(
        "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{},\"items\":[",
        resource.kind,
        resource.api_version(),
        Value::Object(metadata)
    );
    let size: usize = objects.iter().map(|object| object.text.len() + 1).sum();
    let mut body = Vec::with_capacity(head.len() + size + 2);
    body.extend_from_slice(head.as_bytes());
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        if !strategy.custom {
            body.push(b'{');
        }
        body.extend_from_slice(object.list_entry(strategy.custom));
    }
    body.extend_from_slice(b"]}");
    body
}

impl State {
    pub(super) fn get_one(
        &self,
        place: &Place<'_>,
        query: &Query,
        seen: u64,
    ) -> Result<Response, Response> {
        if place.subresource == "status"
            && place.strategy.status == super::resource::StatusWrite::None
        {
            return Err(status::no_such_resource());
        }
        let at = self.version_for(query.version()?, seen)?;
        let key = Self::key_of(place);
        let collection = self.collections.get(place.index);
        let found = collection.and_then(|collection| collection.get_at(&key, at));
        let object = found.ok_or_else(|| status::not_found(place.strategy.resource, &key.name))?;
        Ok(Response::new(200, object.text.clone()))
    }

    /// The version that a read is answered at: the newest unless an older one will do and the server has seen no more.
    fn version_for(&self, asked: Option<u64>, seen: u64) -> Result<u64, Response> {
        let newest = self.version();
        let seen = seen.min(newest);
        match asked {
            None => Ok(newest),
            Some(asked) if asked > seen => Err(status::too_large(asked, seen)),
            Some(_) => Ok(seen),
        }
    }

    pub(super) fn list(
        &self,
        place: &Place<'_>,
        query: &Query,
        seen: u64,
    ) -> Result<Response, Response> {
        let selection = Selection::read(place.namespace, query)?;
        let asked = query.version()?;
        let rule = query.get("resourceVersionMatch");
        if !rule.is_empty() && !query.get("continue").is_empty() {
            return Err(refuse_list(
                "resourceVersionMatch is forbidden for continue",
            ));
        }
        if !rule.is_empty() && asked.is_none() {
            return Err(refuse_list(
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        let limit = query.number("limit").filter(|limit| *limit > 0);
        let (version, after) = match query.get("continue") {
            "" => (
                self.version_of_list(asked, rule, limit.is_some(), seen)?,
                None,
            ),
            token => {
                let (version, after) = read_token(token)
                    .ok_or_else(|| status::bad_request("continue key is not valid"))?;
                if version < self.oldest {
                    return Err(Self::expired_page(&after));
                }
                (
                    if version == 0 {
                        self.version()
                    } else {
                        version
                    },
                    Some(after),
                )
            }
        };
        let Some(collection) = self.collections.get(place.index) else {
            return Err(status::no_such_resource());
        };
        let mut found = collection
            .at(place.namespace, version, after.as_ref())
            .filter(|(_, object)| selection.admits(&object.value));
        let mut about = ListMeta::at(version);
        let objects: Vec<Arc<Object>> = match limit {
            None => found.map(|(_, object)| Arc::clone(object)).collect(),
            Some(limit) => {
                let page: Vec<_> = found.by_ref().take(limit as usize).collect();
                let remaining = found.count();
                if let (Some((last, _)), true) = (page.last(), remaining > 0) {
                    about.next = Some(write_token(version, last));
                    about.remaining = (!selection.is_selective()).then_some(remaining);
                }
                page.into_iter()
                    .map(|(_, object)| Arc::clone(object))
                    .collect()
            }
        };
        Ok(Response::new(
            200,
            list_body(place.strategy, &objects, &about),
        ))
    }

    fn version_of_list(
        &self,
        asked: Option<u64>,
        rule: &str,
        is_paged: bool,
        seen: u64,
    ) -> Result<u64, Response> {
        match (asked, rule) {
            (Some(0), "Exact") => Err(refuse_list(
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )),
            (Some(asked), "Exact") if asked < self.oldest => Err(status::expired(
                "The resourceVersion for the provided list is too old.",
            )),
            (Some(asked), "Exact") if asked > self.version() => {
                Err(status::too_large(asked, self.version()))
            }
            (Some(asked), "Exact") => Ok(asked),
            // With a limit and no rule, a version other than 0 is exact, as it once was.
            (Some(asked), "") if is_paged && asked > 0 => {
                if asked < self.oldest {
                    return Err(status::expired(
                        "The resourceVersion for the provided list is too old.",
                    ));
                }
                self.version_for(Some(asked), u64::MAX)?;
                Ok(asked)
            }
            (asked, _) => self.version_for(asked, seen),
        }
    }

    fn expired_page(after: &Key) -> Response {
        let mut refusal = status::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        );
        let mut body = refusal.json();
        body["metadata"]["continue"] = json!(write_token(0, after));
        refusal.body = body.to_string().into();
        refusal
    }

    /// Everything that a request's selectors find now.
    pub(super) fn select(
        &self,
        place: &Place<'_>,
        query: &Query,
    ) -> Result<Vec<Arc<Object>>, Response> {
        let selection = Selection::read(place.namespace, query)?;
        let Some(collection) = self.collections.get(place.index) else {
            return Ok(Vec::new());
        };
        let found = collection.at(place.namespace, self.version(), None);
        Ok(found
            .filter(|(_, object)| selection.admits(&object.value))
            .map(|(_, object)| Arc::clone(object))
            .collect())
    }

    pub(super) fn open_watch(&mut self, request: &Request, seen: u64) -> Result<Opened, Response> {
        let place = match Route::of(&request.path) {
            Route::Resource(place) if self.is_served(place.strategy) && place.name.is_none() => {
                place
            }
            Route::NoResource => return Err(status::no_such_resource()),
            _ => return Err(status::no_such_path()),
        };
        let query = Query::parse(&request.query);
        let asked = query.version()?;
        let streams = query.is_true("sendInitialEvents");
        let bookmarks = query.is_true("allowWatchBookmarks");
        check_watch(&query, streams, bookmarks)?;
        let seen = seen.min(self.version());
        let mut opened = Opened {
            resource: place.strategy.resource,
            index: place.index,
            at: seen,
            next: 0,
            selection: Selection::read(place.namespace, &query)?,
            timeout_seconds: query.number("timeoutSeconds"),
            bookmarks,
            initial: VecDeque::new(),
        };
        match asked {
            // A list that is streamed is as new as the request unless it may be older.
            None if streams => {
                opened.at = self.version();
                self.send_state(&mut opened, true);
            }
            Some(asked) if streams && asked > seen => return Err(status::too_large(asked, seen)),
            Some(_) if streams => self.send_state(&mut opened, true),
            None | Some(0) => self.send_state(&mut opened, false),
            Some(asked) if asked < self.oldest => {
                let event = WatchEvent::expired(asked, self.oldest, self.now());
                opened.initial.push_back(Arc::new(event));
                opened.next = usize::MAX;
            }
            Some(asked) => opened.at = asked,
        }
        if opened.next == 0
            && let Some(collection) = self.collections.get(place.index)
        {
            opened.next = collection.behind(opened.at);
        }
        Ok(opened)
    }

    fn send_state(&self, opened: &mut Opened, ends: bool) {
        let now = self.now();
        if let Some(collection) = self.collections.get(opened.index) {
            let namespace = opened.selection.namespace.clone();
            for (key, object) in collection.at(namespace.as_deref(), opened.at, None) {
                if opened.selection.admits(&object.value) {
                    let event = WatchEvent::of(
                        EventKind::Added,
                        object.version,
                        now,
                        key.clone(),
                        &object.text,
                    );
                    opened.initial.push_back(Arc::new(event));
                }
            }
        }
        if ends {
            let mark = self.bookmark(opened, true);
            opened.initial.push_back(mark);
        }
    }

    /// A bookmark of a watch's version; `ends` says that the initial events are complete.
    pub(super) fn bookmark(&self, opened: &Opened, ends: bool) -> Arc<WatchEvent> {
        let resource = opened.resource;
        let mut metadata = json!({ "resourceVersion": opened.at.to_string() });
        if ends {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let object = json!({
            "kind": resource.kind,
            "apiVersion": resource.api_version(),
            "metadata": metadata,
        });
        let text = object.to_string();
        let event = WatchEvent::of(
            EventKind::Bookmark,
            opened.at,
            self.now(),
            Key::new("", ""),
            text.as_bytes(),
        );
        Arc::new(event)
    }

    /// The next event of a watch up to `limit`; without one the watch stands at `limit`, or at the newest version.
    pub(super) fn next_event(&self, opened: &mut Opened, limit: u64) -> Option<Arc<WatchEvent>> {
        let log = &self.collections.get(opened.index)?.log;
        while let Some(entry) = log.get(opened.next).filter(|entry| entry.version <= limit) {
            opened.next += 1;
            opened.at = opened.at.max(entry.version);
            if !opened.selection.admits_namespace(&entry.key.namespace) {
                continue;
            }
            let before = entry
                .before
                .as_ref()
                .is_some_and(|object| opened.selection.admits(&object.value));
            let after = !entry.is_deletion && opened.selection.admits(&entry.after.value);
            if let Some(event) = entry.seen(before, after) {
                return Some(event);
            }
        }
        if opened.next <= log.len() {
            opened.at = opened.at.max(limit.min(self.version()));
        }
        None
    }
}

fn refuse_list(why: &str) -> Response {
    let error = FieldError::forbidden("resourceVersionMatch", why);
    status::invalid("meta.k8s.io", "ListOptions", "", &[error])
}

fn check_watch(query: &Query, streams: bool, bookmarks: bool) -> Result<(), Response> {
    let rule = query.get("resourceVersionMatch");
    if streams {
        let mut errors = Vec::new();
        if rule.is_empty() {
            errors.push(FieldError::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is required when sendInitialEvents is set",
            ));
        } else if rule != "NotOlderThan" {
            errors.push(FieldError::not_supported(
                "resourceVersionMatch",
                &json!(rule),
                &["NotOlderThan"],
            ));
        }
        if !bookmarks {
            errors.push(FieldError::forbidden(
                "allowWatchBookmarks",
                "sendInitialEvents requires setting allowWatchBookmarks to true",
            ));
        }
        if !errors.is_empty() {
            return Err(status::invalid("meta.k8s.io", "ListOptions", "", &errors));
        }
    } else if !rule.is_empty() && !query.has("sendInitialEvents") {
        return Err(refuse_list(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    Ok(())
}

/// The place behind an object in a list of a version; version 0 is the newest.
fn write_token(version: u64, last: &Key) -> String {
    format!("{version}.{}/{}", last.namespace, last.name)
}

fn read_token(token: &str) -> Option<(u64, Key)> {
    let (version, key) = token.split_once('.')?;
    let (namespace, name) = key.split_once('/')?;
    Some((version.parse().ok()?, Key::new(namespace, name)))
}
