//! What is seen while a race runs: one bar on a terminal, a line per run elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use crate::results::Run;

/// Shows how far a race is.
pub struct Screen {
    bar: Option<ProgressBar>,
    what: Mutex<String>,
}

impl Screen {
    /// A bar where standard error is a terminal and this is no CI job, lines otherwise.
    pub fn new() -> Self {
        let terminal = io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let bar = terminal.then(|| {
            let bar = ProgressBar::new(0);
            let template = "{spinner} [{bar:24}] {pos}/{len} runs {elapsed} {wide_msg}";
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            bar,
            what: Mutex::default(),
        }
    }

    /// How many runs there will be.
    pub fn total(&self, runs: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(runs);
        }
    }

    /// So many runs more.
    pub fn more(&self, runs: u64) {
        if let Some(bar) = &self.bar {
            bar.inc_length(runs);
        }
    }

    /// What is done now.
    pub fn doing(&self, what: &str) {
        what.clone_into(&mut self.what.lock());
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => self.note(&format!("  …  {what}")),
        }
    }

    /// How far the run is that goes on.
    pub fn reached(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {done} of {total}", self.what.lock()));
        }
    }

    /// A run that brought nothing is behind us.
    pub fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// A run ended.
    pub fn done(&self, what: &str, run: &Run) {
        self.step();
        self.note(&format!("  ok {what}: {}", summary(run)));
        for check in run.checks.iter().filter(|check| !check.passed) {
            self.note(&format!("FAIL {what}: {}: {}", check.what, check.found));
        }
    }

    /// A line of its own.
    pub fn note(&self, line: &str) {
        let write = || {
            // A reader that went away is no reason to stop.
            let _ = writeln!(io::stderr(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// The race is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// The few figures that tell how a run went.
fn summary(run: &Run) -> String {
    let mut parts = Vec::new();
    for (name, phase) in &run.phases {
        parts.push(format!("{name} {:.2} s", phase.wall_s));
    }
    let mut add = |figure: &str, digits: usize, unit: &str| {
        if let Some(value) = run.figure(figure) {
            parts.push(format!("{value:.digits$} {unit}"));
        }
    };
    add("leading_s", 2, "s to the lease");
    add("takeover_s", 1, "s to take over");
    add("controller_cpu_s", 2, "s CPU");
    add("apiserver_cpu_s", 1, "s of the API server");
    add("writes_per_pod", 3, "writes per pod");
    add("conflicts", 0, "conflicts");
    add("rss_mb", 1, "MB");
    parts.join(", ")
}
