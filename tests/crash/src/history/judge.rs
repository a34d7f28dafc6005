//! Hands a history to the rules.

use std::collections::BTreeMap;

use http::Method;
use ironkeel_invariants::{Checker, Commit, Rules};
use jiff::Timestamp;

use crate::proxy::Write;

/// The one rule that is judged on requests, in the words of the catalogue.
const PRECONDITION: &str = "G6-precondition";

/// What broke a rule, by rule. `starts` are the processes, each with a version that it cannot be behind; `settled` says
/// that the run ended complete and silent.
pub fn judge(
    commits: &[Commit],
    writes: &[Write],
    starts: &[(u32, u64)],
    settled: bool,
) -> BTreeMap<String, Vec<String>> {
    let mut checker = Checker::new(Rules::default());
    let mut broken = Vec::new();
    let mut starts = starts.iter().peekable();
    for commit in commits {
        while let Some((process, version)) =
            starts.next_if(|(_, version)| *version < commit.version)
        {
            checker.started(*process, *version);
        }
        broken.extend(checker.committed(commit));
    }
    // What never settled is told as such, and would break every rule about the end.
    if settled {
        broken.extend(checker.settled_at(Timestamp::now()));
    }
    let mut by_rule: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for violation in broken {
        let text = violation.to_string();
        by_rule
            .entry(violation.rule.to_owned())
            .or_default()
            .push(text);
    }
    let requests = without_uid(writes);
    if !requests.is_empty() {
        by_rule.insert(PRECONDITION.to_owned(), requests);
    }
    by_rule
}

/// What a commit does not show: deletes and patches must name the UID of their object, so that they never meet another of
/// the same name. Bodies in another encoding than JSON are not read, which spares the control.
fn without_uid(writes: &[Write]) -> Vec<String> {
    writes
        .iter()
        .filter(|write| {
            let named = write.names.is_none_or(|names| names.uid);
            matches!(write.asked.method, Method::DELETE | Method::PATCH) && !named
        })
        .map(|write| {
            format!(
                "process {}: {} names no UID",
                write.process,
                write.asked.line()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::proxy::{Asked, Names};

    #[test]
    fn a_delete_without_a_uid_is_found() {
        let write = |method: Method, names: Option<Names>| Write {
            number: 1,
            process: 1,
            came: Instant::now(),
            asked: Asked::read(&method, &"/api/v1/namespaces/a/pods/p".parse().unwrap()).unwrap(),
            names,
            code: Some(200),
            version: None,
            fault: None,
        };
        let names = |uid: bool| Some(Names { uid });
        let writes = [
            write(Method::DELETE, names(true)),
            write(Method::DELETE, names(false)),
            write(Method::PATCH, None),
            write(Method::PUT, names(false)),
        ];
        assert_eq!(
            without_uid(&writes),
            ["process 1: DELETE pods/p names no UID"]
        );
        let broken = judge(&[], &writes, &[], false);
        assert_eq!(broken.keys().collect::<Vec<_>>(), [PRECONDITION]);
    }
}
