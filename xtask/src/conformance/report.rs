//! Reads what ginkgo reports.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// How a spec ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passed at its first try.
    Passed,
    /// It passed at its second try.
    Flaky,
    /// It failed at every try.
    Failed,
    /// It decided not to run.
    Skipped,
    /// It was asked for, and upstream's suite did not run it.
    Missing,
}

impl Verdict {
    /// Whether the spec passed at some try.
    pub(crate) const fn is_pass(self) -> bool {
        matches!(self, Self::Passed | Self::Flaky)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Missing => "missing",
        })
    }
}

impl FromStr for Verdict {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "passed" => Self::Passed,
            "flaky" => Self::Flaky,
            "failed" => Self::Failed,
            "skipped" => Self::Skipped,
            "missing" => Self::Missing,
            other => bail!("{other:?} is no result of a spec"),
        })
    }
}

/// One spec and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpecResult {
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// Its run time, all tries together, in whole seconds.
    pub(crate) seconds: u64,
    /// Its full name.
    pub(crate) spec: String,
    /// Why it failed or did not run, in upstream's words; not kept in files.
    pub(crate) message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Suite {
    #[serde(default)]
    spec_reports: Option<Vec<SpecReport>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SpecReport {
    #[serde(default)]
    container_hierarchy_texts: Option<Vec<String>>,
    #[serde(default)]
    leaf_node_text: String,
    leaf_node_type: String,
    state: String,
    /// Nanoseconds.
    #[serde(default)]
    run_time: u64,
    #[serde(default)]
    num_attempts: u32,
    #[serde(default)]
    failure: Option<Failure>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    #[serde(default)]
    message: String,
}

impl SpecReport {
    fn name(&self) -> String {
        let containers = self.container_hierarchy_texts.iter().flatten();
        containers
            .map(String::as_str)
            .chain([self.leaf_node_text.as_str()])
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn message(&self) -> String {
        self.failure
            .as_ref()
            .map_or_else(String::new, |failure| failure.message.trim().to_owned())
    }

    fn verdict(&self) -> Verdict {
        match self.state.as_str() {
            "passed" if self.num_attempts > 1 => Verdict::Flaky,
            "passed" => Verdict::Passed,
            "skipped" | "pending" => Verdict::Skipped,
            _ => Verdict::Failed,
        }
    }
}

/// Reads ginkgo's `--json-report`.
///
/// `wanted` are the specs that were asked for: those come out in its order, each once, also where the suite does not
/// know them. Where it is `None`, every spec that ran comes out, in order of its name. A suite that broke before its
/// specs is an error.
pub(crate) fn read(json: &str, wanted: Option<&[&str]>) -> Result<Vec<SpecResult>> {
    let suites: Vec<Suite> = serde_json::from_str(json).context("reading ginkgo's JSON report")?;
    let reports: Vec<SpecReport> = suites
        .into_iter()
        .filter_map(|suite| suite.spec_reports)
        .flatten()
        .collect();

    if let Some(broken) = reports
        .iter()
        .find(|report| report.leaf_node_type != "It" && report.verdict() == Verdict::Failed)
    {
        bail!("{} failed: {}", broken.leaf_node_type, broken.message());
    }
    // A spec that the focus left out is reported as skipped, without a message.
    let mut ran: Vec<SpecResult> = reports
        .iter()
        .filter(|report| report.leaf_node_type == "It")
        .filter(|report| report.verdict() != Verdict::Skipped || !report.message().is_empty())
        .map(|report| SpecResult {
            verdict: report.verdict(),
            seconds: (report.run_time + 500_000_000) / 1_000_000_000,
            spec: report.name(),
            message: report.message(),
        })
        .collect();
    ran.sort_by(|a, b| a.spec.cmp(&b.spec));
    let Some(wanted) = wanted else {
        return Ok(ran);
    };
    Ok(wanted
        .iter()
        .map(|spec| {
            ran.iter()
                .find(|result| result.spec == *spec)
                .cloned()
                .unwrap_or_else(|| SpecResult {
                    verdict: Verdict::Missing,
                    seconds: 0,
                    spec: (*spec).to_owned(),
                    message: "upstream's suite did not run it".to_owned(),
                })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(name: &str, state: &str, attempts: u32) -> serde_json::Value {
        json!({
            "ContainerHierarchyTexts": ["[sig-apps] Deployment"], "LeafNodeText": name, "LeafNodeType": "It",
            "State": state, "RunTime": 2_600_000_000_u64, "NumAttempts": attempts,
        })
    }

    #[test]
    fn every_wanted_spec_gets_a_verdict() {
        let json = json!([{ "SpecReports": [
            spec("scales", "passed", 1),
            spec("rolls", "passed", 2),
            spec("breaks", "timedout", 2),
            spec("is not in focus", "skipped", 0),
        ]}])
        .to_string();
        let wanted = [
            "[sig-apps] Deployment breaks",
            "[sig-apps] Deployment is not in focus",
            "[sig-apps] Deployment rolls",
            "[sig-apps] Deployment scales",
        ];
        let verdicts: Vec<(Verdict, u64)> = read(&json, Some(&wanted))
            .unwrap()
            .iter()
            .map(|result| (result.verdict, result.seconds))
            .collect();
        assert_eq!(
            verdicts,
            [
                (Verdict::Failed, 3),
                (Verdict::Missing, 0),
                (Verdict::Flaky, 3),
                (Verdict::Passed, 3)
            ]
        );
        assert_eq!(read(&json, None).unwrap().len(), 3);
    }

    #[test]
    fn a_suite_that_did_not_start_is_an_error() {
        let json = json!([{ "SpecReports": [{
            "LeafNodeType": "SynchronizedBeforeSuite", "State": "failed", "RunTime": 1,
            "Failure": { "Message": "no node is ready" },
        }]}])
        .to_string();
        let error = read(&json, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "SynchronizedBeforeSuite failed: no node is ready"
        );
    }
}
