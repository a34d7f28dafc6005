//! The model and the real server, one beside the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use ironkeel_invariants::Writer;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::resource::{
    DEPLOYMENTS, NATIVE_DEPLOYMENTS, NATIVE_REPLICA_SETS, PODS, REPLICA_SETS,
    REPLICATION_CONTROLLERS, Resource,
};
use ironkeel_sim::api::resource::{LEASES, NAMESPACES};
use ironkeel_sim::api::{Api, Request, Settings};
use serde_json::{Value, json};

use crate::compare::Pairing;
use crate::real::Real;
use crate::show;

/// The resources that random requests are about.
pub(crate) const RESOURCES: [Resource; 7] = [
    PODS,
    REPLICATION_CONTROLLERS,
    NATIVE_REPLICA_SETS,
    NATIVE_DEPLOYMENTS,
    REPLICA_SETS,
    DEPLOYMENTS,
    LEASES,
];

/// A request for each side; they differ by identities and versions alone.
pub(crate) struct Step {
    pub(crate) model: Request,
    pub(crate) real: Request,
}

impl Step {
    pub(crate) fn same(request: Request) -> Self {
        Self {
            model: request.clone(),
            real: request,
        }
    }
}

/// What a request is made of on either side: the object it is about, and one that may own it.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) object: Value,
    pub(crate) owner: Value,
    /// A version that the object had before.
    pub(crate) stale: String,
}

/// Both servers, and a namespace on each.
pub(crate) struct Sides<'a> {
    pub(crate) real: &'a mut Real,
    pub(crate) api: Api,
    pub(crate) namespace: String,
    pairing: Pairing,
    /// The first version of either side that belongs to the run.
    start: (String, String),
    stale: BTreeMap<String, (String, String)>,
}

impl<'a> Sides<'a> {
    /// Makes a namespace on both sides. The model is new.
    pub(crate) fn open(real: &'a mut Real, name: &str, seed: u64) -> Result<Self, String> {
        let api = Api::new(Settings {
            clock: Clock::system(),
            seed,
        });
        let mut sides = Self {
            real,
            api,
            // A server that is there already may have seen this seed before.
            namespace: format!("{name}-{}", std::process::id()),
            pairing: Pairing::default(),
            start: (String::new(), String::new()),
            stale: BTreeMap::new(),
        };
        let path = NAMESPACES.path(None, None, None);
        let made = Step::same(Request::post(
            path,
            &json!({ "metadata": { "name": sides.namespace } }),
        ));
        let (model, real) = sides.exchange(&made)?;
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        sides.start = (version(&model), version(&real));
        Ok(sides)
    }

    pub(crate) fn ask_model(&self, request: &Request) -> (u16, Value) {
        let answer = self.api.handle(&Writer::User, request);
        let body = serde_json::from_slice(&answer.body);
        (
            answer.code,
            body.unwrap_or_else(|_| json!(String::from_utf8_lossy(&answer.body))),
        )
    }

    /// Sends a request to both and compares the answers.
    pub(crate) fn exchange(&mut self, step: &Step) -> Result<(Value, Value), String> {
        let (code, model) = self.ask_model(&step.model);
        let (real_code, real) = self.real.send(&step.real)?;
        let differ = |why: &str| {
            format!(
                "{why}\n  {}\n  model: {code} {model}\n  server: {real_code} {real}",
                show(&step.real)
            )
        };
        if code != real_code {
            return Err(differ("the codes differ"));
        }
        self.pairing
            .compare(&model, &real)
            .map_err(|why| differ(&why))?;
        Ok((model, real))
    }

    /// Sends a request to both and compares no more than the codes: how many writes led there may differ.
    pub(crate) fn same_code(&mut self, request: &Request) -> Result<(), String> {
        let (code, model) = self.ask_model(request);
        let (real_code, real) = self.real.send(request)?;
        if code == real_code {
            return Ok(());
        }
        Err(format!(
            "the codes differ\n  {}\n  model: {code} {model}\n  server: {real_code} {real}",
            show(request)
        ))
    }

    /// Reads an object from both, as it is on either.
    pub(crate) fn peek(&mut self, path: &str) -> Result<(Value, Value), String> {
        let request = Request::get(path);
        Ok((self.ask_model(&request).1, self.real.send(&request)?.1))
    }

