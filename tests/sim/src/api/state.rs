//! What the server holds, and the one place where it changes.

use std::sync::Arc;

use http::Method;
use ironkeel_invariants::{Commit, Writer};
use ironkeel_plan::meta::Key;
use ironkeel_plan::names;
use ironkeel_runtime::resource::Resource;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::garbage::Garbage;
use super::log::Initial;
use super::object::{self, Object};
use super::query::Query;
use super::random::Random;
use super::resource::{NAMESPACES, STRATEGIES, Strategy, index_of};
use super::route::{Place, Route};
use super::selection::Selection;
use super::store::{Collection, Entry};
use super::{Admission, Observer, Request, Response, Settings, schema, status};

/// Objects of every version, and who is told of them.
pub(super) struct State {
    pub(super) settings: Settings,
    version: u64,
    /// What was before this version is forgotten.
    pub(super) oldest: u64,
    /// In the order of [`STRATEGIES`].
    pub(super) collections: Vec<Collection>,
    unserved: Vec<Resource>,
    random: Random,
    suffixes: names::SplitMix64,
    observers: Vec<Observer>,
    pub(super) admission: Vec<Admission>,
    pub(super) garbage: Garbage,
}

/// A watch that was opened.
pub(super) struct Opened {
    pub(super) resource: Resource,
    pub(super) index: usize,
    pub(super) at: u64,
    /// The next entry of the log.
    pub(super) next: usize,
    pub(super) selection: Selection,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) bookmarks: bool,
    pub(super) initial: Initial,
}

/// What is stored by a commit.
pub(super) enum Change {
    /// This object, which storage holds without its defaults (`bare`) or with them.
    Put { object: Value, bare: bool },
    /// Nothing more.
    Remove,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let mut state = Self {
            version: 0,
            oldest: 0,
            collections: STRATEGIES.iter().map(|_| Collection::default()).collect(),
            unserved: Vec::new(),
            random: Random::new(settings.seed),
            suffixes: names::SplitMix64::new(!settings.seed),
            observers: Vec::new(),
            admission: Vec::new(),
            garbage: Garbage::default(),
            settings,
        };
        for name in ["default", "kube-system"] {
            let namespace = json!({ "metadata": { "name": name } });
            state.handle(
                &Writer::Other("bootstrap".into()),
                &Request::post(NAMESPACES.path(None, None, None), &namespace),
                u64::MAX,
            );
        }
        state
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    pub(super) fn observe(&mut self, observer: Observer) {
        self.observers.push(observer);
    }

    pub(super) fn admit(&mut self, admission: Admission) {
        self.admission.push(admission);
    }

