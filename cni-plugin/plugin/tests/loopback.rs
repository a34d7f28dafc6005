//! `loopback` in real network namespaces.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

mod common;

use common::{Namespace, answer, spawn};
use serde_json::{Value, json};

fn call(verb: &str, netns: &str, config: &Value) -> (bool, Value) {
    let child = spawn("loopback", verb, "a", netns, config.to_string().as_bytes());
    answer(&child.wait_with_output().unwrap())
}

fn config() -> Value {
    json!({ "cniVersion": "1.1.0", "name": "lo" })
}

const NOTHING: (bool, Value) = (true, Value::Null);

#[test]
fn the_interface_is_set_up_and_down() {
    let namespace = Namespace::new();
    let path = namespace.path.as_str();
    let (is_up, error) = call("CHECK", path, &config());
    assert!(!is_up);
    assert_eq!(error["msg"], format!("lo in {path} is down"));
    let lo = json!({ "name": "lo", "mac": "00:00:00:00:00:00", "sandbox": path });
    assert_eq!(
        call("ADD", path, &config()),
        (
            true,
            json!({
                "cniVersion": "1.1.0",
                "interfaces": [lo],
                "ips": [
                    { "interface": 0, "address": "127.0.0.1/8" },
                    { "interface": 0, "address": "::1/128" },
                ],
            })
        )
    );
    assert_eq!(call("CHECK", path, &config()), NOTHING);
    assert_eq!(call("STATUS", path, &config()), NOTHING);
    assert_eq!(call("DEL", path, &config()), NOTHING);
    assert!(!call("CHECK", path, &config()).0);
}

#[test]
fn the_answer_of_the_plugin_before_is_passed_on() {
    let namespace = Namespace::new();
    let mut config = config();
    config["prevResult"] = json!({ "cniVersion": "1.1.0", "ips": [{ "address": "10.1.2.3/24" }] });
    let (succeeded, answer) = call("ADD", &namespace.path, &config);
    assert!(succeeded, "{answer}");
    assert_eq!(answer["ips"], json!([{ "address": "10.1.2.3/24" }]));
    assert_eq!(answer.get("interfaces"), None);
}

#[test]
fn without_a_namespace_a_deletion_succeeds_and_an_addition_does_not() {
    for path in ["/var/run/netns/gone", "/dev/null"] {
        assert_eq!(call("DEL", path, &config()), NOTHING);
        let (succeeded, error) = call("ADD", path, &config());
        assert!(!succeeded);
        assert_eq!(error["code"], 8);
    }
}

#[test]
fn the_own_namespace_is_refused() {
    let (succeeded, error) = call("ADD", "/proc/self/ns/net", &config());
    assert!(!succeeded);
    assert_eq!(error["code"], 8);
}
