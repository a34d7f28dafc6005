//! A proxy between managers and the real API server: numbers their writes, and does to one of them what a [`Fault`] says.
//!
//! Each process of a manager gets a listener of its own, so that the proxy knows whose request it holds and nothing of a
//! process that was killed is taken for its successor's. The managers speak plain HTTP/1.1 on the loopback; towards the
//! server the proxy is the client, with its certificate. Requests and answers pass untouched, whatever their encoding. Of
//! answers to writes and watches the proxy has to know resourceVersions and events, so it reads both JSON and protobuf.

mod answer;
mod asked;
mod events;
mod session;
mod trigger;
mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use asked::{Asked, Names};
pub use trigger::Trigger;

use crate::fault::Fault;
use crate::history::Ledger;
use session::Session;

/// Collections whose lists and watches are confined to the namespace of the run, for managers that cannot confine
/// themselves. New controllers add the kinds they read.
const CONFINED: [&str; 12] = [
    "pods",
    "replicasets",
    "deployments",
    "replicationcontrollers",
    "statefulsets",
    "daemonsets",
    "controllerrevisions",
    "jobs",
    "cronjobs",
    "persistentvolumeclaims",
    "endpointslices",
    "services",
];

/// A write as the proxy saw it.
#[derive(Clone, Debug)]
pub struct Write {
    /// Its number since the trigger was armed; 0 before.
    pub number: u64,
    /// The process that sent it.
    pub process: u32,
    /// When it came.
    pub came: Instant,
    /// What it is about.
    pub asked: Asked,
    /// What it must find unchanged; `None` where its body is not JSON.
    pub names: Option<Names>,
    /// What the server answered; `None` if it was never asked, or did not answer.
    pub code: Option<u16>,
    /// The version in the answer.
    pub version: Option<u64>,
    /// What the proxy did to it.
    pub fault: Option<Fault>,
}

/// The proxy of one run.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    client: Client,
    namespace: String,
    ledger: Ledger,
    trigger: Mutex<Trigger>,
    writes: Mutex<Vec<Write>>,
}

/// The way in for one process. Closed when dropped.
pub struct Gate {
    session: Arc<Session>,
    port: u16,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// A proxy that acts as `client`, numbers writes in `namespace` and shows no other.
    pub fn new(client: Client, namespace: &str, ledger: Ledger) -> Self {
        Self(Arc::new(Shared {
            client,
            namespace: namespace.to_owned(),
            ledger,
            trigger: Mutex::default(),
            writes: Mutex::default(),
        }))
    }

    /// Opens the way in for the process with this number.
    pub async fn open(&self, process: u32) -> Result<Gate> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("listening on the loopback")?;
        let port = listener.local_addr()?.port();
        let session = Arc::new(Session::new(self.clone(), process));
        let listening = tokio::spawn(listen(listener, session.clone()));
        Ok(Gate {
            session,
            port,
            listening,
        })
    }

    /// Numbers writes and events from here on; the fault strikes at the `k`-th, where the first is 1.
    pub fn arm(&self, fault: Option<(Fault, u64)>) {
        self.0.trigger.lock().arm(fault);
    }

    /// Whether the fault has struck.
    pub fn has_struck(&self) -> bool {
        self.0.trigger.lock().has_struck()
    }

    /// Writes and events since it was armed.
    pub fn counted(&self) -> (u64, u64) {
        let trigger = self.0.trigger.lock();
        (trigger.writes(), trigger.events())
    }

    /// Every write in the namespace, in the order in which they came.
    pub fn writes(&self) -> Vec<Write> {
        self.0.writes.lock().clone()
    }

    /// When the last write came.
    pub fn last_write(&self) -> Option<Instant> {
        self.0.writes.lock().last().map(|write| write.came)
    }

    /// Counts a write; returns its place among the writes, and the fault that strikes it.
    fn count(&self, process: u32, asked: &Asked, body: &[u8]) -> (usize, Option<Fault>) {
        // One lock after the other would let two writes swap between their number and their place.
        let mut writes = self.0.writes.lock();
        let (number, fault) = self.0.trigger.lock().write();
        writes.push(Write {
            number,
            process,
            came: Instant::now(),
            asked: asked.clone(),
            names: Names::read(body),
            code: None,
            version: None,
            fault,
        });
        (writes.len() - 1, fault)
    }

    fn answered(&self, place: usize, code: StatusCode, version: Option<u64>) {
        if let Some(write) = self.0.writes.lock().get_mut(place) {
            write.code = Some(code.as_u16());
            write.version = version;
        }
    }
}

impl Gate {
    /// Where the process finds the API server.
    pub fn server(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Says which process is behind the gate, so that a fault can kill it. The caller must not reap it before the gate is
    /// closed: its id would be free for another.
    pub fn serves(&self, pid: u32) {
        *self.session.pid.lock() = Some(pid);
    }

    /// The collections whose watches the server has answered.
    pub fn watched(&self) -> BTreeSet<String> {
        self.session.watched.lock().clone()
    }

    /// Whether the proxy killed the process.
    pub fn is_dead(&self) -> bool {
        self.session.is_dead()
    }

    /// Whether no write of the process is on its way to the server or back. Of a process that was killed, none sets out
    /// any more.
    pub fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    /// Kills the process: from here on it gets no answer, and what it still sent is dropped.
    pub fn kill(&self) {
        self.session.kill();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, session: Arc<Session>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let session = session.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| Session::handle(session.clone(), request));
            // An error is a connection that one of the two ends cut, which is what this program is for.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Sends SIGKILL; a process that is gone already is what was wanted.
fn kill_process(pid: u32) {
    let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
}

#[cfg(test)]
mod tests;
