//! DELETE: preconditions, grace periods, finalizers, and what is done for the garbage collector.

use std::sync::Arc;

use ironkeel_invariants::Writer;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::PODS;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::object::{self, FOREGROUND, ORPHAN, Object};
use super::query::Query;
use super::resource::{DefaultPolicy, NAMESPACES, Strategy};
use super::route::Place;
use super::state::{Change, State, seconds};
use super::status::FieldError;
use super::{Attempt, Request, Response, read, status};

/// `DeleteOptions` as far as they matter here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Options {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Preconditions,
    dry_run: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

/// What a deletion did to the object.
enum Step {
    /// It is gone; its last state.
    Gone(Arc<Object>),
    /// It stays until something lets it go.
    Stays(Arc<Object>),
    /// It stays, and was going already.
    Waits(Arc<Object>),
}

impl Options {
    fn read(request: &Request, query: &Query) -> Result<Self, Response> {
        let mut options = if request.body.is_empty() {
            Self {
                grace_period_seconds: query.get("gracePeriodSeconds").parse().ok(),
                propagation_policy: Some(query.get("propagationPolicy").to_owned())
                    .filter(|policy| !policy.is_empty()),
                orphan_dependents: query.get("orphanDependents").parse().ok(),
                ..Self::default()
            }
        } else {
            serde_json::from_slice(&request.body)
                .map_err(|error| status::bad_request(&error.to_string()))?
        };
        if request.body.is_empty() && query.is_dry_run() {
            options.dry_run = vec!["All".to_owned()];
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), Response> {
        let refuse = |error| {
            Err(status::invalid(
                "meta.k8s.io",
                "DeleteOptions",
                "",
                &[error],
            ))
        };
        let Some(policy) = &self.propagation_policy else {
            return Ok(());
        };
        if self.orphan_dependents.is_some() {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return refuse(FieldError::invalid(
                "propagationPolicy",
                &json!(policy),
                why,
            ));
        }
        if !["Foreground", "Background", "Orphan"].contains(&policy.as_str()) {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            return refuse(FieldError::not_supported(
                "propagationPolicy",
                &json!(policy),
                &known,
            ));
        }
        Ok(())
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run.iter().any(|all| all == "All")
    }

    /// The finalizers that the object has after the policy was applied.
    fn finalizers(&self, strategy: &Strategy, object: &Value) -> Vec<String> {
        let mut finalizers: Vec<String> = object::finalizers(object)
            .filter(|name| ![ORPHAN, FOREGROUND].contains(name))
            .map(str::to_owned)
            .collect();
        if strategy.policy == DefaultPolicy::Unsupported {
            return finalizers;
        }
        let set = object::finalizers(object).find(|name| [ORPHAN, FOREGROUND].contains(name));
        let added = match (self.orphan_dependents, self.propagation_policy.as_deref()) {
            (Some(true), _) | (_, Some("Orphan")) => Some(ORPHAN),
            (_, Some("Foreground")) => Some(FOREGROUND),
            (None, None) if set.is_some() => set,
            (None, None) if strategy.policy == DefaultPolicy::Orphan => Some(ORPHAN),
            _ => None,
        };
        finalizers.extend(added.map(str::to_owned));
        finalizers
    }
}

impl State {
    pub(super) fn delete(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        let options = Options::read(request, query)?;
        let resource = place.strategy.resource;
        if resource == NAMESPACES
            && ["default", "kube-system", "kube-public"].contains(&place.name.unwrap_or_default())
        {
            return Err(status::forbidden(
                resource,
                place.name.unwrap_or_default(),
                "this namespace may not be deleted",
            ));
        }
        let object = self.expect(place)?;
        let step = if resource == NAMESPACES {
            self.delete_namespace(writer, place, &object, &options)?
        } else {
            self.delete_object(writer, place, &object, &options)?
        };
        // Only who asks in the old way is told that the object is still there.
        let code = if options.orphan_dependents == Some(false) {
            202
        } else {
            200
        };
        Ok(match step {
            Step::Stays(object) => Response::new(code, object.text.clone()),
            Step::Waits(object) if place.strategy.returns_deleted => {
                Response::new(code, object.text.clone())
            }
            Step::Gone(object) if place.strategy.returns_deleted => {
                Response::new(200, object.text.clone())
            }
            Step::Waits(object) | Step::Gone(object) => {
                status::deleted(resource, object::name(&object.value), object.uid())
            }
        })
    }

