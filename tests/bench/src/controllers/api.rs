//! The bench's own access to the API server, which keeps count of what it asks for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{AsyncBufRead, StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::{Body, ClientBuilder};
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::objects::Family;
use crate::counters::{self, Request, Requests};

/// Requests that are under way at once where many are made: as many as our manager's own bound.
pub const IN_FLIGHT: usize = 64;

/// What our manager asks for when it creates: see `Accept::Metadata` of its requests.
const METADATA_IN_PROTOBUF: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, \
     application/json";
/// Asks for objects without their bodies.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Asks for lists without their items' bodies.
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// How a patch is to be read.
#[derive(Clone, Copy, Debug)]
pub enum Patch {
    /// RFC 7396.
    Merge,
    /// Lists are merged by their keys, as a kubelet sends status.
    Strategic,
}

/// Where a request goes, and as what the API server counts it.
#[derive(Clone, Debug)]
pub struct Target {
    path: String,
    resource: &'static str,
    subresource: &'static str,
}

impl Target {
    /// A namespace's objects of a kind: `pods`, `serviceaccounts` … of the core, `deployments` and `replicasets` of the
    /// family.
    pub fn new(family: Family, namespace: &str, resource: &'static str) -> Self {
        let group = match resource {
            "deployments" | "replicasets" => format!("/apis/{}", family.api_version()),
            "leases" => "/apis/coordination.k8s.io/v1".to_owned(),
            _ => "/api/v1".to_owned(),
        };
        Self {
            path: format!("{group}/namespaces/{namespace}/{resource}"),
            resource,
            subresource: "",
        }
    }

    /// Objects that no namespace holds.
    pub fn cluster_wide(path: &str, resource: &'static str) -> Self {
        Self {
            path: path.to_owned(),
            resource,
            subresource: "",
        }
    }

    /// The object of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.path = format!("{}/{name}", self.path);
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(mut self) -> Self {
        self.path.push_str("/status");
        self.subresource = "status";
        self
    }

    /// Where tokens of a ServiceAccount are asked for.
    #[must_use]
    pub fn token(mut self) -> Self {
        self.path.push_str("/token");
        self.subresource = "token";
        self
    }
}

/// One user's client.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    own: Arc<Mutex<Requests>>,
}

#[derive(Deserialize)]
struct Counted {
    metadata: ListMeta,
    /// `null` where there are none.
    items: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    remaining_item_count: Option<u64>,
    r#continue: Option<String>,
}

impl Api {
    /// From a kubeconfig.
    pub async fn open(kubeconfig: &Path) -> Result<Self> {
        Self::as_user(kubeconfig, None).await
    }

    /// The same API server, as whoever the token is of: what a ServiceAccount comes with, which costs the API server less
    /// than a certificate.
    pub async fn with_token(kubeconfig: &Path, token: String) -> Result<Self> {
        let user = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        Self::as_user(kubeconfig, Some(user)).await
    }

    async fn as_user(kubeconfig: &Path, user: Option<AuthInfo>) -> Result<Self> {
        // An error means that there is a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let file = Kubeconfig::read_from(kubeconfig)
            .with_context(|| format!("reading {}", kubeconfig.display()))?;
        let mut config =
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        // What is repeated must be seen and counted here.
        config.default_retry = false;
        if let Some(user) = user {
            config.auth_info = user;
        }
        Ok(Self {
            client: ClientBuilder::try_from(config)?.build(),
            own: Arc::default(),
        })
    }

    /// Every write and read that this client made so far.
    pub fn own_requests(&self) -> Requests {
        self.own.lock().clone()
    }

    async fn send(
        &self,
        verb: &str,
        target: &Target,
        request: http::Request<Body>,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let path = request.uri().path().to_owned();
        let answer = self
            .client
            .send(request)
            .await
            .with_context(|| format!("{verb} {path}"))?;
        let code = answer.status();
        let resource = match target.subresource {
            "" => target.resource.to_owned(),
            subresource => format!("{}/{subresource}", target.resource),
        };
        let request = Request {
            verb: verb.to_owned(),
            resource,
            dry_run: false,
            code: code.as_u16(),
        };
        *self.own.lock().entry(request).or_default() += 1;
        let body = answer
            .into_body()
            .collect()
            .await
            .with_context(|| format!("reading the answer to {verb} {path}"))?;
        Ok((code, body.to_bytes().to_vec()))
    }

