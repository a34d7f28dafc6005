//! How long work tells its caller what it is doing.

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The step changed something.
    Done,
    /// Everything was right already.
    Unchanged,
    /// The step failed; the error follows as the return value of the call.
    Failed,
}

/// Receives what long work reports. Steps may overlap; their name tells them apart.
pub trait Progress: Send + Sync {
    /// A step begins. `total` is the number of units it will report, where that is known and worth a bar.
    fn start(&self, step: &str, total: Option<u64>);
    /// `done` units of the step are behind it; `line` says in a few words what it is at now.
    fn advance(&self, step: &str, done: u64, line: &str);
    /// The step ended.
    fn finish(&self, step: &str, outcome: Outcome);
    /// Something worth a line of its own that belongs to no step, such as a package being installed.
    fn note(&self, line: &str);
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: &str, _: u64, _: &str) {}
    fn finish(&self, _: &str, _: Outcome) {}
    fn note(&self, _: &str) {}
}

/// Runs `work` as a step: reports its start and its end, whatever the end is.
pub(crate) fn step<T>(
    progress: &dyn Progress,
    name: &str,
    total: Option<u64>,
    work: impl FnOnce() -> anyhow::Result<(T, Outcome)>,
) -> anyhow::Result<T> {
    progress.start(name, total);
    match work() {
        Ok((value, outcome)) => {
            progress.finish(name, outcome);
            Ok(value)
        }
        Err(error) => {
            progress.finish(name, Outcome::Failed);
            Err(error)
        }
    }
}
