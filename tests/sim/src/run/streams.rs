//! Watches: each has a lag of its own, and shows what happened in order.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use ironkeel_runtime::resource::Resource;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::queue::{Answer, Next};
use super::requests::{Travelling, refusal};
use super::world::{World, millis};
use crate::api::{Cursor, EventKind, WatchEvent};
use crate::fault::What;
use crate::history;
use crate::network::ReplyBody;

/// Milliseconds between two bookmarks: about a minute, as the API server has it.
const BOOKMARKS: u64 = 60_000;
/// Seconds after which the server ends a watch that does not say when.
const TIME: u64 = 1_800;

/// A watch that is open.
pub(super) struct Stream {
    pub(super) process: u32,
    replica: usize,
    cursor: Cursor,
    lines: UnboundedSender<io::Result<Bytes>>,
    /// An event that was taken from the cursor and waits.
    waiting: Option<Arc<WatchEvent>>,
    /// Version of the last event that was sent.
    shown: u64,
    /// The initial events are still coming.
    is_listing: bool,
    /// When what was committed last is to be shown: nothing overtakes it.
    due: u64,
    /// Nothing but (perhaps) bookmarks is shown until faults end.
    held: Option<bool>,
    /// Nothing is shown before.
    not_before: u64,
}

/// What becomes of a watch when a fault has struck at an event.
enum Goes {
    On,
    Waiting,
    Ended,
}

