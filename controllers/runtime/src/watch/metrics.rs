//! Counters of the watches.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::resource::Resource;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    group: &'static str,
    resource: &'static str,
}

type Counts = Family<Labels, Counter>;

/// Counters of all watches, by group and resource. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct WatchMetrics {
    lists: Counts,
    events: Counts,
    restarts: Counts,
    decode_errors: Counts,
}

/// The counters of one watch.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) lists: Counter,
    pub(super) events: Counter,
    pub(super) restarts: Counter,
    pub(super) decode_errors: Counter,
}

impl WatchMetrics {
    /// Registers `ironkeel_watch_{lists,events,restarts,decode_errors}_total`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("ironkeel_watch");
        registry.register("lists", "Complete lists read", metrics.lists.clone());
        registry.register("events", "Watch events taken in", metrics.events.clone());
        registry.register(
            "restarts",
            "Watches that ended, for whatever reason, and were opened again",
            metrics.restarts.clone(),
        );
        registry.register(
            "decode_errors",
            "Objects that could not be decoded and were skipped",
            metrics.decode_errors.clone(),
        );
        metrics
    }

    pub(super) fn counters(&self, resource: Resource) -> Counters {
        let labels = Labels {
            group: resource.group,
            resource: resource.plural,
        };
        Counters {
            lists: self.lists.get_or_create_owned(&labels),
            events: self.events.get_or_create_owned(&labels),
            restarts: self.restarts.get_or_create_owned(&labels),
            decode_errors: self.decode_errors.get_or_create_owned(&labels),
        }
    }
}
