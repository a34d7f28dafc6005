use http::{Request, Response};
use ironkeel_plan::meta::Meta;
use ironkeel_runtime::clock::Clock;
use ironkeel_runtime::metrics::Metrics;
use ironkeel_runtime::resource::NATIVE_REPLICA_SETS;
use kube::Client;
use kube::client::Body;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

/// Messages of the events that were posted, in order.
type Posted = Arc<Mutex<Vec<String>>>;

fn announcer() -> (Announcer, Posted, JoinHandle<()>) {
    let messages = Posted::default();
    let seen = Arc::clone(&messages);
    let service = tower::service_fn(move |request: Request<Body>| {
        let seen = Arc::clone(&seen);
        async move {
            let bytes = request.into_body().collect_bytes().await?;
            let event: Value = serde_json::from_slice(&bytes)?;
            seen.lock()
                .push(event["message"].as_str().unwrap_or_default().to_owned());
            let reply = Body::from(b"{}".to_vec());
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Response::new(reply))
        }
    });
    let client = Client::new(service, "default");
    let metrics = Metrics::register(&mut Registry::default());
    let clock = Clock::system();
    let (recorder, poster) = Recorder::new("test", client, clock, 7, metrics.events);
    let running = tokio::spawn(poster.run(CancellationToken::new()));
    (Announcer::new(recorder), messages, running)
}

fn about(name: &str) -> Regarding {
    let meta = Meta {
        name: name.into(),
        namespace: "shop".into(),
        uid: format!("uid-{name}"),
        ..Meta::default()
    };
    Regarding::of(NATIVE_REPLICA_SETS, &meta)
}

fn scaling(from: i32, to: i32) -> Scaling {
    Scaling {
        set: "web-5d4".into(),
        from,
        to,
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_within_a_second_is_one_event() {
    let (announcer, messages, _running) = announcer();
    let set = about("web");
    for name in ["a", "b"] {
        announcer.pod(&set, Deed::Created, name);
    }
    announcer.pod(&set, Deed::Deleted, "z");
    announcer.pod(&about("other"), Deed::Created, "x");
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(*messages.lock(), Vec::<String>::new());
    announcer.pod(&set, Deed::Created, "c");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut told = messages.lock().clone();
    told.sort();
    assert_eq!(
        told,
        ["Created pod: x", "Created pods: a, b, c", "Deleted pod: z"]
    );
    announcer.pod(&set, Deed::Created, "d");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(messages.lock().last().unwrap(), "Created pod: d");
}

#[tokio::test(start_paused = true)]
async fn steps_in_one_direction_are_one_event() {
    let (announcer, messages, _running) = announcer();
    let deployment = about("web");
    for (from, to) in [(0, 3), (3, 5), (5, 4)] {
        announcer.scaled(&deployment, &scaling(from, to));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        *messages.lock(),
        [
            "Scaled up replica set web-5d4 from 0 to 5",
            "Scaled down replica set web-5d4 from 5 to 4"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_good_news_is_told_in_part_and_warnings_all_the_same() {
    let (announcer, messages, _running) = announcer();
    for at in 0..500 {
        announcer.pod(&about(&format!("web-{at}")), Deed::Created, "a");
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = messages.lock().len();
    assert!((50..=60).contains(&told), "{told}");
    announcer.pod(&about("web"), Deed::Created, "a");
    for _ in 0..20 {
        let set = about("other");
        announcer.event(&set, &Event::warning("FailedCreate", "no quota left"));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(messages.lock().len(), told + 21);
}

#[tokio::test(start_paused = true)]
async fn a_warning_comes_at_once_and_after_what_went_before() {
    let (announcer, messages, _running) = announcer();
    let set = about("web");
    announcer.pod(&set, Deed::Created, "a");
    announcer.event(&set, &Event::warning("FailedCreate", "no quota left"));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(*messages.lock(), ["Created pod: a", "no quota left"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_the_controller_ends() {
    let (announcer, messages, running) = announcer();
    announcer.pod(&about("web"), Deed::Created, "a");
    drop(announcer);
    running.await.unwrap();
    assert_eq!(*messages.lock(), ["Created pod: a"]);
}
