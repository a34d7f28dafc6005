use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fake::{Answer, Call, Script, client, refusal};

const COMPONENT: &str = "replicaset-controller";

fn about(name: &str) -> Regarding {
    Regarding {
        api_version: "apps/v1".into(),
        kind: "ReplicaSet".into(),
        namespace: "shop".into(),
        name: name.into(),
        uid: format!("uid-of-{name}").into(),
        resource_version: "17".into(),
    }
}

fn origin() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

/// A correlator with a clock that moves by hand.
struct Desk {
    correlator: Correlator,
    begin: Instant,
    passed: Duration,
}

impl Desk {
    fn new() -> Self {
        Self {
            correlator: Correlator::new(COMPONENT),
            begin: Instant::now(),
            passed: Duration::ZERO,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.passed += time;
    }

    fn report(
        &mut self,
        object: &Regarding,
        reason: &'static str,
        message: &str,
    ) -> Option<Posting> {
        let note = Note {
            object: object.clone(),
            severity: "Normal",
            reason,
            message: message.to_owned(),
            time: origin().checked_add(self.passed).unwrap(),
        };
        self.correlator.correlate(note, self.begin + self.passed)
    }
}

fn body(posting: &Posting) -> Value {
    serde_json::from_slice(&posting.body()).unwrap()
}

fn patch(posting: &Posting) -> Option<Value> {
    posting
        .patch()
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn the_first_of_a_series_is_a_whole_event() {
    let mut desk = Desk::new();
    let posting = desk
        .report(&about("web"), "SuccessfulCreate", "Created pod: web-a")
        .unwrap();
    assert_eq!(patch(&posting), None);
    let nanoseconds: i128 = origin().as_nanosecond();
    assert_eq!(
        body(&posting),
        json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "name": format!("web.{nanoseconds:x}"), "namespace": "shop" },
            "involvedObject": {
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "namespace": "shop",
                "name": "web", "uid": "uid-of-web", "resourceVersion": "17",
            },
            "reason": "SuccessfulCreate",
            "message": "Created pod: web-a",
            "source": { "component": COMPONENT },
            "firstTimestamp": "2026-11-21T10:00:00Z",
            "lastTimestamp": "2026-11-21T10:00:00Z",
            "count": 1,
            "type": "Normal",
            "reportingComponent": COMPONENT,
            "reportingInstance": "",
        })
    );
}

#[test]
fn a_long_name_leaves_room_for_the_rest() {
    let nanoseconds: i128 = origin().as_nanosecond();
    let rest = format!(".{nanoseconds:x}");
    let room = 253 - rest.len();
    for (object, expected) in [
        ("a".repeat(room), "a".repeat(room)),
        ("a".repeat(253), "a".repeat(room)),
        (
            format!("{}-.{}", "a".repeat(room - 2), "b".repeat(17)),
            "a".repeat(room - 2),
        ),
    ] {
        let posting = Desk::new()
            .report(&about(&object), "FailedCreate", "no")
            .unwrap();
        assert_eq!(posting.name, format!("{expected}{rest}"));
        assert_eq!(body(&posting)["involvedObject"]["name"], *object);
    }
}

#[test]
fn events_of_one_moment_have_names_of_their_own() {
    let mut desk = Desk::new();
    let names = ["a", "b", "c"].map(|message| {
        let posting = desk.report(&about("web"), "SuccessfulCreate", message);
        posting.unwrap().name
    });
    let moment = origin().as_nanosecond();
    let expected = [0, 1, 2].map(|later| format!("web.{:x}", moment + later));
    assert_eq!(names, expected);
}

#[test]
fn a_repeat_is_counted_up() {
    let mut desk = Desk::new();
    let first = desk.report(&about("web"), "FailedCreate", "quota").unwrap();
    desk.pass(Duration::from_secs(90));
    let second = desk.report(&about("web"), "FailedCreate", "quota").unwrap();
    assert_eq!(second.name, first.name);
    assert_eq!(
        patch(&second),
        Some(json!({ "count": 2, "lastTimestamp": "2026-11-21T10:01:30Z", "message": "quota" }))
    );
    // If the server has forgotten the event, it is made again with its count.
    assert_eq!(body(&second)["count"], 2);
    assert_eq!(body(&second)["firstTimestamp"], "2026-11-21T10:00:00Z");
    assert_eq!(body(&second)["lastTimestamp"], "2026-11-21T10:01:30Z");
}

