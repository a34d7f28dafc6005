//! Answers that the proxy gives in the server's place.

use std::io;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::json;

/// The body of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Seconds after which a client that is told 429 may come again.
const RETRY_AFTER: u32 = 1;

/// A refusal as the API server words it: a `Status`.
pub(super) fn refuse(code: u16, method: &Method) -> Response<Body> {
    let text = status(code, method).to_string();
    let mut response = json_answer(StatusCode::from_u16(code).unwrap_or_default(), text.into());
    if code == 429 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
    }
    response
}

/// The event that ends a watch whose version is too old.
pub(super) fn gone_event() -> Bytes {
    let event = json!({ "type": "ERROR", "object": status(410, &Method::GET) });
    format!("{event}\n").into()
}

/// An answer in JSON.
pub(super) fn json_answer(code: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A body that is there already.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn status(code: u16, method: &Method) -> serde_json::Value {
    let reason = match code {
        404 => "NotFound",
        409 if method == Method::POST => "AlreadyExists",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the crash campaign answers in the server's place",
        "reason": reason, "code": code,
    });
    if code == 429 {
        status["details"] = json!({ "retryAfterSeconds": RETRY_AFTER });
    }
    status
}
