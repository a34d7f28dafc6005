//! JSON patch (RFC 6902), as far as objects of the API need it.

use serde_json::Value;

/// Applies the operations of `changes` to `target` in order. A text says which one cannot be applied; the object is then
/// of no use any more.
pub(super) fn apply(target: &mut Value, changes: &Value) -> Result<(), String> {
    let operations = changes.as_array().ok_or("a JSON patch is a list")?;
    for operation in operations {
        let path = operation["path"].as_str().unwrap_or_default();
        let value = &operation["value"];
        let done = match operation["op"].as_str().unwrap_or_default() {
            "test" => target.pointer(path).unwrap_or(&Value::Null) == value,
            "add" => add(target, path, value),
            "replace" => target.pointer_mut(path).is_some_and(|known| {
                value.clone_into(known);
                true
            }),
            "remove" => remove(target, path),
            _ => false,
        };
        if !done {
            return Err(format!("{operation} cannot be applied"));
        }
    }
    Ok(())
}

/// The parent of what `path` names, and its last part.
fn parent<'a>(target: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let (above, last) = path.rsplit_once('/')?;
    let last = last.replace("~1", "/").replace("~0", "~");
    Some((target.pointer_mut(above)?, last))
}

fn add(target: &mut Value, path: &str, value: &Value) -> bool {
    match parent(target, path) {
        Some((Value::Object(fields), name)) => {
            fields.insert(name, value.clone());
            true
        }
        Some((Value::Array(list), place)) => {
            let at = match place.as_str() {
                "-" => Some(list.len()),
                number => number.parse().ok().filter(|at| *at <= list.len()),
            };
            at.is_some_and(|at| {
                list.insert(at, value.clone());
                true
            })
        }
        _ => false,
    }
}

fn remove(target: &mut Value, path: &str) -> bool {
    match parent(target, path) {
        Some((Value::Object(fields), name)) => fields.remove(&name).is_some(),
        Some((Value::Array(list), place)) => place
            .parse()
            .ok()
            .filter(|at: &usize| *at < list.len())
            .map(|at| list.remove(at))
            .is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_run_in_order_and_a_failed_test_ends_them() {
        let mut object =
            json!({ "metadata": { "annotations": { "a/b": "1" }, "generation": 3 }, "list": [1] });
        let patch = json!([
            { "op": "test", "path": "/metadata/generation", "value": 3 },
            { "op": "add", "path": "/metadata/annotations/c~1d", "value": "2" },
            { "op": "remove", "path": "/metadata/annotations/a~1b" },
            { "op": "replace", "path": "/metadata/generation", "value": 4 },
            { "op": "add", "path": "/list/-", "value": 2 },
        ]);
        apply(&mut object, &patch).unwrap();
        assert_eq!(
            object,
            json!({ "metadata": { "annotations": { "c/d": "2" }, "generation": 4 }, "list": [1, 2] })
        );
        for refused in [
            json!([{ "op": "test", "path": "/metadata/generation", "value": 3 }]),
            json!([{ "op": "test", "path": "/metadata/absent", "value": 3 }]),
            json!([{ "op": "remove", "path": "/metadata/absent" }]),
            json!([{ "op": "replace", "path": "/metadata/absent", "value": 1 }]),
            json!([{ "op": "add", "path": "/absent/x", "value": 1 }]),
        ] {
            assert!(apply(&mut object, &refused).is_err(), "{refused}");
        }
    }
}
