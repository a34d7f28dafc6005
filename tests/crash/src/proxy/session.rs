//! What the proxy does with the requests of one process.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use ironkeel_invariants::Writer;
use parking_lot::Mutex;

use super::answer::{self, Body};
use super::asked::Asked;
use super::wire::{self, Encoding};
use super::{CONFINED, Proxy, events, kill_process};
use crate::fault::{Applied, Fault};
use crate::history::Deed;

/// Headers that are about one connection, or that the proxy's own client sets.
const OWN: [header::HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    // The certificate says who asks.
    header::AUTHORIZATION,
];

/// One process of a manager, as the proxy knows it.
pub(super) struct Session {
    proxy: Proxy,
    process: u32,
    pub(super) pid: Mutex<Option<u32>>,
    pub(super) watched: Mutex<BTreeSet<String>>,
    dead: AtomicBool,
    /// Writes that are on their way to the server or back.
    under_way: AtomicUsize,
}

/// The server's whole answer to a write.
struct Answered {
    code: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Session {
    pub(super) fn new(proxy: Proxy, process: u32) -> Self {
        Self {
            proxy,
            process,
            pid: Mutex::default(),
            watched: Mutex::default(),
            dead: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) == 0
    }

    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        if let Some(pid) = *self.pid.lock() {
            kill_process(pid);
        }
    }

    /// Answers one request. An error cuts the connection.
    pub(super) async fn handle(
        session: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        session.alive()?;
        let asked = Asked::read(&parts.method, &parts.uri);
        let namespace = &session.proxy.0.namespace;
        match asked {
            Some(asked) if asked.is_counted(namespace) => {
                Self::write(session.clone(), parts, body, asked).await
            }
            Some(asked) if asked.watch => session.watch(parts, &asked).await,
            asked => session.pass(parts, body, asked.as_ref()).await,
        }
    }

    /// A dead process gets no answers, and sends nothing any more.
    fn alive(&self) -> io::Result<()> {
        if self.is_dead() { Err(cut()) } else { Ok(()) }
    }

    async fn write(
        session: Arc<Self>,
        parts: Parts,
        body: Bytes,
        asked: Asked,
    ) -> io::Result<Response<Body>> {
        let wished = Encoding::wished(&parts.headers);
        let (place, fault) = session.proxy.count(session.process, &asked, &body);
        match fault {
            Some(Fault::Kill(Applied::No)) => {
                session.kill();
                return Err(cut());
            }
            Some(Fault::Cut(Applied::No)) => return Err(cut()),
            Some(Fault::Code(code, Applied::No)) => {
                return Ok(answer::refuse(code, &asked.method, wished));
            }
            _ => {}
        }
        let method = asked.method.clone();
        // On a task of its own: that the manager goes away, or is killed for another write, must not take back what the
        // server may have got, and its answer says who wrote.
        let answered = tokio::spawn({
            let session = session.clone();
            async move {
                session.under_way.fetch_add(1, Ordering::SeqCst);
                // Asked again, for the process may have been killed since: what was counted before its end is dropped
                // here, or is under way and seen as such.
                let answered = match session.alive() {
                    Ok(()) => session.carry(parts, body, &asked, place).await,
                    Err(dead) => Err(dead),
                };
                session.under_way.fetch_sub(1, Ordering::SeqCst);
                answered
            }
        })
        .await
        .map_err(io::Error::other)??;
        match fault {
            Some(Fault::Kill(_)) => {
                session.kill();
                Err(cut())
            }
            Some(Fault::Cut(_)) => Err(cut()),
            Some(Fault::Code(code, _)) => Ok(answer::refuse(code, &method, wished)),
            _ => {
                session.alive()?;
                let mut response = Response::new(answer::whole(answered.body));
                *response.status_mut() = answered.code;
                *response.headers_mut() = answered.headers;
                Ok(response)
            }
        }
    }

    /// Takes a write to the server and notes what it says.
    async fn carry(
        &self,
        parts: Parts,
        body: Bytes,
        asked: &Asked,
        place: usize,
    ) -> io::Result<Answered> {
        let response = self.send(parts, body).await?;
        let (mut head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        strip(&mut head.headers);
        let mut version = None;
        if head.status.is_success() && !asked.dry_run {
            let reply = wire::told(Encoding::of_answer(&head.headers), &body);
            let writer = Writer::Controller(self.process);
            self.proxy.0.ledger.note(&writer, &asked.method, &reply);
            if let Some(Deed::Stored(stored)) = Deed::read(&asked.method, &reply) {
                version = Some(stored);
            }
        }
        self.proxy.answered(place, head.status, version);
        Ok(Answered {
            code: head.status,
            headers: head.headers,
            body,
        })
    }

    async fn watch(
        self: &Arc<Self>,
        mut parts: Parts,
        asked: &Asked,
    ) -> io::Result<Response<Body>> {
        self.confine(&mut parts, asked)?;
        let response = self.send(parts, Bytes::new()).await?;
        let (mut head, body) = response.into_parts();
        strip(&mut head.headers);
        if !head.status.is_success() {
            return Ok(Response::from_parts(
                head,
                body.map_err(io::Error::other).boxed_unsync(),
            ));
        }
        self.watched.lock().insert(asked.resource.clone());
        let (session, resource) = (self.clone(), asked.resource.clone());
        let encoding = Encoding::of_answer(&head.headers);
        let judge = move |event: &Bytes| {
            let fault = wire::is_counted(encoding, event)
                .then(|| session.proxy.0.trigger.lock().event())
                .flatten();
            if fault.is_some() {
                // Until it comes again, the manager does not see everything.
                session.watched.lock().remove(&resource);
            }
            events::passage(fault, encoding, event)
        };
        let events = events::filter(encoding, body, judge).map(|event| event.map(Frame::data));
        Ok(Response::from_parts(
            head,
            StreamBody::new(events).boxed_unsync(),
        ))
    }

    async fn pass(
        &self,
        mut parts: Parts,
        body: Bytes,
        asked: Option<&Asked>,
    ) -> io::Result<Response<Body>> {
        if let Some(asked) = asked {
            self.confine(&mut parts, asked)?;
        }
        let response = self.send(parts, body).await?;
        self.alive()?;
        let (mut head, body) = response.into_parts();
        strip(&mut head.headers);
        Ok(Response::from_parts(
            head,
            body.map_err(io::Error::other).boxed_unsync(),
        ))
    }

    fn confine(&self, parts: &mut Parts, asked: &Asked) -> io::Result<()> {
        if let Some(path) = asked.confined(&parts.uri, &CONFINED, &self.proxy.0.namespace) {
            parts.uri = path.parse().map_err(io::Error::other)?;
        }
        Ok(())
    }

    async fn send(
        &self,
        mut parts: Parts,
        body: Bytes,
    ) -> io::Result<Response<kube::client::Body>> {
        for name in OWN {
            parts.headers.remove(name);
        }
        // Both ends are on this machine.
        parts.headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        let request = Request::from_parts(parts, kube::client::Body::from(body));
        let client = self.proxy.0.client.clone();
        client.send(request).await.map_err(io::Error::other)
    }
}

/// Removes what is about the connection to the server.
fn strip(headers: &mut http::HeaderMap) {
    for name in [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ] {
        headers.remove(name);
    }
}

fn cut() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionAborted)
}
