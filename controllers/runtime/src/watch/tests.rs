//! The watch against scripted replies under the ordinary client. Time is paused: it moves
//! only when every task waits. The real API server is what the e2e suite runs against.

use ironkeel_plan::meta::Key;
use prometheus_client::registry::Registry;

use self::server::{Pipe, Reply, Run, end_of_list, line, pod, run, started};
use super::*;
use crate::resource::{PODS, REPLICA_SETS};

mod protobuf;
mod server;

const STREAM: &str = "/api/v1/pods?sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
    &watch=true&allowWatchBookmarks=true";
const LIST: &str = "/api/v1/pods?limit=500";

/// The URI of a watch from `version`.
fn from(version: u64) -> String {
    format!("/api/v1/pods?resourceVersion={version}&watch=true&allowWatchBookmarks=true")
}

/// A streaming list of a (version 5) and b (version 7) at version 10.
fn two_pods() -> Vec<String> {
    vec![
        line("ADDED", &pod("a", "uid-a", 5)),
        line("ADDED", &pod("b", "uid-b", 7)),
        end_of_list(10),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_goes_on_as_a_watch() {
    let (reply, pipe) = Reply::stream(&two_pods());
    let run = run(vec![reply]);
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7");
    assert!(run.store.is_synced());
    assert_eq!(*run.state.borrow(), WatchState::Live);

    pipe.send(&line("MODIFIED", &pod("a", "uid-a", 11)));
    pipe.send(&line("ADDED", &pod("c", "uid-c", 12)));
    pipe.send(&line("DELETED", &pod("b", "uid-b", 13)));
    pipe.send(&line("BOOKMARK", &server::meta(20)));
    run.settle().await;
    assert_eq!(run.take_log(), "@11 a@5>11 @12 +c@12 @13 -b@7 @20");
    assert_eq!(run.store.resource_version(), 20);
    assert_eq!(run.store.len(), 2);
    assert_eq!(run.requests(), [STREAM]);
}

#[tokio::test(start_paused = true)]
async fn lines_are_found_wherever_chunks_end() {
    let (reply, pipe) = Reply::stream::<String>(&[]);
    let run = run(vec![reply]);
    let text: String = two_pods().concat() + "\n" + &line("MODIFIED", &pod("b", "uid-b", 11));
    for piece in text.as_bytes().chunks(7) {
        pipe.send(std::str::from_utf8(piece).unwrap());
        run.settle().await;
    }
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @11 b@7>11");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_stream_is_listed_page_by_page() {
    let (watch, _pipe) = Reply::stream::<String>(&[]);
    let run = run(vec![
        Reply::status(422, "Invalid", "sendInitialEvents is forbidden"),
        Reply::page(&[pod("a", "uid-a", 5)], 10, "next one/"),
        Reply::page(&[pod("b", "uid-b", 7)], 10, ""),
        watch,
    ]);
    run.settle().await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7");
    let second = format!("{LIST}&continue=next%20one%2F");
    assert_eq!(run.requests(), [STREAM, LIST, &second, &from(10)]);
    assert_eq!(started(&run), 0, "the fall-back costs no time");
}

#[tokio::test(start_paused = true)]
async fn a_list_without_end_falls_back_to_pages() {
    let (endless, _pipe) = Reply::stream(&[line("ADDED", &pod("a", "uid-a", 5))]);
    let (watch, _pipe) = Reply::stream::<String>(&[]);
    let run = run(vec![endless, Reply::page(&[], 10, ""), watch]);
    run.pass(31).await;
    assert_eq!(run.take_log(), "@10");
    assert_eq!(run.requests(), [STREAM, LIST, &from(10)]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_expires_between_pages_is_asked_for_at_once() {
    let (watch, _pipe) = Reply::stream::<String>(&[]);
    let run = server::run_paged(vec![
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
    let (first, pipe) = Reply::stream(&two_pods());
    let (second, _pipe) = Reply::stream(&[
        line("ADDED", &pod("a", "uid-a", 5)),
        line("ADDED", &pod("c", "uid-c", 40)),
        end_of_list(50),
    ]);
    let run = run(vec![first, second]);
    run.settle().await;
    run.take_log();
    pipe.send(&line(
        "ERROR",
        &server::status(410, "Expired", "too old resource version"),
    ));
    run.pass(1).await;
    assert_eq!(run.take_log(), "@50 +c@40 -b@7");
    assert_eq!(run.requests(), [STREAM, STREAM]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_resumption_lists_anew() {
    for refusal in [
        Reply::status(410, "Gone", "too old"),
        Reply::text(504, &server::too_large()),
    ] {
        let (first, pipe) = Reply::stream(&two_pods());
        let (third, _pipe) = Reply::stream(&[end_of_list(60)]);
        let run = run(vec![first, refusal, third]);
        run.settle().await;
        run.take_log();
        drop(pipe);
        run.pass(1).await;
        assert_eq!(run.take_log(), "@60 -a@5 -b@7");
        assert_eq!(run.requests(), [STREAM, &from(10), STREAM]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_or_broken_watch_resumes_where_it_was() {
    let end: [fn(Pipe); 2] = [drop, Pipe::fail];
    for end in end {
        let (first, pipe) = Reply::stream(&two_pods());
        let (second, second_pipe) = Reply::stream::<String>(&[]);
        let run = run(vec![first, second]);
        run.settle().await;
        pipe.send(&line("BOOKMARK", &server::meta(25)));
        // Cut off in the middle of an event: it comes again.
        pipe.send("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":");
        run.settle().await;
        end(pipe);
        run.pass(1).await;
        second_pipe.send(&line("MODIFIED", &pod("a", "uid-a", 26)));
        run.settle().await;
        assert_eq!(run.take_log(), "@10 +a@5 +b@7 @25 @26 a@5>26");
        assert_eq!(run.requests(), [STREAM, &from(25)]);
    }
}

#[tokio::test(start_paused = true)]
async fn replayed_events_bring_nothing_back() {
    let (first, pipe) = Reply::stream(&two_pods());
    let run = run(vec![first]);
    pipe.send(&line("DELETED", &pod("b", "uid-b", 11)));
    pipe.send(&line("ADDED", &pod("b", "uid-b", 7)));
    pipe.send(&line("DELETED", &pod("b", "uid-b", 11)));
    pipe.send(&line("BOOKMARK", &server::meta(9)));
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
    let (first, pipe) = Reply::stream(&two_pods());
    let run = run(vec![first]);
    run.settle().await;
    run.take_log();
    let store = &run.store;
    pipe.send(&line("ADDED", &broken("x", "uid-x", 11)));
    pipe.send(&line("MODIFIED", &broken("a", "uid-a", 12)));
    pipe.send(&line("MODIFIED", &pod("b", "uid-b", 13)));
    run.settle().await;
    assert_eq!(run.take_log(), "@11 @12 @13 b@7>13");
    assert_eq!(store.get(&Key::new("ns", "a")).unwrap().resource_version, 5);

    // What is known of it is enough to see it go, or another one take its name.
    pipe.send(&line("DELETED", &broken("a", "uid-a", 14)));
    pipe.send(&line("ADDED", &broken("b", "uid-b2", 15)));
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
    let mut lines: Vec<String> = items.iter().map(|item| line("ADDED", item)).collect();
    lines.push(end_of_list(50));
    let (streamed, _pipe) = Reply::stream(&lines);
    let (watch, _watch_pipe) = Reply::stream::<String>(&[]);
    let kinds: [(bool, Vec<Reply>); 2] = [
        (true, vec![streamed]),
        (false, vec![Reply::page(&items, 50, ""), watch]),
    ];
    for (streaming, second_list) in kinds {
        let mut replies = Vec::new();
        let expired = line("ERROR", &server::status(410, "Expired", "too old"));
        if streaming {
            let mut lines = two_pods();
            lines.push(expired);
            replies.push(Reply::stream(&lines).0);
        } else {
            let both = [pod("a", "uid-a", 5), pod("b", "uid-b", 7)];
            replies.push(Reply::page(&both, 10, ""));
            replies.push(Reply::stream(&[expired]).0);
        }
        replies.extend(second_list);
        let run = if streaming {
            run(replies)
        } else {
            server::run_paged(replies)
        };
        run.pass(1).await;
        assert_eq!(run.take_log(), "@10 +a@5 +b@7 @50 +c@9 -b@7");
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_asked_for_again_and_at_last_listed_anew() {
    let (first, pipe) = Reply::stream(&two_pods());
    pipe.send("<html>a proxy says no</html>\n");
    let mut replies = vec![first];
    replies.extend((0..3).map(|_| Reply::stream(&["gibberish\n".to_owned()]).0));
    let (last, _pipe) = Reply::stream(&[end_of_list(70)]);
    replies.push(last);
    let run = run(replies);
    run.pass(10).await;
    assert_eq!(run.take_log(), "@10 +a@5 +b@7 @70 -a@5 -b@7");
    let again = from(10);
    assert_eq!(run.requests(), [STREAM, &again, &again, &again, STREAM]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_crd_is_a_state_and_is_looked_for() {
    let mut replies: Vec<Reply> = (0..200)
        .map(|_| Reply::text(404, "404 page not found\n"))
        .collect();
    replies.push(Reply::stream(&[end_of_list(10)]).0);
    let run = server::start(REPLICA_SETS, Scope::default(), true, replies);
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
    let (last, _pipe) = Reply::stream(&[end_of_list(10)]);
    let run = run(vec![
        Reply::text(429, plain).with_header("retry-after", "7"),
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
    let (first, pipe) = Reply::stream(&two_pods());
    let mut replies = vec![first];
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
    let (first, pipe) = Reply::stream(&two_pods());
    let mut replies = vec![first];
    replies.extend((0..1000).map(|_| Reply::stream::<String>(&[]).0));
    let run = run(replies);
    drop(pipe);
    run.pass(60).await;
    assert!(run.requests().len() < 80, "{}", run.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_too_old_at_once_is_not_repeated_in_a_hot_loop() {
    let replies = (0..1000)
        .map(|_| {
            let expired = line("ERROR", &server::status(410, "Expired", "too old"));
            Reply::stream(&[end_of_list(10), expired]).0
        })
        .collect();
    let run = run(replies);
    run.pass(60).await;
    assert!(run.requests().len() < 80, "{}", run.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_reopened() {
    let (first, _silent) = Reply::stream(&two_pods());
    let (second, _pipe) = Reply::stream::<String>(&[]);
    let run = run(vec![first, second]);
    run.pass(149).await;
    assert_eq!(run.requests(), [STREAM]);
    run.pass(2).await;
    assert_eq!(run.requests(), [STREAM, &from(10)]);
    assert_eq!(*run.state.borrow(), WatchState::Live);
}

#[tokio::test(start_paused = true)]
async fn the_scope_is_in_every_request() {
    let scope = Scope {
        namespace: Some("blue".to_owned()),
        labels: Some("app in (a,b),tier=x".to_owned()),
        fields: Some("spec.nodeName=n1".to_owned()),
    };
    let (watch, _pipe) = Reply::stream::<String>(&[]);
    let replies = vec![Reply::page(&[], 10, ""), watch];
    let run = server::start(PODS, scope, false, replies);
    run.settle().await;
    let scope = "/api/v1/namespaces/blue/pods?labelSelector=app%20in%20%28a%2Cb%29%2Ctier%3Dx\
        &fieldSelector=spec.nodeName%3Dn1";
    assert_eq!(
        run.requests(),
        [
            format!("{scope}&limit=500"),
            format!("{scope}&resourceVersion=10&watch=true&allowWatchBookmarks=true")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_the_watch_and_its_connection() {
    let (first, pipe) = Reply::stream(&two_pods());
    let run = run(vec![first]);
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
