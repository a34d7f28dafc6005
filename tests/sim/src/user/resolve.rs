//! UIDs in manifests: what only exists once another object does.

use serde_json::Value;

use crate::api::Api;
use crate::scenario::{NAMESPACE, uid_of};

/// `object` with each text that names the UID of another object replaced by that UID.
pub(super) fn uids(object: &Value, api: &Api) -> Result<Value, String> {
    Ok(match object {
        Value::String(text) => match uid_of::parse(text) {
            None => object.clone(),
            Some((resource, name)) => api
                .get(resource, NAMESPACE, name)
                .map(|owner| owner["metadata"]["uid"].clone())
                .ok_or_else(|| format!("{resource} {name} does not exist yet"))?,
        },
        Value::Array(items) => items
            .iter()
            .map(|item| uids(item, api))
            .collect::<Result<_, _>>()?,
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(field, value)| Ok((field.clone(), uids(value, api)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => other.clone(),
    })
}
