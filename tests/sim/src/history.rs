//! The record of a run: who wrote what, which requests failed how, who saw what when, faults, and the user's steps.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use ironkeel_invariants::{Commit, Writer};
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::api::EventKind;

/// One line of the record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, by the API server's clock.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum What {
    /// A write was committed.
    Commit(Commit),
    /// A request had no success, or the client does not know that it had: the answer was lost or replaced.
    Failed {
        /// Who asked.
        writer: Writer,
        /// The method and, for what it matters, the subresource: `POST`, `PATCH status`.
        verb: String,
        /// What was asked for: the path without its group.
        path: String,
        /// What the client was told: `409 AlreadyExists`, `time-out`, `connection cut`.
        answer: String,
        /// Whether the write was committed nevertheless.
        committed: bool,
    },
    /// A process was handed an event of a watch.
    Seen {
        /// Its number.
        process: u32,
        /// The collection.
        resource: Resource,
        /// What the event told.
        kind: EventKind,
        /// The object; empty parts for a bookmark.
        key: Key,
        /// Its version.
        version: u64,
    },
    /// A process listed a collection, or a watch was opened, closed or refused.
    Watch {
        /// Its number.
        process: u32,
        /// The collection.
        resource: Resource,
        /// What happened, in words.
        text: String,
    },
    /// A process started, crashed, got or lost the lease.
    Process {
        /// Its number.
        process: u32,
        /// What happened, in words.
        text: String,
    },
    /// A fault was injected.
    Fault(String),
    /// The user did something.
    Step(String),
}

/// The record of a run. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Vec<Entry>>>);

impl History {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    pub fn add(&self, at: Timestamp, what: What) {
        self.0.lock().push(Entry { at, what });
    }

    /// Adds a commit at its own time.
    pub fn commit(&self, commit: &Commit) {
        self.add(commit.at, What::Commit(commit.clone()));
    }

    /// All lines, in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().clone()
    }

    /// Takes the lines out.
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Everything in `entries`, to the last byte of every object: two runs of one seed must agree on it.
pub fn canonical(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        // Writing to a string cannot fail.
        let _ = write!(text, "{} ", entry.at);
        let _ = write!(text, "{}", entry.what);
        if let What::Commit(Commit {
            after: Some(after), ..
        }) = &entry.what
        {
            let _ = write!(text, " {after}");
        }
        text.push('\n');
    }
    text
}

/// What a commit did: `create`, `update`, `delete`.
pub(crate) fn verb(commit: &Commit) -> &'static str {
    match (&commit.before, &commit.after) {
        (None, _) => "create",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "delete",
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => write!(
                f,
                "commit {} {}: {} {} {}",
                commit.version,
                commit.writer,
                verb(commit),
                commit.resource,
                commit.key
            ),
            Self::Failed {
                writer,
                verb,
                path,
                answer,
                committed,
            } => {
                let committed = if *committed { " (committed)" } else { "" };
                write!(f, "failed {writer}: {verb} {path}: {answer}{committed}")
            }
            Self::Seen {
                process,
                resource,
                kind,
                key,
                version,
            } => write!(f, "seen {process}: {kind} {resource} {key} {version}"),
            Self::Watch {
                process,
                resource,
                text,
            } => write!(f, "watch {process}: {resource} {text}"),
            Self::Process { process, text } => write!(f, "process {process}: {text}"),
            Self::Fault(text) => write!(f, "fault: {text}"),
            Self::Step(text) => write!(f, "user: {text}"),
        }
    }
}
