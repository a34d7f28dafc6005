//! The watch against scripted replies under the ordinary client. Time is paused: it moves
//! only when every task waits. The real API server is what the e2e suite runs against.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ironkeel_plan::meta::Key;
use prometheus_client::registry::Registry;

use self::server::{Pipe, Reply, Run, line, pod, run};
use super::*;
use crate::barrier::{Barrier, Owner, Readiness};
use crate::resource::{NATIVE_REPLICA_SETS, PODS, REPLICA_SETS};

mod protobuf;
mod server;

const LIST: &str = "/api/v1/pods?limit=2000";

/// The URI of a watch from `version`.
fn from(version: u64) -> String {
    format!("/api/v1/pods?resourceVersion={version}&watch=true&allowWatchBookmarks=true")
}

/// A list of a (version 5) and b (version 7) at version 10.
fn two_pods() -> Reply {
    Reply::page(&[pod("a", "uid-a", 5), pod("b", "uid-b", 7)], 10, "")
}

/// A list of nothing at `version`.
fn nothing(version: u64) -> Reply {
    Reply::page(&[], version, "")
}

/// A watch that has sent nothing yet.
fn watch() -> (Reply, Pipe) {
    Reply::stream::<String>(&[])
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_as_a_watch() {
    let (watch, pipe) = watch();
    let run = run(vec![two_pods(), watch]);
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7");
    assert!(run.store.is_synced());
    assert_eq!(*run.state.borrow(), WatchState::Live);

    pipe.send(line("MODIFIED", &pod("a", "uid-a", 11)));
    pipe.send(line("ADDED", &pod("c", "uid-c", 12)));
    pipe.send(line("DELETED", &pod("b", "uid-b", 13)));
    pipe.send(line("BOOKMARK", &server::meta(20)));
    run.settle().await;
    assert_eq!(run.take_log(), "@11 a@5>11 @12 +c@12 @13 -b@7 @20");
    assert_eq!(run.store.resource_version(), 20);
    assert_eq!(run.store.len(), 2);
    assert_eq!(run.requests(), [LIST, &from(10)]);
}

#[tokio::test(start_paused = true)]
async fn lines_are_found_wherever_chunks_end() {
    let (watch, pipe) = watch();
    let run = run(vec![two_pods(), watch]);
    let text =
        line("ADDED", &pod("c", "uid-c", 11)) + "\n" + &line("MODIFIED", &pod("b", "uid-b", 12));
    for piece in text.as_bytes().chunks(7) {
        pipe.send(std::str::from_utf8(piece).unwrap());
        run.settle().await;
    }
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @11 +c@11 @12 b@7>12");
}

#[tokio::test(start_paused = true)]
async fn a_list_is_read_page_by_page() {
    let (watch, _pipe) = watch();
    let run = run(vec![
        Reply::page(&[pod("a", "uid-a", 5)], 10, "next one/"),
        Reply::page(&[pod("b", "uid-b", 7)], 10, ""),
        watch,
    ]);
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7");
    let second = format!("{LIST}&continue=next%20one%2F");
    assert_eq!(run.requests(), [LIST, &second, &from(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_between_pages_is_asked_for_at_once() {
    let (watch, _pipe) = watch();
    let run = run(vec![
        Reply::page(&[pod("a", "uid-a", 5)], 10, "token"),
        Reply::status(410, "Expired", "the continue token is too old"),
        Reply::page(&[pod("a", "uid-a", 5), pod("b", "uid-b", 7)], 30, ""),
        watch,
    ]);
    run.pass(1).await;
    assert_eq!(run.take_log(), "@30 +a@5 +b@7");
    let second = format!("{LIST}&continue=token");
    assert_eq!(run.requests(), [LIST, &second, "/api/v1/pods", &from(30)]);
}

#[tokio::test(start_paused = true)]
async fn deletions_missed_during_a_gap_come_out_of_the_new_list() {
    let (first, pipe) = watch();
    let (second, _pipe) = watch();
    let later = Reply::page(&[pod("a", "uid-a", 5), pod("c", "uid-c", 40)], 50, "");
    let run = run(vec![two_pods(), first, later, second]);
    run.settle().await;
    run.take_log();
    pipe.send(line(
        "ERROR",
        &server::status(410, "Expired", "too old resource version"),
    ));
    run.pass(1).await;
    assert_eq!(run.take_log(), "@50 +c@40 -b@7");
    assert_eq!(run.requests(), [LIST, &from(10), LIST, &from(50)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_somebody_wants_is_made_at_once_although_the_watch_is_silent() {
    let (first, _silent) = watch();
    let (second, pipe) = watch();
    let later = Reply::page(&[pod("a", "uid-a", 5), pod("c", "uid-c", 40)], 50, "");
    let run = run(vec![two_pods(), first, later, second]);
    run.settle().await;
    run.take_log();
    let moment = Instant::now();
    run.store.listed_since(moment).await;
    assert_eq!(moment.elapsed(), Duration::ZERO);
    assert_eq!(run.take_log(), "@50 +c@40 -b@7");
    // That list was the one that was wanted: nobody asks for another.
    pipe.send(line("BOOKMARK", &server::meta(60)));
    run.pass(1).await;
    assert_eq!(run.take_log(), "@60");
    assert_eq!(run.requests(), [LIST, &from(10), LIST, &from(50)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_somebody_wants_does_not_wait_for_the_back_off() {
    // The watch ends as soon as it has begun, and is not resumed at once.
    let (first, pipe) = watch();
    let (second, _pipe) = watch();
    let run = run(vec![two_pods(), first, nothing(60), second]);
    run.settle().await;
    drop(pipe);
    run.settle().await;
    run.take_log();
    let moment = Instant::now();
    run.store.listed_since(moment).await;
    assert_eq!(moment.elapsed(), Duration::ZERO);
    assert_eq!(run.take_log(), "@60 -a@5 -b@7");
    run.settle().await;
    assert_eq!(run.requests(), [LIST, &from(10), LIST, &from(60)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_failed_is_not_repeated_sooner_because_somebody_waits() {
    let away = || Reply::status(503, "ServiceUnavailable", "away");
    let run = run(vec![away(), away(), nothing(60)]);
    run.settle().await;
    let store = run.store.clone();
    let moment = Instant::now();
    store.listed_since(moment).await;
    assert!(moment.elapsed() > Duration::ZERO);
    assert_eq!(run.requests()[..3], [LIST, LIST, LIST]);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_no_event_answers_is_settled_by_one_new_list() {
    let barrier = Barrier::register(&mut Registry::default());
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    barrier.on_ready(NATIVE_REPLICA_SETS, move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let (first, _silent) = watch();
    let (second, _silent_too) = watch();
    let later = Reply::page(&[pod("b", "uid-b", 7)], 50, "");
    let replies = vec![two_pods(), first, later, second];
    let run = server::start_with(PODS, Scope::default(), replies, &barrier);
    run.settle().await;
    let owner = Owner {
        resource: NATIVE_REPLICA_SETS,
        key: Key::new("ns", "web"),
        uid: "uid-web".into(),
    };
    barrier.deleting(&owner, PODS, "uid-a");
    assert_ne!(barrier.check(&owner.uid), Readiness::Ready);
    run.pass(30).await;
    barrier.hurry();
    run.pass(1).await;
    assert_eq!(barrier.check(&owner.uid), Readiness::Ready);
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    run.pass(60).await;
    barrier.hurry();
    run.pass(1).await;
    assert_eq!(run.requests(), [LIST, &from(10), LIST, &from(50)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_resumption_lists_anew() {
    for refusal in [
        Reply::status(410, "Gone", "too old"),
        Reply::text(504, server::too_large()),
    ] {
        let (first, pipe) = watch();
        let (second, _pipe) = watch();
        let run = run(vec![two_pods(), first, refusal, nothing(60), second]);
        run.settle().await;
        run.take_log();
        drop(pipe);
        run.pass(1).await;
        assert_eq!(run.take_log(), "@60 -a@5 -b@7");
        let (resumed, again) = (from(10), from(60));
        assert_eq!(run.requests(), [LIST, &resumed, &resumed, LIST, &again]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_or_broken_watch_resumes_where_it_was() {
    let end: [fn(Pipe); 2] = [drop, Pipe::fail];
    for end in end {
        let (first, pipe) = watch();
        let (second, second_pipe) = watch();
        let run = run(vec![two_pods(), first, second]);
        run.settle().await;
        pipe.send(line("BOOKMARK", &server::meta(25)));
        // Cut off in the middle of an event: it comes again.
        pipe.send("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":");
        run.settle().await;
        end(pipe);
        run.pass(1).await;
        second_pipe.send(line("MODIFIED", &pod("a", "uid-a", 26)));
        run.settle().await;
        assert_eq!(run.take_log(), "@10 +a@5 +b@7 @25 @26 a@5>26");
        assert_eq!(run.requests(), [LIST, &from(10), &from(25)]);
    }
}

#[tokio::test(start_paused = true)]
async fn replayed_events_bring_nothing_back() {
    let (first, pipe) = watch();
    let run = run(vec![two_pods(), first]);
    pipe.send(line("DELETED", &pod("b", "uid-b", 11)));
    pipe.send(line("ADDED", &pod("b", "uid-b", 7)));
    pipe.send(line("DELETED", &pod("b", "uid-b", 11)));
    pipe.send(line("BOOKMARK", &server::meta(9)));
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @11 -b@7");
    assert_eq!(run.store.resource_version(), 11);
}

/// A pod whose name is fine and whose rest is not.
fn broken(name: &str, uid: &str, version: u64) -> String {
    pod(name, uid, version).replace("\"status\":{}", "\"status\":\"broken\"")
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_decoded_is_skipped_alone() {
    let (first, pipe) = watch();
    let run = run(vec![two_pods(), first]);
    run.settle().await;
    run.take_log();
    let store = &run.store;
    pipe.send(line("ADDED", &broken("x", "uid-x", 11)));
    pipe.send(line("MODIFIED", &broken("a", "uid-a", 12)));
    pipe.send(line("MODIFIED", &pod("b", "uid-b", 13)));
    run.settle().await;
    assert_eq!(run.take_log(), "@11 @12 @13 b@7>13");
    assert_eq!(store.get(&Key::new("ns", "a")).unwrap().resource_version, 5);

    // What is known of it is enough to see it go, or another one take its name.
    pipe.send(line("DELETED", &broken("a", "uid-a", 14)));
    pipe.send(line("ADDED", &broken("b", "uid-b2", 15)));
    run.settle().await;
    assert_eq!(run.take_log(), "@14 -a@5 @15 -b@13");
    assert!(
        run.metrics()
            .contains("ironkeel_watch_decode_errors_total{group=\"\",resource=\"pods\"} 3")
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_a_list_garbles_is_not_taken_for_deleted() {
    let items = [
        broken("a", "uid-a", 6),
        broken("b", "uid-other", 8),
        pod("c", "uid-c", 9),
    ];
    let expired = line("ERROR", &server::status(410, "Expired", "too old"));
    let (first, _pipe) = Reply::stream(&[expired]);
    let (second, _second_pipe) = watch();
    let run = run(vec![two_pods(), first, Reply::page(&items, 50, ""), second]);
    run.pass(1).await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @50 +c@9 -b@7");
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_asked_for_again_and_at_last_listed_anew() {
    let mut replies = vec![two_pods()];
    replies.push(Reply::stream(&["<html>a proxy says no</html>\n"]).0);
    replies.extend((0..3).map(|_| Reply::stream(&["gibberish\n"]).0));
    let (last, _pipe) = watch();
    replies.extend([nothing(70), last]);
    let run = run(replies);
    run.pass(10).await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @70 -a@5 -b@7");
    let again = from(10);
    assert_eq!(
        run.requests(),
        [LIST, &again, &again, &again, &again, LIST, &from(70)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_crd_is_a_state_and_is_looked_for() {
    let mut replies: Vec<Reply> = (0..200)
        .map(|_| Reply::text(404, "404 page not found\n"))
        .collect();
    replies.push(nothing(10));
    let run = server::start(REPLICA_SETS, Scope::default(), replies);
    run.pass(600).await;
    assert_eq!(*run.state.borrow(), WatchState::Missing);
    assert!(!run.store.is_synced());
    assert!(
        run.longest_pause() <= MISSING_CAP,
        "{:?}",
        run.longest_pause()
    );
    run.pass(1400).await;
    assert_eq!(run.take_log(), "@10");
    assert_eq!(
        WatchState::Missing.to_string(),
        "not served: its CustomResourceDefinition is missing or too old"
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_wait_as_long_as_the_server_says() {
    let plain = "Too many requests, please try again later.";
    let (last, _pipe) = watch();
    let run = run(vec![
        Reply::text(429, plain).with_header("retry-after", "7"),
        nothing(10),
        last,
    ]);
    run.pass(6).await;
    assert_eq!(run.requests().len(), 1);
    assert_eq!(
        *run.state.borrow(),
        WatchState::Failing(format!("429: {plain}"))
    );
    run.pass(2).await;
    assert_eq!(run.take_log(), "@10");
    assert_eq!(*run.state.borrow(), WatchState::Live);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_restarts_is_found_within_two_seconds() {
    let (first, pipe) = watch();
    let mut replies = vec![two_pods(), first];
    replies.extend((0..15).map(|_| Reply::refused()));
    let (back, _back) = Reply::stream(&[line("MODIFIED", &pod("a", "uid-a", 11))]);
    replies.push(back);
    let run = run(replies);
    run.settle().await;
    drop(pipe);
    run.pass(22).await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @11 a@5>11");
    assert!(run.longest_pause() <= Duration::from_millis(1600));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_at_once_is_not_hammered() {
    let (first, pipe) = watch();
    let mut replies = vec![two_pods(), first];
    replies.extend((0..1000).map(|_| watch().0));
    let run = run(replies);
    drop(pipe);
    run.pass(60).await;
    assert!(run.requests().len() < 80, "{}", run.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_too_old_at_once_is_not_repeated_in_a_hot_loop() {
    let replies = (0..1000)
        .flat_map(|_| {
            let expired = line("ERROR", &server::status(410, "Expired", "too old"));
            [nothing(10), Reply::stream(&[expired]).0]
        })
        .collect();
    let run = run(replies);
    run.pass(60).await;
    let lists = run.requests().iter().filter(|uri| *uri == LIST).count();
    assert!(lists < 80, "{lists}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_reopened() {
    let (first, _silent) = watch();
    let (second, _pipe) = watch();
    let run = run(vec![two_pods(), first, second]);
    run.pass(149).await;
    assert_eq!(run.requests(), [LIST, &from(10)]);
    run.pass(2).await;
    assert_eq!(run.requests(), [LIST, &from(10), &from(10)]);
    assert_eq!(*run.state.borrow(), WatchState::Live);
}

#[tokio::test(start_paused = true)]
async fn the_scope_is_in_every_request() {
    let scope = Scope {
        namespace: Some("blue".to_owned()),
        labels: Some("app in (a,b),tier=x".to_owned()),
        fields: Some("spec.nodeName=n1".to_owned()),
    };
    let (watch, _pipe) = watch();
    let replies = vec![nothing(10), watch];
    let run = server::start(PODS, scope, replies);
    run.settle().await;
    let scope = "/api/v1/namespaces/blue/pods?labelSelector=app%20in%20%28a%2Cb%29%2Ctier%3Dx\
        &fieldSelector=spec.nodeName%3Dn1";
    assert_eq!(
        run.requests(),
        [
            format!("{scope}&limit=2000"),
            format!("{scope}&resourceVersion=10&watch=true&allowWatchBookmarks=true")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_the_watch_and_its_connection() {
    let (first, pipe) = watch();
    let run = run(vec![two_pods(), first]);
    run.settle().await;
    run.cancel.cancel();
    run.done.await.unwrap();
    assert!(pipe.is_closed());
}

#[test]
fn metrics_register_once_for_all_watches() {
    let mut registry = Registry::default();
    let metrics = WatchMetrics::register(&mut registry);
    for resource in [PODS, REPLICA_SETS] {
        metrics.counters(resource).lists.inc();
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for resource in [
        "group=\"\",resource=\"pods\"",
        "group=\"apps.ironkeel.dev\",resource=\"replicasets\"",
    ] {
        assert!(text.contains(&format!("ironkeel_watch_lists_total{{{resource}}} 1")));
    }
}

impl Run {
    /// Lets everything happen that happens without waiting.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Lets so many seconds of paused time pass.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}