    pub(super) fn handle(&mut self, writer: &Writer, request: &Request, seen: u64) -> Response {
        let place = match Route::of(&request.path) {
            Route::Resource(place) if !self.is_served(place.strategy) => {
                return status::no_such_path();
            }
            Route::Resource(place) => place,
            Route::OpenApi(document) => return self.open_api(document),
            Route::Health => return Response::new(200, "ok"),
            Route::Version => {
                let version = json!({ "major": "1", "minor": "37", "gitVersion": "v1.37.1" });
                return Response::new(200, version.to_string());
            }
            Route::NoResource => return status::no_such_resource(),
            Route::Nowhere => return status::no_such_path(),
        };
        let query = Query::parse(&request.query);
        let answer = match (&request.method, place.name, place.subresource) {
            (&Method::GET, None, _) => self.list(&place, &query, seen),
            (&Method::GET, Some(_), "scale") => self.get_scale(&place),
            (&Method::GET, Some(_), "" | "status") => self.get_one(&place, &query, seen),
            (&Method::POST, None, _) => self.create(writer, &place, &query, request),
            (&Method::POST, Some(_), "binding") => self.bind(writer, &place, &query, request),
            (&Method::PUT | &Method::PATCH, Some(_), "scale") => {
                self.write_scale(writer, &place, &query, request)
            }
            (&Method::PUT, Some(_), "finalize") => self.finalize(writer, &place, &query, request),
            (&Method::PUT, Some(_), _) => self.replace(writer, &place, &query, request),
            (&Method::PATCH, Some(_), _) => self.patch(writer, &place, &query, request),
            (&Method::DELETE, Some(_), "") => self.delete(writer, &place, &query, request),
            (&Method::DELETE, None, _) => self.delete_collection(writer, &place, &query, request),
            _ => Err(status::method_not_allowed()),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    pub(super) fn is_served(&self, strategy: &Strategy) -> bool {
        !self.unserved.contains(&strategy.resource)
    }

    pub(super) fn serve(&mut self, resource: Resource, served: bool) {
        self.unserved.retain(|known| *known != resource);
        if !served {
            self.unserved.push(resource);
        }
    }

    pub(super) fn compact(&mut self, version: u64) {
        self.oldest = self.oldest.max(version.min(self.version));
    }

    pub(super) fn get(&self, resource: Resource, key: &Key) -> Option<Arc<Value>> {
        let found = self.find(index_of(resource)?, key)?;
        Some(Arc::clone(&found.value))
    }

    pub(super) fn list_at(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        version: u64,
    ) -> Vec<Arc<Value>> {
        let Some(collection) = index_of(resource).and_then(|index| self.collections.get(index))
        else {
            return Vec::new();
        };
        let objects = collection.at(namespace, version, None);
        objects
            .map(|(_, object)| Arc::clone(&object.value))
            .collect()
    }

    pub(super) fn find(&self, index: usize, key: &Key) -> Option<&Arc<Object>> {
        self.collections.get(index)?.get(key)
    }

    /// The key of the object that a place names.
    pub(super) fn key_of(place: &Place<'_>) -> Key {
        Key::new(
            place.namespace.unwrap_or_default(),
            place.name.unwrap_or_default(),
        )
    }

    /// The object that a place names, or its absence as a refusal.
    pub(super) fn expect(&self, place: &Place<'_>) -> Result<Arc<Object>, Response> {
        let found = self.find(place.index, &Self::key_of(place)).cloned();
        found.ok_or_else(|| {
            status::not_found(place.strategy.resource, place.name.unwrap_or_default())
        })
    }

    /// A new identity.
    pub(super) fn new_uid(&mut self) -> String {
        let (high, low) = (self.random.next(), self.random.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// A name that starts with `prefix`, as the server makes it of `generateName`.
    pub(super) fn new_name(&mut self, prefix: &str) -> String {
        names::generated(prefix, &names::NameSource::suffix(&mut self.suffixes))
    }

    /// Stores a change as the next version, and tells everyone. The stored object, or the last state of a removed one.
    pub(super) fn commit(
        &mut self,
        writer: &Writer,
        index: usize,
        key: &Key,
        change: Change,
    ) -> Arc<Object> {
        let at = self.now();
        self.version += 1;
        let version = self.version;
        let resource = STRATEGIES
            .get(index)
            .map_or(NAMESPACES, |strategy| strategy.resource);
        let before = self.find(index, key).cloned();
        let (mut value, bare, is_deletion) = match change {
            Change::Put { object, bare } => (object, bare, false),
            Change::Remove => {
                let last = before.as_ref().map(|object| (*object.value).clone());
                (last.unwrap_or_default(), false, true)
            }
        };
        object::metadata(&mut value)
            .insert("resourceVersion".to_owned(), version.to_string().into());
        let after = Arc::new(Object::new(resource, value, version, bare));
        let stored = (!is_deletion).then(|| Arc::clone(&after));
        let told = Commit {
            version,
            at,
            writer: writer.clone(),
            resource,
            key: key.clone(),
            before: before.as_ref().map(|object| Arc::clone(&object.value)),
            after: stored.as_ref().map(|object| Arc::clone(&object.value)),
        };
        self.garbage
            .note(index, key, told.before.as_deref(), told.after.as_deref());
        if let Some(collection) = self.collections.get_mut(index) {
            collection.put(key.clone(), version, stored);
            let entry = Entry::new(
                version,
                at,
                key.clone(),
                before,
                Arc::clone(&after),
                is_deletion,
            );
            collection.log.push(entry);
        }
        for observer in &mut self.observers {
            observer(&told);
        }
        after
    }

    fn open_api(&self, document: &str) -> Response {
        let schemas = [
            (
                "dev.ironkeel.apps.v1.Deployment",
                ironkeel_runtime::resource::DEPLOYMENTS,
                &*schema::DEPLOYMENT,
            ),
            (
                "dev.ironkeel.apps.v1.ReplicaSet",
                ironkeel_runtime::resource::REPLICA_SETS,
                &*schema::REPLICA_SET,
            ),
        ];
        if document != "apis/apps.ironkeel.dev/v1" {
            return status::no_such_path();
        }
        let served: serde_json::Map<String, Value> = schemas
            .into_iter()
            .filter(|(_, resource, _)| !self.unserved.contains(resource))
            .map(|(name, _, schema)| (name.to_owned(), schema.document.clone()))
            .collect();
        if served.is_empty() {
            return status::no_such_path();
        }
        let body = json!({ "openapi": "3.0.0", "components": { "schemas": served } });
        Response::new(200, body.to_string())
    }
}

/// A time as metadata has it: whole seconds.
pub(super) fn seconds(at: Timestamp) -> String {
    let whole = Timestamp::from_second(at.as_second()).unwrap_or(at);
    whole.to_string()
}
