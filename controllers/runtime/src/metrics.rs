//! Metrics of the acting half: requests, writes, events, lease, and the process itself.
//!
//! One registry serves the whole process. Names are upstream's where upstream has the
//! figure, so that dashboards for kube-controller-manager show ours as well. The text is
//! OpenMetrics, in which a counter is registered without its suffix `_total`.

mod process;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::resource::Resource;
use crate::write::Verb;

/// The media type of [`encode`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Handles of the acting half. Clones share the figures.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Every HTTP request of a client of [`crate::client`].
    pub client: ClientMetrics,
    /// Writes of every [`crate::write::Writer`].
    pub writes: WriteMetrics,
    /// Events of every [`crate::events::Recorder`].
    pub events: EventMetrics,
    /// The lease.
    pub lease: LeaseMetrics,
}

impl Metrics {
    /// Registers every figure of the acting half and those of the process
    /// (`process_resident_memory_bytes`, `process_cpu_seconds_total`, …).
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.client.register(registry);
        metrics.writes.register(registry);
        metrics.events.register(registry);
        metrics.lease.register(registry);
        registry.register_collector(Box::new(process::Process));
        metrics
    }
}

/// The whole registry as OpenMetrics text.
pub fn encode(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// `rest_client_requests_total` and `rest_client_request_duration_seconds`.
#[derive(Clone, Debug)]
pub struct ClientMetrics {
    requests: Family<RequestLabels, Counter>,
    duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    code: String,
    method: String,
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    verb: String,
    host: String,
}

impl Default for ClientMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(request_buckets),
        }
    }
}

/// Buckets of client-go's request latency, in seconds.
fn request_buckets() -> Histogram {
    Histogram::new([
        0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0,
    ])
}

impl ClientMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "rest_client_requests",
            "Number of HTTP requests, partitioned by status code, method, and host",
            self.requests.clone(),
        );
        registry.register(
            "rest_client_request_duration_seconds",
            "Seconds until the head of the reply, partitioned by method and host",
            self.duration.clone(),
        );
    }

    /// Counts one request. `code` is the HTTP status, or `<error>` as in client-go if there
    /// was no reply.
    pub fn observe(&self, method: &str, host: &str, code: &str, taken: Duration) {
        self.requests
            .get_or_create(&RequestLabels {
                code: code.to_owned(),
                method: method.to_owned(),
                host: host.to_owned(),
            })
            .inc();
        self.duration
            .get_or_create(&DurationLabels {
                verb: method.to_owned(),
                host: host.to_owned(),
            })
            .observe(taken.as_secs_f64());
    }
}

/// `ironkeel_api_writes_total`: what the controllers wrote.
#[derive(Clone, Debug, Default)]
pub struct WriteMetrics {
    writes: Family<WriteLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    code: String,
}

impl WriteMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "ironkeel_api_writes",
            "Writes of the controllers, partitioned by verb, resource and outcome: 2xx, the status of a refusal, or <error> without a reply",
            self.writes.clone(),
        );
    }

    /// Counts one write.
    pub(crate) fn count(
        &self,
        verb: Verb,
        resource: Resource,
        subresource: Option<&'static str>,
        code: &str,
    ) {
        self.writes
            .get_or_create(&WriteLabels {
                verb: verb.as_str(),
                group: resource.group,
                resource: resource.plural,
                subresource: subresource.unwrap_or_default(),
                code: code.to_owned(),
            })
            .inc();
    }
}

/// What became of events.
#[derive(Clone, Debug, Default)]
pub struct EventMetrics {
    dropped: Family<DropLabels, Counter>,
    posted: Family<ComponentLabel, Counter>,
}

/// Why an event was not posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The queue was full.
    QueueFull,
    /// The spam filter held it back.
    Spam,
    /// The controller left it out.
    LeftOut,
    /// The API server refused it.
    Refused,
    /// The API server could not be reached.
    Unreachable,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    component: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ComponentLabel {
    component: &'static str,
}

