//! Watches: each commit is a line, serialised once for all who see it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use jiff::Timestamp;

use super::state::Opened;
use super::{Api, status};

/// What a watch event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// The object came into view.
    Added,
    /// The object changed.
    Modified,
    /// The object went out of view.
    Deleted,
    /// Progress; also the end of the initial events.
    Bookmark,
    /// A `Status`, mostly 410: the server ends the watch behind it.
    Error,
}

impl EventKind {
    /// `type` of the line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One line of a watch.
#[derive(Clone, Debug)]
pub struct WatchEvent {
    /// The version that the line carries a client to.
    pub version: u64,
    /// When it was committed; of initial events and bookmarks, when the watch was opened.
    pub at: Timestamp,
    /// What it tells.
    pub kind: EventKind,
    /// The object; both parts are empty for a bookmark and an error.
    pub key: Key,
    /// The JSON with the line's end.
    pub line: Bytes,
}

impl WatchEvent {
    pub(super) fn of(
        kind: EventKind,
        version: u64,
        at: Timestamp,
        key: Key,
        object: &[u8],
    ) -> Self {
        let head = format!("{{\"type\":\"{kind}\",\"object\":");
        let mut line = Vec::with_capacity(head.len() + object.len() + 2);
        line.extend_from_slice(head.as_bytes());
        line.extend_from_slice(object);
        line.extend_from_slice(b"}\n");
        Self {
            version,
            at,
            kind,
            key,
            line: line.into(),
        }
    }

    /// What a watch gets whose version is not kept any more, or whose server gave up on it; nothing follows it.
    pub fn expired(version: u64, oldest: u64, at: Timestamp) -> Self {
        let status = status::expired(&format!("too old resource version: {version} ({oldest})"));
        Self::of(
            EventKind::Error,
            version,
            at,
            Key::new("", ""),
            &status.body,
        )
    }
}

/// A place in the log of one resource, with the selectors of its watch.
///
/// The initial events of a streaming list come first, then the bookmark that ends them, then what was committed after.
pub struct Cursor {
    api: Api,
    opened: Opened,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} at {})", self.resource(), self.version())
    }
}

impl Cursor {
    pub(super) fn new(api: Api, opened: Opened) -> Self {
        Self { api, opened }
    }

    /// The collection that is watched.
    pub fn resource(&self) -> Resource {
        self.opened.resource
    }

    /// Everything up to this version has been handed out, or was passed over as unseen.
    pub fn version(&self) -> u64 {
        self.opened.at
    }

    /// Seconds after which the client wants the watch to end (`timeoutSeconds`).
    pub fn timeout_seconds(&self) -> Option<u64> {
        self.opened.timeout_seconds
    }

    /// Whether the client wants bookmarks (`allowWatchBookmarks`).
    pub fn wants_bookmarks(&self) -> bool {
        self.opened.bookmarks
    }

    /// The next event that was committed no later than `version`; initial events come in any case.
    pub fn next_up_to(&mut self, version: u64) -> Option<Arc<WatchEvent>> {
        if let Some(event) = self.opened.initial.pop_front() {
            return Some(event);
        }
        self.api
            .0
            .state
            .lock()
            .next_event(&mut self.opened, version)
    }

    /// A bookmark of the present [`Cursor::version`].
    pub fn bookmark(&self) -> Arc<WatchEvent> {
        self.api.0.state.lock().bookmark(&self.opened, false)
    }
}

/// The next event, if it is there. It never waits: after `None` there may be more later.
impl Iterator for Cursor {
    type Item = Arc<WatchEvent>;

    fn next(&mut self) -> Option<Arc<WatchEvent>> {
        self.next_up_to(u64::MAX)
    }
}

/// Events that wait for the client in front of the log.
pub(super) type Initial = VecDeque<Arc<WatchEvent>>;
