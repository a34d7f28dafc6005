//! The parameters of a request.

use super::Response;
use super::status;

/// Parameters of a query, decoded, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The value of a parameter; empty where it is not there.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name).parse().ok()
    }

    /// Whether nothing is to be stored.
    pub(super) fn is_dry_run(&self) -> bool {
        self.get("dryRun") == "All"
    }

    /// `resourceVersion` as a number; 0 is "any", absent is "the newest".
    pub(super) fn version(&self) -> Result<Option<u64>, Response> {
        match self.get("resourceVersion") {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                let error = status::FieldError::invalid(
                    "resourceVersion",
                    &text.into(),
                    &format!("strconv.ParseUint: parsing {text:?}: invalid syntax"),
                );
                status::bad_request(&format!("{}: {}", error.field, error.body))
            }),
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                let decoded = std::str::from_utf8(&pair)
                    .ok()
                    .and_then(|pair| u8::from_str_radix(pair, 16).ok());
                bytes.push(decoded.unwrap_or(b'%'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("a=1&labelSelector=x%20in%20%28y%2Cz%29&watch=true&empty");
        assert_eq!(query.get("labelSelector"), "x in (y,z)");
        assert_eq!(query.number("a"), Some(1));
        assert!(query.is_true("watch") && query.has("empty") && !query.has("b"));
    }
}
