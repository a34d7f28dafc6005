//! A user deletes a Deployment; the garbage collector takes its dependents after it.

use super::{Act, Scenario, any, fixture};
use crate::expect::Expect;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "delete-background",
    about: "a Deployment of 3 replicas is deleted in the background",
    before: |mode| fixture::create(mode, 3),
    prepared: |mode| fixture::complete(mode, 3, fixture::FIRST),
    acts: |mode| vec![Act::Delete(mode.deployments(), fixture::NAME, "Background")],
    expects: |mode| vec![Expect::Nothing { mode }],
    managers: 1,
    takes: any,
};
