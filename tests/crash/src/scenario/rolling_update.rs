//! A user changes the template of a Deployment.

use super::{Scenario, any, fixture};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rolling-update",
    about: "a Deployment of 4 replicas rolls to another image, one pod more and one less at a time",
    before: |mode| fixture::create(mode, 4),
    prepared: |mode| fixture::complete(mode, 4, fixture::FIRST),
    acts: fixture::roll,
    expects: |mode| fixture::complete(mode, 4, fixture::SECOND),
    managers: 1,
    takes: any,
};
