//! The conformance table of README.md, made from the files in `docs/conformance`.

use std::fmt::Write;

use anyhow::{Context, Result};

use super::report::{SpecResult, Verdict};

const BEGIN: &str = "<!-- conformance:begin -->";
const END: &str = "<!-- conformance:end -->";

/// The recorded runs of one mode; `None` where a set was not run.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub(super) ours: Option<Vec<SpecResult>>,
    pub(super) apps: Option<Vec<SpecResult>>,
}

/// The table: ours beside kube-controller-manager, on the same cluster.
pub(super) fn render(native: &Recorded, upstream: &Recorded) -> String {
    let mut text = String::from(
        "| specs of upstream's unmodified e2e.test 1.37.1 | Ironkeel, native mode | kube-controller-manager |\n\
         |---|---|---|\n",
    );
    for kind in ["Deployment", "ReplicaSet", "ReplicationController"] {
        let cell = |recorded: &Recorded| {
            let start = format!("[sig-apps] {kind} ");
            cell(recorded.ours.as_ref().map(|results| {
                results
                    .iter()
                    .filter(|result| result.spec.starts_with(&start))
                    .collect()
            }))
        };
        let _ = writeln!(
            text,
            "| `[sig-apps]` {kind}, all that need no cloud | {} | {} |",
            cell(native),
            cell(upstream)
        );
    }
    let all = |recorded: &Recorded| {
        cell(
            recorded
                .apps
                .as_ref()
                .map(|results| results.iter().collect()),
        )
    };
    let _ = writeln!(
        text,
        "| every `[sig-apps]` conformance spec; other kinds driven by upstream | {} | {} |",
        all(native),
        all(upstream)
    );
    text
}

fn cell(results: Option<Vec<&SpecResult>>) -> String {
    let Some(results) = results else {
        return "not run".to_owned();
    };
    let passed = results
        .iter()
        .filter(|result| result.verdict.is_pass())
        .count();
    let flaky = results
        .iter()
        .filter(|result| result.verdict == Verdict::Flaky)
        .count();
    let seconds: u64 = results.iter().map(|result| result.seconds).sum();
    let flaky = if flaky == 0 {
        String::new()
    } else {
        format!(" ({flaky} at the second try)")
    };
    format!("{passed} of {}{flaky}, {seconds} s", results.len())
}

/// `readme` with the table between its two marks replaced.
pub(super) fn splice(readme: &str, table: &str) -> Result<String> {
    let (before, rest) = readme
        .split_once(BEGIN)
        .with_context(|| format!("README.md has no line {BEGIN}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("README.md has no line {END} after {BEGIN}"))?;
    Ok(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn result(verdict: Verdict, spec: &str) -> SpecResult {
        SpecResult {
            verdict,
            seconds: 3,
            spec: format!("[sig-apps] {spec}"),
            message: String::new(),
        }
    }

    #[test]
    fn counts_are_by_kind_and_mode() {
        let native = Recorded {
            ours: Some(vec![
                result(Verdict::Passed, "Deployment a"),
                result(Verdict::Flaky, "Deployment b"),
                result(Verdict::Failed, "ReplicaSet c"),
            ]),
            apps: None,
        };
        let upstream = Recorded {
            ours: None,
            apps: Some(vec![result(Verdict::Passed, "Job d")]),
        };
        expect![[r"
            | specs of upstream's unmodified e2e.test 1.37.1 | Ironkeel, native mode | kube-controller-manager |
            |---|---|---|
            | `[sig-apps]` Deployment, all that need no cloud | 2 of 2 (1 at the second try), 6 s | not run |
            | `[sig-apps]` ReplicaSet, all that need no cloud | 0 of 1, 3 s | not run |
            | `[sig-apps]` ReplicationController, all that need no cloud | 0 of 0, 0 s | not run |
            | every `[sig-apps]` conformance spec; other kinds driven by upstream | not run | 1 of 1, 3 s |
        "]]
        .assert_eq(&render(&native, &upstream));
    }

    #[test]
    fn only_the_text_between_the_marks_changes() {
        let readme = format!("# A\n{BEGIN}\nold\n{END}\ntail\n");
        let new = splice(&readme, "new\n").unwrap();
        assert_eq!(new, format!("# A\n{BEGIN}\nnew\n{END}\ntail\n"));
        assert_eq!(splice(&new, "new\n").unwrap(), new);
        assert!(splice("# A\n", "new\n").is_err());
    }
}
