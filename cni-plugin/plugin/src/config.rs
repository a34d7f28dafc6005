//! The configuration that a runtime hands to a plugin: what is common to all plugins, and how it is decoded.
//!
//! A value that is wrong is told by its field's path, by itself and by the rule that it breaks. `null` stands for a field
//! that is not there, as in the reference plugins. A field that no plugin knows is left alone: a chain hands the same
//! runtime configuration to every one of its plugins.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::call::is_identifier;
use crate::error::{Code, Error, Result};
use crate::result::Attachment;
use crate::version::SpecVersion;

/// What every plugin reads of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The version that the configuration is of, and the answer has to be of.
    pub version: SpecVersion,
    /// Name of the network.
    pub name: String,
    /// What the plugin before in the chain answered; in CHECK and DEL what the whole chain did. Not looked at yet: a DEL
    /// must not fail for what it does not need.
    previous: Option<Value>,
    /// GC: the attachments that there are, if the runtime has said so.
    pub valid_attachments: Option<Vec<Holder>>,
}

/// What an attachment is known by: a container and the interface in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The container.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// The interface.
    #[serde(rename = "ifname")]
    pub interface: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Header {
    #[serde(deserialize_with = "null_is_default")]
    cni_version: String,
    #[serde(deserialize_with = "null_is_default")]
    name: String,
    prev_result: Option<Value>,
    #[serde(
        rename = "cni.dev/valid-attachments",
        deserialize_with = "null_is_empty"
    )]
    valid_attachments: Option<Vec<Holder>>,
    /// The same in the words of libcni up to 1.3, which differ from those of the specification.
    #[serde(rename = "cni.dev/attachments", deserialize_with = "null_is_empty")]
    attachments: Option<Vec<Holder>>,
}

impl Network {
    /// Reads what is common to all plugins.
    pub fn read(input: &[u8]) -> Result<Self> {
        let header: Header = decode(input)?;
        let version = SpecVersion::of_config(&header.cni_version)?;
        if header.name.is_empty() {
            return Err(Error::config("missing network name"));
        }
        if !is_identifier(&header.name) {
            let rule = "it begins with a letter or digit and goes on with those, '_', '.' and '-'";
            return Err(Error::config(format!("name is {:?}; {rule}", header.name)));
        }
        Ok(Self {
            version,
            name: header.name,
            previous: header.prev_result,
            valid_attachments: header.valid_attachments.or(header.attachments),
        })
    }

    /// What the plugins before have answered, if there were any.
    pub fn previous(&self) -> Result<Option<Attachment>> {
        let answer = self.previous.clone();
        answer
            .map(|answer| Attachment::from_json("prevResult", answer, self.version))
            .transpose()
    }
}

/// The version that a configuration claims, as far as it can be read: an error object repeats it.
pub fn claimed_version(input: &[u8]) -> Option<String> {
    let input: Value = serde_json::from_slice(input).ok()?;
    Some(input.get("cniVersion")?.as_str()?.to_owned())
}

/// Reads a configuration. Input that is no JSON and a value that is wrong have codes of their own.
pub fn decode<T: DeserializeOwned>(input: &[u8]) -> Result<T> {
    let mut input: Value = serde_json::from_slice(input).map_err(|error| {
        let message = format!("the configuration is no JSON: {error}");
        Error::new(Code::Decoding, message)
    })?;
    respell(&mut input);
    decode_value("", input)
}

/// Fields that are read, as they are spelt.
const FIELDS: [&str; 18] = [
    "args",
    "cni",
    "cni.dev/valid-attachments",
    "cniVersion",
    "dataDir",
    "gateway",
    "ipRanges",
    "ipam",
    "ips",
    "name",
    "prevResult",
    "rangeEnd",
    "rangeStart",
    "ranges",
    "resolvConf",
    "routes",
    "runtimeConfig",
    "subnet",
];

/// Spells fields as they are spelt. The reference plugins do not tell capital letters from small ones in a field's name, and
/// `datadir` that were left alone would mean another folder.
fn respell(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let misspelt: Vec<(String, &str)> = object
                .keys()
                .filter_map(|key| {
                    let field = FIELDS
                        .iter()
                        .find(|field| key.eq_ignore_ascii_case(field))?;
                    (key != field).then(|| (key.clone(), *field))
                })
                .collect();
            for (key, field) in misspelt {
                if let Some(value) = object.remove(&key)
                    && !object.contains_key(field)
                {
                    object.insert(field.to_owned(), value);
                }
            }
            object.values_mut().for_each(respell);
        }
        Value::Array(list) => list.iter_mut().for_each(respell),
        _ => {}
    }
}

/// Reads a value that an error calls `field`.
pub fn decode_value<T: DeserializeOwned>(field: &str, value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| Error::config(told(field, &error)))
}

fn told(field: &str, error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let path = match (field, path.as_str()) {
        ("", ".") => "the configuration".to_owned(),
        ("", _) => path,
        (_, ".") => field.to_owned(),
        _ => format!("{field}.{path}"),
    };
    let reason = error.inner().to_string();
    // Where in the text it was: the path says it better.
    let reason = reason.split(" at line ").next().unwrap_or_default();
    format!("{path}: {reason}")
}

