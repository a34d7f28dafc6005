use std::collections::VecDeque;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::barrier::{LIMIT, Owner};
use crate::queue_metrics::QueueMetrics;
use crate::resource::{NATIVE_REPLICA_SETS, PODS};

/// What a run of the fake reconciler does, in order; `Done` when there is no more.
#[derive(Clone, Copy)]
enum Act {
    Done,
    Again(Duration),
    Fail,
    FailRetryAfter(Duration),
    Panic,
    /// Ends when the test allows it.
    Hold,
}

struct Reconciler {
    acts: Mutex<VecDeque<Act>>,
    /// Name, why, and time since the start of each run.
    runs: Mutex<Vec<(String, String, Duration)>>,
    running: Mutex<(usize, usize)>,
    release: Semaphore,
    started: Instant,
}

impl Reconcile for Reconciler {
    type Error = String;

    fn uid(&self, key: &Key) -> Option<Arc<str>> {
        Some(format!("uid-{}", key.name).into())
    }

    async fn reconcile(&self, work: &Work) -> Result<Option<Duration>, String> {
        self.runs.lock().push((
            work.key.name.clone(),
            work.why.to_string(),
            self.started.elapsed(),
        ));
        let act = self.acts.lock().pop_front().unwrap_or(Act::Done);
        match act {
            Act::Done => Ok(None),
            Act::Again(after) => Ok(Some(after)),
            Act::Fail => Err("refused".to_owned()),
            Act::FailRetryAfter(after) => Err(format!("retry {}", after.as_millis())),
            Act::Panic => panic!("the fake reconciler was told to"),
            Act::Hold => {
                {
                    let mut running = self.running.lock();
                    running.0 += 1;
                    running.1 = running.1.max(running.0);
                }
                self.release.acquire().await.unwrap().forget();
                self.running.lock().0 -= 1;
                Ok(None)
            }
        }
    }

    fn retry_after(&self, error: &String) -> Option<Duration> {
        let millis = error.strip_prefix("retry ")?.parse().ok()?;
        Some(Duration::from_millis(millis))
    }
}

struct Bench {
    queue: Queue,
    barrier: Barrier,
    reconciler: Arc<Reconciler>,
    cancel: CancellationToken,
    done: tokio::task::JoinHandle<()>,
}

fn start(concurrency: usize, acts: &[Act]) -> Bench {
    let mut registry = Registry::default();
    let queue = Queue::new("test", &QueueMetrics::register(&mut registry));
    let barrier = Barrier::register(&mut registry);
    let wake = queue.clone();
    barrier.on_ready(NATIVE_REPLICA_SETS, move |key| {
        wake.add(key, Reason::CaughtUp);
    });
    let reconciler = Arc::new(Reconciler {
        acts: Mutex::new(acts.iter().copied().collect()),
        runs: Mutex::default(),
        running: Mutex::default(),
        release: Semaphore::new(0),
        started: Instant::now(),
    });
    let cancel = CancellationToken::new();
    let controller = Controller {
        name: "test-controller",
        queue: queue.clone(),
        barrier: barrier.clone(),
        concurrency,
    };
    let done = tokio::spawn(controller.run(Arc::clone(&reconciler), cancel.clone()));
    Bench {
        queue,
        barrier,
        reconciler,
        cancel,
        done,
    }
}

impl Bench {
    fn add(&self, name: &str) {
        self.queue.add(Key::new("ns", name), Reason::Changed);
    }

