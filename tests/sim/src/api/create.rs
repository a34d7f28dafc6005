//! POST of an object.

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use serde_json::{Value, json};

use super::object::{self, Object, part};
use super::query::Query;
use super::resource::{Generation, NAMESPACES, index_of};
use super::route::Place;
use super::state::{Change, State, seconds};
use super::{Attempt, Request, Response, schema, status};
use ironkeel_runtime::resource::PODS;

/// How often the server tries another generated name.
const NAME_TRIES: usize = 8;

impl State {
    pub(super) fn create(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        if place.strategy.namespaced && place.namespace.is_none() {
            return Err(status::method_not_allowed());
        }
        let sent = read_object(place, request)?;
        check_fields(place, query, &sent)?;
        self.create_object(writer, place, query, sent)
    }

    /// Creates what was sent, under the name in it or a generated one.
    pub(super) fn create_object(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        sent: Value,
    ) -> Result<Response, Response> {
        let strategy = place.strategy;
        let resource = strategy.resource;
        let mut object = sent;
        (strategy.decode)(&mut object);
        let given = object::text(&object, "namespace").to_owned();
        let namespace = place.namespace.unwrap_or_default();
        if strategy.namespaced && !given.is_empty() && given != namespace {
            return Err(status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if strategy.namespaced {
            self.check_namespace(place, &object)?;
        }
        let now = seconds(self.now());
        let uid = self.new_uid();
        let generation = strategy.generation;
        let metadata = object::metadata(&mut object);
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
        ] {
            metadata.remove(field);
        }
        let version = metadata.remove("resourceVersion");
        metadata.insert("uid".to_owned(), json!(uid));
        metadata.insert("creationTimestamp".to_owned(), json!(now));
        if strategy.namespaced {
            metadata.insert("namespace".to_owned(), json!(namespace));
        } else {
            metadata.remove("namespace");
        }
        if generation != Generation::None {
            metadata.insert("generation".to_owned(), json!(1));
        }
        (strategy.first_status)(&mut object);
        let prefix = object::text(&object, "generateName").to_owned();
        let is_generated = object::name(&object).is_empty() && !prefix.is_empty();
        for attempt in 1..=NAME_TRIES {
            if is_generated {
                let name = self.new_name(&prefix);
                object::metadata(&mut object).insert("name".to_owned(), json!(name));
                if resource == NAMESPACES {
                    (strategy.decode)(&mut object);
                }
            }
            let errors = (strategy.validate)(&object, None, "");
            if !errors.is_empty() {
                return Err(status::invalid(
                    resource.group,
                    resource.kind,
                    object::name(&object),
                    &errors,
                ));
            }
            let key = Key::new(namespace, object::name(&object));
            self.ask_admission(&Attempt {
                writer,
                verb: "create",
                resource,
                subresource: "",
                key: &key,
                object: Some(&object),
            })?;
            self.check_quota(place, &object)?;
            if version.is_some() && !query.is_dry_run() {
                return Err(status::without_reason(
                    500,
                    "resourceVersion should not be set on objects to be created",
                ));
            }
            match self.find(place.index, &key) {
                Some(_) if is_generated && attempt < NAME_TRIES => {}
                Some(known) => {
                    let is_deleting = object::is_deleting(&known.value);
                    return Err(status::already_exists(resource, &key.name, is_deleting));
                }
                None => {
                    object::put(object::metadata(&mut object), "resourceVersion", version);
                    return Ok(self.store_new(writer, place, query, &key, object));
                }
            }
        }
        Err(status::already_exists(
            resource,
            object::name(&object),
            false,
        ))
    }

    fn store_new(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        key: &Key,
        mut object: Value,
    ) -> Response {
        let strategy = place.strategy;
        if strategy.custom {
            // Storage has no status, reading fills its defaults in.
            (strategy.decode)(&mut object);
        }
        if query.is_dry_run() {
            let object = Object::new(strategy.resource, object, 0, false);
            return Response::new(201, object.text);
        }
        let bare = strategy.custom;
        let stored = self.commit(writer, place.index, key, Change::Put { object, bare });
        self.after_write(place.index, key);
        Response::new(201, stored.text.clone())
    }

    /// A namespace must be there and not go away.
    fn check_namespace(&self, place: &Place<'_>, object: &Value) -> Result<(), Response> {
        let name = place.namespace.unwrap_or_default();
        let found = index_of(NAMESPACES).and_then(|index| self.find(index, &Key::new("", name)));
        let Some(namespace) = found else {
            return Err(status::not_found(NAMESPACES, name));
        };
        if namespace.value["status"]["phase"] == "Terminating" {
            let shown = [
                object::name(object),
                object::text(object, "generateName"),
                "Unknown",
            ];
            let shown = shown
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default();
            return Err(status::namespace_terminating(
                place.strategy.resource,
                shown,
                name,
            ));
        }
        Ok(())
    }

    /// Lets the admission judge a write.
    pub(super) fn ask_admission(&mut self, attempt: &Attempt<'_>) -> Result<(), Response> {
        for judge in &mut self.admission {
            if let Some(why) = judge(attempt) {
                return Err(status::forbidden(attempt.resource, &attempt.key.name, &why));
            }
        }
        Ok(())
    }
}

/// The object in a request's body.
pub(super) fn read_object(place: &Place<'_>, request: &Request) -> Result<Value, Response> {
    let resource = place.strategy.resource;
    let object: Value = serde_json::from_slice(&request.body).map_err(|error| {
        status::bad_request(&format!("the object provided is unrecognized: {error}"))
    })?;
    if !object.is_object() {
        return Err(status::bad_request(
            "the object provided is unrecognized: it is no JSON object",
        ));
    }
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if place.strategy.custom && kind.is_empty() {
        return Err(status::bad_request(&format!(
            "error decoding: Object 'Kind' is missing in '{}'",
            String::from_utf8_lossy(&request.body)
        )));
    }
    let (expected, short) = (resource.api_version(), resource.version);
    if !version.is_empty() && version != expected {
        return Err(status::bad_request(&format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if !kind.is_empty() && kind != resource.kind {
        return Err(status::bad_request(&format!(
            "{kind} in version {short:?} cannot be handled as a {}: no such kind here",
            resource.kind
        )));
    }
    Ok(object)
}

/// `fieldValidation=Strict` refuses fields that the kind does not have; here that of pods.
pub(super) fn check_fields(place: &Place<'_>, query: &Query, sent: &Value) -> Result<(), Response> {
    if place.strategy.resource != PODS || query.get("fieldValidation") != "Strict" {
        return Ok(());
    }
    let unknown = schema::unknown_in_pod_spec(&sent["spec"], "spec");
    if unknown.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    Err(status::bad_request(&format!(
        "Pod in version \"v1\" cannot be handled as a Pod: strict decoding error: {}",
        texts.join(", ")
    )))
}

/// Puts the status of the stored object in the place of the one that was sent.
pub(super) fn keep_status(new: &mut Value, old: &Value) {
    let kept = old.get("status").cloned();
    if let Value::Object(fields) = new {
        object::put(fields, "status", kept);
    }
}

/// Puts a part of the stored object in the place of the one that was sent.
pub(super) fn keep_spec(new: &mut Value, old: &Value) {
    let kept = old.get("spec").cloned();
    if kept.is_none() {
        part(new, "spec");
    }
    if let Value::Object(fields) = new {
        object::put(fields, "spec", kept);
    }
}
