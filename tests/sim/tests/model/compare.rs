//! When two answers are the same.
//!
//! The model must have what the server has and nothing else, but for what is listed here. Identities and versions differ
//! by nature: they are paired as they are met, and have to stay paired; versions also have to keep their order.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields of the real server that the model does not have.
const NOT_MODELLED: [&str; 3] = [
    // Who owns which field: only server-side apply needs it.
    "managedFields",
    // Old, and null in every condition.
    "lastProbeTime",
    // Conditions of a namespace that say why it is not empty yet.
    "namespaceConditions",
];

/// Which of the model's identities and versions are which of the server's.
#[derive(Default)]
pub(crate) struct Pairing {
    uids: BTreeMap<String, String>,
    versions: BTreeMap<u64, u64>,
}

impl Pairing {
    /// Says where two answers differ.
    pub(crate) fn compare(&mut self, model: &Value, real: &Value) -> Result<(), String> {
        self.pair(model, real)?;
        self.same(model, real, "")
    }

    /// Pairs what stands in the same place, before texts that name it are compared.
    fn pair(&mut self, model: &Value, real: &Value) -> Result<(), String> {
        match (model, real) {
            (Value::Object(model), Value::Object(real)) => {
                let is_list = model.contains_key("items");
                for (name, value) in model {
                    let Some(other) = real.get(name) else {
                        continue;
                    };
                    if is_list && name == "metadata" {
                        // A list has the server's newest version, and others write there too.
                        continue;
                    }
                    match (name.as_str(), value.as_str(), other.as_str()) {
                        ("uid", Some(value), Some(other)) if value.len() == 36 => {
                            self.pair_uid(value, other)?;
                        }
                        ("resourceVersion", Some(value), Some(other)) => {
                            self.pair_version(value, other)?;
                        }
                        _ => self.pair(value, other)?,
                    }
                }
            }
            (Value::Array(model), Value::Array(real)) => {
                for (value, other) in model.iter().zip(real) {
                    self.pair(value, other)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn pair_uid(&mut self, model: &str, real: &str) -> Result<(), String> {
        let known = self
            .uids
            .entry(model.to_owned())
            .or_insert_with(|| real.to_owned());
        if known != real {
            return Err(format!("uid {model} was {known} and is {real} now"));
        }
        Ok(())
    }

    fn pair_version(&mut self, model: &str, real: &str) -> Result<(), String> {
        let (Ok(model), Ok(real)) = (model.parse::<u64>(), real.parse::<u64>()) else {
            return if model == real {
                Ok(())
            } else {
                Err(format!("version {model:?} against {real:?}"))
            };
        };
        if let Some(known) = self.versions.get(&model) {
            return if *known == real {
                Ok(())
            } else {
                Err(format!(
                    "version {model} was {known} and is {real} now: one of the two wrote, the other did not"
                ))
            };
        }
        let before = self.versions.range(..model).next_back();
        let after = self.versions.range(model + 1..).next();
        if before.is_some_and(|(_, known)| *known >= real)
            || after.is_some_and(|(_, known)| *known <= real)
        {
            return Err(format!(
                "version {model} is {real}, which is not between {before:?} and {after:?}"
            ));
        }
        self.versions.insert(model, real);
        Ok(())
    }

    fn same(&self, model: &Value, real: &Value, path: &str) -> Result<(), String> {
        match (model, real) {
            (Value::Object(model), Value::Object(real)) => {
                for (name, value) in model {
                    let path = format!("{path}.{name}");
                    match real.get(name) {
                        Some(other)
                            if name == "resourceVersion"
                                || (name == "remainingItemCount" && other.is_number()) => {}
                        Some(other) => self.same(value, other, &path)?,
                        None if NOT_MODELLED.contains(&name.as_str()) => {}
                        None if value.is_null() => {}
                        None => {
                            return Err(format!(
                                "{path}: the model has {value}, the server nothing"
                            ));
                        }
                    }
                }
                for (name, value) in real {
                    if !model.contains_key(name)
                        && !NOT_MODELLED.contains(&name.as_str())
                        && !value.is_null()
                        && *value != ""
                    {
                        return Err(format!(
                            "{path}.{name}: the server has {value}, the model nothing"
                        ));
                    }
                }
                Ok(())
            }
            (Value::Array(one), Value::Array(other)) => {
                if one.len() != other.len() {
                    return Err(format!(
                        "{path}: the model has {} entries, the server {}: {model} against {real}",
                        one.len(),
                        other.len()
                    ));
                }
                // The server meets the rules of a custom kind in random order.
                let sorted = |list: &[Value]| -> Vec<Value> {
                    let mut list = list.to_vec();
                    if path.ends_with(".causes") {
                        list.sort_by_key(|cause| {
                            (
                                cause["field"].to_string(),
                                self.text(&cause["message"].to_string()),
                            )
                        });
                    }
                    list
                };
                for (at, (value, other)) in sorted(one).iter().zip(&sorted(other)).enumerate() {
                    self.same(value, other, &format!("{path}[{at}]"))?;
                }
                Ok(())
            }
            (Value::String(one), Value::String(other)) => {
                let (mut one, mut other) = (self.text(one), plain(other));
                if path.ends_with(".message") {
                    (one, other) = (in_order(&one), in_order(&other));
                    // The server appends what differs between the two pods.
                    if let (true, Some(at)) =
                        (one.contains("pod updates may not change"), one.rfind(')'))
                    {
                        other.truncate(at + 1);
                        one.truncate(at + 1);
                    }
                }
                // A value that a message quotes has its fields in another order.
                let letters = |text: &str| {
                    let mut letters: Vec<char> = text.chars().collect();
                    letters.sort_unstable();
                    letters
                };
                if one == other || (one.contains("{\"") && letters(&one) == letters(&other)) {
                    Ok(())
                } else {
                    Err(format!(
                        "{path}: the model has {one:?}, the server {other:?}"
                    ))
                }
            }
            _ if model == real => Ok(()),
            _ => Err(format!("{path}: the model has {model}, the server {real}")),
        }
    }

    /// A text of the model with the server's identities in it.
    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (model, real) in &self.uids {
            if text.contains(model.as_str()) {
                text = text.replace(model.as_str(), real);
            }
        }
        plain(&text)
    }
}

/// A text without what differs by nature: times, generated ends of names, versions in messages.
fn plain(text: &str) -> String {
    if text.len() >= 20
        && text.as_bytes()[4] == b'-'
        && text.as_bytes()[10] == b'T'
        && text.ends_with('Z')
    {
        return "TIME".to_owned();
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("gen-") {
        plain.push_str(&rest[..at + 4]);
        rest = &rest[at + 4..];
        let end = rest
            .find(|symbol: char| !symbol.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        rest = &rest[end..];
    }
    plain.push_str(rest);
    if let Some(at) = plain.find("ResourceVersion in object meta: ") {
        plain.truncate(at);
    }
    // `(123)` in a conflict is a version.
    let mut out = String::new();
    for (at, part) in plain.split('(').enumerate() {
        if at > 0 {
            out.push('(');
        }
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(if digits > 0 && part[digits..].starts_with(')') {
            &part[digits..]
        } else {
            part
        });
    }
    out
}

/// The broken rules that a message lists, sorted.
fn in_order(message: &str) -> String {
    let Some((head, list)) = message.split_once(" is invalid: [") else {
        return message.to_owned();
    };
    let mut parts: Vec<&str> = list.trim_end_matches(']').split(", ").collect();
    parts.sort_unstable();
    format!("{head} is invalid: [{}]", parts.join(", "))
}
