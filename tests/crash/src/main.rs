//! The program `ironkeel-crash`, which `cargo xtask crash` runs.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::Parser;
use ironkeel_crash::campaign::{self, Choice, Results};
use ironkeel_crash::cluster::Cluster;
use ironkeel_crash::family::Mode;
use ironkeel_crash::flags::Flags;
use ironkeel_crash::history::{Ledger, Observer};
use ironkeel_crash::kubelet::Kubelet;
use ironkeel_crash::report::Report;
use ironkeel_crash::run::World;
use ironkeel_crash::screen::Screen;
use ironkeel_crash::subject::{Program, Subject};
use ironkeel_testbed::{ProgramSet, Programs, Progress};
use jiff::Zoned;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let flags = Flags::parse();
    let screen = Screen::new();
    match run(&flags, &screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            screen.note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was found that is to be held against Ironkeel.
fn run(flags: &Flags, screen: &Screen) -> Result<bool> {
    let stamp = Zoned::now().strftime("%Y%m%d-%H%M%S");
    let folder = std::path::absolute(flags.out.join(format!("{stamp}-{}", std::process::id())))?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let programs = Programs::ready(&[ProgramSet::Cluster], screen)?;
    let server = folder.join("server");
    let mut cluster = Cluster::start(&server, &programs, screen)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting tokio")?;
    let mut results = Vec::new();
    // An interrupt ends the campaign in order, for the API server would go on without it; what was found is reported.
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = carry_out(flags, &folder, &mut cluster, screen, &mut results) => ended,
            _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow!("asked to end")),
        }
    });
    if !flags.keep && ended.is_ok() {
        // Logs and data of the API server are a hundred megabytes, and say nothing that the histories do not.
        cluster.discard()?;
    }
    drop(cluster);

    let command: Vec<String> = std::env::args().skip(1).collect();
    let report = Report::new(format!("cargo xtask crash {}", command.join(" ")), &results);
    write(
        &folder.join("report.json"),
        &serde_json::to_vec_pretty(&report)?,
    )?;
    let table = report.table();
    write(&folder.join("report.txt"), table.as_bytes())?;
    screen.say(table.trim_end());
    if report.unknown_writers > 0 {
        screen.say(&format!(
            "{} commits have no known writer, which no rule can judge",
            report.unknown_writers
        ));
    }
    if report.is_harmless() {
        screen.say("no fault struck: the proxy did nothing that could be survived");
    }
    screen.say(&format!("report: {}", folder.display()));
    screen.say(&report.sum());
    screen.say(&report.counts());
    ended?;
    Ok(report.is_good())
}

async fn carry_out(
    flags: &Flags,
    folder: &Path,
    cluster: &mut Cluster,
    screen: &Screen,
    results: &mut Vec<Results>,
) -> Result<()> {
    let client = cluster.client().await?;
    cluster.install_kinds(&client).await?;
    cluster.start_collector(&client).await?;
    let ledger = Ledger::default();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let mut kinds: Vec<_> = [Mode::Native, Mode::Crd]
        .iter()
        .flat_map(|mode| mode.resources())
        .collect();
    kinds.sort();
    kinds.dedup();
    let observer = Observer::start(&client, &kinds, tell).await?;
    let _kubelet = Kubelet::start(client.clone(), ledger.clone(), told).await?;
    let world = World {
        client,
        observer,
        ledger,
        folder: folder.to_owned(),
        silence: flags.silence,
        limit: flags.limit,
    };
    let choice = Choice {
        scenarios: flags.scenarios(),
        faults: flags.faults(),
        step: flags.step,
        at: flags.at,
        sample: flags.sample.map(|count| (count, flags.seed)),
        jobs: flags.jobs.into(),
        keep: flags.keep,
    };
    for (subject, mode) in flags.subjects() {
        let program = match subject {
            Subject::Ironkeel => Program::ironkeel(&flags.manager, mode)?,
            Subject::Upstream => Program::upstream(cluster.bare())?,
        };
        results.push(Results::default());
        if let Some(results) = results.last_mut() {
            campaign::run(&world, &program, &choice, screen, results).await?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).with_context(|| format!("writing {}", path.display()))
}
