use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::fake::{Answer, Call, client, refusal};

/// One Lease behind an API: optimistic concurrency, and faults on demand.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    /// Requests are refused with 500.
    down: bool,
    /// Requests get no reply, though they are executed.
    mute: bool,
    /// The first read takes this long.
    slow_read: Duration,
    /// The next write meets this version instead of the stored one.
    conflict_once: bool,
    lines: Vec<String>,
}

/// Of round periods, whatever the defaults are.
fn settings(identity: &str) -> LeaseSettings {
    LeaseSettings {
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
        ..LeaseSettings::new("kube-system", "ironkeel", identity)
    }
}

impl Api {
    fn client(&self) -> Client {
        let api = self.clone();
        client(move |call| {
            let api = api.clone();
            async move {
                if call.method == "GET" {
                    let wait = std::mem::take(&mut api.0.lock().slow_read);
                    tokio::time::sleep(wait).await;
                }
                let (answer, mute) = api.answer(&call);
                if mute {
                    std::future::pending::<()>().await;
                }
                answer
            }
        })
    }

    fn answer(&self, call: &Call) -> (Answer, bool) {
        let mut state = self.0.lock();
        state.lines.push(call.line());
        if state.down {
            return (refusal(500, "InternalError", "etcd is away"), false);
        }
        let answer = match call.method.as_str() {
            "GET" => match &state.lease {
                Some(lease) => Ok((200, lease.clone())),
                None => refusal(404, "NotFound", "leases \"ironkeel\" not found"),
            },
            "POST" if state.lease.is_some() => {
                refusal(409, "AlreadyExists", "leases \"ironkeel\" already exists")
            }
            "PUT" if state.lease.is_none() => {
                refusal(404, "NotFound", "leases \"ironkeel\" not found")
            }
            "PUT"
                if std::mem::take(&mut state.conflict_once)
                    || call.body["metadata"]["resourceVersion"].as_str()
                        != Some(&state.version.to_string()) =>
            {
                refusal(409, "Conflict", "the object has been modified")
            }
            _ => {
                state.version += 1;
                let mut lease = call.body.clone();
                lease["metadata"]["uid"] = "lease-uid".into();
                lease["metadata"]["resourceVersion"] = state.version.to_string().into();
                state.lease = Some(lease.clone());
                Ok((200, lease))
            }
        };
        (answer, state.mute)
    }

    fn spec(&self, field: &str) -> Value {
        self.0
            .lock()
            .lease
            .as_ref()
            .map_or(Value::Null, |lease| lease["spec"][field].clone())
    }

    fn candidate(&self, identity: &str) -> Candidate {
        let origin: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        Candidate::new(
            self.client(),
            settings(identity),
            Clock::starting_at(origin),
            7,
            LeaseMetrics::default(),
        )
        .unwrap()
    }

    async fn lead(&self, identity: &str) -> Tenure {
        self.candidate(identity)
            .acquire(&CancellationToken::new())
            .await
            .unwrap()
    }
}

