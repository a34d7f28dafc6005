//! An independent watch of the true state: straight at the API server, past the proxy and every manager.
//!
//! One watch per kind serves the whole campaign. It never lists again: a watch that cannot go on from where it was would
//! have missed commits, and then nothing that it says is worth anything, so it stops and the campaign with it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt, StreamExt};
use http::Request;
use ironkeel_runtime::resource::Resource;
use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// How long the server holds one watch open, in seconds.
const WATCH_SECONDS: u32 = 3000;

/// One commit as a watch tells it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its resourceVersion.
    pub version: u64,
    /// When it was seen here.
    pub at: Timestamp,
    /// The collection.
    pub resource: Resource,
    /// The object; its last state if it was removed.
    pub object: Arc<Value>,
    /// Whether it was removed.
    pub removed: bool,
}

impl Seen {
    /// The object's namespace.
    pub fn namespace(&self) -> &str {
        text(&self.object, "namespace")
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        text(&self.object, "name")
    }
}

/// The objects of a namespace, by kind and name.
pub type State = BTreeMap<(Resource, String), Arc<Value>>;

#[derive(Debug, Default)]
struct Room {
    seen: Vec<Seen>,
    state: State,
    last: Option<Instant>,
}

/// The watches and what they told, by namespace.
pub struct Observer {
    shared: Arc<Shared>,
    watches: Vec<JoinHandle<()>>,
}

struct Shared {
    rooms: Mutex<HashMap<String, Room>>,
    /// Namespaces of runs that are over.
    forgotten: Mutex<HashSet<String>>,
    changed: Notify,
    broken: Mutex<Option<String>>,
    /// Who else hears of every commit.
    listener: mpsc::UnboundedSender<Seen>,
}

impl Observer {
    /// Watches `resources` in all namespaces from now on. `listener` hears every commit as it comes.
    pub async fn start(
        client: &Client,
        resources: &[Resource],
        listener: mpsc::UnboundedSender<Seen>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            rooms: Mutex::default(),
            forgotten: Mutex::default(),
            changed: Notify::new(),
            broken: Mutex::default(),
            listener,
        });
        let mut watches = Vec::new();
        for &resource in resources {
            let list: Value = client
                .request(
                    Request::get(format!("{}?limit=1", resource.path(None, None, None)))
                        .body(Vec::new())?,
                )
                .await
                .with_context(|| format!("listing {resource}"))?;
            let version =
                version(&list).with_context(|| format!("the list of {resource} has no version"))?;
            let (client, shared) = (client.clone(), shared.clone());
            watches.push(tokio::spawn(async move {
                if let Err(error) = watch(&client, resource, version, &shared).await {
                    *shared.broken.lock() = Some(format!("the watch of {resource}: {error:#}"));
                    shared.changed.notify_waiters();
                }
            }));
        }
        Ok(Self { shared, watches })
    }

    /// What `look` makes of the present state of a namespace. An error if the watches have ended.
    pub fn look<T>(&self, namespace: &str, look: impl FnOnce(&State) -> T) -> Result<T> {
        if let Some(why) = &*self.shared.broken.lock() {
            bail!("the independent watch cannot go on, so the history has a hole: {why}");
        }
        let rooms = self.shared.rooms.lock();
        Ok(match rooms.get(namespace) {
            Some(room) => look(&room.state),
            None => look(&State::new()),
        })
    }

    /// The highest version that was seen of a namespace; 0 where nothing was.
    pub fn newest(&self, namespace: &str) -> u64 {
        let rooms = self.shared.rooms.lock();
        let seen = rooms
            .get(namespace)
            .map(|room| room.seen.iter().map(|seen| seen.version));
        seen.and_then(Iterator::max).unwrap_or(0)
    }

    /// When the last commit of a namespace was seen.
    pub fn last(&self, namespace: &str) -> Option<Instant> {
        self.shared.rooms.lock().get(namespace)?.last
    }

    /// Waits for the next commit anywhere, at most for `limit`.
    pub async fn changed(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.shared.changed.notified()).await;
    }

    /// Forgets a namespace for good and returns what was seen of it, in the order of the commits.
    pub fn take(&self, namespace: &str) -> Vec<Seen> {
        self.shared.forgotten.lock().insert(namespace.to_owned());
        let room = self.shared.rooms.lock().remove(namespace);
        let mut seen = room.unwrap_or_default().seen;
        // Three watches: each is in order, all of them together are not.
        seen.sort_by_key(|seen| seen.version);
        seen
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        for watch in &self.watches {
            watch.abort();
        }
    }
}

async fn watch(client: &Client, resource: Resource, mut from: u64, shared: &Shared) -> Result<()> {
    loop {
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={WATCH_SECONDS}",
            resource.path(None, None, None)
        );
        let request = Request::get(path)
            // The server compresses a watch event by event, which the client's own decoder ends after the first.
            .header(http::header::ACCEPT_ENCODING, "identity")
            .body(Vec::new())?;
        let mut lines = client.request_stream(request).await?.lines();
        while let Some(line) = lines.next().await {
            let mut event: Value = serde_json::from_str(&line?).context("an event")?;
            let object = event["object"].take();
            let removed = match event["type"].as_str().unwrap_or_default() {
                "ADDED" | "MODIFIED" => false,
                "DELETED" => true,
                "BOOKMARK" => {
                    from = version(&object).unwrap_or(from);
                    continue;
                }
                _ => bail!("{event} {object}"),
            };
            from = version(&object)
                .with_context(|| format!("an event without a version: {object}"))?;
            shared.take(Seen {
                version: from,
                at: Timestamp::now(),
                resource,
                object: Arc::new(without_managed_fields(object)),
                removed,
            });
        }
    }
}

impl Shared {
    fn take(&self, seen: Seen) {
        if !self.forgotten.lock().contains(seen.namespace()) {
            let mut rooms = self.rooms.lock();
            let room = rooms.entry(seen.namespace().to_owned()).or_default();
            let key = (seen.resource, seen.name().to_owned());
            if seen.removed {
                room.state.remove(&key);
            } else {
                room.state.insert(key, seen.object.clone());
            }
            room.last = Some(Instant::now());
            room.seen.push(seen.clone());
        }
        // Nobody listens any more when the campaign ends.
        let _ = self.listener.send(seen);
        self.changed.notify_waiters();
    }
}

/// Nobody here reads who manages which field, and it is more than half of an object.
fn without_managed_fields(mut object: Value) -> Value {
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    object
}

/// A text in an object's metadata; empty where it has none.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// An object's or a list's resourceVersion.
pub(crate) fn version(object: &Value) -> Option<u64> {
    text(object, "resourceVersion").parse().ok()
}
