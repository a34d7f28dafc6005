//! List and watch of one resource on raw requests.
#![allow(clippy::todo)]
use crate::resource::Resource;
use crate::store::{Change, Store};
use ironkeel_plan::meta::Stored;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// Which objects a watch sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this namespace; `None` is all.
    pub namespace: Option<String>,
    /// Only objects that this label selector matches, in the API's text form.
    pub labels: Option<String>,
    /// Only objects that this field selector matches, in the API's text form.
    pub fields: Option<String>,
}

/// Where a watch stands; for readiness and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// The list is being read.
    Listing,
    /// Events arrive.
    Live,
    /// The API server does not serve the resource: the CRD is missing or too old. Retried.
    Missing,
    /// The last attempt failed for this reason. Retried.
    Failing(String),
}

/// Counters of all watches: `ironkeel_watch_*`, by resource.
#[derive(Clone, Debug)]
pub struct WatchMetrics {}

impl WatchMetrics {
    /// Registers the counters.
    pub fn register(_registry: &mut prometheus_client::registry::Registry) -> Self {
        todo!()
    }
}

/// A list-and-watch of one resource.
#[derive(Debug)]
pub struct Watch {}

impl Watch {
    /// A watch of `resource`. `seed` feeds the jitter of back-off and timeouts.
    pub fn new(
        _client: kube::Client,
        _resource: Resource,
        _scope: Scope,
        _metrics: &WatchMetrics,
        _seed: u64,
    ) -> Self {
        todo!()
    }

    /// Where the watch stands; may be asked at any time, also after `run` took the watch.
    pub fn state(&self) -> tokio::sync::watch::Receiver<WatchState> {
        todo!()
    }

    /// Keeps `store` current until `cancel`. After each step `on_progress` gets the store's high-water,
    /// then `on_change` each change (wire them to `Barrier::seen`, and `Barrier::observe` and the queues).
    pub async fn run<V: Stored + DeserializeOwned>(
        self,
        _store: Store<V>,
        _on_change: impl Fn(&Change<V>) + Send + Sync,
        _on_progress: impl Fn(u64) + Send + Sync,
        _cancel: CancellationToken,
    ) {
        todo!()
    }
}
