//! A history as a table for people: who wrote what, who saw it when, what went wrong.
//!
//! ```text
//! time    version  who           what                     change                                    seen by
//! 0.000       12   user          create deployment web    replicas 2, image web:1                   1 +14 ms
//! ```

mod change;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use ironkeel_invariants::Commit;
use ironkeel_plan::meta::Key;
use ironkeel_runtime::resource::Resource;
use jiff::Timestamp;

use crate::api::EventKind;
use crate::api::resource::{EVENTS, LEASES};
use crate::history::{Entry, What, verb};

/// Longest text in the column of changes.
const WIDEST: usize = 110;

/// What a table shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Detail {
    /// Also leases and events, which are written all the time.
    pub leases: bool,
    /// Also the opening and closing of watches, and lists.
    pub watches: bool,
}

/// One line of a table.
type Row = [String; 6];

const HEAD: [&str; 6] = ["time", "version", "who", "what", "change", "seen by"];

/// The history as a table, in order of time.
pub fn render(entries: &[Entry], detail: Detail) -> String {
    let start = entries
        .first()
        .map_or(Timestamp::UNIX_EPOCH, |entry| entry.at);
    let seen = deliveries(entries);
    let rows: Vec<Row> = entries
        .iter()
        .filter_map(|entry| row(entry, start, &seen, detail))
        .collect();
    align(&rows)
}

/// Who saw which version of which object, and when.
type Deliveries<'a> = BTreeMap<(Resource, &'a Key, u64), Vec<(u32, Timestamp)>>;

fn deliveries(entries: &[Entry]) -> Deliveries<'_> {
    let mut seen: Deliveries<'_> = BTreeMap::new();
    for entry in entries {
        if let What::Seen {
            process,
            resource,
            kind,
            key,
            version,
        } = &entry.what
            && *kind != EventKind::Bookmark
        {
            seen.entry((*resource, key, *version))
                .or_default()
                .push((*process, entry.at));
        }
    }
    seen
}

fn row(entry: &Entry, start: Timestamp, seen: &Deliveries<'_>, detail: Detail) -> Option<Row> {
    let hidden = |resource: Resource| !detail.leases && [LEASES, EVENTS].contains(&resource);
    let [version, who, what, change, by] = match &entry.what {
        What::Commit(commit) if hidden(commit.resource) => return None,
        What::Commit(commit) => [
            commit.version.to_string(),
            commit.writer.to_string(),
            format!("{} {}", verb(commit), object(commit.resource, &commit.key)),
            change::words(commit.before.as_deref(), commit.after.as_deref()),
            seen_by(commit, seen),
        ],
        What::Failed {
            writer,
            verb,
            path,
            answer,
            committed,
        } => {
            let is_noise = path.contains("/leases") || path.contains("/events");
            if is_noise && !detail.leases {
                return None;
            }
            let committed = if *committed { ", but committed" } else { "" };
            [
                "-".to_owned(),
                writer.to_string(),
                format!("{verb} {path}"),
                format!("! {answer}{committed}"),
                String::new(),
            ]
        }
        What::Seen { .. } => return None,
        What::Watch { .. } if !detail.watches => return None,
        What::Watch {
            process,
            resource,
            text,
        } => {
            if hidden(*resource) {
                return None;
            }
            [
                String::new(),
                format!("controller {process}"),
                format!("watch {}", resource.plural),
                text.clone(),
                String::new(),
            ]
        }
        What::Process { process, text } => [
            String::new(),
            format!("controller {process}"),
            format!("* {text}"),
            String::new(),
            String::new(),
        ],
        What::Fault(text) => [
            String::new(),
            "FAULT".to_owned(),
            text.clone(),
            String::new(),
            String::new(),
        ],
        What::Step(text) => [
            String::new(),
            "user".to_owned(),
            format!("> {text}"),
            String::new(),
            String::new(),
        ],
    };
    let since = entry.at.duration_since(start).unsigned_abs();
    Some([seconds(since), version, who, what, change, by])
}

/// `pod web-1`, and its namespace where that is another than the story's.
fn object(resource: Resource, key: &Key) -> String {
    let kind = resource.kind.to_lowercase();
    if key.namespace == crate::scenario::NAMESPACE || key.namespace.is_empty() {
        format!("{kind} {}", key.name)
    } else {
        format!("{kind} {key}")
    }
}

fn seen_by(commit: &Commit, seen: &Deliveries<'_>) -> String {
    let found = seen.get(&(commit.resource, &commit.key, commit.version));
    let mut text = String::new();
    for (process, at) in found.into_iter().flatten() {
        let separator = if text.is_empty() { "" } else { ", " };
        let after = at.duration_since(commit.at).unsigned_abs();
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{process} +{}", lag(after));
    }
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn lag(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

/// Lines with aligned columns: numbers to the right, the last column unpadded.
fn align(rows: &[Row]) -> String {
    let head: Row = HEAD.map(str::to_owned);
    let width = |column: usize| {
        rows.iter()
            .chain([&head])
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
            .min(WIDEST)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in [&head].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let cell = cut(cell);
            let width = widths[column];
            let _ = match column {
                0 | 1 => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cut(cell: &str) -> String {
    if cell.chars().count() <= WIDEST {
        return cell.to_owned();
    }
    cell.chars().take(WIDEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