    fn delete_object(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        object: &Arc<Object>,
        options: &Options,
    ) -> Result<Step, Response> {
        let key = Self::key_of(place);
        check_preconditions(place.strategy, object, options)?;
        let now = self.now();
        let mut next = (*object.value).clone();
        let graceful =
            match begin_grace(place.strategy, &mut next, options.grace_period_seconds, now) {
                Grace::Pending => return Ok(Step::Waits(Arc::clone(object))),
                Grace::Changed(seconds) => Some(seconds),
                Grace::None => None,
            };
        self.ask_admission(&Attempt {
            writer,
            verb: "delete",
            resource: place.strategy.resource,
            subresource: "",
            key: &key,
            object: None,
        })?;
        let finalizers = options.finalizers(place.strategy, &next);
        let same = {
            let mut known: Vec<&str> = object::finalizers(&next).collect();
            let mut wanted: Vec<&str> = finalizers.iter().map(String::as_str).collect();
            known.sort_unstable();
            wanted.sort_unstable();
            known == wanted
        };
        if !same {
            object::set_finalizers(&mut next, &finalizers);
        }
        let waits = !finalizers.is_empty();
        let was_held = object::finalizers(&object.value).next().is_some();
        if graceful.is_none()
            && !waits
            && was_held
            && options.preconditions.resource_version.is_some()
        {
            // Upstream compares the version with that of an object that it never read.
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: , ResourceVersion in object meta: {}",
                object.version
            );
            let why = super::update::storage_error(place, options.is_dry_run(), &why);
            return Err(status::conflict(place.strategy.resource, &key.name, &why));
        }
        let is_dry_run = options.is_dry_run();
        let mut stored = Arc::clone(object);
        if graceful.is_some() || waits {
            if graceful.is_none() {
                mark_as_deleting(&mut next, now);
            }
            if is_dry_run {
                return Ok(Step::Stays(Arc::new(Object::new(
                    place.strategy.resource,
                    next,
                    object.version,
                    false,
                ))));
            }
            stored = self.store(writer, place.index, &key, object, next);
            if waits || graceful.is_some_and(|seconds| seconds > 0) {
                return Ok(Step::Stays(stored));
            }
        }
        if is_dry_run {
            return Ok(Step::Gone(stored));
        }
        Ok(Step::Gone(self.commit(
            writer,
            place.index,
            &key,
            Change::Remove,
        )))
    }

    fn delete_namespace(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        object: &Arc<Object>,
        options: &Options,
    ) -> Result<Step, Response> {
        let resource = place.strategy.resource;
        let name = place.name.unwrap_or_default();
        let refuse = |what: &str, asked: &str, is: &str| {
            let why = format!(
                "Precondition failed: {what} in precondition: {asked}, {what} in object meta: {is}"
            );
            Err(status::conflict(resource, name, &why))
        };
        if let Some(uid) = options
            .preconditions
            .uid
            .as_deref()
            .filter(|uid| *uid != object.uid())
        {
            return refuse("UID", uid, object.uid());
        }
        let version = object.version.to_string();
        if let Some(asked) = options
            .preconditions
            .resource_version
            .as_deref()
            .filter(|asked| *asked != version)
        {
            return refuse("ResourceVersion", asked, &version);
        }
        if object::is_deleting(&object.value) {
            return Ok(Step::Stays(Arc::clone(object)));
        }
        let key = Self::key_of(place);
        self.ask_admission(&Attempt {
            writer,
            verb: "delete",
            resource,
            subresource: "",
            key: &key,
            object: None,
        })?;
        let mut next = (*object.value).clone();
        let now = seconds(self.now());
        object::metadata(&mut next).insert("deletionTimestamp".to_owned(), json!(now));
        let finalizers = options.finalizers(place.strategy, &next);
        object::set_finalizers(&mut next, &finalizers);
        next["status"]["phase"] = json!("Terminating");
        if options.is_dry_run() {
            return Ok(Step::Stays(Arc::new(Object::new(
                resource,
                next,
                object.version,
                false,
            ))));
        }
        Ok(Step::Stays(self.store(
            writer,
            place.index,
            &key,
            object,
            next,
        )))
    }

    /// Deletes what the selectors find, one after the other; answers with the list of before.
    pub(super) fn delete_collection(
        &mut self,
        writer: &Writer,
        place: &Place<'_>,
        query: &Query,
        request: &Request,
    ) -> Result<Response, Response> {
        if place.strategy.namespaced && place.namespace.is_none() {
            return Err(status::method_not_allowed());
        }
        let options = Options::read(request, query)?;
        let found = self.select(place, query)?;
        let answer = read::list_body(place.strategy, &found, &read::ListMeta::at(self.version()));
        for object in found {
            let key = object::key(&object.value);
            let place = Place {
                name: Some(&key.name),
                ..*place
            };
            if let Some(object) = self.find(place.index, &key).cloned() {
                self.delete_object(writer, &place, &object, &options)?;
            }
        }
        Ok(Response::new(200, answer))
    }

