//! YAML that is the same on every machine: keys sorted, every string on one line.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

/// A JSON value whose maps are written in the order of their keys, whatever order
/// `serde_json` was built to keep.
#[derive(Serialize)]
#[serde(untagged)]
enum Sorted<'a> {
    Map(BTreeMap<&'a str, Sorted<'a>>),
    List(Vec<Sorted<'a>>),
    Scalar(&'a Value),
}

impl<'a> Sorted<'a> {
    fn new(value: &'a Value) -> Self {
        match value {
            Value::Object(map) => Self::Map(
                map.iter()
                    .map(|(key, value)| (key.as_str(), Self::new(value)))
                    .collect(),
            ),
            Value::Array(list) => Self::List(list.iter().map(Self::new).collect()),
            scalar => Self::Scalar(scalar),
        }
    }
}

/// The YAML text of `value`, which ends with a line break.
pub(super) fn render(value: &Value) -> Result<String> {
    // Folded text would make a line's end part of what a reader has to understand in CEL rules.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let mut text =
        serde_saphyr::to_string_with_options(&Sorted::new(value), options).context("write YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
