//! The charts, without a cluster: linted and rendered with every set of values that comes with them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use ironkeel_testbed::{Programs, Progress};

use super::counts::Counts;
use super::runner::{Ended, Stage};
use crate::{shell, workspace};

/// Values that a chart has to refuse, and a word of the message it refuses them with.
const REFUSED: [(&str, &[&str], &str); 3] = [
    (
        "ironkeel-controllers",
        &["mode=native"],
        "deployment.enabled=false",
    ),
    (
        "ironkeel-controllers",
        &["mode=both"],
        "deployment.enabled=false",
    ),
    ("ironkeel-controllers", &["mode=other"], "mode"),
];

/// Lints and renders every chart with every set of values, and checks what has to be refused.
pub(super) fn check(stage: &Stage<'_>, programs: &Programs) -> Result<Ended> {
    let helm = programs.path("helm")?;
    let charts = charts()?;
    let mut checks: Vec<(String, Command)> = Vec::new();
    for chart in &charts {
        for values in values_of(chart)? {
            for verb in ["lint", "template"] {
                let mut command = shell::command(&helm);
                command.arg(verb).arg(chart);
                match verb {
                    "lint" => command.arg("--strict"),
                    // Without the operator's kinds the chart leaves the objects for it out, and nothing would look at them.
                    _ => command.args(["--api-versions", "monitoring.coreos.com/v1"]),
                };
                if let Some(values) = &values {
                    command.arg("--values").arg(values);
                }
                let shown = values.as_ref().unwrap_or(chart);
                checks.push((format!("helm {verb} {}", workspace::shown(shown)), command));
            }
        }
    }
    let mut ended = Ended::default();
    let mut judge = |name: &str, result: Result<()>| match result {
        Ok(()) => ended.counts += Counts::passed(1),
        Err(error) => {
            ended.counts += Counts::FAILED;
            let _ = writeln!(ended.problem, "{name}: {error:#}");
        }
    };
    for (name, command) in checks {
        stage.screen.advance(stage.name, 0, &name);
        judge(&name, shell::run(command, &stage.log, &mut |_| {}));
    }
    for (chart, values, word) in REFUSED {
        let name = format!("{chart} refuses {}", values.join(" "));
        judge(&name, refuses(&helm, chart, values, word));
    }
    Ok(ended)
}

/// Whether rendering fails with a message that holds `word`.
fn refuses(helm: &Path, chart: &str, values: &[&str], word: &str) -> Result<()> {
    let mut command = shell::command(helm);
    command
        .arg("template")
        .arg(workspace::root().join("charts").join(chart));
    for value in values {
        command.args(["--set", value]);
    }
    match shell::read(command) {
        Ok(_) => bail!("it rendered"),
        Err(error) if error.to_string().contains(word) => Ok(()),
        Err(error) => bail!("the message does not say {word:?}: {error:#}"),
    }
}

fn charts() -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join("charts");
    let mut charts = children(&folder)?;
    charts.retain(|chart| chart.join("Chart.yaml").is_file());
    if charts.is_empty() {
        bail!("there is no chart in {}", folder.display());
    }
    Ok(charts)
}

/// The chart's default values and every file in its `ci/`.
fn values_of(chart: &Path) -> Result<Vec<Option<PathBuf>>> {
    let folder = chart.join("ci");
    let mut values = vec![None];
    if folder.is_dir() {
        values.extend(children(&folder)?.into_iter().map(Some));
    }
    Ok(values)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}
