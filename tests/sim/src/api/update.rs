//! PUT and PATCH of an object or of its status.

use std::sync::Arc;

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use serde_json::{Value, json};

use super::create::{check_fields, keep_spec, keep_status, read_object};
use super::object::{self, Object};
use super::query::Query;
use super::resource::{Generation, StatusWrite, Strategy};
use super::route::Place;
use super::state::{Change, State};
use super::status::FieldError;
use super::{Attempt, Request, Response, json_patch, patch, status};

const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

impl State {
    pub(super) fn replace(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        check_subresource(place)?;
        let resource = place.strategy.resource;
        let mut sent = read_object(place, request)?;
        check_fields(place, query, &sent)?;
        (place.strategy.decode)(&mut sent);
        check_name(place, &sent)?;
        let wanted = place.name.unwrap_or_default();
        let namespace = object::text(&sent, "namespace");
        if place.strategy.namespaced && !namespace.is_empty() && place.namespace != Some(namespace)
        {
            return Err(status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        let Ok(old) = self.expect(place) else {
            if place.strategy.create_on_update && place.subresource.is_empty() {
                if !object::uid(&sent).is_empty() {
                    let why = format!(
                        "Precondition failed: UID in precondition: {}, UID in object meta: ",
                        object::uid(&sent)
                    );
                    return Err(status::conflict(
                        resource,
                        wanted,
                        &storage_error(place, query.is_dry_run(), &why),
                    ));
                }
                object::metadata(&mut sent).remove("resourceVersion");
                return self.create_object(writer, place, query, sent);
            }
            return Err(status::not_found(resource, wanted));
        };
        let uid = object::uid(&sent);
        if !uid.is_empty() && uid != old.uid() {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old.uid()
            );
            return Err(status::conflict(
                resource,
                wanted,
                &storage_error(place, query.is_dry_run(), &why),
            ));
        }
        self.update(writer, place, query, &old, sent)
    }

    pub(super) fn patch(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        check_subresource(place)?;
        let old = self.expect(place);
        let new = apply_patch(
            place.strategy,
            request,
            old.as_ref().map(|old| &*old.value).ok(),
        );
        let old = match (old, new) {
            // A kind of patch that is not known is refused before the object is looked for.
            (_, Err(refusal)) if refusal.code == 415 => return Err(refusal),
            (old, _) => old?,
        };
        let mut new = apply_patch(place.strategy, request, Some(&old.value))?;
        (place.strategy.decode)(&mut new);
        check_name(place, &new)?;
        self.update(writer, place, query, &old, new)
    }

    /// Stores `new` in the place of `old`, by the rules of the kind and of the subresource.
    pub(super) fn update(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        old: &Arc<Object>,
        mut new: Value,
    ) -> Result<Response, Response> {
        let strategy = place.strategy;
        let resource = strategy.resource;
        let key = Self::key_of(place);
        check_version(strategy, &key, &old.value, &new)?;
        object::metadata(&mut new).remove("resourceVersion");
        if strategy.namespaced && object::text(&new, "namespace").is_empty() {
            object::keep(&mut new, &old.value, "namespace");
        }
        prepare(strategy, place.subresource, &mut new, &old.value);
        let errors = (strategy.validate)(&new, Some(&old.value), place.subresource);
        if !errors.is_empty() {
            return Err(status::invalid(
                resource.group,
                resource.kind,
                object::name(&new),
                &errors,
            ));
        }
        self.ask_admission(&Attempt {
            writer,
            verb: "update",
            resource,
            subresource: place.subresource,
            key: &key,
            object: Some(&new),
        })?;
        object::keep(&mut new, &old.value, "resourceVersion");
        let is_last = object::is_deleting(&old.value)
            && object::finalizers(&new).next().is_none()
            && object::grace(&old.value).unwrap_or(0) == 0
            && !holds_namespace(strategy, &new);
        if is_last {
            if !query.is_dry_run() {
                self.commit(writer, place.index, &key, Change::Remove);
            }
            let shown = Object::new(resource, new, old.version, false);
            return Ok(Response::new(200, shown.text));
        }
        if query.is_dry_run() {
            let shown = Object::new(resource, new, old.version, false);
            return Ok(Response::new(200, shown.text));
        }
        let stored = self.store(writer, place.index, &key, old, new);
        self.after_write(place.index, &key);
        Ok(Response::new(200, stored.text.clone()))
    }

    /// Commits unless nothing would change.
    pub(super) fn store(
        &mut self,
        writer: &Writer,
        index: usize,
        key: &Key,
        old: &Arc<Object>,
        new: Value,
    ) -> Arc<Object> {
        if new == *old.value && !old.bare {
            return Arc::clone(old);
        }
        let change = Change::Put {
            object: new,
            bare: false,
        };
        self.commit(writer, index, key, change)
    }
}

/// An object keeps its name.
fn check_name(place: &Place<'_>, object: &Value) -> Result<(), Response> {
    let wanted = place.name.unwrap_or_default();
    match object::name(object) {
        "" => Err(status::bad_request(&format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        ))),
        given if given != wanted => Err(status::bad_request(&format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        ))),
        _ => Ok(()),
    }
}

