//! Bodies of answers: whole, or line by line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Body, Frame};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::api::Response;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// All of it.
    Whole(Bytes),
    /// A watch, of which the other end sends lines or an error; dropping that end ends it.
    Lines(UnboundedReceiver<io::Result<Bytes>>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Lines(lines) => lines
                .poll_recv(context)
                .map(|line| line.map(|line| line.map(Frame::data))),
        }
    }
}

/// An answer of the API server as a client gets it.
pub(crate) fn whole(response: Response) -> http::Response<ReplyBody> {
    let mut reply = http::Response::new(ReplyBody::Whole(response.body));
    // A code that is none cannot come from the model; 500 would show it.
    *reply.status_mut() = http::StatusCode::from_u16(response.code)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(seconds) = response.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    reply
}
