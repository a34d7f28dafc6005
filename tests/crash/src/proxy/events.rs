//! The answer of a watch, line by line, so that a fault finds its event.

use std::io;

use bytes::{Bytes, BytesMut};
use futures::stream::{Stream, unfold};
use http_body_util::BodyExt;

use super::answer;
use crate::fault::Fault;

/// What becomes of one line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It is handed on.
    Pass,
    /// This is handed on instead, and the watch ends in order.
    End(Option<Bytes>),
    /// This is handed on instead, and the connection breaks.
    Break(Bytes),
}

/// What a fault does to a line.
pub(super) fn passage(fault: Option<Fault>, line: &[u8]) -> Passage {
    match fault {
        Some(Fault::WatchClose) => Passage::End(None),
        Some(Fault::WatchGone) => Passage::End(Some(answer::gone_event())),
        Some(Fault::WatchCut) => Passage::Break(Bytes::copy_from_slice(&line[..line.len() / 2])),
        _ => Passage::Pass,
    }
}

/// Whether the line is an event of an object. Bookmarks come when the server likes, so counting them would let the numbers
/// of two runs drift apart.
pub(super) fn is_event(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&line[..line.len().min(40)]);
    ["ADDED", "MODIFIED", "DELETED"]
        .iter()
        .any(|kind| text.contains(&format!("\"type\":\"{kind}\"")))
}

/// The lines that are complete in `buffer`, taken out of it with their ends.
pub(super) fn take_lines(buffer: &mut BytesMut) -> Vec<Bytes> {
    let mut lines = Vec::new();
    while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
        lines.push(buffer.split_to(end + 1).freeze());
    }
    lines
}

struct State<B, F> {
    body: B,
    judge: F,
    buffer: BytesMut,
    ready: std::collections::VecDeque<io::Result<Bytes>>,
    ended: bool,
}

/// Hands on the lines of `body` as `judge` says.
pub(super) fn filter<B, F>(body: B, judge: F) -> impl Stream<Item = io::Result<Bytes>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
    F: FnMut(&[u8]) -> Passage,
{
    let state = State {
        body,
        judge,
        buffer: BytesMut::new(),
        ready: std::collections::VecDeque::new(),
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

impl<B, F: FnMut(&[u8]) -> Passage> State<B, F> {
    fn take(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
        for line in take_lines(&mut self.buffer) {
            match (self.judge)(&line) {
                Passage::Pass => self.ready.push_back(Ok(line)),
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

    use super::*;

    fn lines(chunks: &[&str], fault: Fault, at: usize) -> Vec<Result<String, io::ErrorKind>> {
        let frames: Vec<_> = chunks
            .iter()
            .map(|chunk| {
                let data = Bytes::copy_from_slice(chunk.as_bytes());
                Ok::<_, io::Error>(http_body::Frame::data(data))
            })
            .collect();
        let mut seen = 0;
        let judge = move |line: &[u8]| {
            seen += usize::from(is_event(line));
            passage((is_event(line) && seen == at).then_some(fault), line)
        };
        let body = StreamBody::new(futures::stream::iter(frames));
        futures::executor::block_on(
            filter(body, judge)
                .map(|item| {
                    item.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                        .map_err(|error| error.kind())
                })
                .collect(),
        )
    }

    const ADDED: &str = "{\"type\":\"ADDED\",\"object\":{}}\n";
    const BOOKMARK: &str = "{\"type\":\"BOOKMARK\",\"object\":{}}\n";

    #[test]
    fn lines_survive_whatever_way_they_are_cut_into_frames() {
        let whole = format!("{ADDED}{BOOKMARK}{ADDED}");
        for cut in 1..whole.len() {
            let (left, right) = whole.split_at(cut);
            let handed: Vec<String> = lines(&[left, right], Fault::WatchGone, 9)
                .into_iter()
                .map(Result::unwrap)
                .collect();
            assert_eq!(handed.concat(), whole);
        }
    }

    #[test]
    fn a_fault_finds_its_event() {
        let chunks = [ADDED, BOOKMARK, ADDED, ADDED];
        let close = lines(&chunks, Fault::WatchClose, 2);
        assert_eq!(close, [Ok(ADDED.to_owned()), Ok(BOOKMARK.to_owned())]);
        let gone = lines(&chunks, Fault::WatchGone, 1);
        assert_eq!(gone.len(), 1);
        let text = gone[0].as_ref().unwrap();
        assert!(
            text.contains("\"ERROR\"") && text.contains("410") && text.ends_with('\n'),
            "{text}"
        );
        let cut = lines(&chunks, Fault::WatchCut, 2);
        assert_eq!(cut.len(), 4);
        assert_eq!(cut[2], Ok(ADDED[..ADDED.len() / 2].to_owned()));
        assert_eq!(cut[3], Err(io::ErrorKind::ConnectionReset));
    }
}