/// Takes `null` as the field's default.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Takes `null` as a list without members: that of a runtime in Go that has none.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    null_is_default(deserializer).map(Some)
}

/// An IPv4 address that is written as an IPv6 one is the IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// A network in CIDR notation; the part of the host is kept.
pub(crate) mod network {
    use ipnet::IpNet;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn parse(text: &str) -> Result<IpNet, String> {
        text.parse()
            .map_err(|_| format!("{text:?} is no network like 10.1.2.3/24 or fd00::3/64"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(reader: D) -> Result<IpNet, D::Error> {
        parse(&String::deserialize(reader)?).map_err(de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(network: &IpNet, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(network)
    }
}

/// An address.
pub(crate) mod address {
    use std::net::IpAddr;

    use serde::{Deserialize, Deserializer, de};

    pub(crate) fn parse(text: &str) -> Result<IpAddr, String> {
        text.parse()
            .map(super::canonical)
            .map_err(|_| format!("{text:?} is no address like 10.1.2.3 or fd00::3"))
    }

    /// `null` and an empty text are none.
    pub(crate) fn optional<'de, D>(deserializer: D) -> Result<Option<IpAddr>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let text: Option<String> = Option::deserialize(deserializer)?;
        let text = text.filter(|text| !text.is_empty());
        text.map(|text| parse(&text))
            .transpose()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(input: &str) -> (Code, String) {
        let error = Network::read(input.as_bytes()).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn what_is_common_to_all_plugins_is_read() {
        let input = br#"{"cniVersion": "0.3.1", "name": "pods", "type": "bridge", "unknown": [1],
            "prevResult": {"ips": [{"version": "4", "address": "10.1.2.3/24"}]}}"#;
        let network = Network::read(input).unwrap();
        assert_eq!(network.version, SpecVersion::V0_3_1);
        assert_eq!(network.name, "pods");
        assert_eq!(network.valid_attachments, None);
        let previous = network.previous().unwrap().unwrap();
        assert_eq!(previous.ips[0].address, "10.1.2.3/24".parse().unwrap());
    }

    #[test]
    fn what_is_no_json_and_what_is_wrong_have_codes_of_their_own() {
        for input in ["", "{", "{} {}", "nonsense"] {
            assert_eq!(failure(input).0, Code::Decoding, "{input}");
        }
        let wrong = |input: &str, told: &str| {
            assert_eq!(failure(input), (Code::InvalidConfig, told.to_owned()));
        };
        wrong("{}", "missing network name");
        wrong(
            r#"{"name": "a b"}"#,
            "name is \"a b\"; it begins with a letter or digit and goes on with those, '_', '.' and '-'",
        );
        wrong(
            r#"{"name": 5}"#,
            "name: invalid type: integer `5`, expected a string",
        );
        wrong(
            r#"{"name": "a", "cni.dev/valid-attachments": [{"containerID": "c"}]}"#,
            "cni.dev/valid-attachments[0]: missing field `ifname`",
        );
    }

    #[test]
    fn what_the_plugins_before_have_answered_is_read_only_where_it_is_needed() {
        let input = br#"{"name": "pods", "prevResult": {"ip4": 5}}"#;
        let network = Network::read(input).unwrap();
        let told = network.previous().unwrap_err().message;
        assert!(told.starts_with("prevResult.ip4: "), "{told}");
    }

    #[test]
    fn capital_letters_of_a_field_mean_nothing() {
        let mut value = serde_json::json!({
            "IPAM": { "datadir": "/a", "Ranges": [[{ "rangestart": "10.0.0.1" }]] }, "other": 1, "Name": "x", "name": "y",
        });
        respell(&mut value);
        let expected = serde_json::json!({
            "ipam": { "dataDir": "/a", "ranges": [[{ "rangeStart": "10.0.0.1" }]] }, "other": 1, "name": "y",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn the_list_of_attachments_may_be_empty_or_misspelt() {
        let read = |input: &str| Network::read(input.as_bytes()).unwrap().valid_attachments;
        assert_eq!(read(r#"{"name": "a"}"#), None);
        assert_eq!(
            read(r#"{"name": "a", "cni.dev/valid-attachments": []}"#),
            Some(vec![])
        );
        assert_eq!(
            read(r#"{"name": "a", "cni.dev/valid-attachments": null}"#),
            Some(vec![])
        );
        let misspelt =
            r#"{"name": "a", "cni.dev/attachments": [{"containerID": "c", "ifname": "e"}]}"#;
        let holder = Holder {
            container_id: "c".to_owned(),
            interface: "e".to_owned(),
        };
        assert_eq!(read(misspelt), Some(vec![holder]));
    }

    #[test]
    fn the_version_of_a_bad_configuration_is_still_found() {
        let input = br#"{"cniVersion": "1.0.0", "name": 5}"#;
        assert_eq!(claimed_version(input).as_deref(), Some("1.0.0"));
        assert_eq!(claimed_version(b"{"), None);
    }
}
