//! Short names for content: FNV-32a, written in an alphabet that spells no words.
//!
//! Upstream hashes Go's dump of the typed template, which no other language can repeat and
//! nobody has to: a Deployment finds its ReplicaSet by comparing templates, never by hash.

use serde_json::Value;

/// Letters and digits that API machinery uses in generated names: no vowels and no look-alikes.
pub const SAFE_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-32a, fed piece by piece.
#[derive(Clone, Copy, Debug)]
pub struct Fnv32a(u32);

impl Default for Fnv32a {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv32a {
    /// Adds `bytes`.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// The sum so far.
    pub const fn finish(self) -> u32 {
        self.0
    }

    /// Adds `value` as JSON with sorted keys and without blanks.
    pub fn write_json(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                self.write(b"{");
                for (key, value) in sorted(map) {
                    self.write_text(key);
                    self.write(b":");
                    self.write_json(value);
                    self.write(b",");
                }
                self.write(b"}");
            }
            Value::Array(items) => {
                self.write(b"[");
                for item in items {
                    self.write_json(item);
                    self.write(b",");
                }
                self.write(b"]");
            }
            Value::String(text) => self.write_text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.write(value.to_string().as_bytes());
            }
        }
    }

    /// Adds a text so that no two sequences of texts look alike.
    pub fn write_text(&mut self, text: &str) {
        self.write(b"\"");
        self.write(text.as_bytes());
        // Not a byte of UTF-8, so that it ends every text without escapes.
        self.write(&[0xff]);
    }
}

/// The members of an object by key; the map itself may keep another order.
pub fn sorted(map: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = map.iter().collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    members
}

/// `text` in the safe alphabet, one letter for each byte (API machinery's `SafeEncodeString`).
pub fn safe_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| char::from(SAFE_ALPHABET[usize::from(byte) % SAFE_ALPHABET.len()]))
        .collect()
}

/// The name of `sum`, at most ten letters; `collisions` gives another name to the same content.
pub fn name_of(mut sum: Fnv32a, collisions: Option<i32>) -> String {
    if let Some(collisions) = collisions {
        sum.write(&i64::from(collisions).to_le_bytes());
    }
    safe_encode(&sum.finish().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sum(bytes: &[u8]) -> u32 {
        let mut hash = Fnv32a::default();
        hash.write(bytes);
        hash.finish()
    }

    fn json_sum(value: &Value) -> u32 {
        let mut hash = Fnv32a::default();
        hash.write_json(value);
        hash.finish()
    }

    #[test]
    fn sums_are_those_of_the_published_test_vectors() {
        assert_eq!(sum(b""), 0x811c_9dc5);
        assert_eq!(sum(b"a"), 0xe40c_292c);
        assert_eq!(sum(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn every_digit_has_a_letter_of_its_own() {
        let digits = safe_encode("0123456789");
        assert_eq!(digits, "456789bcdf");
        let mut letters: Vec<char> = digits.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), 10);
    }

    #[test]
    fn json_sums_ignore_the_order_of_keys_and_tell_shapes_apart() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":[2]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b":[2],"a":1}"#).unwrap();
        assert_eq!(json_sum(&one), json_sum(&other));
        assert_ne!(json_sum(&json!(["ab"])), json_sum(&json!(["a", "b"])));
        assert_ne!(
            json_sum(&json!({"a": "b"})),
            json_sum(&json!({"a": {"b": ""}}))
        );
        assert_ne!(json_sum(&json!("1")), json_sum(&json!(1)));
        assert_ne!(
            json_sum(&json!(["a", "\"b"])),
            json_sum(&json!(["a\"", "b"]))
        );
    }

    #[test]
    fn a_collision_gives_another_name() {
        let hash = Fnv32a::default();
        let names = [None, Some(0), Some(1), Some(2)].map(|count| name_of(hash, count));
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{names:?}");
            assert!(name.len() <= 10, "{name}");
            assert!(
                name.bytes().all(|byte| SAFE_ALPHABET.contains(&byte)),
                "{name}"
            );
        }
    }
}