#[test]
fn what_differs_in_any_part_is_a_series_of_its_own() {
    let mut desk = Desk::new();
    let twin = Regarding {
        uid: "another".into(),
        ..about("web")
    };
    for (object, reason, message) in [
        (about("web"), "FailedCreate", "quota"),
        (about("api"), "FailedCreate", "quota"),
        (twin, "FailedCreate", "quota"),
        (about("web"), "FailedDelete", "quota"),
        (about("web"), "FailedCreate", "forbidden"),
    ] {
        let posting = desk.report(&object, reason, message).unwrap();
        assert_eq!(patch(&posting), None, "{object:?} {reason} {message}");
    }
}

#[test]
fn the_tenth_different_message_starts_a_combined_event() {
    let mut desk = Desk::new();
    for pod in 1..10 {
        let posting = desk
            .report(
                &about("web"),
                "SuccessfulCreate",
                &format!("Created pod: {pod}"),
            )
            .unwrap();
        assert_eq!(patch(&posting), None, "pod {pod}");
        assert_eq!(body(&posting)["message"], format!("Created pod: {pod}"));
    }
    let tenth = desk
        .report(&about("web"), "SuccessfulCreate", "Created pod: 10")
        .unwrap();
    assert_eq!(patch(&tenth), None);
    assert_eq!(
        body(&tenth)["message"],
        "(combined from similar events): Created pod: 10"
    );
    assert_eq!(body(&tenth)["reportingComponent"], "");
    for pod in 11..=15 {
        let posting = desk
            .report(
                &about("web"),
                "SuccessfulCreate",
                &format!("Created pod: {pod}"),
            )
            .unwrap();
        assert_eq!(posting.name, tenth.name);
        let patch = patch(&posting).unwrap();
        assert_eq!(patch["count"], pod - 9);
        assert_eq!(
            patch["message"],
            format!("(combined from similar events): Created pod: {pod}")
        );
    }
    // Another reason, and another object, start at one.
    for (object, reason) in [
        (about("web"), "SuccessfulDelete"),
        (about("api"), "SuccessfulCreate"),
    ] {
        let posting = desk.report(&object, reason, "x").unwrap();
        assert_eq!(body(&posting)["message"], "x");
    }
}

#[test]
fn ten_quiet_minutes_end_the_combining() {
    let mut desk = Desk::new();
    for pod in 0..12 {
        desk.report(&about("web"), "SuccessfulCreate", &format!("pod {pod}"));
    }
    // Each event moves the window: exactly 10 min after the last one it still counts.
    desk.pass(Duration::from_mins(10));
    let within = desk
        .report(&about("web"), "SuccessfulCreate", "pod 12")
        .unwrap();
    assert!(
        body(&within)["message"]
            .as_str()
            .unwrap()
            .starts_with("(combined")
    );
    desk.pass(Duration::from_secs(601));
    let after = desk
        .report(&about("web"), "SuccessfulCreate", "pod 13")
        .unwrap();
    assert_eq!(body(&after)["message"], "pod 13");
}

#[test]
fn twenty_five_pass_and_then_one_each_five_minutes() {
    let mut desk = Desk::new();
    let passed = |desk: &mut Desk, count: u32| {
        (0..count)
            .filter(|_| {
                desk.report(&about("web"), "FailedCreate", "quota")
                    .is_some()
            })
            .count()
    };
    assert_eq!(passed(&mut desk, 40), 25);
    // Another object, and another severity, have budgets of their own.
    assert!(
        desk.report(&about("api"), "FailedCreate", "quota")
            .is_some()
    );
    desk.pass(Duration::from_secs(299));
    assert_eq!(passed(&mut desk, 3), 0);
    desk.pass(Duration::from_secs(2));
    assert_eq!(passed(&mut desk, 3), 1);
    desk.pass(Duration::from_hours(24));
    assert_eq!(passed(&mut desk, 40), 25);
}

#[test]
fn what_was_held_back_is_still_counted() {
    let mut desk = Desk::new();
    for _ in 0..40 {
        desk.report(&about("web"), "FailedCreate", "quota");
    }
    desk.pass(Duration::from_mins(5));
    let next = desk.report(&about("web"), "FailedCreate", "quota").unwrap();
    assert_eq!(patch(&next).unwrap()["count"], 41);
}

