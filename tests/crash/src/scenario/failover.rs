//! The leader dies in the middle of a rolling update, and the other replica of the manager goes on.

use super::{Scenario, fixture};
use crate::fault::Fault;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "failover",
    about: "as rolling-update, with two replicas of the manager of which the leader is killed",
    before: |mode| fixture::create(mode, 4),
    prepared: |mode| fixture::complete(mode, 4, fixture::FIRST),
    acts: fixture::roll,
    expects: |mode| fixture::complete(mode, 4, fixture::SECOND),
    managers: 2,
    // An answer or a watch that fails is no different with a second replica, and is tried without.
    takes: |fault| matches!(fault, Fault::Kill(_)),
};
