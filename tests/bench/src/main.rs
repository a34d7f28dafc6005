//! The program `ironkeel-bench`, which `cargo xtask bench` runs.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser as _;
use ironkeel_bench::controllers::cases::Cases;
use ironkeel_bench::controllers::cluster::Cluster;
use ironkeel_bench::controllers::race::{Gathered, Race, Settings};
use ironkeel_bench::controllers::scenarios::Scenario;
use ironkeel_bench::controllers::sizes::Sizes;
use ironkeel_bench::flags::{Flags, Suite};
use ironkeel_bench::proc::Machine;
use ironkeel_bench::report;
use ironkeel_bench::results::{About, Results};
use ironkeel_bench::screen::Screen;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            Screen::new().note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Returns whether everything that was asked for holds.
fn run(flags: &Flags) -> Result<bool> {
    // Programs that are started elsewhere are told this path.
    let out = std::path::absolute(target().join("bench"))?;
    let file = out.join("results.json");
    if flags.report {
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let results: Results =
            serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?;
        return conclude(flags, &results);
    }
    let wanted = wanted(&flags.only)?;
    let results = match flags.suite {
        Suite::Controllers => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?
            .block_on(controllers(flags, &wanted, &out, &file))?,
    };
    conclude(flags, &results)
}

fn wanted(only: &[String]) -> Result<Vec<Scenario>> {
    let mut named: Vec<Scenario> = Vec::new();
    for name in only {
        let Some(scenarios) = Scenario::named(name) else {
            bail!("--only names {name:?}, which is none of: start, P1, P2, P3, P8 to P13");
        };
        named.extend(scenarios);
    }
    Ok(Scenario::ALL
        .into_iter()
        .filter(|scenario| only.is_empty() || named.contains(scenario))
        .collect())
}

async fn controllers(
    flags: &Flags,
    wanted: &[Scenario],
    out: &Path,
    file: &Path,
) -> Result<Results> {
    let started = Instant::now();
    let about = About {
        command: command_line(),
        began: Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        minutes: 0.0,
        commit: commit(),
        machine: Machine::here(),
        pairs: if flags.smoke { 1 } else { flags.pairs.into() },
        size_factor: flags.size_factor,
        image_bytes: flags.image_bytes,
    };
    let screen = Screen::new();
    screen.doing("starting etcd and kube-apiserver");
    // Counts are as exact without waiting for the disk, and the smoke is to be quick. From here on nobody else runs in `out`.
    let cluster = Cluster::start(&out.join("cluster"), !flags.smoke).await?;
    let logs = out.join("logs");
    if logs.exists() {
        fs::remove_dir_all(&logs).with_context(|| format!("removing {}", logs.display()))?;
    }
    let pairs = about.pairs;
    let results = move |gathered: Gathered| Results {
        about: About {
            minutes: started.elapsed().as_secs_f64() / 60.0,
            ..about.clone()
        },
        probes: gathered.probes,
        runs: gathered.runs,
        failures: gathered.failures,
    };
    let (so_far, place) = (results.clone(), file.to_owned());
    let save = Box::new(move |gathered: &Gathered| {
        // What cannot be saved now is saved at the end, where a failure is an error.
        let _ = store(&so_far(gathered.clone()), &place);
    });
    let race = Race::new(
        cluster,
        Settings {
            sizes: if flags.smoke {
                Sizes::smoke()
            } else {
                Sizes::full(flags.size_factor, flags.largest)
            },
            manager: flags.manager.clone(),
            logs,
            pairs,
            minutes: flags.minutes,
            repeats: !flags.smoke,
            save,
        },
        screen,
    );
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = async {
            race.warm_up().await?;
            race.run(wanted).await;
            anyhow::Ok(())
        } => outcome?,
        // Leaving in order ends the API server, which has a session of its own.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
    race.screen.finish();
    let results = results(race.gathered());
    store(&results, file)?;
    Ok(results)
}

fn store(results: &Results, file: &Path) -> Result<()> {
    let text = serde_json::to_vec_pretty(results)?;
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

/// Shows the results and says whether they are good.
fn conclude(flags: &Flags, results: &Results) -> Result<bool> {
    let cases = Cases::of(results, flags.smoke);
    if flags.smoke {
        for failed in &cases.failed {
            say(&format!("failed: {failed}"));
        }
        say(&cases.summary());
        return Ok(cases.failed.is_empty());
    }
    say(&report::terminal(results));
    if !flags.no_docs {
        report::write(results, Path::new("docs"))?;
    }
    for failed in &cases.failed {
        say(&format!("failed: {failed}"));
    }
    let mut missed = report::missed(results);
    if flags.only.is_empty() {
        missed.extend(report::unmeasured(results));
    }
    if flags.check {
        for line in &missed {
            say(&format!("missed: {line}"));
        }
    }
    Ok(cases.failed.is_empty() && (missed.is_empty() || !flags.check))
}

fn say(text: &str) {
    // A reader that went away is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// What the user typed, without what xtask adds.
fn command_line() -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    words.extend(
        env::args()
            .skip(1)
            .filter(|word| !word.starts_with("--manager=") && !word.starts_with("--image-bytes=")),
    );
    words.join(" ")
}

/// The commit, with `+` where tracked files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return String::new();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_some_and(|changed| !changed.is_empty()) {
        return format!("{commit}+");
    }
    commit
}
