//! The same watch when the API server answers in protobuf.

use super::server::{Pipe, Reply, run};
use super::*;
use crate::protobuf::encode::{Encoder, envelope, meta, status};

/// The reply says that it is protobuf; a watch adds `;stream=watch`.
fn in_protobuf(reply: Reply) -> Reply {
    reply.with_header("content-type", "application/vnd.kubernetes.protobuf")
}

fn stream(events: &[Vec<u8>]) -> (Reply, Pipe) {
    let (reply, pipe) = Reply::stream(events);
    let kind = "application/vnd.kubernetes.protobuf;stream=watch";
    (reply.with_header("content-type", kind), pipe)
}

fn pod(name: &str, uid: &str, version: u64) -> Encoder {
    Encoder::default()
        .message(1, meta(name, uid, version))
        .bytes(2, "")
        .bytes(3, "")
}

/// A pod whose namespace is no text, and whose node neither.
fn broken(name: &str, uid: &str, version: u64) -> Encoder {
    let spec = Encoder::default().bytes(10, [0xff]);
    pod(name, uid, version).message(2, spec)
}

/// An event in its frame.
fn event(kind: &str, object_kind: &str, object: Encoder) -> Vec<u8> {
    let raw = Encoder::default().bytes(1, envelope(object_kind, object));
    let event = Encoder::default().bytes(1, kind).message(2, raw).build();
    let length = u32::try_from(event.len()).unwrap().to_be_bytes();
    [length.to_vec(), event].concat()
}

fn bookmark(version: u64) -> Vec<u8> {
    let metadata = meta("", "", version);
    event("BOOKMARK", "Pod", Encoder::default().message(1, metadata))
}

fn page(items: &[Encoder], version: u64, next: &str) -> Reply {
    let metadata = Encoder::default()
        .bytes(2, version.to_string())
        .bytes(3, next);
    let list = Encoder::default().message(1, metadata);
    let list = items
        .iter()
        .fold(list, |list, item| list.message(2, item.clone()));
    in_protobuf(Reply::text(200, envelope("PodList", list)))
}

/// A list of a (version 5) and b (version 7) at version 10.
fn two_pods() -> Reply {
    page(&[pod("a", "uid-a", 5), pod("b", "uid-b", 7)], 10, "")
}

#[test]
fn pods_are_wanted_in_protobuf_and_sets_in_json() {
    assert_eq!(
        accept::<Pod>(),
        "application/vnd.kubernetes.protobuf, application/json"
    );
    assert_eq!(
        accept::<ironkeel_plan::workload::ReplicaSet>(),
        "application/json"
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_as_a_watch() {
    let (watch, pipe) = stream(&[]);
    let run = run(vec![two_pods(), watch]);
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7");
    assert!(run.store.is_synced());

    pipe.send(event("MODIFIED", "Pod", pod("a", "uid-a", 11)));
    pipe.send(event("ADDED", "Pod", pod("c", "uid-c", 12)));
    pipe.send(event("DELETED", "Pod", pod("b", "uid-b", 13)));
    pipe.send(bookmark(20));
    run.settle().await;
    assert_eq!(run.take_log(), "@11 a@5>11 @12 +c@12 @13 -b@7 @20");
    assert_eq!(run.store.resource_version(), 20);
}

#[tokio::test(start_paused = true)]
async fn frames_are_found_wherever_chunks_end() {
    for size in [1, 3, 7, 64] {
        let (watch, pipe) = stream(&[]);
        let run = run(vec![two_pods(), watch]);
        let first = event("ADDED", "Pod", pod("c", "uid-c", 11));
        let last = event("MODIFIED", "Pod", pod("b", "uid-b", 12));
        let all = [first, vec![0; 4], last].concat();
        for piece in all.chunks(size) {
            pipe.send(piece);
            run.settle().await;
        }
        assert_eq!(
            run.take_log(),
            "@10 +a@5 +b@7 @11 +c@11 @12 b@7>12",
            "{size}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_means_a_new_list() {
    let (first, pipe) = stream(&[]);
    let (second, _pipe) = stream(&[]);
    let later = page(&[pod("c", "uid-c", 40)], 50, "");
    let run = run(vec![two_pods(), first, later, second]);
    run.settle().await;
    run.take_log();
    let gone = status(410, "Expired", "too old resource version");
    pipe.send(event("ERROR", "Status", gone));
    run.pass(1).await;
    assert_eq!(run.take_log(), "@50 +c@40 -a@5 -b@7");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_decoded_is_skipped_alone() {
    let (watch, pipe) = stream(&[]);
    let run = run(vec![two_pods(), watch]);
    run.settle().await;
    run.take_log();
    pipe.send(event("ADDED", "Pod", broken("x", "uid-x", 11)));
    pipe.send(event("MODIFIED", "Pod", broken("a", "uid-a", 12)));
    pipe.send(event("ADDED", "Pod", pod("c", "uid-c", 13)));
    run.settle().await;
    assert_eq!(run.take_log(), "@11 @12 @13 +c@13");
    assert!(
        run.metrics()
            .contains("ironkeel_watch_decode_errors_total{group=\"\",resource=\"pods\"} 2")
    );
}

#[tokio::test(start_paused = true)]
async fn pages_are_read_too() {
    let (watch, _pipe) = stream(&[]);
    let run = run(vec![
        page(&[pod("a", "uid-a", 5), broken("x", "uid-x", 6)], 10, "more"),
        page(&[pod("b", "uid-b", 7)], 10, ""),
        watch,
    ]);
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7");
    let second = format!("{LIST}&continue=more");
    assert_eq!(run.requests(), [LIST, &second, &from(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_read_too() {
    let refused = |code, reason| {
        let status = status(code, reason, "not now");
        in_protobuf(Reply::text(code, envelope("Status", status)))
    };
    let run = run(vec![refused(403, "Forbidden")]);
    run.settle().await;
    let state = run.state.borrow().clone();
    assert_eq!(state, WatchState::Failing("403: not now".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_named_and_the_watch_is_opened_again() {
    let length = |length: u32| length.to_be_bytes().to_vec();
    for (garbage, expected) in [
        (
            length(u32::MAX),
            "not understood: a frame of 4294967295 bytes",
        ),
        (
            [length(3), b"abc".to_vec()].concat(),
            "not understood: failed to decode Protobuf message",
        ),
        (
            event("SURPRISE", "Pod", pod("a", "uid-a", 11)),
            "not understood: an event of type b\"SURPRISE\"",
        ),
        (
            [length(2), vec![0x0a, 0]].concat(),
            "not understood: the protobuf envelope is missing",
        ),
    ] {
        let (first, pipe) = stream(&[]);
        let (second, _pipe) = stream(&[]);
        let run = run(vec![two_pods(), first, second]);
        run.settle().await;
        pipe.send(garbage);
        run.settle().await;
        let state = run.state.borrow().to_string();
        assert!(state.contains(expected), "{state}");
        run.pass(2).await;
        assert_eq!(*run.state.borrow(), WatchState::Live);
        assert_eq!(run.requests(), [LIST, &from(10), &from(10)]);
    }
}
