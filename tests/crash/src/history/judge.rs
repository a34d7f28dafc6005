//! Hands a history to the rules.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use ironkeel_invariants::{Asked, Checker, Commit, Rules, Writer};
use ironkeel_plan::meta::Key;
use jiff::Timestamp;

use crate::family::Mode;
use crate::fault::Fault;
use crate::proxy::Write;

/// What broke a rule, by rule. `starts` are the processes, each with a version that it cannot be behind; `settled` says
/// that the run ended complete and silent.
pub fn judge(
    mode: Mode,
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
    for asked in requests(mode, commits, writes) {
        broken.extend(checker.asked(&asked));
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
    by_rule
}

/// The requests as their sender knows them: those in JSON that were answered. What is in another encoding the proxy does
/// not read.
fn requests(mode: Mode, commits: &[Commit], writes: &[Write]) -> Vec<Asked> {
    let committed: BTreeSet<u64> = commits.iter().map(|commit| commit.version).collect();
    let mut told = BTreeSet::new();
    writes
        .iter()
        .filter_map(|write| {
            // A write that changed nothing is answered with the version of an earlier one.
            let made = write
                .version
                .filter(|version| committed.contains(version) && told.insert(*version));
            let asked = &write.asked;
            let resource = mode.resources().into_iter().find(|resource| {
                resource.path(None, None, None) == format!("{}/{}", asked.prefix, asked.resource)
            })?;
            let (names, code) = (write.names?, code(write)?);
            (!asked.dry_run).then(|| Asked {
                at: write.answered.unwrap_or(Timestamp::UNIX_EPOCH),
                writer: Writer::Controller(write.process),
                method: method(&asked.method),
                resource,
                key: Key::new(
                    asked.namespace.clone().unwrap_or_default(),
                    asked.name.clone().unwrap_or_default(),
                ),
                names_uid: names.uid,
                names_version: names.version,
                code,
                committed: made,
            })
        })
        .collect()
}

/// The status that the sender was told, if it was told one.
fn code(write: &Write) -> Option<u16> {
    match write.fault {
        None => write.code,
        Some(Fault::Code(code, _)) => Some(code),
        Some(_) => None,
    }
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "DELETE",
    }
}
