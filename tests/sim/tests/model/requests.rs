//! Random requests.

use ironkeel_runtime::resource::{PODS, Resource};
use ironkeel_sim::api::Request;
use ironkeel_sim::api::resource::LEASES;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::objects::{self, is_custom};
use crate::sides::{RESOURCES, Seen, Sides, Step};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// How a write names the state that it builds on.
#[derive(Clone, Copy)]
enum Lock {
    None,
    Uid,
    WrongUid,
    Version,
    StaleVersion,
}

impl Lock {
    fn any(dice: &mut Dice) -> Self {
        dice.pick(&[
            Self::None,
            Self::None,
            Self::Uid,
            Self::WrongUid,
            Self::Version,
            Self::Version,
            Self::StaleVersion,
        ])
    }

    /// Puts the lock into metadata.
    fn put(self, object: &mut Value, seen: &Seen) {
        if let Self::None = self {
            return;
        }
        let known = |field: &str| seen.object["metadata"][field].clone();
        let metadata = &mut object["metadata"];
        match self {
            Self::None => {}
            Self::Uid => metadata["uid"] = known("uid"),
            Self::WrongUid => metadata["uid"] = json!("00000000-0000-4000-8000-000000000000"),
            Self::Version => {
                metadata["uid"] = known("uid");
                metadata["resourceVersion"] = known("resourceVersion");
            }
            Self::StaleVersion => metadata["resourceVersion"] = json!(seen.stale),
        }
    }
}

/// The next request, made for each side of what it holds.
pub(crate) fn next(dice: &mut Dice, sides: &mut Sides<'_>) -> Result<Step, String> {
    let resource = dice.pick(&RESOURCES);
    let name = dice.pick(&NAMES);
    let owner_resource = dice.pick(&RESOURCES);
    let owner = sides.path(owner_resource, Some(dice.pick(&NAMES)), None);
    let url = sides.path(resource, Some(name), None);
    let (model, real) = sides.look(&url, Some(&owner))?;
    let query = if dice.once_in(10) { "?dryRun=All" } else { "" };
    let absent = model.object["metadata"]["uid"].is_null();
    // A namespace of nothing teaches nothing: what is absent is mostly created.
    let make: Make = if absent && !dice.once_in(6) {
        create(dice, sides, resource, name, query)
    } else {
        match dice.below(20) {
            0 => create(dice, sides, resource, name, query),
            1..=4 => merge_patch(dice, resource, format!("{url}{query}")),
            5 | 6 => status(dice, resource, &url, query),
            7 | 8 => replace(dice, resource, format!("{url}{query}")),
            9..=12 => delete(dice, url),
            13 => scale(dice, &url),
            14 | 15 => owners(dice, resource, format!("{url}{query}")),
            16 => strategic(dice, format!("{url}{query}")),
            17 => bind(dice, sides, name),
            18 if dice.once_in(4) => {
                let collection = sides.path(resource, None, None);
                let selected = format!("{collection}?labelSelector=app%3Db");
                Box::new(move |_: &Seen| {
                    Request::delete(
                        selected.as_str(),
                        &json!({ "propagationPolicy": "Background" }),
                    )
                })
            }
            _ => finish(url),
        }
    };
    Ok(Step {
        model: make(&model),
        real: make(&real),
    })
}

type Make = Box<dyn Fn(&Seen) -> Request>;

fn create(dice: &mut Dice, sides: &Sides<'_>, resource: Resource, name: &str, query: &str) -> Make {
    let mut object = objects::new(dice, resource, name);
    let mut url = format!("{}{query}", sides.path(resource, None, None));
    let is_owned = dice.once_in(3);
    let is_controller = dice.once_in(2);
    if dice.once_in(12) {
        // Dry: the two sides choose different names, and lists would have different orders.
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), json!("gen-"));
        }
        url = format!("{}?dryRun=All", sides.path(resource, None, None));
    }
    // A dry run gives it back, and it would be taken for one of the server's.
    let has_version = dice.once_in(25) && !url.contains("dryRun");
    Box::new(move |seen| {
        let mut object = object.clone();
        if is_owned
            && seen.owner["metadata"]["uid"].is_string()
            && object["metadata"].get("ownerReferences").is_none()
        {
            object["metadata"]["ownerReferences"] = json!([reference(&seen.owner, is_controller)]);
        }
        if has_version {
            object["metadata"]["resourceVersion"] = json!("5");
        }
        Request::post(url.as_str(), &object)
    })
}

