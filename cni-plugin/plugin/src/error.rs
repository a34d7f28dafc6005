//! What a plugin answers when it fails: the error object of the CNI specification.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value, json};

/// The codes of the specification that we answer with. Its 3 is not among them: it tells a runtime that nothing has to be
/// cleaned up, which one plugin of a chain cannot know. Those of 100 and above are a plugin's own; 999 is what the
/// library of the reference plugins uses for all that has no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The configuration is of a version that this program, or the verb, does not know.
    IncompatibleVersion = 1,
    /// An environment variable is missing or malformed.
    InvalidEnvironment = 4,
    /// A file could not be read or written.
    Io = 5,
    /// The input is no JSON.
    Decoding = 6,
    /// The configuration is JSON but wrong.
    InvalidConfig = 7,
    /// `CNI_NETNS` is not a network namespace that a container may have.
    InvalidNetns = 8,
    /// The same call may succeed later.
    TryAgainLater = 11,
    /// Anything else.
    Internal = 999,
}

/// A failure, in the words that the runtime logs and the user reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure.
    pub code: Code,
    /// What failed: the field, the value and the rule.
    pub message: String,
    /// More of it, where there is more.
    pub details: String,
}

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: String::new(),
        }
    }

    /// The same failure with `details`.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// A configuration that is JSON but wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidConfig, message)
    }

    /// A file that could not be read or written; `what` is the verb, as in "read".
    pub fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(
            Code::Io,
            format!("cannot {what} {}: {error}", path.display()),
        )
    }

    /// The error object, of the version that the configuration asked for if that is known.
    pub fn to_json(&self, version: Option<&str>) -> Value {
        let mut object = Map::new();
        if let Some(version) = version {
            object.insert("cniVersion".to_owned(), version.into());
        }
        object.insert("code".to_owned(), json!(self.code as u16));
        object.insert("msg".to_owned(), self.message.as_str().into());
        if !self.details.is_empty() {
            object.insert("details".to_owned(), self.details.as_str().into());
        }
        Value::Object(object)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.details.is_empty() {
            write!(f, "; {}", self.details)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_object_has_details_only_where_there_are_some() {
        let plain = Error::new(Code::TryAgainLater, "no address is free");
        assert_eq!(
            plain.to_json(None),
            json!({ "code": 11, "msg": "no address is free" })
        );
        let full = plain.with_details("10.0.0.0/30");
        assert_eq!(full.to_string(), "no address is free; 10.0.0.0/30");
        assert_eq!(
            full.to_json(Some("1.1.0")),
            json!({
                "cniVersion": "1.1.0", "code": 11, "msg": "no address is free", "details": "10.0.0.0/30",
            })
        );
    }
}
