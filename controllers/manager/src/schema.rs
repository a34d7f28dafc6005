//! Whether the API server serves our kinds, and in a version that this manager can use.
//!
//! A manager that is newer than the CRDs would write fields that the API server prunes in
//! silence. Every authenticated client may read the OpenAPI document, so that no right on
//! CustomResourceDefinitions is needed.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use ironkeel_runtime::awaited::Awaited;
use ironkeel_runtime::resource::{DEPLOYMENTS, REPLICA_SETS, Resource};
use kube::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Fields of a kind that this manager relies on and that an older CRD lacks.
const NEEDED: [(&str, &[&str]); 2] = [
    (
        "Deployment",
        &[
            "spec.podReplacementPolicy",
            "spec.rollback",
            "status.selector",
            "status.terminatingReplicas",
            "status.collisionCount",
        ],
    ),
    (
        "ReplicaSet",
        &["status.selector", "status.terminatingReplicas"],
    ),
];

/// What the API server says of one of our kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// The kind is there with every field that is needed.
    Current,
    /// The kind is not served.
    Missing,
    /// The kind is served, but these fields are not in its schema.
    TooOld(Vec<&'static str>),
}

impl Served {
    /// What a person should do about it; nothing where the kind is current.
    pub fn advice(&self, plural: &str, group: &str) -> Option<String> {
        let version = env!("CARGO_PKG_VERSION");
        match self {
            Self::Current => None,
            Self::Missing => Some(format!(
                "CustomResourceDefinition {plural}.{group} is not served: install chart ironkeel-crds {version}"
            )),
            Self::TooOld(fields) => Some(format!(
                "CustomResourceDefinition {plural}.{group} is too old: its schema lacks {}; upgrade chart ironkeel-crds to {version}",
                fields.join(", ")
            )),
        }
    }
}

/// The path of the OpenAPI document of our group.
pub const OPENAPI_PATH: &str = "/openapi/v3/apis/apps.ironkeel.dev/v1";

/// Looks `kind` up in the OpenAPI v3 document of its group; `None` means that the group is not served.
pub fn served(document: Option<&Value>, kind: &str) -> Served {
    let Some(schema) = document.and_then(|document| schema_of(document, kind)) else {
        return Served::Missing;
    };
    let needed = NEEDED
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or(&[][..], |(_, fields)| fields);
    let lacking: Vec<&'static str> = needed
        .iter()
        .copied()
        .filter(|field| !has_field(schema, field))
        .collect();
    if lacking.is_empty() {
        Served::Current
    } else {
        Served::TooOld(lacking)
    }
}

/// Time between two looks.
const AGAIN: Duration = Duration::from_secs(5);
/// How long one look may take: the client by itself waits for a reply for ever.
const REPLY_LIMIT: Duration = Duration::from_secs(30);

/// Holds a controller back until its kind is served with the fields that it needs.
///
/// The rest of the manager runs on: only what concerns the missing kind waits.
///
/// One that was not started lets only the built-in kinds pass.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    current: Arc<Awaited<Vec<Resource>>>,
}

impl Gate {
    /// Asks the API server until both of our kinds are current, and says what is missing whenever
    /// the answer changes.
    pub fn start(&self, client: Client, stop: CancellationToken) {
        let gate = self.clone();
        tokio::spawn(async move {
            let mut said = Vec::new();
            while !gate.ask(&client, &mut said).await {
                if stop
                    .run_until_cancelled(tokio::time::sleep(AGAIN))
                    .await
                    .is_none()
                {
                    return;
                }
            }
        });
    }

    /// Returns once `resource` may be driven; a built-in kind always may.
    pub async fn open(&self, resource: Resource) {
        if resource != DEPLOYMENTS && resource != REPLICA_SETS {
            return;
        }
        self.current
            .wait_for(|current| current.contains(&resource))
            .await;
    }

    /// One look at the OpenAPI document; `true` when nothing is left to wait for.
    async fn ask(&self, client: &Client, said: &mut Vec<String>) -> bool {
        let document = match tokio::time::timeout(REPLY_LIMIT, read_document(client)).await {
            Ok(Ok(document)) => document,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot read {OPENAPI_PATH}");
                return false;
            }
            Err(_) => {
                tracing::warn!("no reply within {REPLY_LIMIT:?} to GET {OPENAPI_PATH}");
                return false;
            }
        };
        let mut current = Vec::new();
        let mut advice = Vec::new();
        for resource in [DEPLOYMENTS, REPLICA_SETS] {
            let found = served(document.as_ref(), resource.kind);
            match found.advice(resource.plural, resource.group) {
                None => current.push(resource),
                Some(text) => advice.push(text),
            }
        }
        if *said != advice {
            for text in &advice {
                tracing::error!("{text}; trying again, other kinds are served meanwhile");
            }
            said.clone_from(&advice);
        }
        self.current.set(current);
        advice.is_empty()
    }
}

