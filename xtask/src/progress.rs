//! What the user sees while work goes on: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use ironkeel_testbed::{Outcome, Progress};

/// How often a step that goes on for long is heard of where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Steps shorter than this that changed nothing are not worth a line.
const SILENT_BELOW: Duration = Duration::from_secs(2);

/// Shows steps, their progress and their outcome.
#[derive(Debug)]
pub(crate) struct Screen {
    bars: Option<MultiProgress>,
    steps: Mutex<BTreeMap<String, Step>>,
}

#[derive(Debug)]
struct Step {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    started: Instant,
    spoke: Instant,
}

impl Screen {
    /// Bars where standard error is a terminal and this is no CI job, lines otherwise.
    pub(crate) fn new() -> Self {
        let terminal = io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        Self {
            bars: terminal.then(MultiProgress::new),
            steps: Mutex::default(),
        }
    }

    /// Writes a line of results to standard output, above the bars.
    pub(crate) fn say(&self, line: &str) {
        self.above_bars(|| {
            // A reader that went away, as in `cargo xtask logs | head`, is no reason to stop the work.
            let _ = writeln!(io::stdout(), "{line}");
        });
    }

    /// Runs `work` as a step that is shown with its outcome and time.
    pub(crate) fn step<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.start(name, None);
        let result = work();
        let outcome = if result.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        self.finish(name, outcome);
        result
    }

    fn above_bars(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn line(&self, line: &str) {
        self.above_bars(|| {
            let _ = writeln!(io::stderr(), "{line}");
        });
    }

    fn steps(&self) -> MutexGuard<'_, BTreeMap<String, Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Screen {
    fn start(&self, step: &str, total: Option<u64>) {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            bar.set_style(style(total.is_some()));
            bar.set_prefix(step.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let now = Instant::now();
        self.steps().insert(
            step.to_owned(),
            Step {
                bar,
                total,
                started: now,
                spoke: now,
            },
        );
    }

    fn advance(&self, step: &str, done: u64, line: &str) {
        let mut heard = None;
        if let Some(step_state) = self.steps().get_mut(step) {
            match &step_state.bar {
                Some(bar) => {
                    bar.set_position(done);
                    bar.set_message(line.to_owned());
                }
                None if step_state.spoke.elapsed() >= HEARTBEAT => {
                    step_state.spoke = Instant::now();
                    heard = Some(heartbeat(
                        step,
                        done,
                        step_state.total,
                        line,
                        step_state.started.elapsed(),
                    ));
                }
                None => {}
            }
        }
        // Outside the lock: writing may block.
        if let Some(line) = heard {
            self.line(&line);
        }
    }

    fn finish(&self, step: &str, outcome: Outcome) {
        let Some(state) = self.steps().remove(step) else {
            return;
        };
        if let Some(bar) = state.bar {
            bar.finish_and_clear();
        }
        if let Some(line) = closing(step, outcome, state.started.elapsed()) {
            self.line(&line);
        }
    }

    fn note(&self, line: &str) {
        self.line(line);
    }
}

fn style(counted: bool) -> ProgressStyle {
    let template = if counted {
        "{spinner} {prefix} [{bar:24}] {pos}/{len} {elapsed} {wide_msg}"
    } else {
        "{spinner} {prefix} {elapsed} {wide_msg}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The line of a step that goes on, where there is no bar.
fn heartbeat(step: &str, done: u64, total: Option<u64>, line: &str, elapsed: Duration) -> String {
    let count = total.map_or_else(String::new, |total| format!(" {done}/{total}"));
    let line = if line.is_empty() {
        String::new()
    } else {
        format!(": {line}")
    };
    format!("  …   {step}{count}{line} ({})", seconds(elapsed))
}

/// The line of a step that ended; `None` where nothing happened.
fn closing(step: &str, outcome: Outcome, elapsed: Duration) -> Option<String> {
    match outcome {
        Outcome::Done => Some(format!("  ok  {step} ({})", seconds(elapsed))),
        Outcome::Unchanged if elapsed < SILENT_BELOW => None,
        Outcome::Unchanged => Some(format!("  ok  {step}: unchanged ({})", seconds(elapsed))),
        Outcome::Failed => Some(format!(" FAIL {step} ({})", seconds(elapsed))),
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn seconds(elapsed: Duration) -> String {
    let whole = elapsed.as_secs();
    match whole {
        0..10 => format!("{:.1} s", elapsed.as_secs_f64()),
        10..60 => format!("{whole} s"),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_a_watch() {
        assert_eq!(seconds(Duration::from_millis(449)), "0.4 s");
        assert_eq!(seconds(Duration::from_secs(12)), "12 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 05 s");
    }

    #[test]
    fn a_quick_step_that_changed_nothing_says_nothing() {
        let quick = Duration::from_millis(300);
        assert_eq!(closing("node1", Outcome::Unchanged, quick), None);
        assert_eq!(
            closing("node1", Outcome::Done, quick).as_deref(),
            Some("  ok  node1 (0.3 s)")
        );
        assert_eq!(
            closing("node1", Outcome::Failed, quick).as_deref(),
            Some(" FAIL node1 (0.3 s)")
        );
    }

    #[test]
    fn a_heartbeat_says_how_far_the_step_is() {
        let line = heartbeat("build etcd", 3, Some(9), "raft", Duration::from_secs(61));
        assert_eq!(line, "  …   build etcd 3/9: raft (1 min 01 s)");
    }
}
