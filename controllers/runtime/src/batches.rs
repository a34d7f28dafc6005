//! Creates by a slow start, deletes all at once.

use std::future::Future;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;

/// Most creates of one slow start that are under way at once. More than a writer has in flight by
/// default, so that the next one stands ready; few enough that other owners get their turn. A larger
/// bound of the writer is filled by several owners.
const WIDEST: usize = 128;

/// Runs `create` for each item, in their order: one, and as many more at once as have succeeded,
/// 128 at most. Nothing is begun after a failure, nor once `go_on` has said no; it is asked
/// before each create but the first. What was begun runs to its end and counts. Returns how many
/// succeeded, and the first error.
///
/// A quota that refuses every pod so sees a few refusals instead of hundreds. Upstream's
/// `slowStartBatch` grows alike, one more than have succeeded, but waits for the slowest of each
/// batch before it begins the next.
pub async fn run_slow_start<I, T, E, F>(
    items: Vec<I>,
    mut go_on: impl FnMut() -> bool,
    mut create: impl FnMut(I) -> F,
) -> (usize, Option<E>)
where
    F: Future<Output = Result<T, E>>,
{
    let mut items = items.into_iter();
    let mut running = FuturesUnordered::new();
    let (mut created, mut error) = (0, None);
    // The first is tried whatever `go_on` says, so that every call gets somewhere.
    let mut begins = true;
    running.extend(items.next().map(&mut create));
    while let Some(result) = running.next().await {
        match result {
            Ok(_) => created += 1,
            Err(failed) => {
                error.get_or_insert(failed);
                begins = false;
            }
        }
        while begins && running.len() <= created.min(WIDEST - 1) && items.len() > 0 {
            begins = go_on();
            if begins {
                running.extend(items.next().map(&mut create));
            }
        }
    }
    (created, error)
}

/// Runs `act` for every item at once and returns the successes and the first error.
///
/// How many are in flight is bounded by the writer's limits, not here.
pub async fn run_together<I, T, E, F>(items: Vec<I>, act: impl FnMut(I) -> F) -> (Vec<T>, Option<E>)
where
    F: Future<Output = Result<T, E>>,
{
    let mut done = Vec::with_capacity(items.len());
    let mut first = None;
    for result in join_all(items.into_iter().map(act)).await {
        match result {
            Ok(value) => done.push(value),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    (done, first)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    /// Runs `count` creates of 1 s each, of which those in `failing` fail, until `patience` of them
    /// are begun, and returns how many started at each second.
    async fn rounds(
        count: u32,
        failing: &[u32],
        patience: usize,
    ) -> (Vec<usize>, (usize, Option<u32>)) {
        let begin = tokio::time::Instant::now();
        let started: RefCell<BTreeMap<u64, usize>> = RefCell::default();
        let asked = Cell::new(0);
        let outcome = run_slow_start(
            (0..count).collect(),
            || asked.get() < patience,
            |item| {
                let started = &started;
                asked.set(asked.get() + 1);
                async move {
                    let round = begin.elapsed().as_secs();
                    *started.borrow_mut().entry(round).or_default() += 1;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if failing.contains(&item) {
                        Err(item)
                    } else {
                        Ok(item)
                    }
                }
            },
        )
        .await;
        (started.into_inner().into_values().collect(), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn each_round_is_twice_as_wide_up_to_a_bound() {
        for (count, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (2, vec![1, 1]),
            (3, vec![1, 2]),
            (7, vec![1, 2, 4]),
            (10, vec![1, 2, 4, 3]),
            (500, vec![1, 2, 4, 8, 16, 32, 64, 128, 128, 117]),
        ] {
            let (rounds, ended) = rounds(count, &[], usize::MAX).await;
            assert_eq!(rounds, expected, "{count} creates");
            assert_eq!(ended, (count as usize, None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_begins_after_a_failure() {
        let (at_once, ended) = rounds(500, &[0], usize::MAX).await;
        assert_eq!(at_once, [1]);
        assert_eq!(ended, (0, Some(0)));

        // Items 3 to 6 run together; two are begun when 3 has succeeded, and 6 still counts.
        let (begun, ended) = rounds(20, &[4, 5], usize::MAX).await;
        assert_eq!(begun, [1, 2, 4, 2]);
        assert_eq!(ended, (7, Some(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_begins_once_it_is_not_to_go_on_but_the_first() {
        let (begun, ended) = rounds(20, &[], 5).await;
        assert_eq!((begun, ended), (vec![1, 2, 2], (5, None)));
        let (begun, ended) = rounds(20, &[], 0).await;
        assert_eq!((begun, ended), (vec![1], (1, None)));
    }

    #[tokio::test(start_paused = true)]
    async fn deletes_run_together_and_report_the_first_failure() {
        let begin = tokio::time::Instant::now();
        let (done, error) = run_together((0..50_u32).collect(), |item| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if item % 20 == 7 { Err(item) } else { Ok(item) }
        })
        .await;
        assert_eq!(begin.elapsed().as_secs(), 1);
        assert_eq!((done.len(), error), (47, Some(7)));
    }
}
