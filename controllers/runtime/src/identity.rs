//! One identity per controller, as kube-controller-manager's
//! `--use-service-account-credentials` has it.
//!
//! Each controller acts with a token of its own ServiceAccount, so that RBAC and audit tell
//! the controllers apart and a bug in one cannot use another's rights. The manager itself
//! may then do no more than watch, hold the lease and request these tokens.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use crate::client::{ConnectError, Connection};
use crate::clock::Clock;
use crate::request::{Accept, Content, REQUEST_TIMEOUT, send};

/// Life that is asked for (upstream `defaultExpirationSeconds`).
const LIFE_SECONDS: u32 = 3600;
/// Part of a token's life after which the next one is fetched (upstream leaves 20 %).
const USED_PART: f64 = 0.8;
/// A shorter life than this is taken for a wrong clock, as upstream does.
const SHORTEST_LIFE: Duration = Duration::from_mins(10);
/// First pause after a failed request for a token; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a controller has no identity of its own.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The token was refused or cannot be read.
    #[error("token for service account {namespace}/{name}: {message}")]
    Token {
        /// Namespace of the ServiceAccount.
        namespace: String,
        /// Name of the ServiceAccount.
        name: String,
        /// The API server's message.
        message: String,
    },
    /// The client could not be built.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// The token that a controller's requests carry now.
#[derive(Debug)]
pub struct Bearer {
    header: RwLock<HeaderValue>,
    /// Told when the API server did not accept the token.
    refused: Notify,
}

impl Bearer {
    fn new(header: HeaderValue) -> Self {
        Self {
            header: RwLock::new(header),
            refused: Notify::new(),
        }
    }
}

/// Makes clients that act as a ServiceAccount.
#[derive(Clone)]
pub struct Identities {
    connection: Connection,
    /// The manager's own client, which may request tokens.
    issuer: Client,
    namespace: String,
    clock: Clock,
}

impl Identities {
    /// Identities of ServiceAccounts in `namespace`, requested with the process's own one.
    pub fn new(
        connection: Connection,
        namespace: impl Into<String>,
        clock: Clock,
    ) -> Result<Self, ConnectError> {
        Ok(Self {
            issuer: connection.client()?,
            connection,
            namespace: namespace.into(),
            clock,
        })
    }

    /// A client that acts as the ServiceAccount `name`, which must exist: unlike upstream this
    /// does not create it, so the manager needs no right to.
    ///
    /// The token is replaced in the background after 80 % of its life, and at once when the
    /// API server answers 401, until `stop` is cancelled.
    pub async fn client_as(
        &self,
        name: &str,
        stop: CancellationToken,
    ) -> Result<Client, IdentityError> {
        let source = Source {
            issuer: self.issuer.clone(),
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            clock: self.clock.clone(),
        };
        let token = source.request().await?;
        let bearer = Arc::new(Bearer::new(token.header));
        let client = self
            .connection
            .client_with_token(Arc::clone(&bearer), name)?;
        tokio::spawn(source.renew(bearer, token.fresh_for, stop));
        Ok(client)
    }
}

/// A token and how long it may be used before the next one is fetched.
#[derive(Debug)]
struct Token {
    header: HeaderValue,
    fresh_for: Duration,
}

/// Requests tokens of one ServiceAccount.
struct Source {
    issuer: Client,
    namespace: String,
    name: String,
    clock: Clock,
}

#[derive(Deserialize)]
struct TokenRequest {
    status: TokenStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenStatus {
    token: String,
    expiration_timestamp: Timestamp,
}

impl Source {
    async fn request(&self) -> Result<Token, IdentityError> {
        let Self {
            namespace, name, ..
        } = self;
        let fail = |message: String| IdentityError::Token {
            namespace: namespace.clone(),
            name: name.clone(),
            message,
        };
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let body = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": LIFE_SECONDS },
        });
        let answer = send(
            &self.issuer,
            Method::POST,
            &path,
            Content::Json,
            Accept::Json,
            body.to_string().into_bytes(),
            REQUEST_TIMEOUT,
        )
        .await
        .map_err(|failure| fail(failure.to_string()))?;
        let reply: TokenRequest = answer
            .json()
            .map_err(|error| fail(format!("the reply cannot be read: {error}")))?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", reply.status.token))
            .map_err(|_| fail("the token cannot be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        let life = reply
            .status
            .expiration_timestamp
            .duration_since(self.clock.now());
        let life = Duration::try_from(life)
            .unwrap_or_default()
            .max(SHORTEST_LIFE);
        Ok(Token {
            header,
            fresh_for: life.mul_f64(USED_PART),
        })
    }

    /// Replaces the token for as long as the process runs.
    async fn renew(self, bearer: Arc<Bearer>, fresh_for: Duration, stop: CancellationToken) {
        let mut due = Instant::now() + fresh_for;
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
                () = bearer.refused.notified() => {}
            }
            match self.request().await {
                Ok(token) => {
                    *bearer.header.write() = token.header;
                    due = Instant::now() + token.fresh_for;
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot renew the token, the old one stays in use");
                    due = Instant::now() + pause;
                }
            }
            // Also after a success: a server that refuses every token must not be asked
            // without end.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Puts the current token into every request.
#[derive(Clone, Debug)]
pub(crate) struct BearerLayer(Arc<Bearer>);

impl BearerLayer {
    pub(crate) fn new(bearer: Arc<Bearer>) -> Self {
        Self(bearer)
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = WithBearer<S>;

    fn layer(&self, inner: S) -> WithBearer<S> {
        WithBearer {
            inner,
            bearer: Arc::clone(&self.0),
        }
    }
}

/// A service whose requests carry the current token.
#[derive(Clone, Debug)]
pub(crate) struct WithBearer<S> {
    inner: S,
    bearer: Arc<Bearer>,
}

impl<S, B> Service<Request<Body>> for WithBearer<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let header = self.bearer.header.read().clone();
        request.headers_mut().insert(AUTHORIZATION, header);
        let bearer = Arc::clone(&self.bearer);
        let reply = self.inner.call(request);
        Box::pin(async move {
            let reply = reply.await?;
            if reply.status() == StatusCode::UNAUTHORIZED {
                bearer.refused.notify_one();
            }
            Ok(reply)
        })
    }
}
