//! What users do, as data: one file per scenario, so that the next controller brings files and no code.

mod create;
mod delete_background;
mod delete_foreground;
mod failover;
mod fixture;
mod rolling_update;

use ironkeel_runtime::resource::Resource;
use serde_json::Value;

use crate::expect::Expect;
use crate::family::Mode;
use crate::fault::Fault;

/// A scenario: what is there first, what a user does while faults strike, and what must be there in the end.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line and in the report.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What the user does before, undisturbed.
    pub before: fn(Mode) -> Vec<Act>,
    /// What must have become of that before faults may strike.
    pub prepared: fn(Mode) -> Vec<Expect>,
    /// What the user does while faults may strike.
    pub acts: fn(Mode) -> Vec<Act>,
    /// What must have become of it in the end.
    pub expects: fn(Mode) -> Vec<Expect>,
    /// How many processes of the manager run; more than one of them are elected among.
    pub managers: u32,
    /// Whether a fault makes sense here.
    pub takes: fn(Fault) -> bool,
}

/// One request of a user.
#[derive(Clone, Debug)]
pub enum Act {
    /// Creates an object.
    Create(Resource, Value),
    /// Sends a JSON merge patch.
    Patch(Resource, &'static str, Value),
    /// Deletes an object with this propagation policy.
    Delete(Resource, &'static str, &'static str),
}

/// Every scenario, in the order of the report.
pub const ALL: [&Scenario; 5] = [
    &create::SCENARIO,
    &rolling_update::SCENARIO,
    &delete_background::SCENARIO,
    &delete_foreground::SCENARIO,
    &failover::SCENARIO,
];

/// The scenario with this name.
pub fn named(name: &str) -> Result<&'static Scenario, String> {
    ALL.into_iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
            format!("{name:?} is no scenario; there are: {}", known.join(", "))
        })
}

/// Any fault makes sense.
const fn any(_: Fault) -> bool {
    true
}

const fn nothing(_: Mode) -> Vec<Act> {
    Vec::new()
}

const fn no_expectation(_: Mode) -> Vec<Expect> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_told() {
        for scenario in ALL {
            assert_eq!(named(scenario.name).unwrap().name, scenario.name);
        }
        let error = named("explode").unwrap_err();
        assert!(error.contains("rolling-update"), "{error}");
    }

    #[test]
    fn whatever_is_prepared_is_waited_for() {
        for scenario in ALL {
            let (before, prepared) = (
                (scenario.before)(Mode::Native),
                (scenario.prepared)(Mode::Native),
            );
            assert_eq!(before.is_empty(), prepared.is_empty(), "{}", scenario.name);
            assert!(!(scenario.acts)(Mode::Crd).is_empty());
            assert!(!(scenario.expects)(Mode::Crd).is_empty());
        }
    }
}