fn reference(owner: &Value, is_controller: bool) -> Value {
    let mut reference = json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    });
    if is_controller {
        reference["controller"] = json!(true);
    }
    reference
}

fn merge_patch(dice: &mut Dice, resource: Resource, url: String) -> Make {
    let patch = objects::spec_patch(dice, resource);
    let lock = Lock::any(dice);
    Box::new(move |seen| {
        let mut patch = patch.clone();
        lock.put(&mut patch, seen);
        Request::merge_patch(url.as_str(), &patch)
    })
}

fn status(dice: &mut Dice, resource: Resource, url: &str, query: &str) -> Make {
    let patch = if resource == LEASES {
        json!({ "status": {} })
    } else {
        objects::status_patch(dice, resource)
    };
    let lock = Lock::any(dice);
    let strategic = !is_custom(resource) && dice.once_in(2);
    let put = dice.once_in(4);
    let url = format!("{url}/status{query}");
    Box::new(move |seen| {
        let mut patch = patch.clone();
        if put && seen.object["metadata"]["uid"].is_string() {
            let mut object = seen.object.clone();
            object["status"] = patch["status"].clone();
            lock.put(&mut object, seen);
            return Request::put(url.as_str(), &object);
        }
        lock.put(&mut patch, seen);
        if strategic {
            Request::strategic_patch(url.as_str(), &patch)
        } else {
            Request::merge_patch(url.as_str(), &patch)
        }
    })
}

fn replace(dice: &mut Dice, resource: Resource, url: String) -> Make {
    let fresh = objects::new(
        dice,
        resource,
        url.rsplit('/')
            .next()
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default(),
    );
    let what = dice.below(8);
    let lock = Lock::any(dice);
    Box::new(move |seen| {
        let mut object = seen.object.clone();
        if object["metadata"]["uid"].is_null() || what == 0 {
            object = fresh.clone();
            lock.put(&mut object, seen);
            return Request::put(url.as_str(), &object);
        }
        match what {
            1 => {
                if let Some(metadata) = object["metadata"].as_object_mut() {
                    metadata.remove("resourceVersion");
                }
            }
            2 => object["metadata"]["name"] = json!("renamed"),
            3 => object["metadata"]["generation"] = json!(77),
            4 => object["metadata"]["labels"] = json!({ "app": "put" }),
            5 => object["spec"] = fresh["spec"].clone(),
            6 => object["metadata"]["creationTimestamp"] = Value::Null,
            _ => {}
        }
        if let Lock::StaleVersion | Lock::WrongUid = lock {
            lock.put(&mut object, seen);
        }
        Request::put(url.as_str(), &object)
    })
}

fn delete(dice: &mut Dice, url: String) -> Make {
    let policy = dice.pick(&[
        "",
        "Background",
        "Foreground",
        "Orphan",
        "Background",
        "Foreground",
        "Orphan",
        "Sometimes",
    ]);
    let lock = dice.pick(&[
        Lock::None,
        Lock::None,
        Lock::Uid,
        Lock::Uid,
        Lock::WrongUid,
        Lock::Version,
        Lock::StaleVersion,
    ]);
    let grace = dice.pick(&[None, None, None, Some(0), Some(5), Some(-3), Some(100)]);
    let is_dry = dice.once_in(12);
    let orphan = if policy.is_empty() && dice.once_in(6) {
        Some(dice.once_in(2))
    } else {
        None
    };
    Box::new(move |seen| {
        let mut options = json!({});
        if !policy.is_empty() {
            options["propagationPolicy"] = json!(policy);
        }
        if let Some(orphan) = orphan {
            options["orphanDependents"] = json!(orphan);
        }
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = json!(grace);
        }
        // A dry run that would take finalizers away answers with an empty object.
        if is_dry && seen.object["metadata"]["finalizers"].is_null() {
            options["dryRun"] = json!(["All"]);
        }
        let mut locked = json!({});
        lock.put(&mut locked, seen);
        if locked["metadata"].is_object() {
            options["preconditions"] = locked["metadata"].clone();
        }
        Request::delete(url.as_str(), &options)
    })
}

