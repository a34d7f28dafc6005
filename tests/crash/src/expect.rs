//! What must be there in the end, and what is missing.

use ironkeel_runtime::resource::PODS;
use serde_json::Value;

use crate::family::Mode;
use crate::history::State;

/// One expectation of a scenario.
#[derive(Clone, Debug)]
pub enum Expect {
    /// The Deployment says that it is complete, and its sets and pods are what it says.
    DeploymentComplete {
        /// Its kind.
        mode: Mode,
        /// Its name.
        name: &'static str,
        /// Its replicas.
        replicas: u32,
        /// The image of every pod.
        image: &'static str,
    },
    /// No object is left.
    Nothing {
        /// The kinds.
        mode: Mode,
    },
}

impl Expect {
    /// `Err` says what is missing.
    pub fn check(&self, state: &State) -> Result<(), String> {
        match *self {
            Self::DeploymentComplete {
                mode,
                name,
                replicas,
                image,
            } => deployment_complete(state, mode, name, replicas.into(), image),
            Self::Nothing { mode } => {
                let left: Vec<String> = state
                    .keys()
                    .filter(|(resource, _)| mode.resources().contains(resource))
                    .map(|(resource, name)| format!("{resource}/{name}"))
                    .collect();
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(format!("still there: {}", left.join(", ")))
                }
            }
        }
    }
}

fn deployment_complete(
    state: &State,
    mode: Mode,
    name: &str,
    replicas: i64,
    image: &str,
) -> Result<(), String> {
    let key = (mode.deployments(), name.to_owned());
    let deployment = state
        .get(&key)
        .ok_or_else(|| format!("there is no Deployment {name}"))?;
    let status = &deployment["status"];
    equal(
        "Deployment: observedGeneration",
        &status["observedGeneration"],
        number(&deployment["metadata"]["generation"]),
    )?;
    for field in [
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
    ] {
        equal(&format!("Deployment: {field}"), &status[field], replicas)?;
    }
    for field in ["unavailableReplicas", "terminatingReplicas"] {
        equal(&format!("Deployment: {field}"), &status[field], 0)?;
    }
    let mut current = None;
    for ((resource, set), object) in state {
        if *resource != mode.sets() {
            continue;
        }
        let wanted = if template_image(object) == Some(image) {
            if let Some(other) = current.replace(object) {
                let other = &other["metadata"]["name"];
                return Err(format!("two ReplicaSets of {image}: {other} and {set}"));
            }
            replicas
        } else {
            0
        };
        equal(
            &format!("ReplicaSet {set}: spec.replicas"),
            &object["spec"]["replicas"],
            wanted,
        )?;
        let status = &object["status"];
        equal(
            &format!("ReplicaSet {set}: observedGeneration"),
            &status["observedGeneration"],
            number(&object["metadata"]["generation"]),
        )?;
        for field in ["replicas", "readyReplicas", "availableReplicas"] {
            equal(
                &format!("ReplicaSet {set}: {field}"),
                &status[field],
                wanted,
            )?;
        }
        equal(
            &format!("ReplicaSet {set}: terminatingReplicas"),
            &status["terminatingReplicas"],
            0,
        )?;
    }
    let current = current.ok_or_else(|| format!("no ReplicaSet of {image}"))?;
    let uid = &current["metadata"]["uid"];
    let mut pods = 0;
    for ((_, pod), object) in state.iter().filter(|((resource, _), _)| *resource == PODS) {
        pods += 1;
        if object["metadata"]["deletionTimestamp"].is_string() {
            return Err(format!("pod {pod} has not ended"));
        }
        if object["status"]["phase"] != "Running" {
            return Err(format!("pod {pod} does not run"));
        }
        if &object["metadata"]["ownerReferences"][0]["uid"] != uid {
            return Err(format!("pod {pod} is not of the ReplicaSet of {image}"));
        }
    }
    if pods == replicas {
        Ok(())
    } else {
        Err(format!("{pods} pods instead of {replicas}"))
    }
}

