//! The way of a request to the API server, and of its answer back.

use std::io;

use http::Method;
use ironkeel_invariants::Writer;
use serde_json::json;
use tokio::sync::oneshot;

use super::queue::{Answer, Next};
use super::world::{World, millis};
use crate::api::{Request, Response};
use crate::fault::What;
use crate::history;
use crate::network::{Outgoing, Reply, Target, whole};

/// A request on its way.
#[derive(Debug)]
pub(super) struct Travelling {
    pub(super) replica: usize,
    pub(super) process: u32,
    pub(super) sent: u64,
    pub(super) request: Request,
    pub(super) to: oneshot::Sender<Reply>,
    pub(super) fate: Fate,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// How often it is executed.
    pub(super) executed: u8,
    /// What the process is told.
    pub(super) told: Told,
    /// Whether the process dies when it is executed.
    pub(super) dies: bool,
}

/// What a process is told of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The answer.
    Truth,
    /// This status.
    Code(u16),
    /// Nothing, ever.
    Nothing,
    /// That the connection broke.
    Broken,
}

impl Fate {
    const ORDINARY: Self = Self {
        executed: 1,
        told: Told::Truth,
        dies: false,
    };

    fn told(told: Told, applied: bool) -> Self {
        Self {
            executed: applied.into(),
            told,
            dies: false,
        }
    }
}

impl World<'_> {
    /// A process has sent something.
    pub(super) fn send(&mut self, replica: usize, out: Outgoing) {
        let Some(link) = self.links.get(replica) else {
            return;
        };
        let Some(manager) = &link.process else {
            return;
        };
        let (process, sent) = (link.number, manager.sent_at(&out));
        let Outgoing { request, reply, .. } = out;
        let mut fate = Fate::ORDINARY;
        if request.is_write() {
            self.active = self.active.max(sent);
            self.counts.writes += 1;
            self.violations
                .extend(self.conduct.sends(process, sent, &request));
            for index in self.due_at_write() {
                let Some(what) = self.strike(index, process) else {
                    continue;
                };
                match what {
                    What::Crash => {
                        self.lose(replica, format!("dies before {}", title(&request)));
                        return;
                    }
                    What::CrashAfter => fate.dies = true,
                    What::Answer { code, applied } => {
                        fate = Fate::told(Told::Code(code), applied);
                    }
                    What::Silence { applied } => fate = Fate::told(Told::Nothing, applied),
                    What::Cut { applied } => fate = Fate::told(Told::Broken, applied),
                    What::Repeat => fate.executed = 2,
                    What::Freeze { pause, late } => {
                        self.freeze_soon(replica, millis(pause), late);
                    }
                    _ => {}
                }
            }
        } else if Target::of(&request.path).plural == "leases" && gives_up(&request) {
            self.conduct.renewed(process, sent, false);
        }
        let after = self.dice.millis(self.config.pace.request.clone());
        let travelling = Travelling {
            replica,
            process,
            sent,
            request,
            to: reply,
            fate,
        };
        let at = sent.max(self.now) + millis(after);
        self.queue.push(at, Next::Arrive(Box::new(travelling)));
    }

    /// A request has reached the API server, if nothing is in the way.
    pub(super) fn arrive(&mut self, travelling: Travelling) {
        let Some(link) = self.links.get(travelling.replica) else {
            return;
        };
        // A process that is dead has no connections.
        if link.number != travelling.process || link.process.is_none() {
            return;
        }
        if link.late_until > self.now {
            let at = link.late_until;
            self.queue.push(at, Next::Arrive(Box::new(travelling)));
            return;
        }
        if link.cut_until > self.now {
            self.limbo.push(travelling.to);
            return;
        }
        let request = &travelling.request;
        if let Some((code, until)) = self.outage
            && until > self.now
        {
            self.tell(travelling, refusal(code), Told::Code(code), false);
            return;
        }
        let seen = link.lag.map_or(u64::MAX, |(seen, _)| seen);
        if let Some((_, until)) = link.lag
            && request.wants_newest()
        {
            // As long as the watch cache has not got to the newest version, it waits.
            self.queue.push(until, Next::Arrive(Box::new(travelling)));
            return;
        }
        if request.is_watch() {
            match self.api.open_watch_at(request, seen) {
                Ok(cursor) => self.open_stream(travelling, cursor),
                Err(response) => self.tell(travelling, response, Told::Truth, false),
            }
            return;
        }
        let Fate {
            executed,
            told,
            dies,
        } = travelling.fate;
        let writer = Writer::Controller(travelling.process);
        let mut response = refusal(500);
        for _ in 0..executed {
            response = self.api.handle_at(&writer, request, seen);
        }
        let committed = executed > 0 && (response.is_success() || executed > 1);
        self.settle();
        if dies {
            let text = format!("dies after {}", title(&travelling.request));
            self.lose(travelling.replica, text);
            return;
        }
        if let Told::Code(code) = told {
            response = refusal(code);
        }
        self.tell(travelling, response, told, committed);
    }

    /// Sends the answer on its way.
    fn tell(&mut self, travelling: Travelling, response: Response, told: Told, committed: bool) {
        let Travelling {
            process,
            sent,
            request,
            to,
            ..
        } = travelling;
        let code = response.code;
        let has_success = told == Told::Truth && response.is_success();
        self.landed += u32::from(request.is_write() && has_success);
        if request.is_write() && !has_success {
            self.violations
                .extend(self.conduct.failed(process, self.now, &request));
        }
        if !has_success {
            self.note(|| failed(process, &request, &response, told, committed));
        }
        let is_lease = Target::of(&request.path).plural == "leases";
        let renewed = (is_lease && has_success && request.method != Method::GET)
            .then(|| (sent, !gives_up(&request)));
        let reply = match told {
            Told::Truth | Told::Code(_) => Ok(whole(response)),
            Told::Broken => Err(io::ErrorKind::ConnectionReset.into()),
            Told::Nothing => {
                self.limbo.push(to);
                return;
            }
        };
        debug_assert!(code > 0);
        self.reply_later(Answer {
            process,
            to,
            reply,
            renewed,
        });
    }

    /// Puts an answer on its way; when it will be there.
    pub(super) fn reply_later(&mut self, answer: Answer) -> u64 {
        let after = self.dice.millis(self.config.pace.request.clone());
        let at = self.now + millis(after);
        self.queue.push(at, Next::Answer(Box::new(answer)));
        at
    }

    /// An answer has reached its process, if nothing is in the way.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Answer {
            process,
            to,
            reply,
            renewed,
        } = answer;
        let link = self
            .links
            .iter()
            .find(|link| link.number == process && link.process.is_some());
        let Some(link) = link else {
            return;
        };
        if link.cut_until > self.now {
            self.limbo.push(to);
            return;
        }
        if let Some((sent, held)) = renewed {
            self.conduct.renewed(process, sent, held);
        }
        // Whoever has stopped waiting does not want it.
        let _ = to.send(reply);
    }
}

