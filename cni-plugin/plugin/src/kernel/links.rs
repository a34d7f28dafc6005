//! Network interfaces and their addresses.

use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::socket::{Refused, Socket};

/// A network interface as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in the namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Hardware address, six bytes of Ethernet.
    pub address: Vec<u8>,
    /// Whether it is set up.
    pub is_up: bool,
}

impl Link {
    /// Hardware address in text.
    pub fn mac(&self) -> String {
        let bytes: Vec<String> = self
            .address
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        bytes.join(":")
    }

    fn of(message: &LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            address: Vec::new(),
            is_up: message.header.flags.contains(LinkFlags::Up),
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(address) => link.address.clone_from(address),
                _ => {}
            }
        }
        link
    }
}

impl Socket {
    /// The interface of that name, if there is one. Asks for one, never for all: a node has thousands.
    pub fn link(&mut self, name: &str) -> Result<Option<Link>, Refused> {
        let mut message = LinkMessage::default();
        message
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        match self.request(RouteNetlinkMessage::GetLink(message)) {
            Ok(answers) => Ok(answers.iter().find_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => Some(Link::of(message)),
                _ => None,
            })),
            Err(refused) if refused.error.raw_os_error() == Some(Errno::ENODEV as i32) => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Sets an interface up or down.
    pub fn set_up(&mut self, link: &Link, is_up: bool) -> Result<(), Refused> {
        let mut message = LinkMessage::default();
        message.header.index = link.index;
        message.header.change_mask = LinkFlags::Up;
        if is_up {
            message.header.flags = LinkFlags::Up;
        }
        self.request(RouteNetlinkMessage::SetLink(message))?;
        Ok(())
    }

    /// Addresses of an interface, with the lengths of their networks' prefixes; those of IPv4 first.
    pub fn addresses(&mut self, link: &Link) -> Result<Vec<IpNet>, Refused> {
        let mut addresses = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = AddressMessage::default();
            message.header.family = family;
            message.header.index = link.index;
            for answer in self.list(&RouteNetlinkMessage::GetAddress(message))? {
                if let RouteNetlinkMessage::NewAddress(message) = answer
                    && message.header.index == link.index
                {
                    addresses.extend(address_of(&message));
                }
            }
        }
        Ok(addresses)
    }
}

/// The interface's own address: what the kernel calls local, where a peer has the other end.
fn address_of(message: &AddressMessage) -> Option<IpNet> {
    let local = message.attributes.iter().find_map(|one| match one {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|one| match one {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    IpNet::new(address?, message.header.prefix_len).ok()
}
