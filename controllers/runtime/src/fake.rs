//! An API server made of a closure, under the ordinary client. For unit tests only.

use std::future::Future;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A request as the closure sees it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Call {
    /// Method and path.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The closure's answer: status and JSON, or no answer at all.
pub(crate) type Answer = Result<(u16, Value), &'static str>;

/// A client whose requests `answer` answers.
pub(crate) fn client<F, Fut>(answer: F) -> Client
where
    F: Fn(Call) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect_bytes().await?;
            let call = Call {
                method: parts.method.to_string(),
                path: parts.uri.to_string(),
                content_type: parts
                    .headers
                    .get(http::header::CONTENT_TYPE)
                    .map_or_else(String::new, |value| value.to_str().unwrap().to_owned()),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            };
            let (code, reply) = answer(call).await?;
            let mut response = Response::new(Body::from(reply.to_string().into_bytes()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response)
        }
    });
    Client::new(service, "default")
}

/// Answers one request after the other from a list, and keeps what was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<Vec<Answer>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Script {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut answers: Vec<Answer> = answers.into_iter().collect();
        answers.reverse();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            calls: Arc::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        let script = self.clone();
        client(move |call| {
            let script = script.clone();
            async move {
                script.calls.lock().push(call.clone());
                let next = script.answers.lock().pop();
                next.unwrap_or_else(|| panic!("no answer left for {}", call.line()))
            }
        })
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().clone()
    }

    /// Method and path of every request so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.calls.lock().iter().map(Call::line).collect()
    }
}

/// A refusal as the API server words it. An answer like any other, though it never is absent.
#[allow(clippy::unnecessary_wraps)]
pub(crate) fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    Ok((
        code,
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "code": code, "reason": reason, "message": message,
        }),
    ))
}