impl EventMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "ironkeel_events_dropped",
            "Events that were not posted, partitioned by component and reason",
            self.dropped.clone(),
        );
        registry.register(
            "ironkeel_events_posted",
            "Events that were created or counted up, partitioned by component",
            self.posted.clone(),
        );
    }

    pub(crate) fn drop_one(&self, component: &'static str, reason: Dropped) {
        let reason = match reason {
            Dropped::QueueFull => "queue_full",
            Dropped::Spam => "spam",
            Dropped::LeftOut => "left_out",
            Dropped::Refused => "refused",
            Dropped::Unreachable => "unreachable",
        };
        self.dropped
            .get_or_create(&DropLabels { component, reason })
            .inc();
    }

    pub(crate) fn post_one(&self, component: &'static str) {
        self.posted
            .get_or_create(&ComponentLabel { component })
            .inc();
    }

    /// Events of a component that were not posted, for whatever reason.
    #[cfg(test)]
    pub(crate) fn dropped(&self, component: &'static str, reason: &'static str) -> u64 {
        self.dropped
            .get(&DropLabels { component, reason })
            .map_or(0, |count| count.get())
    }
}

/// `leader_election_master_status` and `leader_election_slowpath_total`.
#[derive(Clone, Debug, Default)]
pub struct LeaseMetrics {
    leading: Family<NameLabel, Gauge>,
    slow_path: Family<NameLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabel {
    name: String,
}

impl LeaseMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "leader_election_master_status",
            "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name",
            self.leading.clone(),
        );
        registry.register(
            "leader_election_slowpath",
            "Renewals that had to read the lease first, partitioned by lease",
            self.slow_path.clone(),
        );
    }

    pub(crate) fn set_leading(&self, name: &str, leading: bool) {
        self.leading
            .get_or_create(&NameLabel {
                name: name.to_owned(),
            })
            .set(i64::from(leading));
    }

    pub(crate) fn count_slow_path(&self, name: &str) {
        self.slow_path
            .get_or_create(&NameLabel {
                name: name.to_owned(),
            })
            .inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::PODS;

    #[test]
    fn the_text_has_upstream_names_with_one_suffix_each() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics
            .client
            .observe("GET", "10.0.0.1:6443", "200", Duration::from_millis(30));
        metrics.writes.count(Verb::Create, PODS, None, "2xx");
        metrics
            .events
            .drop_one("replicaset-controller", Dropped::QueueFull);
        metrics.events.post_one("replicaset-controller");
        metrics.lease.set_leading("ironkeel", true);
        metrics.lease.count_slow_path("ironkeel");
        let text = encode(&registry).unwrap();
        for line in [
            r#"rest_client_requests_total{code="200",method="GET",host="10.0.0.1:6443"} 1"#,
            r#"rest_client_request_duration_seconds_bucket{le="0.1",verb="GET",host="10.0.0.1:6443"} 1"#,
            r#"ironkeel_api_writes_total{verb="create",group="",resource="pods",subresource="",code="2xx"} 1"#,
            r#"ironkeel_events_dropped_total{component="replicaset-controller",reason="queue_full"} 1"#,
            r#"ironkeel_events_posted_total{component="replicaset-controller"} 1"#,
            r#"leader_election_master_status{name="ironkeel"} 1"#,
            r#"leader_election_slowpath_total{name="ironkeel"} 1"#,
        ] {
            assert!(
                text.lines().any(|known| known == line),
                "no line {line} in\n{text}"
            );
        }
        assert!(!text.contains("_total_total"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_process_reports_its_memory_and_cpu() {
        let mut registry = Registry::default();
        Metrics::register(&mut registry);
        let text = encode(&registry).unwrap();
        let value = |name: &str| -> f64 {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .unwrap_or_else(|| panic!("no {name} in\n{text}"))
                .parse()
                .unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        // After 2020 and not in the future by more than the rounding of clock ticks.
        let started = value("process_start_time_seconds");
        assert!(started > 1.577e9, "{started}");
        assert!(
            started < jiff::Timestamp::now().as_duration().as_secs_f64() + 2.0,
            "{started}"
        );
    }
}
