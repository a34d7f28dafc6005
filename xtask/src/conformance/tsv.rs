//! Results spec by spec, as files of tab-separated values.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use super::report::SpecResult;

const HEADER: &str = "result\tseconds\tspec";

/// The text of a results file.
pub(super) fn write(results: &[SpecResult]) -> String {
    let mut text = format!("{HEADER}\n");
    for result in results {
        let _ = writeln!(
            text,
            "{}\t{}\t{}",
            result.verdict, result.seconds, result.spec
        );
    }
    text
}

/// Reads the text of a results file.
pub(super) fn read(text: &str) -> Result<Vec<SpecResult>> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        bail!("the first line is not {HEADER:?}");
    }
    lines
        .enumerate()
        .map(|(index, line)| parse(line).with_context(|| format!("line {}", index + 2)))
        .collect()
}

fn parse(line: &str) -> Result<SpecResult> {
    let mut fields = line.splitn(3, '\t');
    let (Some(verdict), Some(seconds), Some(spec)) = (fields.next(), fields.next(), fields.next())
    else {
        bail!("{line:?} has fewer than three fields");
    };
    Ok(SpecResult {
        verdict: verdict.parse()?,
        seconds: seconds
            .parse()
            .with_context(|| format!("{seconds:?} is no number of seconds"))?,
        spec: spec.to_owned(),
        message: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::report::Verdict;

    #[test]
    fn what_was_written_is_read_back() {
        let results = vec![
            SpecResult {
                verdict: Verdict::Flaky,
                seconds: 12,
                spec: "[sig-apps] Deployment a".to_owned(),
                message: String::new(),
            },
            SpecResult {
                verdict: Verdict::Missing,
                seconds: 0,
                spec: "[sig-apps] Deployment b".to_owned(),
                message: String::new(),
            },
        ];
        assert_eq!(read(&write(&results)).unwrap(), results);
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = read(&format!("{HEADER}\npassed\tsoon\tx\n")).unwrap_err();
        assert_eq!(format!("{error:#}").split(':').next(), Some("line 2"));
        assert!(format!("{error:#}").contains("\"soon\" is no number of seconds"));
    }
}
