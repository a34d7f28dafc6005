//! A user creates a Deployment.

use super::{Scenario, any, fixture, no_expectation, nothing};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "create",
    about: "a Deployment of 3 replicas is created",
    before: nothing,
    prepared: no_expectation,
    acts: |mode| fixture::create(mode, 3),
    expects: |mode| fixture::complete(mode, 3, fixture::FIRST),
    managers: 1,
    takes: any,
};