    /// A deletion by the model itself, which a finalizer or a grace period may hold up.
    pub(super) fn delete_in_background(
        &mut self,
        writer: &Writer,
        index: usize,
        key: &Key,
        policy: &str,
    ) -> bool {
        let Some(strategy) = super::resource::STRATEGIES.get(index) else {
            return false;
        };
        let Some(object) = self.find(index, key).cloned() else {
            return false;
        };
        let place = Place {
            strategy,
            index,
            namespace: Some(&key.namespace)
                .filter(|_| strategy.namespaced)
                .map(String::as_str),
            name: Some(&key.name),
            subresource: "",
        };
        let options = Options {
            propagation_policy: Some(policy.to_owned()),
            ..Options::default()
        };
        let before = self.version();
        // A refusal by the admission leaves the object where it is.
        let _ = self.delete_object(writer, &place, &object, &options);
        self.version() > before
    }
}

fn check_preconditions(
    strategy: &Strategy,
    object: &Object,
    options: &Options,
) -> Result<(), Response> {
    let name = object::name(&object.value);
    if let Some(uid) = options
        .preconditions
        .uid
        .as_deref()
        .filter(|uid| *uid != object.uid())
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            object.uid()
        );
        return Err(status::conflict_of_kind(strategy.resource, name, &why));
    }
    let version = object.version.to_string();
    if let Some(asked) = options
        .preconditions
        .resource_version
        .as_deref()
        .filter(|asked| *asked != version)
    {
        let why = format!(
            "the ResourceVersion in the precondition ({asked}) does not match the ResourceVersion in record ({version}). The object might have been modified"
        );
        return Err(status::conflict_of_kind(strategy.resource, name, &why));
    }
    Ok(())
}

/// What a deletion does to the grace period.
enum Grace {
    /// The kind has none, or it has run out already.
    None,
    /// It began or was shortened; seconds that are left.
    Changed(i64),
    /// It runs already, and is not to be shortened.
    Pending,
}

fn begin_grace(
    strategy: &Strategy,
    object: &mut Value,
    asked: Option<i64>,
    now: Timestamp,
) -> Grace {
    if strategy.resource != PODS {
        return Grace::None;
    }
    let asked = asked.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if object::is_deleting(object) {
        let Some(running) = object::grace(object).filter(|seconds| *seconds != 0) else {
            return Grace::None;
        };
        let Some(mut period) = asked.filter(|asked| *asked < running) else {
            return Grace::Pending;
        };
        let until: Timestamp = object::text(object, "deletionTimestamp")
            .parse()
            .unwrap_or(now);
        let mut until = after(until, period - running);
        if until < now {
            until = now;
            period = period.min(1);
        }
        set_deletion(object, until, period);
        return Grace::Changed(period);
    }
    let spec = &object["spec"];
    let mut period = asked
        .or(spec["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(0);
    let is_scheduled = spec["nodeName"]
        .as_str()
        .is_some_and(|node| !node.is_empty());
    let is_finished = matches!(
        object["status"]["phase"].as_str(),
        Some("Failed" | "Succeeded")
    );
    if !is_scheduled || is_finished {
        period = 0;
    }
    if period < 0 {
        period = 1;
    }
    set_deletion(object, after(now, period), period);
    count_generation(object);
    Grace::Changed(period)
}

/// What is held up by finalizers alone has no grace period.
fn mark_as_deleting(object: &mut Value, now: Timestamp) {
    if !object::is_deleting(object) {
        count_generation(object);
    }
    let known: Option<Timestamp> = object::text(object, "deletionTimestamp").parse().ok();
    let until = known.filter(|known| *known <= now).unwrap_or(now);
    set_deletion(object, until, 0);
}

fn count_generation(object: &mut Value) {
    let generation = object::generation(object);
    if generation > 0 {
        object::metadata(object).insert("generation".to_owned(), json!(generation + 1));
    }
}

fn set_deletion(object: &mut Value, until: Timestamp, grace: i64) {
    let metadata = object::metadata(object);
    metadata.insert("deletionTimestamp".to_owned(), json!(seconds(until)));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
}

fn after(start: Timestamp, seconds: i64) -> Timestamp {
    start
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(start)
}
