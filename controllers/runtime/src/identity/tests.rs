use std::sync::atomic::{AtomicU32, Ordering};

use kube::client::ClientBuilder;
use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::fake::{Answer, Call, client, refusal};

/// Issues `token-1`, `token-2`, … of one hour.
#[derive(Clone)]
struct Issuer {
    count: Arc<AtomicU32>,
    fails: Arc<Mutex<u32>>,
    clock: Clock,
    asked: Arc<Mutex<Vec<Call>>>,
}

impl Issuer {
    fn new() -> Self {
        Self {
            count: Arc::default(),
            fails: Arc::default(),
            clock: Clock::starting_at("2026-11-21T10:00:00Z".parse().unwrap()),
            asked: Arc::default(),
        }
    }

    fn source(&self) -> Source {
        let issuer = self.clone();
        Source {
            issuer: client(move |call| {
                let issuer = issuer.clone();
                async move { issuer.answer(call) }
            }),
            namespace: "kube-system".to_owned(),
            name: "replicaset-controller".to_owned(),
            clock: self.clock.clone(),
        }
    }

    fn answer(&self, call: Call) -> Answer {
        self.asked.lock().push(call);
        let mut fails = self.fails.lock();
        if *fails > 0 {
            *fails -= 1;
            return refusal(500, "InternalError", "etcd is away");
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let expires = self
            .clock
            .now()
            .checked_add(Duration::from_hours(1))
            .unwrap();
        Ok((
            201,
            json!({ "status": { "token": format!("token-{number}"), "expirationTimestamp": expires } }),
        ))
    }
}

async fn start(issuer: &Issuer) -> (Arc<Bearer>, CancellationToken) {
    let source = issuer.source();
    let token = source.request().await.unwrap();
    let bearer = Arc::new(Bearer::new(token.header));
    let stop = CancellationToken::new();
    tokio::spawn(source.renew(Arc::clone(&bearer), token.fresh_for, stop.clone()));
    (bearer, stop)
}

fn current(bearer: &Bearer) -> String {
    bearer.header.read().to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_token_of_an_hour_is_requested_for_the_account() {
    let issuer = Issuer::new();
    let token = issuer.source().request().await.unwrap();
    assert_eq!(token.fresh_for, Duration::from_mins(48));
    assert!(token.header.is_sensitive());
    let call = issuer.asked.lock()[0].clone();
    assert_eq!(
        call.line(),
        "POST /api/v1/namespaces/kube-system/serviceaccounts/replicaset-controller/token"
    );
    assert_eq!(call.body["spec"]["expirationSeconds"], 3600);
}

#[tokio::test(start_paused = true)]
async fn the_token_is_replaced_after_four_fifths_of_its_life() {
    let issuer = Issuer::new();
    let (bearer, _stop) = start(&issuer).await;
    tokio::time::sleep(Duration::from_mins(47)).await;
    assert_eq!(current(&bearer), "Bearer token-1");
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(current(&bearer), "Bearer token-2");
    tokio::time::sleep(Duration::from_mins(49)).await;
    assert_eq!(current(&bearer), "Bearer token-3");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_is_repeated_before_the_token_ends() {
    let issuer = Issuer::new();
    let (bearer, _stop) = start(&issuer).await;
    *issuer.fails.lock() = 5;
    tokio::time::sleep(Duration::from_mins(50)).await;
    assert_eq!(current(&bearer), "Bearer token-2");
    assert_eq!(issuer.asked.lock().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_at_once_but_not_without_end() {
    let issuer = Issuer::new();
    let (bearer, _stop) = start(&issuer).await;
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let service = tower::service_fn({
        let seen = Arc::clone(&seen);
        move |request: Request<Body>| {
            let token = request.headers()[AUTHORIZATION]
                .to_str()
                .unwrap()
                .to_owned();
            let code = if token == "Bearer token-1" { 401 } else { 200 };
            seen.lock().push(token);
            let mut response = Response::new(Body::from(b"{}".to_vec()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            async { Ok::<_, std::convert::Infallible>(response) }
        }
    });
    let client = ClientBuilder::new(service, "default")
        .with_layer(&BearerLayer::new(Arc::clone(&bearer)))
        .build();
    let get = || Request::get("/api").body(Vec::new()).unwrap();
    client.request_text(get()).await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(1)).await;
    client.request_text(get()).await.unwrap();
    assert_eq!(*seen.lock(), ["Bearer token-1", "Bearer token-2"]);

    // A server that refuses every token is asked at most as often as the pauses allow.
    for _ in 0..100 {
        bearer.refused.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let asked = issuer.asked.lock().len();
    assert!(asked < 25, "{asked} tokens in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_names_the_account() {
    let issuer = Issuer::new();
    *issuer.fails.lock() = 1;
    let error = issuer.source().request().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "token for service account kube-system/replicaset-controller: etcd is away"
    );
}

#[tokio::test(start_paused = true)]
async fn a_life_shorter_than_ten_minutes_is_a_wrong_clock() {
    let issuer = Issuer::new();
    let ahead = Source {
        clock: Clock::from_fn(|| "2026-11-22T10:00:00Z".parse().unwrap()),
        ..issuer.source()
    };
    assert_eq!(
        ahead.request().await.unwrap().fresh_for,
        Duration::from_mins(8)
    );
}
