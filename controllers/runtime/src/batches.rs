//! Creates in growing batches, deletes all at once.

use std::future::Future;

use futures::future::join_all;

/// What came of a slow start.
#[derive(Debug)]
pub struct SlowStart<T, E> {
    /// What the creates that succeeded returned, in the order of the items.
    pub created: Vec<T>,
    /// The first error, in the order of the items.
    pub error: Option<E>,
    /// Items that were not tried because an earlier batch had failed.
    pub skipped: usize,
}

/// Runs `create` for each item in batches of 1, 2, 4, … and stops after the first batch
/// with a failure, so that a quota that refuses every pod sees a few refusals instead of
/// hundreds (upstream `slowStartBatch`).
///
/// Creates of one batch run together; those of a batch that has a failure still run to
/// their end and count.
pub async fn run_slow_start<I, T, E, F>(
    items: Vec<I>,
    mut create: impl FnMut(I) -> F,
) -> SlowStart<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut outcome = SlowStart {
        created: Vec::with_capacity(items.len()),
        error: None,
        skipped: items.len(),
    };
    let mut items = items.into_iter();
    let mut size = 1;
    while outcome.skipped > 0 && outcome.error.is_none() {
        let batch: Vec<F> = items.by_ref().take(size).map(&mut create).collect();
        outcome.skipped -= batch.len();
        for result in join_all(batch).await {
            match result {
                Ok(created) => outcome.created.push(created),
                Err(error) => {
                    outcome.error.get_or_insert(error);
                }
            }
        }
        size *= 2;
    }
    outcome
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
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    /// Runs `count` creates of 1 s each, of which those in `failing` fail, and returns how
    /// many started at each second.
    async fn rounds(count: u32, failing: &[u32]) -> (Vec<usize>, SlowStart<u32, u32>) {
        let begin = tokio::time::Instant::now();
        let started: RefCell<BTreeMap<u64, usize>> = RefCell::default();
        let outcome = run_slow_start((0..count).collect(), |item| {
            let started = &started;
            async move {
                let round = begin.elapsed().as_secs();
                started
                    .borrow_mut()
                    .entry(round)
                    .and_modify(|count| *count += 1)
                    .or_insert(1);
                tokio::time::sleep(Duration::from_secs(1)).await;
                if failing.contains(&item) {
                    Err(item)
                } else {
                    Ok(item)
                }
            }
        })
        .await;
        (started.into_inner().into_values().collect(), outcome)
    }

    #[tokio::test(start_paused = true)]
    async fn batches_double_and_the_last_takes_the_rest() {
        for (count, expected) in [
            (0, vec![]),
            (1, vec![1]),
            (2, vec![1, 1]),
            (3, vec![1, 2]),
            (7, vec![1, 2, 4]),
            (10, vec![1, 2, 4, 3]),
            (500, vec![1, 2, 4, 8, 16, 32, 64, 128, 245]),
        ] {
            let (rounds, outcome) = rounds(count, &[]).await;
            assert_eq!(rounds, expected, "{count} creates");
            assert_eq!(outcome.created, (0..count).collect::<Vec<_>>());
            assert_eq!((outcome.error, outcome.skipped), (None, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_batch_that_fails_is_the_last() {
        let (at_once, outcome) = rounds(500, &[0]).await;
        assert_eq!(at_once, [1]);
        assert_eq!(
            (outcome.created.len(), outcome.error, outcome.skipped),
            (0, Some(0), 499)
        );

        // Items 3 to 6 are the third batch: 4 and 5 fail, 3 and 6 are still created.
        let (third, outcome) = rounds(20, &[4, 5]).await;
        assert_eq!(third, [1, 2, 4]);
        assert_eq!(outcome.created, [0, 1, 2, 3, 6]);
        assert_eq!((outcome.error, outcome.skipped), (Some(4), 13));
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