    /// Reads an object, and perhaps an owner, from both.
    pub(crate) fn look(&mut self, path: &str, owner: Option<&str>) -> Result<(Seen, Seen), String> {
        let mut seen = (Seen::default(), Seen::default());
        (seen.0.object, seen.1.object) = self.exchange(&Step::same(Request::get(path)))?;
        if let Some(owner) = owner {
            (seen.0.owner, seen.1.owner) = self.exchange(&Step::same(Request::get(owner)))?;
        }
        let version = |object: &Value| {
            object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or("1")
                .to_owned()
        };
        let now = (version(&seen.0.object), version(&seen.1.object));
        let stale = self
            .stale
            .entry(path.to_owned())
            .or_insert_with(|| ("1".to_owned(), "1".to_owned()));
        (seen.0.stale, seen.1.stale) = stale.clone();
        if stale.0 != now.0 && now.0 != "1" {
            *stale = now;
        }
        Ok(seen)
    }

    pub(crate) fn path(
        &self,
        resource: Resource,
        name: Option<&str>,
        subresource: Option<&str>,
    ) -> String {
        resource.path(Some(&self.namespace), name, subresource)
    }

    pub(crate) fn compare_lists(&mut self) -> Result<(), String> {
        for resource in RESOURCES {
            for query in [
                "",
                "?labelSelector=app%3Da",
                "?labelSelector=app%20in%20(a,b),tier",
                "?limit=2",
            ] {
                let path = format!("{}{query}", self.path(resource, None, None));
                let without_versions = |mut list: Value| {
                    // The version of a list is the server's newest, and others write there too.
                    list["metadata"] = json!({ "more": !list["metadata"]["continue"].as_str().unwrap_or_default().is_empty() });
                    list
                };
                let request = Request::get(path);
                let model = without_versions(self.ask_model(&request).1);
                let real = without_versions(self.real.send(&request)?.1);
                let compared = self
                    .pairing
                    .compare(&by_name(model.clone()), &by_name(real.clone()));
                compared.map_err(|why| {
                    format!(
                        "{why}\n  {}\n  model: {model}\n  server: {real}",
                        show(&request)
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Compares everything that a watch from the start of the run sees, and one with a selector.
    pub(crate) fn compare_watches(&mut self) -> Result<(), String> {
        let mut watches = Vec::new();
        for resource in RESOURCES {
            for selector in ["", "&labelSelector=app%3Da"] {
                let path = self.path(resource, None, None);
                let query = |version: &str| {
                    format!(
                        "{path}?watch=true&timeoutSeconds=1&resourceVersion={version}{selector}"
                    )
                };
                watches.push((query(&self.start.0), Request::get(query(&self.start.1))));
            }
        }
        // Each ends after a second: all at once.
        let bodies: Vec<Result<(u16, Vec<u8>), String>> = std::thread::scope(|scope| {
            let real = &self.real;
            let asked: Vec<_> = watches
                .iter()
                .map(|(_, request)| scope.spawn(move || real.another_client().send(request)))
                .collect();
            let joined = asked.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined
                .map(|ended| ended.unwrap_or_else(|_| Err("a watch panicked".to_owned())))
                .collect()
        });
        for ((model, request), body) in watches.iter().zip(bodies) {
            let model = self.watch_model(model)?;
            let (_, body) = body?;
            let lines = body
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            let real: Vec<Value> = lines
                .filter_map(|line| serde_json::from_slice(line).ok())
                .collect();
            let compared = self.pairing.compare(&json!(model), &json!(real));
            let listed = |events: &[Value]| -> Vec<String> {
                let one = |event: &Value| {
                    format!("{} {}", event["type"], event["object"]["metadata"]["name"])
                };
                events.iter().map(one).collect()
            };
            compared.map_err(|why| {
                format!(
                    "{why}\n  {}\n  model: {:?}\n  server: {:?}",
                    show(request),
                    listed(&model),
                    listed(&real)
                )
            })?;
        }
        Ok(())
    }

    fn watch_model(&self, path: &str) -> Result<Vec<Value>, String> {
        let opened = self.api.open_watch(&Request::get(path));
        let cursor =
            opened.map_err(|answer| format!("the model refuses a watch: {}", answer.json()))?;
        let mut events = Vec::new();
        for event in cursor {
            let line: Result<Value, _> = serde_json::from_slice(&Arc::clone(&event).line);
            events.push(line.map_err(|error| error.to_string())?);
        }
        Ok(events)
    }
}

/// A list whose generated names do not decide the order.
pub(crate) fn by_name(mut list: Value) -> Value {
    if let Some(items) = list["items"].as_array_mut() {
        items.sort_by_key(|item| {
            let name = item["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if name.starts_with("gen-") {
                "gen-".to_owned()
            } else {
                name
            }
        });
    }
    list
}
