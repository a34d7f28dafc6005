//! Owners, dependents, policies, quotas and namespaces: what is left when the controllers of the cluster have settled.

use std::time::{Duration, Instant};

use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS,
};
use ironkeel_sim::api::Request;
use ironkeel_sim::api::resource::{NAMESPACES, RESOURCE_QUOTAS};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::real::Real;
use crate::sides::{RESOURCES, Sides, Step};

/// How long the real controllers have to reach what the model has at once.
const PATIENCE: Duration = Duration::from_mins(1);
const ROUNDS: u64 = 6;

/// A run: objects that own each other, deletions with every policy, and in the end the namespace.
pub(crate) fn run(real: &mut Real, seed: u64) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut sides = Sides::open(real, &format!("settle-{seed}"), seed)?;
    for round in 0..ROUNDS {
        populate(&mut dice, &mut sides, round)?;
        settle(&mut sides)?;
        for _ in 0..=dice.below(2) {
            let resource = dice.pick(&RESOURCES);
            let path = sides.path(resource, Some(&dice.pick(&names(round))), None);
            let policy = dice.pick(&["Background", "Foreground", "Orphan", ""]);
            let options = if policy.is_empty() {
                json!({})
            } else {
                json!({ "propagationPolicy": policy })
            };
            sides.same_code(&Request::delete(path, &options))?;
        }
        settle(&mut sides)?;
    }
    quota(&mut sides)?;
    let path = NAMESPACES.path(None, None, None);
    let path = format!("{path}/{}", sides.namespace);
    sides.same_code(&Request::delete(path.as_str(), &json!({})))?;
    // Refused as long as the namespace is there; the cluster's may be gone already.
    let late = Request::create(PODS, &sides.namespace, &pod("late"));
    let (code, refusal) = sides.ask_model(&late);
    let (real_code, real_refusal) = sides.real.send(&late)?;
    if real_code != 404 && (code, &refusal) != (real_code, &real_refusal) {
        return Err(format!(
            "a create in a namespace that ends: {refusal} against {real_refusal}"
        ));
    }
    settle(&mut sides)
}

fn names(round: u64) -> [String; 4] {
    [0, 1, 2, 3].map(|at| format!("r{round}-{at}"))
}

fn pod(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "c", "image": "i:1" }] } })
}

/// New objects, each perhaps owned by up to two that were there before it.
fn populate(dice: &mut Dice, sides: &mut Sides<'_>, round: u64) -> Result<(), String> {
    let kinds = [
        PODS,
        PODS,
        REPLICATION_CONTROLLERS,
        NATIVE_REPLICA_SETS,
        NATIVE_DEPLOYMENTS,
        REPLICA_SETS,
        DEPLOYMENTS,
    ];
    let mut made: Vec<String> = Vec::new();
    let mut ghostly: Vec<String> = Vec::new();
    for name in names(round) {
        for resource in kinds {
            if dice.once_in(3) {
                continue;
            }
            let path = sides.path(resource, Some(&name), None);
            if ghostly.contains(&path) || made.contains(&path) {
                continue;
            }
            let mut owners = Vec::new();
            for _ in 0..dice.below(3) {
                if !made.is_empty() {
                    owners.push((dice.pick(&made), dice.once_in(2)));
                }
            }
            owners.dedup_by(|a, b| a.0 == b.0);
            let has_ghost = dice.once_in(12);
            let mut bodies = Vec::new();
            let mut seen = Vec::new();
            for (owner, blocks) in &owners {
                let peeked = sides.peek(owner)?;
                if peeked.0["kind"] != peeked.1["kind"] {
                    return Err(format!(
                        "{owner}: the model has {}, the server {}",
                        peeked.0, peeked.1
                    ));
                }
                seen.push((peeked, *blocks));
            }
            for side in 0..2 {
                let mut object = pod(&name);
                object["apiVersion"] = json!(resource.api_version());
                object["kind"] = json!(resource.kind);
                if resource != PODS {
                    let template =
                        json!({ "metadata": { "labels": { "app": "a" } }, "spec": object["spec"] });
                    let selector = if resource == REPLICATION_CONTROLLERS {
                        json!({ "app": "a" })
                    } else {
                        json!({ "matchLabels": { "app": "a" } })
                    };
                    object["spec"] =
                        json!({ "replicas": 1, "selector": selector, "template": template });
                }
                let mut references = Vec::new();
                for ((model, real), blocks) in &seen {
                    let owner = if side == 0 { model } else { real };
                    if owner["metadata"]["uid"].is_string()
                        && !references
                            .iter()
                            .any(|known: &Value| known["uid"] == owner["metadata"]["uid"])
                    {
                        references.push(json!({
                            "apiVersion": owner["apiVersion"],
                            "kind": owner["kind"],
                            "name": owner["metadata"]["name"],
                            "uid": owner["metadata"]["uid"],
                            "blockOwnerDeletion": blocks,
                        }));
                    }
                }
                if has_ghost {
                    references.push(json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "ghost", "uid": "ghost", "blockOwnerDeletion": true }));
                }
                if !references.is_empty() {
                    object["metadata"]["ownerReferences"] = json!(references);
                }
                bodies.push(Request::create(resource, &sides.namespace, &object));
            }
            let real = bodies.pop().ok_or("no body")?;
            let model = bodies.pop().ok_or("no body")?;
            sides.exchange(&Step { model, real })?;
            // One whose owner is not there may be collected at any time.
            if has_ghost {
                ghostly.push(path);
            } else {
                made.push(path);
            }
        }
    }
    Ok(())
}

