//! What ADD answers: interfaces, addresses, routes and DNS, in the form of each version of the specification.
//!
//! Inside there is one form, that of 1.1.0. An older one is converted where it comes in and where it goes out, with the
//! losses that the specification's own library has: 0.2.0 and older know one address of each family and no interfaces.

mod legacy;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::{self, null_is_default};
use crate::error::{Error, Result};
use crate::version::SpecVersion;

/// What ADD answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Interfaces that were made, on the host and in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub interfaces: Vec<Interface>,
    /// Addresses of the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub ips: Vec<Address>,
    /// Routes of the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub routes: Vec<Route>,
    /// How the container resolves names.
    #[serde(skip_serializing_if = "Dns::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub dns: Dns,
}

/// An interface of an attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Hardware address.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub mac: String,
    /// Largest packet, in bytes. Since 1.1.0.
    #[serde(skip_serializing_if = "is_zero")]
    #[serde(deserialize_with = "null_is_default")]
    pub mtu: u32,
    /// Path of the network namespace that it is in; empty on the host.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub sandbox: String,
    /// Path of a vhost-user socket. Since 1.1.0.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub socket_path: String,
    /// PCI address of a device. Since 1.1.0.
    #[serde(rename = "pciID", skip_serializing_if = "String::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub pci_id: String,
}

/// An address of an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Index of its interface in [`Attachment::interfaces`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<usize>,
    /// The address, with the length of its network's prefix.
    #[serde(with = "config::network")]
    pub address: IpNet,
    /// The gateway of its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "config::address::optional")]
    pub gateway: Option<IpAddr>,
}

/// A route of an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    #[serde(with = "config::network")]
    pub dst: IpNet,
    /// By which gateway; the one of the address if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "config::address::optional")]
    pub gw: Option<IpAddr>,
    /// Largest packet on the way, in bytes. Since 1.1.0, like all that follows.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[serde(deserialize_with = "null_is_default")]
    pub mtu: u32,
    /// Largest TCP segment that is announced, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[serde(deserialize_with = "null_is_default")]
    pub advmss: u32,
    /// The lower, the better.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[serde(deserialize_with = "null_is_default")]
    pub priority: u32,
    /// Number of the routing table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Scope, as the kernel numbers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<u8>,
}

impl Route {
    /// A route to `dst` by the gateway of the address, or by `gw`.
    pub fn new(dst: IpNet, gw: Option<IpAddr>) -> Self {
        Self {
            dst,
            gw,
            mtu: 0,
            advmss: 0,
            priority: 0,
            table: None,
            scope: None,
        }
    }
}

/// How a container resolves names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses of servers, the first to be asked first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub nameservers: Vec<String>,
    /// The domain that short names belong to.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub domain: String,
    /// Domains in which short names are looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub search: Vec<String>,
    /// Options of the resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[serde(deserialize_with = "null_is_default")]
    pub options: Vec<String>,
}

impl Dns {
    fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl Attachment {
    /// The answer in the form of `version`. Fails where that form needs an address and there is none.
    pub fn to_json(&self, version: SpecVersion) -> Result<Value> {
        let mut answer = if version < SpecVersion::V0_3_0 {
            legacy::to_02(self)?
        } else if version < SpecVersion::V1_0_0 {
            legacy::to_04(self)
        } else {
            json!(self)
        };
        answer["cniVersion"] = version.as_str().into();
        Ok(answer)
    }

    /// Reads an answer in the form of `version`: that of the configuration which it came with, as the specification
    /// says. `field` is what an error calls it.
    pub fn from_json(field: &str, answer: Value, version: SpecVersion) -> Result<Self> {
        let attachment = if version < SpecVersion::V0_3_0 {
            legacy::from_02(field, answer)?
        } else {
            // An address that still says its family is read like any other.
            config::decode_value(field, answer)?
        };
        attachment.check(field)?;
        Ok(attachment)
    }

    fn check(&self, field: &str) -> Result<()> {
        for (at, ip) in self.ips.iter().enumerate() {
            if ip
                .interface
                .is_some_and(|index| index >= self.interfaces.len())
            {
                return Err(Error::config(format!(
                    "{field}.ips[{at}].interface is {}, of {} interfaces",
                    ip.interface.unwrap_or_default(),
                    self.interfaces.len()
                )));
            }
        }
        Ok(())
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
