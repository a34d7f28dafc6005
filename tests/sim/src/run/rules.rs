//! Rules about requests, which the history of commits cannot show.

use std::collections::{BTreeMap, VecDeque};

use ironkeel_invariants::Violation;
use serde_json::Value;

use crate::api::Request;
use crate::network::Target;
use crate::process::RENEW_DEADLINE;

/// Failures of one request that a minute may have: the back-off of a key from 5 ms on gives fourteen, and a success between
/// two failures starts it anew.
const FAILURES: usize = 40;
/// The minute, in milliseconds.
const WINDOW: u64 = 60_000;

/// What is known of the processes' conduct.
#[derive(Debug, Default)]
pub(super) struct Conduct {
    /// Until when each process may start writes, by its own last renewal that it knows of. Milliseconds after the start.
    rights: BTreeMap<u32, u64>,
    /// When requests failed, by process, method and path.
    failures: BTreeMap<(u32, String), VecDeque<u64>>,
}

impl Conduct {
    /// A process got to know that the lease is its own by a write that it sent at `sent`, or (`held` is false) that it
    /// gave it up.
    pub(super) fn renewed(&mut self, process: u32, sent: u64, held: bool) {
        let deadline = sent + u64::try_from(RENEW_DEADLINE.as_millis()).unwrap_or(u64::MAX);
        self.rights.insert(process, if held { deadline } else { 0 });
    }

    /// Until when the process may start writes.
    pub(super) fn deadline(&self, process: u32) -> u64 {
        self.rights.get(&process).copied().unwrap_or(0)
    }

    /// A process sends a write. What is wrong with it?
    pub(super) fn sends(&self, process: u32, now: u64, request: &Request) -> Option<Violation> {
        let deadline = self.deadline(process);
        if now >= deadline {
            return Some(broken(
                "lease",
                format!(
                    "controller {process} sends {} {} at {now} ms, and its right to write ended at {deadline} ms",
                    request.method, request.path
                ),
            ));
        }
        let lacking = lacks(request)?;
        Some(broken(
            "precondition",
            format!(
                "controller {process} sends {} {} without {lacking}: {}",
                request.method,
                request.path,
                String::from_utf8_lossy(&request.body)
            ),
        ))
    }

    /// A write had no success. Does that happen too often?
    pub(super) fn failed(
        &mut self,
        process: u32,
        now: u64,
        request: &Request,
    ) -> Option<Violation> {
        let what = format!("{} {}", request.method, request.path);
        // Creates of all owners in a namespace share one path.
        let allowed = if Target::of(&request.path).name.is_empty() {
            4 * FAILURES
        } else {
            FAILURES
        };
        let times = self.failures.entry((process, what)).or_default();
        times.push_back(now);
        while times.front().is_some_and(|first| first + WINDOW < now) {
            times.pop_front();
        }
        (times.len() > allowed).then(|| {
            broken(
                "back-off",
                format!(
                    "controller {process} had {} refusals of {} {} within a minute, more than {allowed}",
                    times.len(),
                    request.method,
                    request.path
                ),
            )
        })
    }
}

/// A rule that no commit broke.
pub(super) fn broken(rule: &'static str, text: String) -> Violation {
    Violation {
        rule,
        version: 0,
        text,
    }
}

/// What a write needs and does not have.
fn lacks(request: &Request) -> Option<&'static str> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match request.method.as_str() {
        "DELETE" => body
            .pointer("/preconditions/uid")
            .is_none()
            .then_some("preconditions.uid"),
        "POST" if Target::of(&request.path).subresource.is_empty() => body
            .pointer("/metadata/name")
            .is_none()
            .then_some("a name of its own"),
        "PATCH" => {
            let has_uid = match &body {
                Value::Array(steps) => steps
                    .iter()
                    .any(|step| step["op"] == "test" && step["path"] == "/metadata/uid"),
                body => body.pointer("/metadata/uid").is_some(),
            };
            (!has_uid).then_some("a uid")
        }
        "PUT" => {
            let has_both = ["/metadata/uid", "/metadata/resourceVersion"]
                .iter()
                .all(|path| body.pointer(path).is_some());
            (!has_both).then_some("uid and resourceVersion")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_write_after_the_deadline_is_told() {
        let mut conduct = Conduct::default();
        let request = Request::delete(
            "/api/v1/namespaces/sim/pods/a",
            &json!({"preconditions": {"uid": "u"}}),
        );
        assert_eq!(conduct.sends(1, 0, &request).unwrap().rule, "lease");
        conduct.renewed(1, 1_000, true);
        assert_eq!(conduct.sends(1, 10_999, &request), None);
        assert_eq!(conduct.sends(2, 10_999, &request).unwrap().rule, "lease");
        assert_eq!(conduct.sends(1, 11_000, &request).unwrap().rule, "lease");
        conduct.renewed(1, 5_000, false);
        assert_eq!(conduct.sends(1, 6_000, &request).unwrap().rule, "lease");
    }

    #[test]
    fn writes_carry_what_they_rest_on() {
        let pod = "/api/v1/namespaces/sim/pods/a";
        let uid = json!({"metadata": {"uid": "u"}});
        for (request, lacking) in [
            (Request::delete(pod, &json!({})), Some("preconditions.uid")),
            (
                Request::delete(pod, &json!({"preconditions": {"uid": "u"}})),
                None,
            ),
            (
                Request::merge_patch(pod, &json!({"metadata": {}})),
                Some("a uid"),
            ),
            (Request::strategic_patch(pod, &uid), None),
            (
                Request::merge_patch(
                    pod,
                    &json!([{"op": "test", "path": "/metadata/uid", "value": "u"}]),
                ),
                None,
            ),
            (Request::put(pod, &uid), Some("uid and resourceVersion")),
            (
                Request::post("/api/v1/namespaces/sim/pods", &uid),
                Some("a name of its own"),
            ),
        ] {
            assert_eq!(lacks(&request), lacking, "{request:?}");
        }
    }

    #[test]
    fn failures_without_back_off_are_told() {
        let mut conduct = Conduct::default();
        let request = Request::get("/api/v1/namespaces/sim/pods/a");
        // One key that fails as the queue's back-off has it, for an hour.
        let (mut now, mut delay) = (0, 5);
        while now < 3_600_000 {
            assert_eq!(conduct.failed(1, now, &request), None);
            now += delay;
            delay = (delay * 2).min(1_000_000);
        }
        let told = (0..100).find_map(|step| conduct.failed(1, now + step * 20, &request));
        assert_eq!(told.unwrap().rule, "back-off");
    }
}