/// Whether the write of a lease gives it up.
fn gives_up(request: &Request) -> bool {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body.pointer("/spec/holderIdentity")
        .and_then(|holder| holder.as_str())
        .is_none_or(str::is_empty)
        && request.method != Method::GET
}

/// Method, subresource and object of a request.
fn title(request: &Request) -> String {
    format!("{} {}", request.method, request.path)
}

fn failed(
    process: u32,
    request: &Request,
    response: &Response,
    told: Told,
    committed: bool,
) -> history::What {
    let target = Target::of(&request.path);
    let answer = match told {
        Told::Nothing => "no answer".to_owned(),
        Told::Broken => "connection broken".to_owned(),
        Told::Truth | Told::Code(_) => {
            let body = response.json();
            let reason = body["reason"].as_str().unwrap_or_default();
            let message = body["message"].as_str().unwrap_or_default();
            format!("{} {reason}: {message}", response.code)
        }
    };
    history::What::Failed {
        writer: Writer::Controller(process),
        verb: format!("{} {}", request.method, target.subresource)
            .trim_end()
            .to_owned(),
        path: format!("{}/{}", target.plural, target.name)
            .trim_end_matches('/')
            .to_owned(),
        answer,
        committed,
    }
}

/// What an API server, or what lies before it, answers without having looked at the request.
pub(super) fn refusal(code: u16) -> Response {
    let (reason, message) = match code {
        404 => (
            "NotFound",
            "the server could not find the requested resource",
        ),
        409 => (
            "Conflict",
            "the object has been modified; please apply your changes to the latest version and try again",
        ),
        410 => ("Expired", "too old resource version"),
        429 => (
            "TooManyRequests",
            "too many requests, please try again later",
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
        504 => ("Timeout", "request timed out"),
        _ => ("InternalError", "an internal error occurred"),
    };
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if code == 429 {
        status["details"] = json!({"retryAfterSeconds": 1});
    }
    let mut response = Response::new(code, status.to_string());
    response.retry_after = (code == 429).then_some(1);
    response
}
