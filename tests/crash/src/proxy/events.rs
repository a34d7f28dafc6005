//! The answer of a watch, event by event, so that a fault finds the one it is for.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use futures::stream::{Stream, unfold};
use http_body_util::BodyExt;

use super::answer;
use super::wire::{Encoding, take_events};
use crate::fault::Fault;

/// What becomes of one event of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It is handed on.
    Pass,
    /// This is handed on instead, and the watch ends in order.
    End(Option<Bytes>),
    /// This is handed on instead, and the connection breaks.
    Break(Bytes),
}

/// What a fault does to an event.
pub(super) fn passage(fault: Option<Fault>, encoding: Encoding, event: &[u8]) -> Passage {
    match fault {
        Some(Fault::WatchClose) => Passage::End(None),
        Some(Fault::WatchGone) => Passage::End(Some(answer::gone_event(encoding))),
        Some(Fault::WatchCut) => Passage::Break(Bytes::copy_from_slice(&event[..event.len() / 2])),
        _ => Passage::Pass,
    }
}

struct State<B, F> {
    encoding: Encoding,
    body: B,
    judge: F,
    buffer: BytesMut,
    ready: VecDeque<io::Result<Bytes>>,
    ended: bool,
}

/// Hands on the events of `body` as `judge` says.
pub(super) fn filter<B, F>(
    encoding: Encoding,
    body: B,
    judge: F,
) -> impl Stream<Item = io::Result<Bytes>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
    F: FnMut(&Bytes) -> Passage,
{
    let state = State {
        encoding,
        body,
        judge,
        buffer: BytesMut::new(),
        ready: VecDeque::new(),
        ended: false,
    };
    unfold(state, |mut state| async move {
        loop {
            if let Some(next) = state.ready.pop_front() {
                return Some((next, state));
            }
            if state.ended {
                return None;
            }
            match state.body.frame().await {
                None => {
                    state.ended = true;
                    if !state.buffer.is_empty() {
                        let rest = state.buffer.split().freeze();
                        state.ready.push_back(Ok(rest));
                    }
                }
                Some(Err(error)) => {
                    state.ended = true;
                    state
                        .ready
                        .push_back(Err(io::Error::other(error.to_string())));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        state.take(&data);
                    }
                }
            }
        }
    })
}

impl<B, F: FnMut(&Bytes) -> Passage> State<B, F> {
    fn take(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
        for event in take_events(self.encoding, &mut self.buffer) {
            match (self.judge)(&event) {
                Passage::Pass => self.ready.push_back(Ok(event)),
                Passage::End(last) => {
                    self.ready.extend(last.map(Ok));
                    self.ended = true;
                }
                Passage::Break(half) => {
                    self.ready.push_back(Ok(half));
                    let broken = io::Error::from(io::ErrorKind::ConnectionReset);
                    self.ready.push_back(Err(broken));
                    self.ended = true;
                }
            }
            if self.ended {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use http_body_util::StreamBody;

    use super::super::wire::{framed, is_counted};
    use super::*;

    type Handed = Vec<Result<Bytes, io::ErrorKind>>;

    /// What is handed on of `chunks` when `fault` strikes the event `at`.
    fn handed(encoding: Encoding, chunks: &[&[u8]], fault: Fault, at: usize) -> Handed {
        let frames: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, io::Error>(http_body::Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let mut seen = 0;
        let judge = move |event: &Bytes| {
            let counted = is_counted(encoding, event);
            seen += usize::from(counted);
            passage((counted && seen == at).then_some(fault), encoding, event)
        };
        let body = StreamBody::new(futures::stream::iter(frames));
        futures::executor::block_on(
            filter(encoding, body, judge)
                .map(|item| item.map_err(|error| error.kind()))
                .collect(),
        )
    }

    fn samples() -> [(Encoding, Bytes, Bytes); 2] {
        let line = |kind: &str| Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{{}}}}\n"));
        let frame = |kind: &str| framed(kind, Bytes::from_static(b"k8s\0"));
        [
            (Encoding::Json, line("ADDED"), line("BOOKMARK")),
            (Encoding::Protobuf, frame("ADDED"), frame("BOOKMARK")),
        ]
    }

    #[test]
    fn events_survive_whatever_way_they_are_cut_into_frames() {
        for (encoding, added, bookmark) in samples() {
            let whole = [&added[..], &bookmark, &added].concat();
            for cut in 1..whole.len() {
                let (left, right) = whole.split_at(cut);
                let handed: Vec<Bytes> = handed(encoding, &[left, right], Fault::WatchGone, 9)
                    .into_iter()
                    .map(Result::unwrap)
                    .collect();
                assert_eq!(handed.concat(), whole);
            }
        }
    }

    #[test]
    fn a_fault_finds_its_event() {
        for (encoding, added, bookmark) in samples() {
            let chunks = [&added[..], &bookmark, &added, &added];
            let close = handed(encoding, &chunks, Fault::WatchClose, 2);
            assert_eq!(close, [Ok(added.clone()), Ok(bookmark.clone())]);
            let gone = handed(encoding, &chunks, Fault::WatchGone, 1);
            assert_eq!(gone, [Ok(answer::gone_event(encoding))]);
            let cut = handed(encoding, &chunks, Fault::WatchCut, 2);
            assert_eq!(cut.len(), 4);
            assert_eq!(cut[2], Ok(added.slice(..added.len() / 2)));
            assert_eq!(cut[3], Err(io::ErrorKind::ConnectionReset));
        }
    }
}
