//! Who wrote what: noted from the API server's answers to everyone whose requests this program sees.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use ironkeel_invariants::Writer;
use parking_lot::Mutex;
use serde_json::Value;

/// What the answers told. Clones share it. Versions and UIDs are unique in a cluster, so one ledger serves all runs.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    /// Who made the state with this resourceVersion.
    versions: HashMap<u64, Writer>,
    /// Who deleted the object with this UID, in a way that removed it at once.
    removals: HashMap<String, Vec<Writer>>,
}

/// What one answer says about the write that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The object now has this version.
    Stored(u64),
    /// The object with this UID is gone.
    Removed(String),
}

impl Deed {
    /// Reads the answer to a write that the server accepted; `None` where it names no state, as that to a binding.
    pub fn read(method: &Method, reply: &Value) -> Option<Self> {
        let meta = &reply["metadata"];
        let version = meta["resourceVersion"]
            .as_str()
            .and_then(|text| text.parse().ok());
        if method != Method::DELETE {
            return version.map(Self::Stored);
        }
        // An object that stays for a while is answered with its new state. One that went at once is answered with a
        // Status, or, for some kinds, with its last state.
        let stays = meta["deletionTimestamp"].is_string()
            && (meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0
                || meta["finalizers"]
                    .as_array()
                    .is_some_and(|all| !all.is_empty()));
        if stays {
            return version.map(Self::Stored);
        }
        let uid = meta["uid"].as_str().or(reply["details"]["uid"].as_str())?;
        Some(Self::Removed(uid.to_owned()))
    }
}

impl Ledger {
    /// Notes a write that the server accepted.
    pub fn note(&self, writer: &Writer, method: &Method, reply: &Value) {
        let mut entries = self.0.lock();
        match Deed::read(method, reply) {
            // A write that changed nothing is answered with a version that somebody else made.
            Some(Deed::Stored(version)) => {
                entries
                    .versions
                    .entry(version)
                    .or_insert_with(|| writer.clone());
            }
            Some(Deed::Removed(uid)) => {
                entries
                    .removals
                    .entry(uid)
                    .or_default()
                    .push(writer.clone());
            }
            None => {}
        }
    }

    /// Who made the state with this version, if his answer was seen.
    pub fn stored(&self, version: u64) -> Option<Writer> {
        self.0.lock().versions.get(&version).cloned()
    }

    /// Who removed the object with this UID. The kubelet has the last word where it and others deleted it.
    pub fn removed(&self, uid: &str) -> Option<Writer> {
        let entries = self.0.lock();
        let all = entries.removals.get(uid)?;
        all.iter()
            .find(|writer| **writer == Writer::Kubelet)
            .or(all.last())
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_answer_says() {
        let pod = |grace: i64| {
            json!({ "metadata": { "uid": "u", "resourceVersion": "7", "deletionTimestamp": "t",
                    "deletionGracePeriodSeconds": grace } })
        };
        let removed = Some(Deed::Removed("u".to_owned()));
        for (method, reply, deed) in [
            (
                Method::POST,
                json!({ "metadata": { "resourceVersion": "7" } }),
                Some(Deed::Stored(7)),
            ),
            (
                Method::POST,
                json!({ "kind": "Status", "status": "Success" }),
                None,
            ),
            (Method::DELETE, pod(30), Some(Deed::Stored(7))),
            (Method::DELETE, pod(0), removed.clone()),
            (
                Method::DELETE,
                json!({ "metadata": { "uid": "u", "resourceVersion": "7", "deletionTimestamp": "t",
                        "finalizers": ["foregroundDeletion"] } }),
                Some(Deed::Stored(7)),
            ),
            (
                Method::DELETE,
                json!({ "kind": "Status", "details": { "uid": "u" } }),
                removed,
            ),
        ] {
            assert_eq!(Deed::read(&method, &reply), deed, "{method} {reply}");
        }
    }

    #[test]
    fn a_write_that_changed_nothing_takes_no_version_from_its_writer() {
        let ledger = Ledger::default();
        let state = json!({ "metadata": { "resourceVersion": "7" } });
        ledger.note(&Writer::Kubelet, &Method::PATCH, &state);
        ledger.note(&Writer::Controller(1), &Method::PATCH, &state);
        assert_eq!(ledger.stored(7), Some(Writer::Kubelet));
        assert_eq!(ledger.stored(8), None);
    }

    #[test]
    fn the_kubelet_ends_what_others_deleted() {
        let ledger = Ledger::default();
        let gone = json!({ "kind": "Status", "details": { "uid": "u" } });
        ledger.note(&Writer::Kubelet, &Method::DELETE, &gone);
        ledger.note(&Writer::Controller(1), &Method::DELETE, &gone);
        assert_eq!(ledger.removed("u"), Some(Writer::Kubelet));
    }
}