    /// Creates an object and returns it; that it is there already is an error.
    pub async fn create(&self, target: &Target, object: &Value) -> Result<Value> {
        let (code, body) = self.post(target, object, "application/json").await?;
        expect(code, &body, "POST", target)?;
        serde_json::from_slice(&body).context("reading a created object")
    }

    /// Creates an object and leaves the answer, the shortest there is, unread, as a client does that wants many.
    async fn create_unread(&self, target: &Target, object: &Value) -> Result<()> {
        let (code, body) = self.post(target, object, METADATA_IN_PROTOBUF).await?;
        expect(code, &body, "POST", target)
    }

    /// Creates an object unless it is there.
    pub async fn ensure(&self, target: &Target, object: &Value) -> Result<()> {
        let (code, body) = self.post(target, object, "application/json").await?;
        if code == StatusCode::CONFLICT {
            return Ok(());
        }
        expect(code, &body, "POST", target)
    }

    async fn post(
        &self,
        target: &Target,
        object: &Value,
        accept: &str,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(&target.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, accept)
            .body(Body::from(serde_json::to_vec(object)?))?;
        self.send("POST", target, request).await
    }

    /// Creates many objects, [`IN_FLIGHT`] at a time.
    pub async fn create_all(
        &self,
        objects: impl IntoIterator<Item = (Target, Value)>,
    ) -> Result<()> {
        futures::stream::iter(objects)
            .map(|(target, object)| async move { self.create_unread(&target, &object).await })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await
    }

    /// Patches an object; the status of the answer is returned where the object is gone.
    pub async fn patch(&self, target: &Target, kind: Patch, patch: &Value) -> Result<StatusCode> {
        let kind = match kind {
            Patch::Merge => "application/merge-patch+json",
            Patch::Strategic => "application/strategic-merge-patch+json",
        };
        let request = http::Request::builder()
            .method(Method::PATCH)
            .uri(&target.path)
            .header(header::CONTENT_TYPE, kind)
            .header(header::ACCEPT, METADATA_ONLY)
            .body(Body::from(serde_json::to_vec(patch)?))?;
        let (code, body) = self.send("PATCH", target, request).await?;
        if code != StatusCode::NOT_FOUND {
            expect(code, &body, "PATCH", target)?;
        }
        Ok(code)
    }