impl World<'_> {
    pub(super) fn open_stream(&mut self, travelling: Travelling, cursor: Cursor) {
        let Travelling {
            replica,
            process,
            request,
            to,
            ..
        } = travelling;
        let (lines, body) = unbounded_channel();
        let resource = cursor.resource();
        let seconds = cursor.timeout_seconds().unwrap_or(TIME);
        let bookmarks = cursor.wants_bookmarks();
        let stream = Stream {
            process,
            replica,
            shown: cursor.version(),
            cursor,
            lines,
            waiting: None,
            is_listing: request.query.contains("sendInitialEvents=true"),
            due: 0,
            held: None,
            not_before: 0,
        };
        self.note(|| history::What::Watch {
            process,
            resource,
            text: format!("is watched: {}", request.query),
        });
        let at = self.reply_later(Answer {
            process,
            to,
            reply: Ok(http::Response::new(ReplyBody::Lines(body))),
            renewed: None,
        });
        self.opened_streams += 1;
        let number = self.opened_streams;
        self.streams.insert(number, stream);
        self.show_later(number, at, u64::MAX);
        self.queue
            .push(self.now + seconds * 1_000, Next::TimeOver(number));
        if bookmarks {
            self.queue
                .push(self.now + BOOKMARKS, Next::Bookmark(number));
        }
    }

    /// Something of `resource` was committed: every watch of it will show it.
    pub(super) fn spread(&mut self, resource: Resource, version: u64) {
        let concerned: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.cursor.resource() == resource)
            .map(|(number, _)| *number)
            .collect();
        for number in concerned {
            let after = self.dice.millis(self.config.pace.watch.clone());
            self.show_later(number, self.now + millis(after), version);
        }
    }

    fn show_later(&mut self, number: u64, at: u64, up_to: u64) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        let plural = stream.cursor.resource().plural;
        let slow = self.links.get(stream.replica).map_or(0, |link| {
            let matching = link.slow.iter().filter(|(kind, _)| kind.plural() == plural);
            matching.map(|(_, by)| by).sum()
        });
        stream.due = stream.due.max(at + slow);
        let at = stream.due;
        self.queue.push(
            at,
            Next::Show {
                stream: number,
                up_to,
            },
        );
    }

    /// A watch shows what there is up to a version.
    pub(super) fn show(&mut self, number: u64, up_to: u64) {
        // Taken out, so that a fault that strikes can reach everything else.
        let Some(mut stream) = self.streams.remove(&number) else {
            return;
        };
        let Some(link) = self.links.get(stream.replica) else {
            return;
        };
        if stream.lines.is_closed() {
            return;
        }
        let seen = link.lag.map_or(u64::MAX, |(seen, _)| seen);
        let later = link.cut_until.max(stream.not_before);
        if later > self.now || stream.held.is_some() {
            if stream.held.is_none() {
                self.queue.push(
                    later,
                    Next::Show {
                        stream: number,
                        up_to,
                    },
                );
            }
            self.streams.insert(number, stream);
            return;
        }
        loop {
            let next = stream.waiting.take();
            let Some(event) = next.or_else(|| stream.cursor.next_up_to(up_to.min(seen))) else {
                break;
            };
            match self.show_one(number, &mut stream, event) {
                Goes::On => {}
                Goes::Waiting => break,
                Goes::Ended => return,
            }
        }
        self.streams.insert(number, stream);
    }

    fn show_one(&mut self, number: u64, stream: &mut Stream, event: Arc<WatchEvent>) -> Goes {
        if event.kind == EventKind::Bookmark {
            stream.is_listing = false;
            stream.shown = event.version;
            // A process that is gone reads nothing.
            let _ = stream.lines.send(Ok(event.line.clone()));
            return Goes::On;
        }
        self.counts.events += 1;
        for index in self.due_at_event() {
            let Some(what) = self.strike(index, stream.process) else {
                continue;
            };
            match what {
                What::Crash => {
                    self.lose(stream.replica, format!("dies before it sees {}", event.key));
                    return Goes::Ended;
                }
                What::Close => return Goes::Ended,
                What::Cut { .. } => {
                    let _ = stream
                        .lines
                        .send(Err(io::ErrorKind::ConnectionReset.into()));
                    return Goes::Ended;
                }
                What::Gone => {
                    let _ = stream.lines.send(Ok(gone()));
                    return Goes::Ended;
                }
                What::Hold { bookmarks } => {
                    stream.held = Some(bookmarks);
                    stream.waiting = Some(event);
                    return Goes::Waiting;
                }
                What::Delay(by) => {
                    let by = millis(by);
                    stream.not_before = self.now + by;
                    stream.waiting = Some(event);
                    self.queue.push(
                        stream.not_before,
                        Next::Show {
                            stream: number,
                            up_to: u64::MAX,
                        },
                    );
                    return Goes::Waiting;
                }
                What::Freeze { pause, late } => {
                    self.freeze_soon(stream.replica, millis(pause), late);
                }
                _ => {}
            }
        }
        let _ = stream.lines.send(Ok(event.line.clone()));
        stream.shown = event.version;
        let (process, resource) = (stream.process, stream.cursor.resource());
        self.note(|| history::What::Seen {
            process,
            resource,
            kind: event.kind,
            key: event.key.clone(),
            version: event.version,
        });
        Goes::On
    }

    /// A bookmark, where it would be true: it says that everything before it was shown.
    pub(super) fn bookmark(&mut self, number: u64) {
        let now = self.now;
        let Some(stream) = self.streams.get(&number) else {
            return;
        };
        let Some(link) = self.links.get(stream.replica) else {
            return;
        };
        if stream.lines.is_closed() {
            self.streams.remove(&number);
            return;
        }
        let is_shown = link.cut_until <= now && stream.held != Some(false) && !stream.is_listing;
        if is_shown {
            let version = match (&stream.waiting, link.lag) {
                (None, None) => stream.cursor.version(),
                _ => stream.shown,
            };
            let _ = stream
                .lines
                .send(Ok(bookmark(stream.cursor.resource(), version)));
        }
        self.queue.push(now + BOOKMARKS, Next::Bookmark(number));
    }

    /// Every watch shows everything again.
    pub(super) fn release_streams(&mut self) {
        let numbers: Vec<u64> = self.streams.keys().copied().collect();
        for number in numbers {
            if let Some(stream) = self.streams.get_mut(&number) {
                stream.held = None;
                stream.not_before = 0;
                stream.due = 0;
            }
            let after = self.dice.millis(self.config.pace.watch.clone());
            self.show_later(number, self.now + millis(after), u64::MAX);
        }
    }

    /// The watches of a replica show what its server had not seen.
    pub(super) fn show_all_of(&mut self, replica: usize) {
        let numbers: Vec<u64> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.replica == replica)
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            let after = self.dice.millis(self.config.pace.watch.clone());
            self.show_later(number, self.now + millis(after), u64::MAX);
        }
    }
}

/// The line of a bookmark.
fn bookmark(resource: Resource, version: u64) -> Bytes {
    let mark = json!({
        "type": "BOOKMARK",
        "object": {
            "kind": resource.kind,
            "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": version.to_string()},
        },
    });
    format!("{mark}\n").into()
}

/// The line that ends a watch whose version is of no use any more.
fn gone() -> Bytes {
    let line = json!({"type": "ERROR", "object": refusal(410).json()});
    format!("{line}\n").into()
}