fn scale(dice: &mut Dice, url: &str) -> Make {
    let url = format!("{url}/scale");
    let more = i64::try_from(dice.below(5)).unwrap_or(0);
    let is_negative = dice.once_in(8);
    let what = dice.below(3);
    let lock = Lock::any(dice);
    let locks_version = matches!(lock, Lock::Version | Lock::StaleVersion);
    Box::new(move |seen| {
        if what == 0 {
            return Request::get(url.as_str());
        }
        // Another number than now: the same one would still be a write, by which the field changes hands.
        let now = seen.object["spec"]["replicas"].as_i64().unwrap_or(0);
        let replicas = if is_negative {
            -1
        } else {
            (now.max(0) + 1 + more) % 6
        };
        let mut patch = json!({ "spec": { "replicas": replicas } });
        if locks_version {
            lock.put(&mut patch, seen);
        }
        Request::merge_patch(url.as_str(), &patch)
    })
}

/// Adoption and release, as controllers of either kind do it.
fn owners(dice: &mut Dice, resource: Resource, url: String) -> Make {
    let is_adoption = dice.once_in(2);
    let is_controller = dice.once_in(2);
    let lock = Lock::any(dice);
    let custom = is_custom(resource);
    Box::new(move |seen| {
        let uid = seen.owner["metadata"]["uid"]
            .as_str()
            .unwrap_or("none")
            .to_owned();
        let entry = reference(&seen.owner, is_controller);
        let known = seen.object["metadata"]["ownerReferences"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if custom {
            let mut owners: Vec<Value> = known
                .into_iter()
                .filter(|owner| owner["uid"] != uid.as_str())
                .collect();
            if is_adoption && entry["uid"].is_string() {
                owners.push(entry);
            }
            let mut patch = json!({ "metadata": { "ownerReferences": owners } });
            lock.put(&mut patch, seen);
            return Request::merge_patch(url.as_str(), &patch);
        }
        let owners = if is_adoption && entry["uid"].is_string() {
            json!([entry])
        } else {
            json!([{ "$patch": "delete", "uid": uid }])
        };
        let mut patch = json!({ "metadata": { "ownerReferences": owners } });
        lock.put(&mut patch, seen);
        Request::strategic_patch(url.as_str(), &patch)
    })
}

fn strategic(dice: &mut Dice, url: String) -> Make {
    let patch = dice.pick(&[
        json!({ "metadata": { "finalizers": ["example.com/s"] } }),
        json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["example.com/a"] } }),
        json!({ "metadata": { "labels": { "app": "a" } } }),
        json!({ "metadata": { "annotations": { "example.com/n": "s" } } }),
    ]);
    Box::new(move |_| Request::strategic_patch(url.as_str(), &patch))
}

fn bind(dice: &mut Dice, sides: &Sides<'_>, name: &str) -> Make {
    let url = sides.path(PODS, Some(name), Some("binding"));
    let node = dice.pick(&["n1", "n2"]);
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": { "name": name },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node },
    });
    Box::new(move |_| Request::post(url.as_str(), &binding))
}

/// Takes every finalizer away, so that what is deleted goes.
fn finish(url: String) -> Make {
    Box::new(move |_| {
        Request::merge_patch(url.as_str(), &json!({ "metadata": { "finalizers": null } }))
    })
}
