//! What the server holds.

use std::sync::Arc;

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use serde_json::Value;

use super::log::{Initial, WatchEvent};
use super::{Admission, Observer, Request, Response, Settings};

/// Objects of every version, and who is told of them.
pub(super) struct State {
    settings: Settings,
    version: u64,
    observers: Vec<Observer>,
    admission: Vec<Admission>,
}

/// A watch that was opened.
pub(super) struct Opened {
    pub(super) resource: Resource,
    pub(super) at: u64,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) bookmarks: bool,
    pub(super) initial: Initial,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            version: 1,
            observers: Vec::new(),
            admission: Vec::new(),
        }
    }
    pub(super) fn version(&self) -> u64 {
        self.version
    }
    pub(super) fn observe(&mut self, observer: Observer) {
        self.observers.push(observer);
    }
    pub(super) fn admit(&mut self, admission: Admission) {
        self.admission.push(admission);
    }
    pub(super) fn handle(&mut self, _: &Writer, _: &Request, _: u64) -> Response {
        Response::new(404, "404 page not found\n")
    }
    pub(super) fn open_watch(&mut self, _: &Request, _: u64) -> Result<Opened, Response> {
        Err(Response::new(404, "404 page not found\n"))
    }
    pub(super) fn next_event(&mut self, _: &mut Opened, _: u64) -> Option<Arc<WatchEvent>> {
        None
    }
    pub(super) fn bookmark(&self, opened: &Opened, _: bool) -> Arc<WatchEvent> {
        Arc::new(WatchEvent {
            version: opened.at,
            at: self.settings.clock.now(),
            kind: super::EventKind::Bookmark,
            key: Key::new("", ""),
            line: bytes::Bytes::new(),
        })
    }
    pub(super) fn get(&self, _: Resource, _: &Key) -> Option<Arc<Value>> {
        None
    }
    pub(super) fn list_at(&self, _: Resource, _: Option<&str>, _: u64) -> Vec<Arc<Value>> {
        Vec::new()
    }
    pub(super) fn compact(&mut self, _: u64) {}
    pub(super) fn serve(&mut self, _: Resource, _: bool) {}
    pub(super) fn collect_garbage(&mut self) -> bool {
        false
    }
}
