//! The program as a runtime calls it, and network namespaces to call it with. They need root.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;
use serde_json::Value;

/// Starts the program under the name of a plugin.
pub(crate) fn spawn(plugin: &str, verb: &str, id: &str, netns: &str, input: &[u8]) -> Child {
    let (child, mut stdin) = start(plugin, verb, id, netns);
    // One that has failed already reads no more.
    let _ = stdin.write_all(input);
    child
}

/// Starts the program, which then waits for its input.
pub(crate) fn start(plugin: &str, verb: &str, id: &str, netns: &str) -> (Child, ChildStdin) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ironkeel-cni"))
        .arg0(format!("/opt/cni/bin/{plugin}"))
        .env_clear()
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", id)
        .env("CNI_NETNS", netns)
        .env("CNI_IFNAME", "eth0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

/// Whether the program succeeded, and what it printed.
pub(crate) fn answer(output: &Output) -> (bool, Value) {
    let answer = if output.stdout.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&output.stdout).unwrap()
    };
    (output.status.success(), answer)
}

/// A network namespace that lives as long as this value.
pub(crate) struct Namespace {
    pub(crate) path: String,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Namespace {
    /// Makes one, held by a thread of this process.
    pub(crate) fn new() -> Self {
        let (end, ended) = channel::<()>();
        let (made, path) = channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET)
                .expect("a network namespace can be made by root only");
            let path = format!("/proc/{}/task/{}/ns/net", std::process::id(), gettid());
            made.send(path).unwrap();
            // Until the sender is dropped.
            let _ = ended.recv();
        });
        Self {
            path: path.recv().unwrap(),
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.end.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
