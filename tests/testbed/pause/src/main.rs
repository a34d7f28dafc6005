//! Holds a pod's namespaces open, as upstream's pause container does: waits for a signal to end, and, as first process of
//! a shared process namespace, reaps what is orphaned there.

use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

fn main() -> ExitCode {
    let mut expected = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM] {
        expected.add(signal);
    }
    // Blocked signals are kept for `wait`; without this the first one would end the process by its default action, or,
    // for the first process of a namespace, be ignored.
    if expected.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    loop {
        match expected.wait() {
            Ok(Signal::SIGCHLD) => reap(),
            Ok(_) => return ExitCode::SUCCESS,
            Err(Errno::EINTR) => {}
            Err(_) => return ExitCode::FAILURE,
        }
    }
}

fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}
