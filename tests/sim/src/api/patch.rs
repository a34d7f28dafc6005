//! JSON merge patch (RFC 7386) and strategic merge patch.

use serde_json::{Map, Value};

/// Merges a JSON merge patch into `target`.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        patch.clone_into(target);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// How a list of a built-in kind merges.
enum ListMerge {
    /// By the value of this field of its entries.
    ByKey(&'static str),
    /// As a set.
    Set,
    /// It is replaced as a whole.
    Atomic,
}

/// The lists of pods, sets, Deployments and their metadata that have a strategy; others are replaced.
fn list_merge(field: &str) -> ListMerge {
    match field {
        "ownerReferences" => ListMerge::ByKey("uid"),
        "conditions" => ListMerge::ByKey("type"),
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "resourceClaims"
        | "schedulingGates" => ListMerge::ByKey("name"),
        "ports" => ListMerge::ByKey("containerPort"),
        "volumeMounts" => ListMerge::ByKey("mountPath"),
        "volumeDevices" => ListMerge::ByKey("devicePath"),
        "hostAliases" | "podIPs" | "hostIPs" => ListMerge::ByKey("ip"),
        "topologySpreadConstraints" => ListMerge::ByKey("topologyKey"),
        "finalizers" => ListMerge::Set,
        _ => ListMerge::Atomic,
    }
}

/// Merges a strategic merge patch into `target`; a text says why the patch makes no sense.
pub(super) fn strategic(target: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        patch.clone_into(target);
        return Ok(());
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return Ok(());
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            let kept = patch.iter().filter(|(name, _)| *name != "$patch");
            *target = Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect());
            return Ok(());
        }
        Some("delete") => {
            fields.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("Unknown patch type found: {other}")),
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        fields.retain(|name, _| kept.iter().any(|one| one == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let Some(Value::Array(known)) = fields.get_mut(list) {
                let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
                known.retain(|one| !gone.contains(one));
            }
        } else if name.starts_with('$') {
            // The other directives order lists or were dealt with above.
        } else if value.is_null() {
            fields.remove(name);
        } else if let Value::Array(list) = value {
            let known = match fields.get_mut(name) {
                Some(Value::Array(known)) => std::mem::take(known),
                _ => Vec::new(),
            };
            let merged = match list_merge(name) {
                ListMerge::Atomic => list.clone(),
                ListMerge::Set => merge_set(&known, list),
                ListMerge::ByKey(key) => merge_by_key(&known, list, key)?,
            };
            fields.insert(name.clone(), Value::Array(merged));
        } else {
            let known = fields.entry(name.as_str()).or_insert(Value::Null);
            strategic(known, value)?;
        }
    }
    Ok(())
}

fn merge_set(known: &[Value], patch: &[Value]) -> Vec<Value> {
    let mut merged = known.to_vec();
    for value in patch {
        if !merged.contains(value) {
            merged.push(value.clone());
        }
    }
    in_order(merged, known, patch, |a, b| a == b)
}

fn merge_by_key(known: &[Value], patch: &[Value], key: &str) -> Result<Vec<Value>, String> {
    let same = |a: &Value, b: &Value| a[key] == b[key];
    let mut merged = known.to_vec();
    let mut left = Vec::new();
    let replaces = patch.iter().any(|entry| {
        entry["$patch"] == "replace" && entry.as_object().is_some_and(|e| e.len() == 1)
    });
    if replaces {
        merged.clear();
    }
    for entry in patch {
        match entry["$patch"].as_str() {
            Some("replace") => continue,
            Some("delete") => {
                if entry.get(key).is_none() {
                    return Err("delete patch type with no merge key defined".to_owned());
                }
                merged.retain(|one| !same(one, entry));
                continue;
            }
            _ => {}
        }
        if entry.get(key).is_none() {
            return Err(format!(
                "map: {entry} does not contain declared merge key: {key}"
            ));
        }
        if let Some(one) = merged.iter_mut().find(|one| same(one, entry)) {
            strategic(one, entry)?;
        } else {
            let mut new = Value::Null;
            strategic(&mut new, entry)?;
            merged.push(new);
        }
        left.push(entry.clone());
    }
    Ok(in_order(merged, known, &left, same))
}

/// The order that the server gives a merged list: entries of the patch in the patch's order, the others in theirs, and a
/// new entry of the patch in front of the others.
fn in_order(
    merged: Vec<Value>,
    known: &[Value],
    patch: &[Value],
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let place = |list: &[Value], value: &Value| list.iter().position(|one| same(one, value));
    let (mut of_patch, others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|value| place(patch, value).is_some());
    of_patch.sort_by_key(|value| place(patch, value));
    let mut ordered = Vec::with_capacity(of_patch.len() + others.len());
    let mut others = others.into_iter().peekable();
    for value in of_patch {
        let at = place(known, &value);
        while let (Some(at), Some(other)) = (at, others.peek()) {
            if place(known, other).is_some_and(|other| other < at) {
                ordered.extend(others.next());
            } else {
                break;
            }
        }
        ordered.push(value);
    }
    ordered.extend(others);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_merge_patch_merges_and_removes() {
        let mut object = json!({ "a": { "b": 1, "c": 2 }, "l": [1] });
        merge(
            &mut object,
            &json!({ "a": { "b": null, "d": { "e": null } }, "l": [2] }),
        );
        assert_eq!(object, json!({ "a": { "c": 2, "d": {} }, "l": [2] }));
    }

    #[test]
    fn owners_merge_by_uid_and_a_new_one_comes_first() {
        let owners =
            |uids: &[&str]| -> Value { uids.iter().map(|uid| json!({ "uid": uid })).collect() };
        let mut object = json!({ "metadata": { "ownerReferences": owners(&["a", "b"]) } });
        let adopt = json!({ "metadata": { "ownerReferences": owners(&["c"]) } });
        strategic(&mut object, &adopt).unwrap();
        assert_eq!(
            object["metadata"]["ownerReferences"],
            owners(&["c", "a", "b"])
        );
        let release =
            json!({ "metadata": { "ownerReferences": [{ "$patch": "delete", "uid": "a" }] } });
        strategic(&mut object, &release).unwrap();
        assert_eq!(object["metadata"]["ownerReferences"], owners(&["c", "b"]));
    }

    #[test]
    fn finalizers_are_a_set() {
        let mut object = json!({ "metadata": { "finalizers": ["a/a", "b/b"] } });
        let patch = json!({ "metadata": { "finalizers": ["b/b", "c/c"], "$deleteFromPrimitiveList/finalizers": ["a/a"] } });
        strategic(&mut object, &patch).unwrap();
        assert_eq!(object["metadata"]["finalizers"], json!(["b/b", "c/c"]));
    }
}
