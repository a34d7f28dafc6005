//! The scale subresource: `autoscaling/v1` of whatever has replicas.

use std::sync::Arc;

use http::Method;
use ironkeel_invariants::Writer;
use ironkeel_plan::selector::LabelSelector;
use serde_json::{Value, json};

use super::object::{self, Object, part};
use super::query::Query;
use super::route::Place;
use super::state::State;
use super::status::FieldError;
use super::{Request, Response, patch, status};

impl State {
    pub(super) fn get_scale(&self, place: &Place<'_>) -> Result<Response, Response> {
        check(place)?;
        let object = self.expect(place)?;
        Ok(Response::new(200, scale_of(place, &object).to_string()))
    }

    pub(super) fn write_scale(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        check(place)?;
        let old = self.expect(place)?;
        let sent: Value = serde_json::from_slice(&request.body)
            .map_err(|error| status::bad_request(&format!("error decoding scale: {error}")))?;
        let mut scale = scale_of(place, &old);
        if request.method == Method::PUT {
            scale = sent;
        } else if request
            .content_type
            .starts_with("application/strategic-merge-patch+json")
        {
            patch::strategic(&mut scale, &sent).map_err(|why| status::bad_request(&why))?;
        } else {
            patch::merge(&mut scale, &sent);
        }
        let name = place.name.unwrap_or_default();
        let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        // A custom kind's own schema refuses them.
        if replicas < 0 && !place.strategy.custom {
            let why = "must be greater than or equal to 0";
            let error = FieldError::invalid("spec.replicas", &replicas.into(), why);
            return Err(status::invalid("autoscaling", "Scale", name, &[error]));
        }
        let mut new = (*old.value).clone();
        part(&mut new, "spec").insert("replicas".to_owned(), json!(replicas));
        let version = object::text(&scale, "resourceVersion");
        if !version.is_empty() {
            object::metadata(&mut new).insert("resourceVersion".to_owned(), json!(version));
        }
        let main = Place {
            subresource: "",
            ..*place
        };
        self.update(writer, &main, query, &old, new)?;
        let stored = self.expect(place)?;
        Ok(Response::new(200, scale_of(place, &stored).to_string()))
    }
}

fn check(place: &Place<'_>) -> Result<(), Response> {
    if place.strategy.has_scale {
        Ok(())
    } else {
        Err(status::no_such_resource())
    }
}

fn scale_of(place: &Place<'_>, object: &Arc<Object>) -> Value {
    let value = &object.value;
    let selector = if place.strategy.custom {
        value["status"]["selector"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    } else {
        let selector: LabelSelector =
            serde_json::from_value(value["spec"]["selector"].clone()).unwrap_or_default();
        selector.to_string()
    };
    let mut status = json!({ "replicas": value["status"]["replicas"].as_i64().unwrap_or(0) });
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        metadata[field] = value["metadata"][field].clone();
    }
    let mut spec = json!({});
    if let Some(replicas) = value["spec"]["replicas"]
        .as_i64()
        .filter(|count| *count != 0)
    {
        spec["replicas"] = json!(replicas);
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    })
}