/// The image of a set's template.
pub(crate) fn template_image(set: &Value) -> Option<&str> {
    set["spec"]["template"]["spec"]["containers"][0]["image"].as_str()
}

fn equal(what: &str, is: &Value, wanted: i64) -> Result<(), String> {
    let is = number(is);
    if is == wanted {
        Ok(())
    } else {
        Err(format!("{what} is {is} instead of {wanted}"))
    }
}

/// A count; one that is left out is 0.
fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn state() -> State {
        let count = |replicas: i64| {
            json!({ "observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas,
                    "readyReplicas": replicas, "availableReplicas": replicas })
        };
        let set = |name: &str, image: &str, replicas: i64| {
            json!({ "metadata": { "name": name, "uid": name, "generation": 1 }, "status": count(replicas),
                    "spec": { "replicas": replicas,
                              "template": { "spec": { "containers": [{ "image": image }] } } } })
        };
        let mode = Mode::Native;
        let pod = json!({ "metadata": { "ownerReferences": [{ "uid": "new" }] }, "status": { "phase": "Running" } });
        [
            (
                mode.deployments(),
                "web",
                json!({ "metadata": { "generation": 1 }, "status": count(1) }),
            ),
            (mode.sets(), "new", set("new", "app:2", 1)),
            (mode.sets(), "old", set("old", "app:1", 0)),
            (PODS, "p", pod),
        ]
        .into_iter()
        .map(|(resource, name, object)| ((resource, name.to_owned()), Arc::new(object)))
        .collect()
    }

    fn change(
        state: &mut State,
        resource: ironkeel_runtime::resource::Resource,
        name: &str,
        path: &str,
        to: Value,
    ) {
        let object = state.get_mut(&(resource, name.to_owned())).unwrap();
        *Arc::make_mut(object).pointer_mut(path).unwrap() = to;
    }

    #[test]
    fn what_is_missing_is_said() {
        let mode = Mode::Native;
        let complete = Expect::DeploymentComplete {
            mode,
            name: "web",
            replicas: 1,
            image: "app:2",
        };
        assert_eq!(complete.check(&state()), Ok(()));
        let cases = [
            (
                mode.deployments(),
                "web",
                "/metadata/generation",
                json!(2),
                "observedGeneration is 1 instead of 2",
            ),
            (
                mode.deployments(),
                "web",
                "/status/updatedReplicas",
                json!(0),
                "updatedReplicas is 0",
            ),
            (
                mode.sets(),
                "old",
                "/spec/replicas",
                json!(1),
                "ReplicaSet old: spec.replicas is 1 instead of 0",
            ),
            (
                mode.sets(),
                "new",
                "/status/readyReplicas",
                json!(0),
                "ReplicaSet new: readyReplicas",
            ),
            (
                PODS,
                "p",
                "/metadata/ownerReferences/0/uid",
                json!("old"),
                "pod p is not of",
            ),
            (
                PODS,
                "p",
                "/status/phase",
                json!("Pending"),
                "pod p does not run",
            ),
        ];
        for (resource, name, path, to, said) in cases {
            let mut state = state();
            change(&mut state, resource, name, path, to);
            let error = complete.check(&state).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        let mut surplus = state();
        let pod = surplus[&(PODS, "p".to_owned())].clone();
        surplus.insert((PODS, "q".to_owned()), pod);
        assert_eq!(
            complete.check(&surplus),
            Err("2 pods instead of 1".to_owned())
        );
    }

    #[test]
    fn nothing_is_nothing() {
        let nothing = Expect::Nothing { mode: Mode::Native };
        assert_eq!(nothing.check(&State::new()), Ok(()));
        let error = nothing.check(&state()).unwrap_err();
        assert!(
            error.contains("pods/p") && error.contains("replicasets.apps/old"),
            "{error}"
        );
    }
}
