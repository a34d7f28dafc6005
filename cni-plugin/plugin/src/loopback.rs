//! The plugin `loopback`: sets `lo` of the container up.

use ipnet::IpNet;

use crate::call::{Call, Verb};
use crate::config::Network;
use crate::error::{Code, Error, Result};
use crate::kernel::{Link, Netns, Socket};
use crate::result::{Address, Attachment, Interface};

/// The interface, whatever the runtime calls it.
const NAME: &str = "lo";

/// Serves a call; the answer of ADD is the one of the plugin before in the chain, or `lo` with its addresses.
pub fn serve(call: &Call, network: &Network) -> Result<Option<Attachment>> {
    match call.verb {
        Verb::Add => add(call, network).map(Some),
        Verb::Del => {
            // Without a namespace there is no interface either.
            if let Some(netns) = Netns::open(&call.netns)? {
                let mut socket = netns.socket()?;
                let link = interface(&mut socket, &call.netns)?;
                set_up(&mut socket, &link, false)?;
            }
            Ok(None)
        }
        Verb::Check => {
            let link = interface(&mut container(call)?.socket()?, &call.netns)?;
            if link.is_up {
                return Ok(None);
            }
            let message = format!("{NAME} in {} is down", call.netns);
            Err(Error::new(Code::Internal, message))
        }
        // There is nothing that could be left over, and nothing that could be missing.
        Verb::Gc | Verb::Status | Verb::Version => Ok(None),
    }
}

fn add(call: &Call, network: &Network) -> Result<Attachment> {
    let mut socket = container(call)?.socket()?;
    let link = interface(&mut socket, &call.netns)?;
    set_up(&mut socket, &link, true)?;
    let addresses = socket
        .addresses(&link)
        .map_err(|refused| refused.of(&format!("list addresses of {NAME} in {}", call.netns)))?;
    let is_foreign = |address: &&IpNet| !address.addr().is_loopback();
    if let Some(address) = addresses.iter().find(is_foreign) {
        let message = format!(
            "{NAME} in {} has {address}, which is no loopback address",
            call.netns
        );
        return Err(Error::new(Code::Internal, message));
    }
    let previous = network.previous()?;
    Ok(previous.unwrap_or_else(|| answer(call, &link, addresses)))
}

/// The interface with the first address of each family.
fn answer(call: &Call, link: &Link, addresses: Vec<IpNet>) -> Attachment {
    let mut ips: Vec<Address> = Vec::new();
    for address in addresses {
        let is_same_family = |ip: &Address| ip.address.addr().is_ipv4() == address.addr().is_ipv4();
        if !ips.iter().any(is_same_family) {
            ips.push(Address {
                interface: Some(0),
                address,
                gateway: None,
            });
        }
    }
    Attachment {
        interfaces: vec![Interface {
            name: NAME.to_owned(),
            mac: link.mac(),
            sandbox: call.netns.clone(),
            ..Interface::default()
        }],
        ips,
        ..Attachment::default()
    }
}

fn container(call: &Call) -> Result<Netns> {
    Netns::open(&call.netns)?.ok_or_else(|| {
        Error::new(
            Code::InvalidNetns,
            format!(
                "CNI_NETNS is {:?}, which is no network namespace",
                call.netns
            ),
        )
    })
}

fn interface(socket: &mut Socket, netns: &str) -> Result<Link> {
    let found = socket
        .link(NAME)
        .map_err(|refused| refused.of(&format!("look for {NAME} in {netns}")))?;
    found.ok_or_else(|| Error::new(Code::Internal, format!("{netns} has no interface {NAME}")))
}

fn set_up(socket: &mut Socket, link: &Link, is_up: bool) -> Result<()> {
    let way = if is_up { "up" } else { "down" };
    socket
        .set_up(link, is_up)
        .map_err(|refused| refused.of(&format!("set {} {way}", link.name)))
}
