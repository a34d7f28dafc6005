//! Which names, labels and annotations the API server takes, and the words in which it refuses others.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn too_long(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

/// Letters and digits at both ends, and the others of `inner` between them.
fn is_enclosed(text: &str, outer: impl Fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| outer(*byte))
        && bytes.last().is_some_and(|byte| outer(*byte))
        && bytes
            .iter()
            .all(|byte| outer(*byte) || inner.contains(byte))
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// What is wrong with the name of most kinds.
pub(super) fn subdomain(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 253 {
        wrong.push(too_long(253));
    }
    if !name
        .split('.')
        .all(|part| is_enclosed(part, is_lower, b"-"))
    {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// What is wrong with the name of a namespace or a container.
pub(super) fn label(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if name.len() > 63 {
        wrong.push(too_long(63));
    }
    if !is_enclosed(name, is_lower, b"-") {
        wrong.push(LABEL.to_owned());
    }
    wrong
}

/// What is wrong with the key of a label.
pub(super) fn qualified(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let part = match name.split_once('/') {
        None => name,
        Some((prefix, part)) => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                let of_prefix = subdomain(prefix).into_iter();
                wrong.extend(of_prefix.map(|text| format!("prefix part {text}")));
            }
            part
        }
    };
    if part.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if part.len() > 63 {
        wrong.push(format!("name part {}", too_long(63)));
    }
    if !is_enclosed(part, is_alphanumeric, b"-_.") {
        wrong.push(NAME_PART.to_owned());
    }
    wrong
}

/// What is wrong with the value of a label.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.len() > 63 {
        wrong.push(too_long(63));
    }
    if !value.is_empty() && !is_enclosed(value, is_alphanumeric, b"-_.") {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

pub(super) fn is_qualified(name: &str) -> bool {
    qualified(name).is_empty()
}

pub(super) fn is_label_value(value: &str) -> bool {
    label_value(value).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_upstream_does() {
        assert!(subdomain("a-b.c0").is_empty());
        for wrong in ["", "A", "-a", "a-", "a..b", "a_b", &"a".repeat(254)] {
            assert!(!subdomain(wrong).is_empty(), "{wrong}");
        }
        assert!(is_qualified("example.com/A_b") && is_qualified("a"));
        for wrong in ["", "/a", "a/", "A.com/a", "a b"] {
            assert!(!is_qualified(wrong), "{wrong}");
        }
        assert!(is_label_value("") && is_label_value("A_b-1.c") && !is_label_value("-a"));
    }
}
