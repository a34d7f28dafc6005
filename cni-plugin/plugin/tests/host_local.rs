//! The program as a runtime calls it, under the name host-local.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Child;

use common::answer;
use nix::sys::ptrace;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A network whose reservations lie in a folder that is removed at the end.
struct Network {
    folder: TempDir,
    config: Value,
}

impl Network {
    fn new(ranges: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "cniVersion": "1.1.0", "name": "pods", "type": "anything",
            "ipam": { "type": "host-local", "dataDir": folder.path(), "ranges": ranges },
        });
        Self { folder, config }
    }

    fn spawn(&self, verb: &str, id: &str) -> Child {
        spawn(verb, id, self.config.to_string().as_bytes())
    }

    fn call(&self, verb: &str, id: &str) -> (bool, Value) {
        answer(&self.spawn(verb, id).wait_with_output().unwrap())
    }

    /// The address that ADD answers with.
    fn add(&self, id: &str) -> String {
        let (succeeded, answer) = self.call("ADD", id);
        assert!(succeeded, "{answer}");
        answer["ips"][0]["address"].as_str().unwrap().to_owned()
    }

    /// Addresses that have a file.
    fn reserved(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.folder.path().join("pods")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("10.")).collect()
    }
}

fn spawn(verb: &str, id: &str, input: &[u8]) -> Child {
    common::spawn("host-local", verb, id, "/var/run/netns/none", input)
}

