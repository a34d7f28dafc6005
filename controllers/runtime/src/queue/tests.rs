use super::*;
use prometheus_client::registry::Registry;

fn queue() -> Queue {
    Queue::new("test", &QueueMetrics::register(&mut Registry::default()))
}

fn key(name: &str) -> Key {
    Key::new("ns", name)
}

/// Takes the key that must be there now, without letting time pass.
async fn take(queue: &Queue) -> (String, String) {
    let before = Instant::now();
    let work = queue.next().await.unwrap();
    assert_eq!(before, Instant::now(), "{work:?} was not due");
    (work.key.name, work.why.to_string())
}

async fn take_name(queue: &Queue) -> String {
    take(queue).await.0
}

/// Asserts that no key is due within `wait`.
async fn assert_silent(queue: &Queue, wait: Duration) {
    let next = tokio::time::timeout(wait, queue.next()).await;
    assert!(next.is_err(), "{next:?}");
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn keys_leave_in_the_order_of_arrival_and_once() {
    let queue = queue();
    for name in ["b", "a", "b", "c", "a"] {
        queue.add(key(name), Reason::Changed);
    }
    for name in ["b", "a", "c"] {
        assert_eq!(take_name(&queue).await, name);
    }
    assert_silent(&queue, 1000 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_from_a_reconcile_does_not_wait_behind_a_thousand_first_ones() {
    let queue = queue();
    for name in ["n1", "n2", "n3", "n4"] {
        queue.add(key(name), Reason::Resync);
    }
    for name in ["f1", "f2"] {
        queue.add(key(name), Reason::Dependent);
    }
    for name in ["n1", "f1", "n2", "f2", "n3"] {
        assert_eq!(take_name(&queue).await, name);
    }
    // A change of the object itself is no follow-up, whatever else there is.
    queue.add(key("n5"), Reason::Changed);
    queue.add(key("n5"), Reason::CaughtUp);
    queue.add(key("n1"), Reason::Status);
    queue.done(&key("n1"));
    for name in ["n1", "n4", "n5"] {
        assert_eq!(take_name(&queue).await, name);
    }
    assert_silent(&queue, 1000 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn reasons_are_collected_until_the_key_leaves() {
    let queue = queue();
    queue.add(key("a"), Reason::Dependent);
    queue.add(key("a"), Reason::Changed);
    queue.add(key("a"), Reason::Dependent);
    assert_eq!(take(&queue).await.1, "changed+dependent");
    queue.add(key("a"), Reason::CaughtUp);
    queue.done(&key("a"));
    let work = queue.next().await.unwrap();
    assert_eq!(work.why.to_string(), "caught-up");
    assert!(work.why.contains(Reason::CaughtUp) && !work.why.contains(Reason::Changed));
}

#[tokio::test(start_paused = true)]
async fn a_key_touched_while_worked_on_runs_once_more_and_not_at_once() {
    let queue = queue();
    queue.add(key("a"), Reason::Changed);
    assert_eq!(take_name(&queue).await, "a");
    queue.add(key("a"), Reason::Changed);
    queue.add(key("a"), Reason::Dependent);
    queue.add(key("b"), Reason::Changed);
    assert_eq!(take_name(&queue).await, "b");
    assert_silent(&queue, 10 * MS).await;
    queue.done(&key("a"));
    assert_eq!(take(&queue).await, ("a".into(), "changed+dependent".into()));
    queue.done(&key("a"));
    queue.done(&key("b"));
    queue.done(&key("never handed out"));
    assert_silent(&queue, 10 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn of_several_delays_the_earliest_wins() {
    let queue = queue();
    let started = Instant::now();
    queue.add_after(key("a"), 500 * MS, Reason::Timer);
    queue.add_after(key("a"), 200 * MS, Reason::Retry);
    queue.add_after(key("a"), 300 * MS, Reason::Timer);
    queue.add_after(key("b"), 100 * MS, Reason::Timer);
    let first = queue.next().await.unwrap();
    assert_eq!(
        (first.key.name.as_str(), started.elapsed()),
        ("b", 100 * MS)
    );
    let second = queue.next().await.unwrap();
    assert_eq!(
        (second.key.name.as_str(), started.elapsed()),
        ("a", 200 * MS)
    );
    assert_eq!(second.why.to_string(), "timer+retry");
    queue.done(&key("a"));
    queue.done(&key("b"));
    assert_silent(&queue, 1000 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn equal_delays_leave_in_the_order_of_arrival() {
    let queue = queue();
    for name in ["d", "b", "a", "c"] {
        queue.add_after(key(name), 5 * MS, Reason::Timer);
    }
    tokio::time::advance(6 * MS).await;
    queue.add(key("late"), Reason::Changed);
    let mut names = Vec::new();
    for _ in 0..5 {
        names.push(take_name(&queue).await);
    }
    // "late" was queued when nobody had looked at the timers yet.
    assert_eq!(names, ["late", "d", "b", "a", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_next_notices_an_earlier_timer_and_an_add() {
    let queue = queue();
    queue.add_after(key("far"), Duration::from_hours(1), Reason::Timer);
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move {
            let started = Instant::now();
            let work = queue.next().await.unwrap();
            (work.key.name, started.elapsed())
        }
    });
    tokio::task::yield_now().await;
    queue.add_after(key("near"), 20 * MS, Reason::Timer);
    assert_eq!(waiting.await.unwrap(), ("near".to_owned(), 20 * MS));

    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await.unwrap().key.name }
    });
    tokio::task::yield_now().await;
    queue.add(key("now"), Reason::Changed);
    assert_eq!(waiting.await.unwrap(), "now");
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_fires_during_the_work_runs_the_key_again() {
    let queue = queue();
    queue.add(key("a"), Reason::Changed);
    take_name(&queue).await;
    queue.add_after(key("a"), 5 * MS, Reason::Timer);
    tokio::time::advance(10 * MS).await;
    assert_silent(&queue, 10 * MS).await;
    queue.done(&key("a"));
    assert_eq!(take(&queue).await, ("a".into(), "timer".into()));
}

#[tokio::test(start_paused = true)]
async fn back_off_doubles_to_its_limit_and_is_forgotten() {
    let queue = queue();
    let delays: Vec<u128> = (0..20)
        .map(|_| queue.add_rate_limited(key("a"), Duration::ZERO).as_millis())
        .collect();
    assert_eq!(
        delays,
        [
            5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920,
            163_840, 327_680, 655_360, 1_000_000, 1_000_000
        ]
    );
    assert_eq!(queue.failures(&key("a")), 20);
    assert_eq!(queue.add_rate_limited(key("b"), Duration::ZERO), 5 * MS);
    let asked = Duration::from_secs(3);
    assert_eq!(queue.add_rate_limited(key("b"), asked), asked);
    queue.forget(&key("a"));
    assert_eq!(queue.failures(&key("a")), 0);
    assert_eq!(queue.add_rate_limited(key("a"), Duration::ZERO), 5 * MS);
    assert_eq!(back_off(u32::MAX), MAX_DELAY);
}

#[tokio::test(start_paused = true)]
async fn a_window_collects_and_does_not_delay_what_is_due() {
    let queue = queue();
    queue.add_within(key("a"), 20 * MS, Reason::Dependent);
    tokio::time::advance(10 * MS).await;
    queue.add_within(key("a"), 20 * MS, Reason::Dependent);
    assert_silent(&queue, 9 * MS).await;
    tokio::time::advance(MS).await;
    assert_eq!(take(&queue).await, ("a".into(), "dependent".into()));
    queue.done(&key("a"));
    queue.add(key("b"), Reason::Changed);
    queue.add_within(key("b"), 20 * MS, Reason::Dependent);
    assert_eq!(take(&queue).await, ("b".into(), "changed+dependent".into()));
    queue.done(&key("b"));
    assert_silent(&queue, 100 * MS).await;
}

#[tokio::test(start_paused = true)]
async fn shutting_down_drops_what_waits_and_ends_next() {
    let queue = queue();
    queue.add(key("in work"), Reason::Changed);
    take_name(&queue).await;
    queue.add(key("in work"), Reason::Changed);
    queue.add(key("a"), Reason::Changed);
    queue.add_after(key("b"), MS, Reason::Timer);
    queue.shut_down();
    queue.add(key("c"), Reason::Changed);
    queue.add_after(key("c"), MS, Reason::Timer);
    queue.done(&key("in work"));
    tokio::time::advance(10 * MS).await;
    assert_eq!(queue.next().await, None);
    assert_eq!(queue.inner.metrics.depth.get(), 0);

    let waiting = self::queue();
    let next = tokio::spawn({
        let queue = waiting.clone();
        async move { queue.next().await }
    });
    tokio::task::yield_now().await;
    waiting.shut_down();
    assert_eq!(next.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn several_takers_share_the_keys() {
    let queue = queue();
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let queue = queue.clone();
        takers.spawn(async move {
            let mut names = Vec::new();
            while let Some(work) = queue.next().await {
                tokio::time::sleep(MS).await;
                queue.done(&work.key);
                names.push(work.key.name);
            }
            names
        });
    }
    for number in 0..40 {
        queue.add(key(&format!("{number:02}")), Reason::Changed);
    }
    tokio::time::sleep(15 * MS).await;
    queue.shut_down();
    let mut names: Vec<String> = takers.join_all().await.into_iter().flatten().collect();
    names.sort();
    let expected: Vec<String> = (0..40).map(|number| format!("{number:02}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test(start_paused = true)]
async fn metrics_have_upstreams_names() {
    let mut registry = Registry::default();
    let metrics = QueueMetrics::register(&mut registry);
    let queue = Queue::new("replicaset", &metrics);
    let twin = Queue::new("replicaset", &metrics);
    queue.add(key("a"), Reason::Changed);
    queue.add(key("a"), Reason::Changed);
    queue.add(key("b"), Reason::Changed);
    queue.add(key("c"), Reason::Changed);
    twin.add(key("a"), Reason::Changed);
    queue.add_after(key("later"), Duration::from_hours(1), Reason::Timer);
    tokio::time::advance(Duration::from_secs(1)).await;
    take_name(&queue).await;
    take_name(&queue).await;
    take_name(&twin).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    queue.done(&key("a"));
    tokio::time::advance(Duration::from_secs(1)).await;

    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        "workqueue_depth{name=\"replicaset\"} 1",
        "workqueue_adds_total{name=\"replicaset\"} 4",
        "workqueue_retries_total{name=\"replicaset\"} 1",
        "workqueue_queue_duration_seconds_count{name=\"replicaset\"} 3",
        "workqueue_queue_duration_seconds_sum{name=\"replicaset\"} 3.0",
        "workqueue_work_duration_seconds_sum{name=\"replicaset\"} 2.0",
        "workqueue_unfinished_work_seconds{name=\"replicaset\"} 6.0",
        "workqueue_longest_running_processor_seconds{name=\"replicaset\"} 3.0",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_keeps_nothing() {
    let mut registry = Registry::default();
    let queue = Queue::closed("test", &QueueMetrics::register(&mut registry));
    queue.add(key("a"), Reason::Changed);
    queue.add_within(key("b"), 20 * MS, Reason::Dependent);
    queue.add_after(key("c"), 20 * MS, Reason::Timer);
    let metrics = crate::metrics::encode(&registry).unwrap();
    assert!(metrics.contains("workqueue_depth{name=\"test\"} 0"));
    queue.open();
    assert_silent(&queue, 1000 * MS).await;
    queue.add(key("d"), Reason::Resync);
    assert_eq!(take(&queue).await, ("d".to_owned(), "resync".to_owned()));
}
