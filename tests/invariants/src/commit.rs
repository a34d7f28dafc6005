//! What the rules are judged on: one committed write after the other.

use std::fmt;
use std::sync::Arc;

use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use jiff::Timestamp;
use serde_json::Value;

/// Who wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Writer {
    /// A process of the controllers under test, by its number: a restart has a new one.
    Controller(u32),
    /// A node's kubelet, or what stands in for it.
    Kubelet,
    /// The scheduler, or what stands in for it.
    Scheduler,
    /// The garbage collector of the cluster.
    GarbageCollector,
    /// The person or tool that asks for things.
    User,
    /// Anyone else, by name.
    Other(Arc<str>),
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(process) => write!(f, "controller {process}"),
            Self::Kubelet => f.write_str("kubelet"),
            Self::Scheduler => f.write_str("scheduler"),
            Self::GarbageCollector => f.write_str("garbage collector"),
            Self::User => f.write_str("user"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// One committed write: an object that was created (`before` is none), changed or removed (`after` is none).
#[derive(Clone, Debug)]
pub struct Commit {
    /// The resourceVersion that the write got: the order of all commits of a cluster.
    pub version: u64,
    /// When it was committed, by the API server's clock.
    pub at: Timestamp,
    /// Who wrote it.
    pub writer: Writer,
    /// The collection of the object.
    pub resource: Resource,
    /// Its namespace and name.
    pub key: Key,
    /// The object before, as the API serves it.
    pub before: Option<Arc<Value>>,
    /// The object after, as the API serves it.
    pub after: Option<Arc<Value>>,
}
