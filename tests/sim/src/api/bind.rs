//! What the scheduler and the namespace controller write through subresources of their own.

use ironkeel_invariants::Writer;
use ironkeel_runtime::resource::{PODS, Resource};
use serde_json::{Value, json};

use super::create::read_object;
use super::object::{self, Object, part};
use super::query::Query;
use super::resource::NAMESPACES;
use super::route::Place;
use super::state::{State, seconds};
use super::{Request, Response, status};

/// The resource that a refused binding names.
const BINDINGS: Resource = Resource::new("", "v1", "Binding", "pods/binding");

impl State {
    /// Binds a pod to a node. It is not a change of the pod's spec: the generation stays.
    pub(super) fn bind(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        if place.strategy.resource != PODS {
            return Err(status::no_such_resource());
        }
        let binding: Value = serde_json::from_slice(&request.body)
            .map_err(|error| status::bad_request(&format!("error decoding binding: {error}")))?;
        let name = place.name.unwrap_or_default();
        if object::name(&binding) != name {
            return Err(status::bad_request(
                "name in URL does not match name in Binding object",
            ));
        }
        let old = self.expect(place)?;
        let refuse = |why: &str| Err(status::conflict(BINDINGS, name, why));
        let uid = object::uid(&binding);
        if !uid.is_empty() && uid != old.uid() {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old.uid()
            );
            return Err(status::conflict(
                PODS,
                name,
                &super::update::storage_error(place, query.is_dry_run(), &why),
            ));
        }
        if object::is_deleting(&old.value) {
            return refuse(&format!(
                "pod {name} is being deleted, cannot be assigned to a host"
            ));
        }
        if let Some(node) = old.value["spec"]["nodeName"].as_str() {
            return refuse(&format!("pod {name} is already assigned to node {node:?}"));
        }
        let mut new = (*old.value).clone();
        let node = binding["target"]["name"].as_str().unwrap_or_default();
        part(&mut new, "spec").insert("nodeName".to_owned(), json!(node));
        let now = seconds(self.now());
        let condition =
            json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": now });
        let conditions = &mut new["status"]["conditions"];
        match conditions {
            Value::Array(list) => {
                list.retain(|known| known["type"] != "PodScheduled");
                list.push(condition);
            }
            other => *other = json!([condition]),
        }
        if !query.is_dry_run() {
            self.store(writer, place.index, &Self::key_of(place), &old, new);
        }
        let body = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
        Ok(Response::new(201, body.to_string()))
    }

    /// Sets the finalizers of a namespace's spec; without any, and if it is to go, it goes.
    pub(super) fn finalize(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        if place.strategy.resource != NAMESPACES {
            return Err(status::no_such_resource());
        }
        let sent = read_object(place, request)?;
        let old = self.expect(place)?;
        let mut new = (*old.value).clone();
        new["spec"] = sent["spec"].clone();
        part(&mut new, "spec");
        if query.is_dry_run() {
            let shown = Object::new(NAMESPACES, new, old.version, false);
            return Ok(Response::new(200, shown.text));
        }
        let main = Place {
            subresource: "",
            ..*place
        };
        self.update(writer, &main, query, &old, new)
    }
}