fn small() -> Value {
    json!([[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00::/64" }]])
}

#[test]
fn an_attachment_is_added_checked_and_deleted() {
    let network = Network::new(&small());
    let (succeeded, answer) = network.call("ADD", "a");
    assert!(succeeded, "{answer}");
    assert_eq!(
        answer,
        json!({
            "cniVersion": "1.1.0",
            "ips": [
                { "address": "10.1.2.2/24", "gateway": "10.1.2.1" },
                { "address": "fd00::2/64", "gateway": "fd00::1" },
            ],
        })
    );
    let nothing = (true, Value::Null);
    assert_eq!(network.call("CHECK", "a"), nothing);
    assert_eq!(network.call("STATUS", "a"), nothing);
    assert_eq!(network.call("DEL", "a"), nothing);
    assert_eq!(network.call("DEL", "a"), nothing, "again");
    let (succeeded, error) = network.call("CHECK", "a");
    assert!(!succeeded);
    assert_eq!(error["code"], 999);
}

#[test]
fn attachments_that_are_not_valid_are_collected() {
    let mut network = Network::new(&small());
    for id in ["a", "b", "c"] {
        network.add(id);
    }
    let (succeeded, error) = network.call("GC", "");
    assert!(!succeeded, "without a list nothing is collected");
    assert_eq!(error["code"], 7);
    assert_eq!(network.reserved().len(), 3);
    network.config["cni.dev/valid-attachments"] = json!([{ "containerID": "b", "ifname": "eth0" }]);
    assert_eq!(network.call("GC", ""), (true, Value::Null));
    assert_eq!(
        network.reserved().into_iter().collect::<Vec<_>>(),
        ["10.1.2.3"]
    );
}

#[test]
fn a_failure_is_an_error_object_of_the_version_that_was_asked_for() {
    let (succeeded, error) = answer(&spawn("ADD", "a", b"{").wait_with_output().unwrap());
    assert!(!succeeded);
    assert_eq!(error["code"], 6);
    let input = br#"{"cniVersion": "0.3.1", "name": "pods"}"#;
    let (succeeded, error) = answer(&spawn("ADD", "a", input).wait_with_output().unwrap());
    assert!(!succeeded);
    assert_eq!(
        error,
        json!({
            "cniVersion": "0.3.1", "code": 7,
            "msg": "ipam is missing",
        })
    );
    let (succeeded, error) = answer(&spawn("STATUS", "a", input).wait_with_output().unwrap());
    assert!(!succeeded);
    assert_eq!(
        error["msg"],
        "cniVersion of the configuration is 0.3.1; STATUS is part of 1.1.0 and newer"
    );
    let (succeeded, error) = answer(&spawn("ADD", "a b", input).wait_with_output().unwrap());
    assert!(!succeeded);
    assert_eq!(error["code"], 4);
}

#[test]
fn version_reads_nothing_and_tells_all_versions() {
    let (succeeded, answer) = answer(&spawn("VERSION", "", b"{").wait_with_output().unwrap());
    assert!(succeeded);
    assert_eq!(answer["supportedVersions"].as_array().unwrap().len(), 7);
}

#[test]
fn many_at_once_get_addresses_of_their_own() {
    let network = Network::new(&json!([[{ "subnet": "10.1.0.0/16" }]]));
    let all = |verb: &str| -> Vec<(bool, Value)> {
        let children: Vec<Child> = (0..64)
            .map(|id| network.spawn(verb, &format!("c{id}")))
            .collect();
        let ended = children
            .into_iter()
            .map(|child| child.wait_with_output().unwrap());
        ended.map(|output| answer(&output)).collect()
    };
    let added = all("ADD");
    let addresses: BTreeSet<String> = added
        .iter()
        .map(|(_, answer)| answer["ips"][0]["address"].to_string())
        .collect();
    assert_eq!(addresses.len(), 64, "{added:?}");
    assert_eq!(network.reserved().len(), 64);
    assert!(all("DEL").iter().all(|(succeeded, _)| *succeeded));
    assert!(network.reserved().is_empty());
}

#[test]
fn a_node_that_is_full_stays_in_service() {
    let network = Network::new(&json!([[{ "subnet": "10.1.2.0/30" }]]));
    network.add("a");
    let (succeeded, error) = network.call("ADD", "b");
    assert!(!succeeded);
    assert_eq!(error["code"], 11);
    assert_eq!(network.call("STATUS", ""), (true, Value::Null));
}

#[test]
fn ranges_that_the_runtime_hands_over_with_an_attachment_are_not_needed_without_one() {
    let mut network = Network::new(&json!([]));
    let (succeeded, error) = network.call("ADD", "a");
    assert!(!succeeded);
    assert_eq!(
        error["msg"],
        "ipam has no addresses: neither subnet nor ranges is set"
    );
    assert_eq!(network.call("STATUS", ""), (true, Value::Null));
    network.config["cni.dev/valid-attachments"] = json!([]);
    assert_eq!(network.call("GC", ""), (true, Value::Null));
    network.config["runtimeConfig"] = json!({ "ipRanges": [[{ "subnet": "10.1.2.0/24" }]] });
    assert_eq!(network.add("a"), "10.1.2.2/24");
}

#[test]
fn a_deletion_needs_nothing_of_what_the_plugins_before_have_answered() {
    let mut network = Network::new(&small());
    network.add("a");
    network.config["prevResult"] = json!({ "interfaces": [{ "name": "eth0", "mac": 5 }] });
    assert_eq!(network.call("DEL", "a"), (true, Value::Null));
    assert!(network.reserved().is_empty());
}

/// Whether a call ended by itself before its `stops`-th stop at a system call, at which it is killed.
fn killed_at(network: &Network, verb: &str, id: &str, stops: usize) -> bool {
    // It waits for its input, which is still to come, so that it can be traced from the first step that matters.
    let (mut child, mut stdin) = common::start("host-local", verb, id, "/var/run/netns/none");
    let pid = Pid::from_raw(child.id().cast_signed());
    ptrace::attach(pid).unwrap();
    waitpid(pid, None).unwrap();
    stdin
        .write_all(network.config.to_string().as_bytes())
        .unwrap();
    drop(stdin);
    for _ in 0..stops {
        ptrace::syscall(pid, None).unwrap();
        if let WaitStatus::Exited(_, code) = waitpid(pid, None).unwrap() {
            assert_eq!(code, 0);
            return true;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

#[test]
fn a_call_that_is_killed_at_any_system_call_leaves_nothing_after_a_deletion() {
    let network = Network::new(&json!([[{ "subnet": "10.1.2.0/24" }]]));
    network.add("stays");
    for verb in ["ADD", "DEL"] {
        for stops in 1.. {
            let id = format!("{verb}{stops}");
            if verb == "DEL" {
                network.add(&id);
            }
            let is_over = killed_at(&network, verb, &id, stops);
            if stops % 2 == 0 {
                // Whoever comes next gets an address of its own, whether the deletion has come or not.
                let next = network.add("next");
                assert_ne!(next, "10.1.2.2/24");
                assert_eq!(network.call("DEL", "next"), (true, Value::Null));
            }
            assert_eq!(network.call("DEL", &id), (true, Value::Null));
            let reserved: Vec<String> = network.reserved().into_iter().collect();
            assert_eq!(reserved, ["10.1.2.2"], "{verb} killed at stop {stops}");
            if is_over {
                assert!(stops > 50, "a call has more system calls than {stops}");
                break;
            }
        }
    }
}
