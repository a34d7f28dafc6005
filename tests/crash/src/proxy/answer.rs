//! Answers that the proxy gives in the server's place.

use std::io;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use super::wire::{Encoding, PROTOBUF, Refusal};

/// The body of every answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Seconds after which a client that is told 429 may come again.
const RETRY_AFTER: i32 = 1;

/// A refusal as the API server words it: a `Status`.
pub(super) fn refuse(code: u16, method: &Method, encoding: Encoding) -> Response<Body> {
    let refusal = refusal(code, method);
    let mut response = Response::new(whole(refusal.body(encoding)));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    let kind = match encoding {
        Encoding::Json => "application/json",
        Encoding::Protobuf => PROTOBUF,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(seconds) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The event that ends a watch whose version is too old.
pub(super) fn gone_event(encoding: Encoding) -> Bytes {
    refusal(410, &Method::GET).event(encoding)
}

/// A body that is there already.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn refusal(code: u16, method: &Method) -> Refusal {
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
    Refusal {
        code,
        reason,
        retry_after: (code == 429).then_some(RETRY_AFTER),
    }
}
