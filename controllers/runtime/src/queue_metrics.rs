//! Upstream's `workqueue_*` metrics, so that its dashboards and alerts hold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    name: &'static str,
}

/// The metrics of all queues, by the label `name`. Clones share them.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    depth: Family<Name, Gauge>,
    adds: Family<Name, Counter>,
    retries: Family<Name, Counter>,
    queue_duration: Family<Name, Histogram>,
    work_duration: Family<Name, Histogram>,
    unfinished: Unfinished,
}

/// The metrics of one queue.
#[derive(Debug)]
pub(crate) struct QueueHandles {
    pub(crate) depth: Gauge,
    pub(crate) adds: Counter,
    pub(crate) retries: Counter,
    pub(crate) queue_duration: Histogram,
    pub(crate) work_duration: Histogram,
}

/// Something that knows how long its work in progress has taken so far.
pub(crate) trait InProgress: Send + Sync {
    /// One entry per key that is worked on.
    fn durations(&self) -> Vec<Duration>;
}

impl QueueMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            queue_duration: Family::new_with_constructor(durations),
            work_duration: Family::new_with_constructor(durations),
            unfinished: Unfinished::default(),
        };
        let registry = registry.sub_registry_with_prefix("workqueue");
        registry.register("depth", "Keys that are due", metrics.depth.clone());
        registry.register("adds", "Keys that became due", metrics.adds.clone());
        registry.register(
            "retries",
            "Keys queued with a delay",
            metrics.retries.clone(),
        );
        registry.register(
            "queue_duration_seconds",
            "Time from becoming due to being handed out",
            metrics.queue_duration.clone(),
        );
        registry.register(
            "work_duration_seconds",
            "Time of the work on a key",
            metrics.work_duration.clone(),
        );
        registry.register_collector(Box::new(metrics.unfinished.clone()));
        metrics
    }

    pub(crate) fn handles(&self, name: &'static str) -> QueueHandles {
        let name = Name { name };
        QueueHandles {
            depth: self.depth.get_or_create_owned(&name),
            adds: self.adds.get_or_create_owned(&name),
            retries: self.retries.get_or_create_owned(&name),
            queue_duration: self.queue_duration.get_or_create_owned(&name),
            work_duration: self.work_duration.get_or_create_owned(&name),
        }
    }

    /// Asks `queue` for its work in progress at each scrape, as long as it lives.
    pub(crate) fn watch(&self, name: &'static str, queue: &Arc<dyn InProgress>) {
        let mut queues = self.unfinished.queues.lock();
        queues.push((name, Arc::downgrade(queue)));
    }
}

/// Upstream's buckets: 10 ns to 10 s by powers of ten.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(10e-9, 10.0, 10))
}

/// A queue and the name under which it is measured.
type Watched = (&'static str, Weak<dyn InProgress>);

/// `unfinished_work_seconds` and `longest_running_processor_seconds`, computed at the scrape.
#[derive(Clone, Default)]
struct Unfinished {
    queues: Arc<Mutex<Vec<Watched>>>,
}

impl fmt::Debug for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").finish_non_exhaustive()
    }
}

impl Unfinished {
    /// Sum and longest by name.
    fn measure(&self) -> BTreeMap<&'static str, (Duration, Duration)> {
        let mut queues = self.queues.lock();
        queues.retain(|(_, queue)| queue.strong_count() > 0);
        let mut measures: BTreeMap<&'static str, (Duration, Duration)> = BTreeMap::new();
        for (name, queue) in queues.iter() {
            let (sum, longest) = measures.entry(name).or_default();
            for took in queue.upgrade().iter().flat_map(|queue| queue.durations()) {
                *sum += took;
                *longest = took.max(*longest);
            }
        }
        measures
    }
}

impl Collector for Unfinished {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let measures = self.measure();
        let mut family = |metric: &str, help: &str, pick: fn(&(Duration, Duration)) -> Duration| {
            let mut encoder = encoder.encode_descriptor(metric, help, None, MetricType::Gauge)?;
            for (name, measure) in &measures {
                ConstGauge::new(pick(measure).as_secs_f64())
                    .encode(encoder.encode_family(&Name { name })?)?;
            }
            Ok(())
        };
        family(
            "unfinished_work_seconds",
            "Time spent on keys that are still worked on, summed",
            |(sum, _)| *sum,
        )?;
        family(
            "longest_running_processor_seconds",
            "Time spent on the key that is worked on longest",
            |(_, longest)| *longest,
        )
    }
}
