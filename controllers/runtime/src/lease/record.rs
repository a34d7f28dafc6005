//! The Lease object. What is not ours (labels, annotations) goes back as it came.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A Lease as the API server has it; always a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lease(Map<String, Value>);

/// What a holder writes into the Lease.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// Who leads; empty gives the lease up.
    pub(super) holder: String,
    /// For how many seconds without a renewal.
    pub(super) seconds: i32,
    /// Since when.
    pub(super) acquired: Timestamp,
    /// When it was last renewed.
    pub(super) renewed: Timestamp,
    /// How often the holder has changed.
    pub(super) transitions: i32,
}

impl Lease {
    pub(super) fn new(namespace: &str, name: &str, term: &Term) -> Self {
        let mut lease = Map::new();
        lease.insert("apiVersion".to_owned(), "coordination.k8s.io/v1".into());
        lease.insert("kind".to_owned(), "Lease".into());
        lease.insert(
            "metadata".to_owned(),
            json!({ "namespace": namespace, "name": name }),
        );
        Self(lease).with_term(term)
    }

    pub(super) fn of(object: Map<String, Value>) -> Self {
        Self(object)
    }

    pub(super) fn into_json(self) -> Vec<u8> {
        Value::Object(self.0).to_string().into_bytes()
    }

    /// This Lease, version and all, with the term replaced.
    pub(super) fn with_term(&self, term: &Term) -> Self {
        let mut lease = self.0.clone();
        // The whole spec: client-go drops `preferredHolder` and `strategy` here as well, which
        // belong to coordinated election.
        lease.insert(
            "spec".to_owned(),
            json!({
                "holderIdentity": term.holder,
                "leaseDurationSeconds": term.seconds,
                "acquireTime": micro_time(term.acquired),
                "renewTime": micro_time(term.renewed),
                "leaseTransitions": term.transitions,
            }),
        );
        Self(lease)
    }

    /// Whether nobody has renewed or taken the lease between the two.
    pub(super) fn same_term(&self, other: &Self) -> bool {
        self.0.get("spec") == other.0.get("spec")
    }

    pub(super) fn holder(&self) -> &str {
        self.text("spec", "holderIdentity")
    }

    pub(super) fn duration(&self) -> Duration {
        let seconds = self.field("spec", "leaseDurationSeconds");
        Duration::from_secs(seconds.and_then(Value::as_u64).unwrap_or(0))
    }

    pub(super) fn acquired(&self) -> Option<Timestamp> {
        self.text("spec", "acquireTime").parse().ok()
    }

    pub(super) fn transitions(&self) -> i32 {
        self.field("spec", "leaseTransitions")
            .and_then(Value::as_i64)
            .and_then(|count| i32::try_from(count).ok())
            .unwrap_or(0)
    }

    pub(super) fn uid(&self) -> &str {
        self.text("metadata", "uid")
    }

    pub(super) fn resource_version(&self) -> &str {
        self.text("metadata", "resourceVersion")
    }

    fn field(&self, section: &str, name: &str) -> Option<&Value> {
        self.0.get(section)?.get(name)
    }

    fn text(&self, section: &str, name: &str) -> &str {
        self.field(section, name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// `MicroTime` of the API: exactly six digits below the second.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
