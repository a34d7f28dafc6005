//! What the user sees while a campaign runs: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use ironkeel_testbed::{Outcome, Progress};
use parking_lot::Mutex;

/// How often a campaign is heard of where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// The screen of one program.
#[derive(Debug)]
pub struct Screen {
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    what: String,
    done: u64,
    total: u64,
    bad: u64,
    started: Instant,
    spoke: Instant,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// A bar where standard error is a terminal and this is no CI job, lines otherwise.
    pub fn new() -> Self {
        let terminal = io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let now = Instant::now();
        Self {
            bar: terminal.then(ProgressBar::new_spinner),
            state: Mutex::new(State {
                what: String::new(),
                done: 0,
                total: 0,
                bad: 0,
                started: now,
                spoke: now,
            }),
        }
    }

    /// A number of runs begins.
    pub fn begin(&self, what: &str, total: u64) {
        {
            let mut state = self.state.lock();
            let now = Instant::now();
            *state = State {
                what: what.to_owned(),
                done: 0,
                total,
                bad: 0,
                started: now,
                spoke: now,
            };
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(0);
            bar.reset_elapsed();
            bar.set_prefix(what.to_owned());
            let template =
                "{spinner} {prefix} [{bar:24}] {pos}/{len} {elapsed} (still {eta}) {wide_msg}";
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar.enable_steady_tick(Duration::from_millis(200));
        }
    }

    /// One run ended.
    pub fn advance(&self, line: &str, good: bool) {
        let heard = {
            let mut state = self.state.lock();
            state.done += 1;
            state.bad += u64::from(!good);
            let due = state.spoke.elapsed() >= HEARTBEAT || state.done == state.total;
            if due {
                state.spoke = Instant::now();
            }
            due.then(|| {
                format!(
                    "  …   {} {}/{}, {} with findings ({} s): {line}",
                    state.what,
                    state.done,
                    state.total,
                    state.bad,
                    state.started.elapsed().as_secs()
                )
            })
        };
        match (&self.bar, heard) {
            (Some(bar), _) => {
                bar.inc(1);
                bar.set_message(line.to_owned());
            }
            (None, Some(heard)) => write_line(&mut io::stderr(), &heard),
            (None, None) => {}
        }
    }

    /// Writes a line of results to standard output, above the bar.
    pub fn say(&self, line: &str) {
        self.above(|| write_line(&mut io::stdout(), line));
    }

    fn above(&self, write: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

/// A reader that went away is no reason to stop.
fn write_line(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

impl Progress for Screen {
    fn start(&self, step: &str, _: Option<u64>) {
        if let Some(bar) = &self.bar {
            bar.set_message(step.to_owned());
        }
    }

    fn advance(&self, step: &str, _: u64, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{step}: {line}"));
        }
    }

    fn finish(&self, step: &str, outcome: Outcome) {
        if outcome == Outcome::Failed {
            self.note(&format!(" FAIL {step}"));
        }
    }

    fn note(&self, line: &str) {
        self.above(|| write_line(&mut io::stderr(), line));
    }
}