/// Lets the model's collector run to its end and waits until the cluster's has left the same.
fn settle(sides: &mut Sides<'_>) -> Result<(), String> {
    while sides.api.collect_garbage() {}
    let until = Instant::now() + PATIENCE;
    loop {
        match compare(sides) {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() > until => {
                return Err(format!("not settled alike after {PATIENCE:?}: {why}"));
            }
            Err(_) => std::thread::yield_now(),
        }
    }
}

fn compare(sides: &mut Sides<'_>) -> Result<(), String> {
    for resource in RESOURCES {
        let request = Request::get(sides.path(resource, None, None));
        let model = summary(&sides.ask_model(&request).1);
        let real = summary(&sides.real.send(&request)?.1);
        if model != real {
            return Err(format!(
                "{resource}: the model has {model:?}, the server {real:?}"
            ));
        }
    }
    let namespace = Request::get(format!(
        "{}/{}",
        NAMESPACES.path(None, None, None),
        sides.namespace
    ));
    let (model, real) = (
        sides.ask_model(&namespace).0,
        sides.real.send(&namespace)?.0,
    );
    if model != real {
        return Err(format!(
            "the namespace: the model answers {model}, the server {real}"
        ));
    }
    Ok(())
}

/// What the collector decides about: who is there, who owns it, what holds it.
fn summary(list: &Value) -> Vec<String> {
    let items = list["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    items
        .iter()
        .map(|item| {
            let metadata = &item["metadata"];
            let owners = metadata["ownerReferences"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let owners: Vec<String> = owners
                .iter()
                .map(|owner| {
                    format!(
                        "{}{}{}",
                        owner["kind"], owner["name"], owner["blockOwnerDeletion"]
                    )
                })
                .collect();
            format!(
                "{} owners {owners:?} finalizers {} deleting {} generation {}",
                metadata["name"],
                metadata["finalizers"],
                !metadata["deletionTimestamp"].is_null(),
                metadata["generation"]
            )
        })
        .collect()
}

/// A quota refuses what it has no room for, in the server's words.
fn quota(sides: &mut Sides<'_>) -> Result<(), String> {
    let used = sides
        .ask_model(&Request::get(sides.path(PODS, None, None)))
        .1;
    let used = used["items"].as_array().map_or(0, Vec::len);
    let quota = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "pods": (used + 1).to_string() } } });
    sides.exchange(&Step::same(Request::create(
        RESOURCE_QUOTAS,
        &sides.namespace,
        &quota,
    )))?;
    for (at, name) in ["last", "surplus"].into_iter().enumerate() {
        // The controller counts late, and may even take back what admission has counted.
        wait_for_usage(sides, used + at)?;
        let request = Request::create(PODS, &sides.namespace, &pod(name));
        sides.exchange(&Step::same(request))?;
    }
    Ok(())
}

/// Waits until the real quota shows that so many pods are there.
fn wait_for_usage(sides: &mut Sides<'_>, wanted: usize) -> Result<(), String> {
    let quota = Request::get(sides.path(RESOURCE_QUOTAS, Some("q"), None));
    let until = Instant::now() + PATIENCE;
    while sides.real.send(&quota)?.1["status"]["used"]["pods"] != *wanted.to_string() {
        if Instant::now() > until {
            return Err(format!("the quota does not show {wanted} pods"));
        }
        std::thread::yield_now();
    }
    Ok(())
}
