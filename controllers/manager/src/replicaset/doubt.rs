//! Sets that may be gone although the store still has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ironkeel_plan::meta::{Key, Stored as _};
use ironkeel_plan::workload::ReplicaSet;
use ironkeel_runtime::store::Store;
use parking_lot::Mutex;

/// Sets of which the API server refused a status, by UID. The watch of sets may be far behind that of
/// pods: a set that was deleted would have its pods replaced again and again, as fast as the garbage
/// collector deletes them.
#[derive(Debug, Default)]
pub struct Doubts {
    about: Mutex<BTreeMap<Arc<str>, Key>>,
}

impl Doubts {
    /// Whether the set has to be read live before anything is created for it.
    pub(super) fn has(&self, set: &ReplicaSet) -> bool {
        self.about.lock().contains_key(set.uid())
    }

    /// A write of the set itself was refused. Sets that left the store are forgotten.
    pub(super) fn arise(&self, set: &ReplicaSet, sets: &Store<ReplicaSet>) {
        let mut about = self.about.lock();
        about.retain(|uid, key| sets.get(key).is_some_and(|known| known.uid() == &**uid));
        about.insert(set.uid().into(), set.key());
    }

    /// The set is there: it was read, or written.
    pub(super) fn end(&self, set: &ReplicaSet) {
        self.about.lock().remove(set.uid());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str) -> ReplicaSet {
        let mut set = ReplicaSet::default();
        set.metadata.namespace = "shop".into();
        set.metadata.name = name.into();
        set.metadata.uid = format!("uid-{name}");
        set.metadata.resource_version = 1;
        set
    }

    #[test]
    fn a_doubt_lasts_until_the_set_is_seen_or_leaves_the_store() {
        let (sets, doubts) = (Store::new(), Doubts::default());
        for name in ["a", "b"] {
            sets.apply(set(name));
            doubts.arise(&set(name), &sets);
        }
        assert!(doubts.has(&set("a")) && doubts.has(&set("b")) && !doubts.has(&set("c")));
        doubts.end(&set("b"));
        assert!(!doubts.has(&set("b")));
        sets.delete(&Key::new("shop", "a"), "uid-a").unwrap();
        doubts.arise(&set("b"), &sets);
        assert!(!doubts.has(&set("a")) && doubts.has(&set("b")));
    }
}
