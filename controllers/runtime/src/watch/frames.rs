//! The events of a body that is still being sent, one by one.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use http::Response;
use http_body_util::{BodyDataStream, BodyExt};
use kube::client::Body;

use super::request::{Failure, causes};
use crate::protobuf::Encoding;

/// A buffer that one large object has blown up is not kept.
const KEPT_BUFFER: usize = 256 * 1024;
/// No frame of protobuf is longer: client-go's bound too.
const LONGEST_FRAME: usize = 16 * 1024 * 1024;
/// Bytes of a frame's length in front of it.
const HEADER: usize = 4;

/// The events of a watch: lines of JSON, or frames of protobuf with their length in front.
pub(super) struct Frames {
    chunks: BodyDataStream<Body>,
    pub(super) encoding: Encoding,
    /// What was received and not handed out.
    buffer: BytesMut,
    /// No line ends before this.
    scanned: usize,
}

impl Frames {
    pub(super) fn of(response: Response<Body>) -> Self {
        Self {
            encoding: Encoding::of(response.headers()),
            chunks: response.into_body().into_data_stream(),
            buffer: BytesMut::new(),
            scanned: 0,
        }
    }

    /// The next event, without what delimits it; `None` when the body ends. A last event that
    /// is not complete was cut off: the next watch brings it again.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self, limit: Duration) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = match self.encoding {
                Encoding::Json => self.line(),
                Encoding::Protobuf => self.frame()?,
            };
            match frame {
                Some(frame) if frame.is_empty() => continue,
                Some(frame) => return Ok(Some(frame)),
                None => {}
            }
            let chunk = tokio::time::timeout(limit, self.chunks.next()).await;
            match chunk.map_err(|_| Failure::Silent(limit))? {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(error)) => return Err(Failure::Transport(causes(&error))),
                None => return Ok(None),
            }
        }
    }

    fn line(&mut self) -> Option<Bytes> {
        let rest = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            return None;
        };
        let line = self.take(self.scanned + length);
        self.buffer.advance(1);
        self.scanned = 0;
        Some(line)
    }

    fn frame(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*header) as usize;
        if length > LONGEST_FRAME {
            return Err(Failure::Garbled(format!(
                "a frame of {length} bytes; the longest has {LONGEST_FRAME}"
            )));
        }
        if self.buffer.len() - HEADER < length {
            self.buffer.reserve(HEADER + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Ok(Some(self.take(length)))
    }

    fn take(&mut self, length: usize) -> Bytes {
        let taken = self.buffer.split_to(length).freeze();
        if length > KEPT_BUFFER {
            self.buffer = BytesMut::from(&*self.buffer);
        }
        taken
    }
}
