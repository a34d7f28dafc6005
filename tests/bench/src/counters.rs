//! The API server's own count of the requests that it answered.
//!
//! `apiserver_request_total` does not say who asked. So whoever measures reads it before and after, while nobody but the
//! measured program and the bench itself asks for workloads, and takes away what the bench has counted of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One kind of request and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// As the API server names it: `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`, `GET`, `LIST`.
    pub verb: String,
    /// `pods`, `pods/status` …
    pub resource: String,
    /// Whether it was a dry run.
    pub dry_run: bool,
    /// The HTTP status.
    pub code: u16,
}

/// How many requests of each kind there were.
pub type Requests = BTreeMap<Request, u64>;

/// Reads the counters from what the API server serves at `/metrics`. Watches are left out: they are counted when they
/// end, which tells nothing of the time in between.
pub fn parse(metrics: &str) -> Requests {
    let mut requests = Requests::new();
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix("apiserver_request_total{") else {
            continue;
        };
        if let Some((request, count)) = parse_line(rest)
            && request.verb != "WATCH"
        {
            *requests.entry(request).or_default() += count;
        }
    }
    requests
}

fn parse_line(rest: &str) -> Option<(Request, u64)> {
    let (labels, value) = rest.rsplit_once("} ")?;
    let mut request = Request {
        verb: String::new(),
        resource: String::new(),
        dry_run: false,
        code: 0,
    };
    let mut subresource = "";
    for label in labels.split(',') {
        let (name, value) = label.split_once('=')?;
        let value = value.trim_matches('"');
        match name {
            "verb" => value.clone_into(&mut request.verb),
            "resource" => value.clone_into(&mut request.resource),
            "subresource" => subresource = value,
            "dry_run" => request.dry_run = !value.is_empty(),
            "code" => request.code = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    if !subresource.is_empty() {
        request.resource = format!("{}/{subresource}", request.resource);
    }
    // Large counters are written as floating-point numbers.
    let count: f64 = value.parse().ok()?;
    Some((request, count as u64))
}

/// `after` without `before` and without `own`. A request that another interval has counted already cannot make a count
/// negative.
pub fn difference(after: &Requests, before: &Requests, own: &Requests) -> Requests {
    after
        .iter()
        .filter_map(|(request, count)| {
            let of = |others: &Requests| others.get(request).copied().unwrap_or(0);
            let left = count.saturating_sub(of(before)).saturating_sub(of(own));
            (left > 0).then(|| (request.clone(), left))
        })
        .collect()
}

/// What the measured program asked for, sorted for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Write requests for workloads by verb and resource, `POST pods`, whatever the answer was. Dry runs are marked.
    pub writes: BTreeMap<String, u64>,
    /// Of these, the ones that were refused, by status: `409 PUT deployments/status`.
    pub refused: BTreeMap<String, u64>,
    /// Write requests for events.
    pub events: u64,
    /// Write requests for leases, the API server's own among them.
    pub leases: u64,
    /// Reads by verb and resource.
    pub reads: BTreeMap<String, u64>,
    /// Other write requests: tokens, reviews of rights.
    pub other: BTreeMap<String, u64>,
}

/// Resources that the measured controllers write.
const WORKLOADS: [&str; 4] = [
    "pods",
    "replicasets",
    "deployments",
    "replicationcontrollers",
];

impl Counts {
    /// Sorts requests.
    pub fn of(requests: &Requests) -> Self {
        let mut counts = Self::default();
        for (request, count) in requests {
            let resource = request.resource.split('/').next().unwrap_or_default();
            let dry = if request.dry_run { " (dry run)" } else { "" };
            let name = format!("{} {}{dry}", request.verb, request.resource);
            if matches!(request.verb.as_str(), "GET" | "LIST") {
                if WORKLOADS.contains(&resource) {
                    *counts.reads.entry(name).or_default() += count;
                }
            } else if WORKLOADS.contains(&resource) {
                if request.code >= 300 {
                    let refusal = format!("{} {name}", request.code);
                    *counts.refused.entry(refusal).or_default() += count;
                }
                *counts.writes.entry(name).or_default() += count;
            } else if resource == "events" {
                counts.events += count;
            } else if resource == "leases" {
                counts.leases += count;
            } else {
                *counts.other.entry(name).or_default() += count;
            }
        }
        counts
    }

    /// Write requests for workloads, without events.
    pub fn workload_writes(&self) -> u64 {
        self.writes.values().sum()
    }

    /// Write requests for workloads and events: what the API server has to carry.
    pub fn all_writes(&self) -> u64 {
        self.workload_writes() + self.events
    }

    /// How many requests of one kind there were: `POST pods`.
    pub fn write(&self, name: &str) -> u64 {
        self.writes.get(name).copied().unwrap_or(0)
    }

    /// Of one kind, those that were not refused.
    pub fn accepted(&self, name: &str) -> u64 {
        let refused: u64 = self
            .refused
            .iter()
            .filter(|(refusal, _)| {
                refusal
                    .split_once(' ')
                    .is_some_and(|(_, what)| what == name)
            })
            .map(|(_, count)| count)
            .sum();
        self.write(name).saturating_sub(refused)
    }

    /// Writes that were refused with this status.
    pub fn refused_with(&self, code: u16) -> u64 {
        let code = code.to_string();
        self.refused
            .iter()
            .filter(|(refusal, _)| refusal.split(' ').next() == Some(&code))
            .map(|(_, count)| count)
            .sum()
    }

    /// Reads of workloads.
    pub fn all_reads(&self) -> u64 {
        self.reads.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 7
apiserver_request_duration_seconds_count{verb="POST"} 9
"#;
    const AFTER: &str = r#"apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 5.017e+03
apiserver_request_total{code="201",component="apiserver",dry_run="All",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 3
apiserver_request_total{code="409",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="status",verb="PUT",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="status",verb="PUT",version="v1"} 5
apiserver_request_total{code="201",component="apiserver",dry_run="",group="events.k8s.io",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 4
apiserver_request_total{code="0",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="WATCH",version="v1"} 1
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 1
"#;

    #[test]
    fn what_is_left_is_the_measured_programs() {
        let own: Requests = [(
            Request {
                verb: "POST".into(),
                resource: "pods".into(),
                dry_run: false,
                code: 201,
            },
            10,
        )]
        .into();
        let counts = Counts::of(&difference(&parse(AFTER), &parse(BEFORE), &own));
        assert_eq!(counts.write("POST pods"), 5_000);
        assert_eq!(counts.write("POST pods (dry run)"), 3);
        assert_eq!(counts.write("PUT deployments/status"), 7);
        assert_eq!(counts.accepted("PUT deployments/status"), 5);
        assert_eq!(counts.refused_with(409), 2);
        assert_eq!(counts.workload_writes(), 5_010);
        assert_eq!(counts.all_writes(), 5_014);
        assert_eq!(counts.all_reads(), 1);
    }
}