/// A namespace stays until its own finalizers are gone as well.
fn holds_namespace(strategy: &Strategy, new: &Value) -> bool {
    strategy.resource == super::resource::NAMESPACES
        && new["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
}

fn check_subresource(place: &Place<'_>) -> Result<(), Response> {
    match place.subresource {
        "" => Ok(()),
        "status" if place.strategy.status != StatusWrite::None => Ok(()),
        _ => Err(status::no_such_resource()),
    }
}

/// etcd's words for a precondition that is checked late.
pub(super) fn storage_error(place: &Place<'_>, is_dry_run: bool, why: &str) -> String {
    let resource = place.strategy.resource;
    let folder = match (place.strategy.custom, resource.plural) {
        (true, plural) => format!("{}/{plural}", resource.group),
        (false, "replicationcontrollers") => "controllers".to_owned(),
        (false, plural) => plural.to_owned(),
    };
    let start = if is_dry_run { "" } else { "/registry" };
    let mut path = format!("{start}/{folder}");
    for part in [place.namespace, place.name].into_iter().flatten() {
        path.push('/');
        path.push_str(part);
    }
    format!(
        "StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
    )
}

fn apply_patch(
    strategy: &Strategy,
    request: &Request,
    old: Option<&Value>,
) -> Result<Value, Response> {
    let kind = request.content_type.split(';').next().unwrap_or_default();
    let mut object = old.cloned().unwrap_or_default();
    if let Value::Object(fields) = &mut object {
        let resource = strategy.resource;
        fields.insert("kind".to_owned(), json!(resource.kind));
        fields.insert("apiVersion".to_owned(), json!(resource.api_version()));
    }
    let form = match kind {
        "application/json-patch+json" => Form::Operations,
        "application/merge-patch+json" => Form::Merge,
        "application/strategic-merge-patch+json" if !strategy.custom => Form::Strategic,
        _ if strategy.custom => {
            return Err(status::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        _ => {
            return Err(status::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml",
            ));
        }
    };
    let patch: Value = serde_json::from_slice(&request.body)
        .map_err(|error| status::bad_request(&format!("error decoding patch: {error}")))?;
    match form {
        Form::Operations => {
            json_patch::apply(&mut object, &patch).map_err(|_| status::not_applicable())?;
        }
        Form::Merge => patch::merge(&mut object, &patch),
        Form::Strategic => {
            patch::strategic(&mut object, &patch).map_err(|why| status::bad_request(&why))?;
        }
    }
    Ok(object)
}

/// How a patch is written.
enum Form {
    Operations,
    Merge,
    Strategic,
}

/// The optimistic lock.
fn check_version(strategy: &Strategy, key: &Key, old: &Value, new: &Value) -> Result<(), Response> {
    let resource = strategy.resource;
    match object::text(new, "resourceVersion") {
        "" | "0" if strategy.unconditional => Ok(()),
        "" | "0" => {
            let why = "must be specified for an update";
            let error = FieldError::invalid("metadata.resourceVersion", &json!(0), why);
            Err(status::invalid(
                resource.group,
                resource.plural,
                &key.name,
                &[error],
            ))
        }
        version if version == object::text(old, "resourceVersion") => Ok(()),
        _ => Err(status::conflict(resource, &key.name, MODIFIED)),
    }
}

/// Puts back what this write may not change, and counts the generation.
fn prepare(strategy: &Strategy, subresource: &str, new: &mut Value, old: &Value) {
    object::keep(new, old, "generation");
    if subresource == "status" {
        match strategy.status {
            StatusWrite::Alone => {
                let status = new.get("status").cloned();
                old.clone_into(new);
                object::metadata(new).remove("resourceVersion");
                if let Value::Object(fields) = new {
                    object::put(fields, "status", status);
                }
                (strategy.decode)(new);
            }
            StatusWrite::MetadataBut(kept) => {
                keep_spec(new, old);
                for field in kept {
                    object::keep(new, old, field);
                }
                if strategy.resource == ironkeel_runtime::resource::PODS
                    && new["status"].get("qosClass").is_none()
                {
                    let class = old["status"]["qosClass"].clone();
                    object::part(new, "status").insert("qosClass".to_owned(), class);
                }
            }
            StatusWrite::None => {}
        }
    } else {
        if strategy.status != StatusWrite::None {
            keep_status(new, old);
        }
        let is_changed = match strategy.generation {
            Generation::None => false,
            Generation::Spec => new["spec"] != old["spec"],
            Generation::SpecOrAnnotations => {
                new["spec"] != old["spec"]
                    || new["metadata"]["annotations"] != old["metadata"]["annotations"]
            }
        };
        if is_changed {
            let next = object::generation(old) + 1;
            object::metadata(new).insert("generation".to_owned(), json!(next));
        }
    }
    if object::uid(new).is_empty() {
        object::keep(new, old, "uid");
    }
    object::keep(new, old, "creationTimestamp");
    if object::is_deleting(old) {
        object::keep(new, old, "deletionTimestamp");
    }
    if object::grace(new).is_none() {
        object::keep(new, old, "deletionGracePeriodSeconds");
    }
}