    /// Lets the loop run for `time` of paused time.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// `name:why@ms` of all runs so far.
    fn runs(&self) -> String {
        let runs = self.reconciler.runs.lock();
        let texts = runs
            .iter()
            .map(|(name, why, at)| format!("{name}:{why}@{}", at.as_millis()));
        texts.collect::<Vec<_>>().join(" ")
    }
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn success_ends_a_requeue_comes_in_time() {
    let bench = start(2, &[Act::Again(70 * MS), Act::Done]);
    bench.add("a");
    bench.pass(10_000 * MS).await;
    assert_eq!(bench.runs(), "a:changed@0 a:timer@70");
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_a_success_resets() {
    use Act::{Done, Fail, FailRetryAfter};
    let bench = start(2, &[Fail, Fail, FailRetryAfter(500 * MS), Done, Fail]);
    bench.add("a");
    bench.pass(1000 * MS).await;
    assert_eq!(bench.runs(), "a:changed@0 a:retry@5 a:retry@15 a:retry@515");
    assert_eq!(bench.queue.failures(&Key::new("ns", "a")), 0);
    bench.add("a");
    bench.pass(1000 * MS).await;
    assert!(
        bench.runs().ends_with("a:changed@1000 a:retry@1005"),
        "{}",
        bench.runs()
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_retries_its_key_and_spares_the_others() {
    let bench = start(1, &[Act::Panic]);
    bench.add("a");
    bench.add("b");
    bench.pass(1000 * MS).await;
    assert_eq!(bench.runs(), "a:changed@0 b:changed@0 a:retry@5");
    assert!(!bench.done.is_finished());
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_bounded_and_one_key_runs_once_at_a_time() {
    let bench = start(3, &[Act::Hold; 8]);
    for name in ["a", "b", "c", "d", "e"] {
        bench.add(name);
    }
    bench.pass(MS).await;
    bench.add("a");
    bench.pass(MS).await;
    assert_eq!(*bench.reconciler.running.lock(), (3, 3));
    bench.reconciler.release.add_permits(8);
    bench.pass(10 * MS).await;
    assert_eq!(*bench.reconciler.running.lock(), (0, 3));
    assert_eq!(
        bench.runs(),
        "a:changed@0 b:changed@0 c:changed@0 d:changed@2 e:changed@2 a:changed@2"
    );
}

#[tokio::test(start_paused = true)]
async fn the_barrier_holds_a_key_back_until_the_store_has_caught_up() {
    let bench = start(2, &[]);
    let owner = Owner {
        resource: NATIVE_REPLICA_SETS,
        key: Key::new("ns", "a"),
        uid: "uid-a".into(),
    };
    bench.barrier.seen(PODS, 10);
    bench.barrier.wrote(&owner, PODS, 11);
    bench.add("a");
    bench.add("b");
    bench.pass(100 * MS).await;
    assert_eq!(bench.runs(), "b:changed@0");
    bench.barrier.seen(PODS, 11);
    bench.pass(100 * MS).await;
    assert_eq!(bench.runs(), "b:changed@0 a:caught-up@100");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_shows_holds_its_owner_until_a_new_list_was_made() {
    let bench = start(2, &[]);
    let asked = Arc::new(Notify::new());
    let ask = Arc::clone(&asked);
    bench.barrier.on_overdue(PODS, move |_| ask.notify_one());
    let owner = Owner {
        resource: NATIVE_REPLICA_SETS,
        key: Key::new("ns", "a"),
        uid: "uid-a".into(),
    };
    bench.barrier.seen(PODS, 10);
    bench.barrier.deleting(&owner, PODS, "pod");
    bench.add("a");
    let started = Instant::now();
    asked.notified().await;
    assert_eq!(started.elapsed(), LIMIT);
    bench.pass(Duration::from_mins(10)).await;
    assert_eq!(bench.runs(), "");
    bench.barrier.listed(PODS, Instant::now());
    bench.pass(100 * MS).await;
    assert_eq!(bench.runs(), "a:caught-up@630000");
}

#[tokio::test(start_paused = true)]
async fn cancelling_starts_nothing_and_waits_for_what_runs() {
    let bench = start(1, &[Act::Hold]);
    bench.add("a");
    bench.add("b");
    bench.pass(MS).await;
    bench.cancel.cancel();
    bench.pass(100 * MS).await;
    assert!(!bench.done.is_finished());
    bench.reconciler.release.add_permits(1);
    let runs = Arc::clone(&bench.reconciler);
    bench.done.await.unwrap();
    assert_eq!(runs.runs.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutting_the_queue_down_ends_the_loop() {
    let bench = start(1, &[]);
    bench.queue.shut_down();
    bench.done.await.unwrap();
}