    /// Patches many objects, [`IN_FLIGHT`] at a time.
    pub async fn patch_all(
        &self,
        patches: impl IntoIterator<Item = (Target, Value)>,
    ) -> Result<()> {
        futures::stream::iter(patches)
            .map(|(target, patch)| async move {
                self.patch(&target, Patch::Merge, &patch).await.map(|_| ())
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await
    }

    /// Deletes an object at once; that it is gone already is fine.
    pub async fn delete(&self, target: &Target) -> Result<()> {
        let (code, body) = self.send_delete("DELETE", target).await?;
        if code == StatusCode::NOT_FOUND {
            return Ok(());
        }
        expect(code, &body, "DELETE", target)
    }

    /// Deletes every object of a kind in a namespace and returns when none is left.
    pub async fn delete_all(&self, target: &Target) -> Result<()> {
        // One request may end at the API server's own time limit before all of many are gone.
        for _ in 0..20 {
            let (code, body) = self.send_delete("DELETECOLLECTION", target).await?;
            let in_time = !matches!(
                code,
                StatusCode::GATEWAY_TIMEOUT
                    | StatusCode::INTERNAL_SERVER_ERROR
                    | StatusCode::CONFLICT
                    | StatusCode::NOT_FOUND
            );
            if in_time {
                expect(code, &body, "DELETECOLLECTION", target)?;
                if self.count(target).await? == 0 {
                    return Ok(());
                }
            }
        }
        bail!("{} is not empty after 20 deletions", target.path)
    }

    async fn send_delete(&self, verb: &str, target: &Target) -> Result<(StatusCode, Vec<u8>)> {
        // Of many objects, the answer is a list of all.
        let accept = if verb == "DELETECOLLECTION" {
            METADATA_LIST
        } else {
            METADATA_ONLY
        };
        let request = http::Request::builder()
            .method(Method::DELETE)
            .uri(&target.path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, accept)
            .body(Body::from(serde_json::to_vec(&json!({
                "gracePeriodSeconds": 0,
                "propagationPolicy": "Background",
            }))?))?;
        self.send(verb, target, request).await
    }

    /// Reads one object; `None` where it does not exist.
    pub async fn get(&self, target: &Target) -> Result<Option<Value>> {
        let request = http::Request::get(&target.path).body(Body::empty())?;
        let (code, body) = self.send("GET", target, request).await?;
        if code == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        expect(code, &body, "GET", target)?;
        Ok(Some(serde_json::from_slice(&body)?))
    }

    /// How many objects of a kind there are in a namespace: the API server counts, and sends one.
    pub async fn count(&self, target: &Target) -> Result<u64> {
        let request = http::Request::get(format!("{}?limit=1", target.path))
            .header(header::ACCEPT, METADATA_LIST)
            .body(Body::empty())?;
        let (code, body) = self.send("LIST", target, request).await?;
        expect(code, &body, "LIST", target)?;
        let counted: Counted = serde_json::from_slice(&body)?;
        let more = counted
            .metadata
            .r#continue
            .is_some_and(|token| !token.is_empty());
        let rest = match counted.metadata.remaining_item_count {
            Some(rest) => rest,
            None if more => bail!(
                "{}: the API server does not say how many there are",
                target.path
            ),
            None => 0,
        };
        Ok(counted.items.map_or(0, |items| items.len()) as u64 + rest)
    }

    /// Waits until there are exactly `wanted` objects of a kind in a namespace. More is an error.
    pub async fn wait_for_count(
        &self,
        target: &Target,
        wanted: u64,
        limit: Duration,
        on_count: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let began = tokio::time::Instant::now();
        let mut first = None;
        loop {
            let count = self.count(target).await?;
            on_count(count);
            if count == wanted {
                return Ok(());
            }
            let elapsed = began.elapsed();
            if elapsed > limit {
                bail!(
                    "{} holds {count} objects and not {wanted} after {} s",
                    target.path,
                    limit.as_secs()
                );
            }
            // There is no watch of a number: what a count and a watch would cost is said at `pause`.
            let done = count.abs_diff(*first.get_or_insert(count));
            tokio::time::sleep(pause(done, count.abs_diff(wanted), elapsed)).await;
        }
    }

    /// Opens a watch that begins with what is there. `bodies`: whole objects, or their metadata alone.
    pub async fn watch(
        &self,
        target: &Target,
        bodies: bool,
    ) -> Result<impl AsyncBufRead + Send + use<>> {
        let accept = if bodies {
            "application/json"
        } else {
            METADATA_ONLY
        };
        // Longer than any run.
        let request = http::Request::get(format!("{}?watch=1&timeoutSeconds=7200", target.path))
            .header(header::ACCEPT, accept)
            .body(Vec::new())?;
        self.client
            .request_stream(request)
            .await
            .with_context(|| format!("watching {}", target.path))
    }

    /// Replaces a whole object or adds it.
    pub async fn apply_crd(&self, definition: &Value) -> Result<()> {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        self.ensure(
            &Target::cluster_wide(path, "customresourcedefinitions"),
            definition,
        )
        .await
    }

    /// The API server's own counters.
    pub async fn counters(&self) -> Result<Requests> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self
            .client
            .request_text(request)
            .await
            .context("reading the API server's metrics")?;
        Ok(counters::parse(&text))
    }
}

/// The shortest pause between two counts, which is also how exactly their time is known.
const POLL: Duration = Duration::from_millis(20);
/// The longest, for the sake of the progress bar.
const LONGEST_POLL: Duration = Duration::from_millis(500);

/// The pause before the next count, when `done` have come in `elapsed` and `left` are to come: a quarter of the time that
/// these will take. A count every 20 ms would take the API server from what it is measured for, and no raw client asks; a watch
/// would have it encode every pod for one more client.
fn pause(done: u64, left: u64, elapsed: Duration) -> Duration {
    let per_object = elapsed.checked_div(done.min(u64::from(u32::MAX)) as u32);
    per_object.map_or(POLL, |per_object| {
        (per_object * (left / 4).min(u64::from(u32::MAX)) as u32).clamp(POLL, LONGEST_POLL)
    })
}

fn expect(code: StatusCode, body: &[u8], verb: &str, target: &Target) -> Result<()> {
    if code.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]);
    bail!("{verb} {}: {code}: {text}", target.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_closer_to_each_other_towards_the_end() {
        let second = Duration::from_secs(1);
        assert_eq!(pause(0, 5000, second), POLL);
        assert_eq!(pause(1000, 4000, second), LONGEST_POLL);
        assert_eq!(pause(1000, 400, second), Duration::from_millis(100));
        assert_eq!(pause(4990, 10, second), POLL);
    }
}