/// Lets the paused clock run on, and everything that is due on it. The 10 ms let what is due
/// at the very end happen.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_creates_the_lease_and_the_second_waits() {
    let api = Api::default();
    let first = api.lead("a").await;
    assert!(first.leader().check().is_ok());
    assert_eq!(api.spec("holderIdentity"), "a");
    assert_eq!(api.spec("leaseDurationSeconds"), 15);
    assert_eq!(api.spec("leaseTransitions"), 0);
    assert_eq!(api.spec("acquireTime"), "2026-11-21T10:00:00.000000Z");

    let stop = CancellationToken::new();
    let holding = tokio::spawn({
        let stop = stop.clone();
        async move { first.hold(&stop).await }
    });
    let waiting = tokio::spawn({
        let candidate = api.candidate("b");
        async move { candidate.acquire(&CancellationToken::new()).await }
    });
    pass(120).await;
    assert!(!waiting.is_finished(), "two lead at once");
    assert_eq!(api.spec("holderIdentity"), "a");
    assert_eq!(api.spec("acquireTime"), "2026-11-21T10:00:00.000000Z");

    stop.cancel();
    assert_eq!(holding.await.unwrap(), TenureEnd::Released);
    // Released: the other need not wait for 15 s, only for its next attempt.
    pass(5).await;
    assert!(waiting.is_finished(), "a released lease was not taken");
    assert_eq!(api.spec("holderIdentity"), "b");
    assert_eq!(api.spec("leaseTransitions"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenure_counts_from_the_write_and_not_from_the_read_before_it() {
    let api = Api::default();
    api.0.lock().slow_read = Duration::from_secs(4);
    let tenure = api.lead("a").await;
    pass(9).await;
    assert!(tenure.leader().check().is_ok());
    pass(1).await;
    assert!(tenure.leader().check().is_err());
}

#[tokio::test(start_paused = true)]
async fn renewals_do_not_read_and_come_every_two_seconds() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    let leader = tenure.leader();
    api.0.lock().lines.clear();
    let _holding = tokio::spawn(async move { tenure.hold(&CancellationToken::new()).await });
    pass(20).await;
    assert!(leader.check().is_ok());
    let lines = std::mem::take(&mut api.0.lock().lines);
    assert_eq!(
        lines,
        vec!["PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/ironkeel"; 10]
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_is_told_once_whatever_it_is() {
    let api = Api::default();
    let answers = Arc::new(AtomicUsize::new(0));
    let told = |candidate: Candidate| {
        let counter = Arc::clone(&answers);
        candidate.when_answered(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        })
    };
    let started = Instant::now();
    let leader = told(api.candidate("a"))
        .acquire(&CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(answers.load(Ordering::Relaxed), 1);
    assert_eq!(leader.since(), started);
    // The second is told that it has to wait, and leads much later.
    let second = told(api.candidate("b"));
    let second = tokio::spawn(async move { second.acquire(&CancellationToken::new()).await });
    pass(1).await;
    assert_eq!(answers.load(Ordering::Relaxed), 2);
    let second = second.await.unwrap().unwrap();
    assert_eq!(answers.load(Ordering::Relaxed), 2);
    assert!(second.since() >= started + Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_followed_once_its_lease_was_seen_unchanged_long_enough() {
    let api = Api::default();
    let dead = api.lead("a").await;
    // It stops renewing. The other looks 100 s later, when the Lease's own times are long past,
    // but it cannot know how long the lease has been unchanged.
    pass(100).await;
    let started = Instant::now();
    let follower = api.lead("b").await;
    let waited = started.elapsed();
    assert!(
        waited >= Duration::from_secs(15) && waited < Duration::from_millis(15_300),
        "took over after {waited:?}"
    );
    assert!(follower.leader().check().is_ok());
    assert!(
        dead.leader().check().is_err(),
        "the old leader may still write"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_leader_writes_nothing_after_its_deadline() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    let leader = tenure.leader();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(leader.check().is_ok());
    // Nothing renews: the whole process stands still for longer than the deadline.
    tokio::time::advance(Duration::from_secs(1)).await;
    let error = leader.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "lease kube-system/ironkeel is not held: it was not renewed within the renew deadline, or was given up"
    );
    // When it runs again it must not renew its way back, though nobody has taken the lease.
    let end = tenure.hold(&CancellationToken::new()).await;
    assert_eq!(
        end,
        TenureEnd::Lost("not renewed within 10s: the process did not run in time".to_owned())
    );
    assert!(leader.check().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_api_server_gives_up_at_the_deadline() {
    for mute in [false, true] {
        let api = Api::default();
        let tenure = api.lead("a").await;
        let leader = tenure.leader();
        let started = Instant::now();
        {
            let mut state = api.0.lock();
            state.down = !mute;
            state.mute = mute;
        }
        let end = tenure.hold(&CancellationToken::new()).await;
        assert!(
            matches!(&end, TenureEnd::Lost(why) if why.starts_with("not renewed within 10s: ")),
            "{end:?}"
        );
        assert_eq!(started.elapsed(), Duration::from_secs(10));
        assert!(leader.check().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_survived() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    let leader = tenure.leader();
    let holding = tokio::spawn(async move { tenure.hold(&CancellationToken::new()).await });
    pass(2).await;
    api.0.lock().down = true;
    pass(7).await;
    assert!(leader.check().is_ok());
    api.0.lock().down = false;
    pass(60).await;
    assert!(leader.check().is_ok());
    assert!(!holding.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_resolved_by_reading() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    let leader = tenure.leader();
    // Someone labels the Lease: its version moves, its holder does not.
    {
        let mut state = api.0.lock();
        state.version += 1;
        let version = state.version.to_string();
        let lease = state.lease.as_mut().unwrap();
        lease["metadata"]["resourceVersion"] = version.into();
        lease["metadata"]["labels"] = json!({ "team": "ops" });
    }
    let _holding = tokio::spawn(async move { tenure.hold(&CancellationToken::new()).await });
    pass(30).await;
    assert!(leader.check().is_ok());
    let labels = api.0.lock().lease.as_ref().unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels, json!({ "team": "ops" }), "the renewal lost a label");
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_ends_the_tenure_at_once() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    let leader = tenure.leader();
    {
        let mut state = api.0.lock();
        state.version += 1;
        let version = state.version.to_string();
        let lease = state.lease.as_mut().unwrap();
        lease["metadata"]["resourceVersion"] = version.into();
        lease["spec"]["holderIdentity"] = "thief".into();
        lease["spec"]["renewTime"] = "2026-11-21T10:00:01.000000Z".into();
    }
    let started = Instant::now();
    let end = tenure.hold(&CancellationToken::new()).await;
    assert_eq!(end, TenureEnd::Lost(r#"taken by "thief""#.to_owned()));
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    assert!(leader.check().is_err());
    assert_eq!(api.spec("holderIdentity"), "thief");
}

#[tokio::test(start_paused = true)]
async fn a_release_repeats_after_a_conflict_and_voids_the_token_first() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    let leader = tenure.leader();
    api.0.lock().conflict_once = true;
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(tenure.hold(&stop).await, TenureEnd::Released);
    assert!(leader.check().is_err());
    assert_eq!(api.spec("holderIdentity"), "");
    assert_eq!(api.spec("leaseDurationSeconds"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_does_not_hold_up_the_end_for_ever() {
    let api = Api::default();
    let tenure = api.lead("a").await;
    api.0.lock().mute = true;
    let stop = CancellationToken::new();
    stop.cancel();
    let started = Instant::now();
    assert!(matches!(
        tenure.hold(&stop).await,
        TenureEnd::NotReleased(_)
    ));
    assert!(started.elapsed() <= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn two_that_start_together_agree_on_one() {
    let api = Api::default();
    let (a, b) = (api.candidate("a"), api.candidate("b"));
    let stop = CancellationToken::new();
    let lead = |candidate: Candidate| {
        let stop = stop.clone();
        tokio::spawn(async move {
            let tenure = candidate.acquire(&stop).await?;
            Some(tenure.hold(&stop).await)
        })
    };
    let (a, b) = (lead(a), lead(b));
    pass(60).await;
    assert!(!a.is_finished() && !b.is_finished());
    let holder = api.spec("holderIdentity");
    stop.cancel();
    let ends = (a.await.unwrap(), b.await.unwrap());
    match holder.as_str() {
        Some("a") => assert_eq!(ends, (Some(TenureEnd::Released), None)),
        _ => assert_eq!(ends, (None, Some(TenureEnd::Released))),
    }
}

#[test]
fn without_election_the_token_is_always_valid() {
    assert!(Leader::without_election().check().is_ok());
}

#[test]
fn settings_are_checked_by_upstreams_rules() {
    assert_eq!(
        LeaseSettings::new("kube-system", "ironkeel", "a").validate(),
        Ok(())
    );
    let good = settings("a");
    assert_eq!(good.validate(), Ok(()));
    let seconds = Duration::from_secs;
    for (settings, expected) in [
        (
            LeaseSettings {
                lease_duration: seconds(10),
                ..good.clone()
            },
            "lease kube-system/ironkeel: lease duration 10s must be greater than the renew deadline, 10s, in whole seconds",
        ),
        (
            LeaseSettings {
                lease_duration: Duration::from_millis(10_900),
                renew_deadline: Duration::from_millis(10_500),
                ..good.clone()
            },
            "lease kube-system/ironkeel: lease duration 10.9s must be greater than the renew deadline, 10.5s, in whole seconds",
        ),
        (
            LeaseSettings {
                renew_deadline: seconds(2),
                ..good.clone()
            },
            "lease kube-system/ironkeel: renew deadline 2s must be greater than 1.2 times the retry period, 2.4s",
        ),
        (
            LeaseSettings {
                retry_period: Duration::ZERO,
                ..good.clone()
            },
            "lease kube-system/ironkeel: retry period 0ns must be above zero",
        ),
        (
            LeaseSettings {
                lease_duration: Duration::from_millis(900),
                ..good.clone()
            },
            "lease kube-system/ironkeel: lease duration 900ms must be at least 1s, the unit of a Lease",
        ),
        (
            LeaseSettings {
                identity: String::new(),
                ..good
            },
            "lease kube-system/ironkeel: identity \"\" must not be empty",
        ),
    ] {
        assert_eq!(settings.validate().unwrap_err().to_string(), expected);
    }
}
