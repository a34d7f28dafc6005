//! The forms of an answer before 1.0.0.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Address, Attachment, Dns, Route};
use crate::config::{self, null_is_default};
use crate::error::{Error, Result};

/// The form of 0.3.0 to 0.4.0: an address says its family, and an interface has a name, a hardware address and a sandbox.
pub(super) fn to_04(attachment: &Attachment) -> Value {
    let mut answer = json!(attachment);
    for object in members(&mut answer, "interfaces") {
        for since_11 in ["mtu", "socketPath", "pciID"] {
            object.as_object_mut().map(|object| object.remove(since_11));
        }
    }
    for (object, ip) in members(&mut answer, "ips").zip(&attachment.ips) {
        let is_v4 = matches!(ip.address, IpNet::V4(_));
        object["version"] = if is_v4 { "4" } else { "6" }.into();
    }
    // The library of the specification writes it even when it is empty, and readers of that time expect it.
    answer["dns"] = json!(attachment.dns);
    answer
}

fn members<'a>(answer: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    let list = answer.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}

/// The form of 0.1.0 and 0.2.0.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<Family>,
    #[serde(deserialize_with = "null_is_default")]
    dns: Dns,
}

#[derive(Debug, Serialize, Deserialize)]
struct Family {
    #[serde(with = "config::network")]
    ip: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "config::address::optional")]
    gateway: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    routes: Vec<Route>,
}

/// The first address of each family, with the routes of that family.
pub(super) fn to_02(attachment: &Attachment) -> Result<Value> {
    let family = |is_v4: bool| {
        let belongs = |network: &IpNet| matches!(network, IpNet::V4(_)) == is_v4;
        let ip = attachment.ips.iter().find(|ip| belongs(&ip.address))?;
        let routes = attachment.routes.iter();
        Some(Family {
            ip: ip.address,
            gateway: ip.gateway,
            routes: routes
                .filter(|route| belongs(&route.dst))
                .map(|route| Route::new(route.dst, route.gw))
                .collect(),
        })
    };
    let answer = Answer {
        ip4: family(true),
        ip6: family(false),
        dns: attachment.dns.clone(),
    };
    if answer.ip4.is_none() && answer.ip6.is_none() {
        return Err(Error::config(
            "the answer has no address, and cniVersion 0.2.0 and older need one",
        ));
    }
    Ok(json!(answer))
}

pub(super) fn from_02(field: &str, answer: Value) -> Result<Attachment> {
    let answer: Answer = config::decode_value(field, answer)?;
    let mut attachment = Attachment {
        dns: answer.dns,
        ..Attachment::default()
    };
    for family in answer.ip4.into_iter().chain(answer.ip6) {
        attachment.ips.push(Address {
            interface: None,
            address: family.ip,
            gateway: family.gateway,
        });
        attachment.routes.extend(family.routes);
    }
    Ok(attachment)
}
