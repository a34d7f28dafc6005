//! A model of the API server: objects, versions, deletion, subresources, admission, and a log to watch.
//!
//! Synchronous: a request is taken, committed and answered in one call, as etcd would order it. Time comes from the
//! caller. What lies between a client and this (latency, loss, lag) is `network`'s.
//!
//! ```text
//! Request ─► route ─► verb ─► strategy of the resource ─► State::commit ─► observers, log
//!                                (defaults, validation, status rules, admission)
//! ```
//!
//! `tests/model.rs` checks it against a real API server.

mod bind;
mod builtin;
mod create;
mod delete;
mod garbage;
mod json_patch;
mod log;
mod names;
mod object;
mod patch;
mod query;
mod quota;
mod random;
mod read;
mod request;
pub mod resource;
mod route;
mod rules;
mod scale;
mod schema;
mod selection;
mod state;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod update;
mod validate;

use std::fmt;
use std::sync::Arc;

use ironkeel_invariants::{Commit, Writer};
use ironkeel_plan::meta::Key;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::resource::Resource;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub use log::{Cursor, EventKind, WatchEvent};
pub use request::{Request, Response};

use state::State;

/// How a model of the API server is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time of everything that is written.
    pub clock: Clock,
    /// Decides UIDs and generated names.
    pub seed: u64,
}

/// An API server. Clones are the same one.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Api(at {})", self.version())
    }
}

/// A write that is about to be admitted.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who asks.
    pub writer: &'a Writer,
    /// `create`, `update` or `delete`; a patch is an update.
    pub verb: &'static str,
    /// The collection.
    pub resource: Resource,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// The object; the name of one that is to be created may be empty.
    pub key: &'a Key,
    /// What would be stored; none for a delete.
    pub object: Option<&'a Value>,
}

/// Judges writes; a text is a refusal (403) in the words of an admission plugin.
pub type Admission = Box<dyn FnMut(&Attempt<'_>) -> Option<String> + Send>;

/// Is told every commit.
pub type Observer = Box<dyn FnMut(&Commit) + Send>;

impl Api {
    /// A server with the namespaces `default` and `kube-system` and nothing else.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State::new(settings)),
            changed: Notify::new(),
        }))
    }

    /// Answers everything but a watch. What it writes is committed when it returns.
    pub fn handle(&self, writer: &Writer, request: &Request) -> Response {
        self.handle_at(writer, request, u64::MAX)
    }

    /// As [`Api::handle`] by a server whose watch cache has got no further than `seen`: a read that allows it
    /// (`resourceVersion=0`, or a version up to `seen`) is answered with the state of then; one that asks for a later
    /// version is refused with 504 as too large.
    pub fn handle_at(&self, writer: &Writer, request: &Request, seen: u64) -> Response {
        let mut state = self.0.state.lock();
        let before = state.version();
        let response = state.handle(writer, request, seen);
        let after = state.version();
        drop(state);
        if after > before {
            self.0.changed.notify_waiters();
        }
        response
    }

    /// Opens a watch (`watch=true` on a collection); the refusal otherwise.
    pub fn open_watch(&self, request: &Request) -> Result<Cursor, Response> {
        self.open_watch_at(request, u64::MAX)
    }

    /// As [`Api::open_watch`] by a server whose watch cache has got no further than `seen`.
    pub fn open_watch_at(&self, request: &Request, seen: u64) -> Result<Cursor, Response> {
        let opened = self.0.state.lock().open_watch(request, seen)?;
        Ok(Cursor::new(self.clone(), opened))
    }

    /// Completes at the next commit after this call.
    pub fn changed(&self) -> Notified<'_> {
        self.0.changed.notified()
    }

    /// Has every later commit told to `observer`, in order, under the lock: it must not call back.
    pub fn observe(&self, observer: Observer) {
        self.0.state.lock().observe(observer);
    }

    /// Has every later write judged by `admission`, after validation of its form and before quotas.
    pub fn admit(&self, admission: Admission) {
        self.0.state.lock().admit(admission);
    }

    /// The version of the last commit.
    pub fn version(&self) -> u64 {
        self.0.state.lock().version()
    }

    /// The object as it is now; `namespace` is empty for a cluster-scoped resource.
    pub fn get(&self, resource: Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.0
            .state
            .lock()
            .get(resource, &Key::new(namespace, name))
    }

    /// The objects of a namespace, or of all, as they are now, in the order of namespace and name.
    pub fn list(&self, resource: Resource, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.list_at(resource, namespace, u64::MAX)
    }

    /// The objects as they were right after the commit `version`.
    pub fn list_at(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        version: u64,
    ) -> Vec<Arc<Value>> {
        self.0.state.lock().list_at(resource, namespace, version)
    }

    /// Forgets what was before `version`: a watch from an earlier one, and the next page of an earlier list, get 410.
    pub fn compact(&self, version: u64) {
        self.0.state.lock().compact(version);
    }

    /// Takes a custom resource away (`false`: its requests get 404, as before its CRD is installed) or brings it back.
    pub fn serve(&self, resource: Resource, served: bool) {
        self.0.state.lock().serve(resource, served);
    }

    /// One step of the garbage collector, and of what ends a namespace: at most one write. `false` when there is nothing
    /// to do.
    pub fn collect_garbage(&self) -> bool {
        let mut state = self.0.state.lock();
        let before = state.version();
        let acted = state.collect_garbage();
        let after = state.version();
        drop(state);
        if after > before {
            self.0.changed.notify_waiters();
        }
        acted
    }
}