/// The OpenAPI document of our group; `None` where the group is not served.
async fn read_document(client: &Client) -> Result<Option<Value>, kube::Error> {
    let request = Request::get(OPENAPI_PATH)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    match client.request(request).await {
        Ok(document) => Ok(Some(document)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn schema_of<'a>(document: &'a Value, kind: &str) -> Option<&'a Value> {
    let schemas = document.pointer("/components/schemas")?.as_object()?;
    schemas.values().find(|schema| {
        schema
            .get("x-kubernetes-group-version-kind")
            .and_then(Value::as_array)
            .is_some_and(|kinds| {
                kinds
                    .iter()
                    .any(|entry| entry.get("kind").and_then(Value::as_str) == Some(kind))
            })
    })
}

fn has_field(schema: &Value, path: &str) -> bool {
    path.split('.')
        .try_fold(schema, |schema, name| schema.get("properties")?.get(name))
        .is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::Arc;

    use ironkeel_runtime::resource::NATIVE_REPLICA_SETS;
    use kube::client::Body;
    use parking_lot::Mutex;
    use serde_json::json;

    fn document(status: &Value) -> Value {
        json!({"components": {"schemas": {
            "dev.ironkeel.apps.v1.ReplicaSet": {
                "x-kubernetes-group-version-kind": [{"group": "apps.ironkeel.dev", "kind": "ReplicaSet", "version": "v1"}],
                "properties": {"status": {"properties": status}},
            },
        }}})
    }

    #[test]
    fn a_missing_group_or_kind_is_named() {
        assert_eq!(served(None, "ReplicaSet"), Served::Missing);
        assert_eq!(
            served(Some(&document(&json!({}))), "Deployment"),
            Served::Missing
        );
        let advice = Served::Missing
            .advice("deployments", "apps.ironkeel.dev")
            .unwrap();
        assert!(
            advice.contains("deployments.apps.ironkeel.dev is not served"),
            "{advice}"
        );
    }

    #[test]
    fn a_schema_without_a_needed_field_is_too_old() {
        let old = served(Some(&document(&json!({"selector": {}}))), "ReplicaSet");
        assert_eq!(old, Served::TooOld(vec!["status.terminatingReplicas"]));
        let advice = old.advice("replicasets", "apps.ironkeel.dev").unwrap();
        assert!(
            advice.contains("lacks status.terminatingReplicas"),
            "{advice}"
        );
        let new = served(
            Some(&document(
                &json!({"selector": {}, "terminatingReplicas": {}}),
            )),
            "ReplicaSet",
        );
        assert_eq!(new, Served::Current);
        assert_eq!(new.advice("replicasets", "apps.ironkeel.dev"), None);
    }

    /// An API server that answers with the first of `replies`, and with the next one at each request.
    fn server(replies: Vec<(u16, Value)>) -> Client {
        let replies = Arc::new(Mutex::new(replies));
        let service = tower::service_fn(move |request: Request<Body>| {
            let mut replies = replies.lock();
            let (code, body) = match replies.len() {
                1 => replies[0].clone(),
                _ => replies.remove(0),
            };
            assert_eq!(request.uri().path(), OPENAPI_PATH);
            let mut response = http::Response::new(Body::from(body.to_string().into_bytes()));
            *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
            async move { Ok::<_, Infallible>(response) }
        });
        Client::new(service, "default")
    }

    #[tokio::test(start_paused = true)]
    async fn the_gate_opens_for_a_kind_when_it_is_current_and_never_waits_for_a_built_in_one() {
        let missing =
            json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
        let old = document(&json!({"selector": {}}));
        let current = document(&json!({"selector": {}, "terminatingReplicas": {}}));
        let gate = Gate::default();
        let stop = CancellationToken::new();
        gate.open(NATIVE_REPLICA_SETS).await;
        let begin = tokio::time::Instant::now();
        gate.start(
            server(vec![
                (404, missing),
                (503, json!({})),
                (200, old),
                (200, current),
            ]),
            stop.clone(),
        );
        gate.open(REPLICA_SETS).await;
        // Missing, unreadable and too old came before: each is asked again after five seconds.
        assert_eq!(begin.elapsed().as_secs(), 15);
        // The document never gets a Deployment: its controller waits on, the other one has started.
        let waiting = tokio::time::timeout(Duration::from_mins(1), gate.open(DEPLOYMENTS)).await;
        assert!(waiting.is_err());
        stop.cancel();
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_never_comes_is_asked_for_again() {
        let current = document(&json!({"selector": {}, "terminatingReplicas": {}}));
        let asked = Arc::new(Mutex::new(0));
        let service = tower::service_fn(move |_: Request<Body>| {
            let first = std::mem::replace(&mut *asked.lock(), 1) == 0;
            let body = current.to_string().into_bytes();
            async move {
                if first {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(http::Response::new(Body::from(body)))
            }
        });
        let gate = Gate::default();
        let begin = tokio::time::Instant::now();
        gate.start(Client::new(service, "default"), CancellationToken::new());
        gate.open(REPLICA_SETS).await;
        assert_eq!(begin.elapsed(), REPLY_LIMIT + AGAIN);
    }
}