#[test]
fn an_object_without_namespace_is_told_of_in_default() {
    let mut desk = Desk::new();
    let node = Regarding {
        namespace: "".into(),
        ..about("node-1")
    };
    let posting = desk.report(&node, "Rebooted", "x").unwrap();
    assert_eq!(body(&posting)["metadata"]["namespace"], "default");
}

/// A recorder whose poster runs until the returned token is cancelled.
fn running(
    client: Client,
) -> (
    Recorder,
    EventMetrics,
    CancellationToken,
    tokio::task::JoinHandle<()>,
) {
    let metrics = EventMetrics::default();
    let (recorder, poster) = Recorder::new(
        COMPONENT,
        client,
        Clock::starting_at(origin()),
        1,
        metrics.clone(),
    );
    let stop = CancellationToken::new();
    let task = tokio::spawn(poster.run(stop.clone()));
    (recorder, metrics, stop, task)
}

#[tokio::test(start_paused = true)]
async fn repeats_are_patched_and_a_forgotten_event_is_made_again() {
    let script = Script::new([
        Ok((201, json!({}))),
        Ok((200, json!({}))),
        refusal(404, "NotFound", "events \"web.1\" not found"),
        Ok((201, json!({}))),
    ]);
    let (recorder, _, _stop, task) = running(script.client());
    for _ in 0..3 {
        recorder.event(&about("web"), &Event::warning("FailedCreate", "quota"));
    }
    drop(recorder);
    task.await.unwrap();
    let calls = script.calls();
    let name = calls[0].body["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        script.lines(),
        [
            "POST /api/v1/namespaces/shop/events".to_owned(),
            format!("PATCH /api/v1/namespaces/shop/events/{name}"),
            format!("PATCH /api/v1/namespaces/shop/events/{name}"),
            "POST /api/v1/namespaces/shop/events".to_owned(),
        ]
    );
    assert_eq!(
        calls[1].content_type,
        "application/strategic-merge-patch+json"
    );
    assert_eq!(calls[3].body["count"], 3);
    assert_eq!(calls[3].body["type"], "Warning");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_a_lost_connection_is_not() {
    let script = Script::new([
        refusal(403, "Forbidden", "namespace shop is being terminated"),
        Err("connection refused"),
        Err("connection refused"),
        Ok((201, json!({}))),
    ]);
    let (recorder, metrics, _stop, task) = running(script.client());
    let started = Instant::now();
    recorder.event(&about("web"), &Event::normal("A", "refused"));
    recorder.event(&about("web"), &Event::normal("B", "late"));
    drop(recorder);
    task.await.unwrap();
    assert_eq!(script.calls().len(), 4);
    assert_eq!(metrics.dropped(COMPONENT, "refused"), 1);
    assert_eq!(metrics.dropped(COMPONENT, "unreachable"), 0);
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(10) && waited < Duration::from_secs(20),
        "a random part of 10 s and then 10 s, but it was {waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn after_twelve_tries_the_event_is_given_up() {
    let script = Script::new((0..12).map(|_| Err("connection refused")));
    let (recorder, metrics, _stop, task) = running(script.client());
    recorder.event(&about("web"), &Event::normal("A", "lost"));
    drop(recorder);
    task.await.unwrap();
    assert_eq!(metrics.dropped(COMPONENT, "unreachable"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_never_waits() {
    let stuck = client(|_: Call| std::future::pending::<Answer>());
    let (recorder, metrics, stop, task) = running(stuck);
    let started = Instant::now();
    for object in 0..1500 {
        recorder.event(&about(&format!("web-{object}")), &Event::normal("A", "x"));
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(metrics.dropped(COMPONENT, "queue_full"), 500);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn spam_is_counted() {
    let silent = client(|_: Call| async { Ok((200, json!({}))) });
    let (recorder, metrics, _stop, task) = running(silent);
    for _ in 0..40 {
        recorder.event(&about("web"), &Event::warning("FailedCreate", "quota"));
    }
    drop(recorder);
    task.await.unwrap();
    assert_eq!(metrics.dropped(COMPONENT, "spam"), 15);
}
