//! host-local's configuration, with the addresses that a caller asks for.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::range::{RangeConfig, RangeSet};
use crate::call::Arguments;
use crate::config::{self, null_is_default};
use crate::error::{Code, Error, Result};
use crate::result::Route;
use crate::version::SpecVersion;

/// Where host-local keeps its reservations unless told otherwise; one folder a network.
pub const DATA_DIR: &str = "/var/lib/cni/networks";

/// The argument of `CNI_ARGS` that asks for an address.
const IP: &str = "IP";

/// How addresses of a network are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipam {
    /// Sets of one family each, without overlap. A container gets one address of each. There may be none: a runtime hands
    /// ranges of its own over with an attachment, and not with STATUS or GC.
    pub sets: Vec<RangeSet>,
    /// Routes that every container gets.
    pub routes: Vec<Route>,
    /// Folder of the networks' folders.
    pub data_dir: PathBuf,
    /// The file that DNS is read from.
    pub resolv_conf: Option<PathBuf>,
    /// Addresses that the caller wants, without repetition.
    pub requested: Vec<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Input {
    ipam: Option<Value>,
    #[serde(deserialize_with = "null_is_default")]
    runtime_config: RuntimeConfig,
    #[serde(deserialize_with = "null_is_default")]
    args: Args,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IpamConfig {
    #[serde(deserialize_with = "null_is_default")]
    ranges: Vec<Vec<RangeConfig>>,
    #[serde(deserialize_with = "null_is_default")]
    routes: Vec<Route>,
    #[serde(deserialize_with = "null_is_default")]
    data_dir: String,
    #[serde(deserialize_with = "null_is_default")]
    resolv_conf: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RuntimeConfig {
    #[serde(deserialize_with = "null_is_default")]
    ip_ranges: Vec<Vec<RangeConfig>>,
    #[serde(deserialize_with = "null_is_default")]
    ips: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Args {
    #[serde(deserialize_with = "null_is_default")]
    cni: CniArgs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CniArgs {
    #[serde(deserialize_with = "null_is_default")]
    ips: Vec<String>,
}

impl Ipam {
    /// Reads the configuration of a network of `version`, and what the caller asks for in `arguments`.
    ///
    /// Ranges of the runtime come before those of `ipam.ranges`, and the one that `ipam` itself may describe comes in
    /// between: the order of host-local, by which its files are numbered.
    pub fn read(input: &[u8], arguments: &Arguments, version: SpecVersion) -> Result<Self> {
        let input: Input = config::decode(input)?;
        let Some(ipam) = input.ipam else {
            return Err(Error::config("ipam is missing"));
        };
        // A single range may stand in `ipam` itself.
        let own: RangeConfig = config::decode_value("ipam", ipam.clone())?;
        let ipam: IpamConfig = config::decode_value("ipam", ipam)?;
        let requested = requested(arguments, &input.args.cni.ips, &input.runtime_config.ips)?;
        let ranges = |field: &'static str, sets: Vec<Vec<RangeConfig>>| {
            let numbered = sets.into_iter().enumerate();
            numbered.map(move |(at, set)| (format!("{field}[{at}]"), set))
        };
        let own = (own.subnet.is_some()).then(|| ("ipam".to_owned(), vec![own]));
        let sets: Vec<(String, RangeSet)> =
            ranges("runtimeConfig.ipRanges", input.runtime_config.ip_ranges)
                .chain(own)
                .chain(ranges("ipam.ranges", ipam.ranges))
                .map(|(field, set)| match RangeSet::new(&set) {
                    Ok(set) => Ok((field, set)),
                    Err(rule) => Err(Error::config(format!("{field}: {rule}"))),
                })
                .collect::<Result<_>>()?;
        check_sets(&sets, version)?;
        let path = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
        Ok(Self {
            sets: sets.into_iter().map(|(_, set)| set).collect(),
            routes: ipam.routes,
            data_dir: path(ipam.data_dir).unwrap_or_else(|| PathBuf::from(DATA_DIR)),
            resolv_conf: path(ipam.resolv_conf),
            requested,
        })
    }
}

fn check_sets(sets: &[(String, RangeSet)], version: SpecVersion) -> Result<()> {
    let of_v4 = sets.iter().filter(|(_, set)| set.is_ipv4()).count();
    if version < SpecVersion::V0_3_0 && (of_v4 > 1 || sets.len() - of_v4 > 1) {
        let version = version.as_str();
        // In host-local's words, which its own tests ask for.
        return Err(Error::config(format!(
            "CNI version {version} does not support more than 1 address per family"
        )));
    }
    for (at, (field, one)) in sets.iter().enumerate() {
        let after = sets[at + 1..].iter();
        if let Some((other, set)) = after.clone().find(|(_, set)| one.overlaps(set)) {
            return Err(Error::config(format!(
                "{field} ({one}) and {other} ({set}) overlap"
            )));
        }
    }
    Ok(())
}

/// Addresses that are asked for, wherever that may be said. One may come with a prefix, which says nothing more.
fn requested(arguments: &Arguments, args: &[String], runtime: &[String]) -> Result<Vec<IpAddr>> {
    let mut requested = Vec::new();
    let sources = [
        ("args.cni.ips", args, Code::InvalidConfig),
        ("runtimeConfig.ips", runtime, Code::InvalidConfig),
    ];
    let argument = arguments.value(IP).filter(|text| !text.is_empty());
    let argument: Vec<String> = argument.map(str::to_owned).into_iter().collect();
    let sources = [("CNI_ARGS IP", argument.as_slice(), Code::InvalidEnvironment)]
        .into_iter()
        .chain(sources);
    for (field, texts, code) in sources {
        for text in texts {
            let address = text
                .split_once('/')
                .map_or(text.as_str(), |(address, _)| address);
            let address = config::address::parse(address)
                .map_err(|rule| Error::new(code, format!("{field}: {rule}")))?;
            if !requested.contains(&address) {
                requested.push(address);
            }
        }
    }
    arguments.refuse_unknown(&[IP])?;
    Ok(requested)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(input: &Value) -> Result<Ipam> {
        let input = input.to_string();
        Ipam::read(input.as_bytes(), &Arguments::default(), SpecVersion::V1_1_0)
    }

    #[track_caller]
    fn refused(input: &Value, told: &str) {
        assert_eq!(read(input).unwrap_err(), Error::config(told));
    }

    #[test]
    fn sets_come_in_the_order_of_host_local() {
        let ipam = read(&json!({
            "ipam": {
                "type": "host-local", "subnet": "10.1.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
                "ranges": [[{ "subnet": "10.2.0.0/24" }], [{ "subnet": "fd00::/64" }]],
            },
            "runtimeConfig": {
                "ipRanges": [[{ "subnet": "10.3.0.0/24" }]],
                "ips": ["10.3.0.7/24", "fd00::7"],
            },
            "args": { "cni": { "ips": ["10.3.0.7"] } },
        }))
        .unwrap();
        let starts: Vec<String> = ipam
            .sets
            .iter()
            .map(|set| set.at(0).unwrap().0.to_string())
            .collect();
        assert_eq!(starts, ["10.3.0.1", "10.1.0.1", "10.2.0.1", "fd00::1"]);
        let requested: Vec<IpAddr> = vec!["10.3.0.7".parse().unwrap(), "fd00::7".parse().unwrap()];
        assert_eq!(ipam.requested, requested);
        assert_eq!(ipam.data_dir, PathBuf::from(DATA_DIR));
        assert_eq!(ipam.routes.len(), 1);
    }

    #[test]
    fn a_bad_field_is_told_by_its_path() {
        refused(&json!({}), "ipam is missing");
        refused(
            &json!({ "ipam": { "ranges": [[{ "subnet": "10.1.0.0/24" }], []] } }),
            "ipam.ranges[1]: it has no range",
        );
        refused(
            &json!({ "ipam": { "ranges": [[{ "subnet": "10.1.0/24" }]] } }),
            "ipam.ranges[0][0].subnet: \"10.1.0/24\" is no network like 10.1.2.3/24 or fd00::3/64",
        );
        refused(
            &json!({ "ipam": { "subnet": "::ffff:10.1.2.0/120" } }),
            "ipam.subnet: \"::ffff:10.1.2.0/120\" is an IPv4 network that is written as an IPv6 one",
        );
        refused(
            &json!({ "ipam": { "subnet": "10.1.0.0/16", "ranges": [[{ "subnet": "10.1.2.0/24" }]] } }),
            "ipam (10.1.0.1-10.1.255.254) and ipam.ranges[0] (10.1.2.1-10.1.2.254) overlap",
        );
        refused(
            &json!({ "ipam": { "subnet": "10.1.0.0/24" }, "runtimeConfig": { "ips": ["x"] } }),
            "runtimeConfig.ips: \"x\" is no address like 10.1.2.3 or fd00::3",
        );
    }

    #[test]
    fn a_field_of_the_range_in_ipam_itself_is_told_like_any_other() {
        refused(
            &json!({ "ipam": { "subnet": "10.1.0.0/24", "gateway": "x" } }),
            "ipam.gateway: \"x\" is no address like 10.1.2.3 or fd00::3",
        );
    }

    #[test]
    fn old_versions_know_one_address_of_each_family() {
        let input = json!({ "ipam": { "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.2.0.0/24" }]] } });
        let read =
            |version| Ipam::read(input.to_string().as_bytes(), &Arguments::default(), version);
        assert!(read(SpecVersion::V0_3_0).is_ok());
        let told = read(SpecVersion::V0_2_0).unwrap_err().message;
        assert_eq!(
            told,
            "CNI version 0.2.0 does not support more than 1 address per family"
        );
    }
}
