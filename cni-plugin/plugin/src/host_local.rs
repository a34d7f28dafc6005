//! The plugin `host-local`: addresses out of ranges of this node, kept in files.
//!
//! Beyond the reference it serves GC and STATUS (that its files can be used), finds an attachment's addresses without
//! reading everyone's, and takes addresses back whose network namespace has gone before it says that none is left.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use crate::call::{Arguments, Call, Verb};
use crate::config::{Holder, Network};
use crate::error::{Code, Error, Result};
use crate::ipam::config::Ipam;
use crate::ipam::range::RangeSet;
use crate::ipam::resolv;
use crate::ipam::store::{Sandbox, Store};
use crate::result::{Address, Attachment, Dns};

/// Serves a call; the answer of ADD is an attachment.
pub fn serve(call: &Call, network: &Network, input: &[u8]) -> Result<Option<Attachment>> {
    let ipam = Ipam::read(input, &Arguments::parse(&call.args)?, network.version)?;
    let holder = Holder {
        container_id: call.container_id.clone(),
        interface: call.interface.clone(),
    };
    // Before the lock: a resolver's file may lie on a slow disk.
    let dns = match (&ipam.resolv_conf, call.verb) {
        (Some(path), Verb::Add) => read_dns(path)?,
        _ => Dns::default(),
    };
    let mut store = Store::lock(&ipam.data_dir, &network.name)?;
    match call.verb {
        Verb::Add => {
            let sandbox = Sandbox::at(Path::new(&call.netns));
            let ips = add(&mut store, &ipam, &holder, sandbox.as_ref())?;
            return Ok(Some(Attachment {
                interfaces: Vec::new(),
                ips,
                routes: ipam.routes,
                dns,
            }));
        }
        Verb::Del => {
            store.release(&holder, &ipam.sets)?;
        }
        Verb::Check => check(&store, &ipam.sets, &holder, network)?,
        Verb::Gc => collect(&mut store, &ipam.sets, network)?,
        // That none is left is not told: a runtime takes a node whose network is not ready out of service, and its
        // containers with it.
        Verb::Status | Verb::Version => {}
    }
    Ok(None)
}

/// One address of each set, or none at all.
fn add(
    store: &mut Store,
    ipam: &Ipam,
    holder: &Holder,
    sandbox: Option<&Sandbox>,
) -> Result<Vec<Address>> {
    if ipam.sets.is_empty() {
        return Err(Error::config(
            "ipam has no addresses: neither subnet nor ranges is set",
        ));
    }
    let wanted = assign(&ipam.sets, &ipam.requested)?;
    let mut reserved: Vec<IpAddr> = Vec::new();
    let mut addresses = Vec::new();
    for (number, (set, wanted)) in ipam.sets.iter().zip(wanted).enumerate() {
        let address = match store.reserve(holder, sandbox, number, set, wanted) {
            Ok(address) => address,
            Err(error) => {
                // What cannot be undone now is found by the DEL that follows a failed ADD.
                let _ = store.undo(holder, &ipam.sets, &reserved);
                return Err(error);
            }
        };
        reserved.push(address);
        addresses.extend(set.range_of(address).map(|range| Address {
            interface: None,
            address: range.in_subnet(address),
            gateway: Some(range.gateway()),
        }));
    }
    Ok(addresses)
}

/// Which of the addresses that are asked for is taken from which set: at most one from each, and every one from some.
fn assign(sets: &[RangeSet], requested: &[IpAddr]) -> Result<Vec<Option<IpAddr>>> {
    let mut left = requested.to_vec();
    let mut assigned = Vec::new();
    for set in sets {
        let at = left.iter().position(|ip| set.range_of(*ip).is_some());
        let wanted = at.map(|at| left.remove(at));
        let gateway = |ip: &IpAddr| {
            set.range_of(*ip)
                .is_some_and(|range| range.gateway() == *ip)
        };
        if let Some(ip) = wanted.filter(gateway) {
            return Err(Error::config(format!(
                "requested ip {ip} is subnet's gateway"
            )));
        }
        assigned.push(wanted);
    }
    if left.is_empty() {
        return Ok(assigned);
    }
    let left: Vec<String> = left.iter().map(IpAddr::to_string).collect();
    Err(Error::config(format!(
        "failed to allocate all requested IPs: {} is in no range of its own",
        left.join(" ")
    )))
}

/// An attachment is as ADD left it if it holds the addresses of our ranges that ADD has answered with.
fn check(store: &Store, sets: &[RangeSet], holder: &Holder, network: &Network) -> Result<()> {
    let held = store.held_by(holder);
    let whose = format!(
        "container {}, interface {}",
        holder.container_id, holder.interface
    );
    if held.is_empty() {
        let message = format!("no address is reserved for {whose}");
        return Err(Error::new(Code::Internal, message));
    }
    let answered = network.previous()?.unwrap_or_default().ips;
    let is_ours = |ip: &IpAddr| sets.iter().any(|set| set.range_of(*ip).is_some());
    let missing = answered
        .iter()
        .map(|ip| ip.address.addr())
        .find(|ip| is_ours(ip) && !held.contains(ip));
    missing.map_or(Ok(()), |ip| {
        let message = format!("prevResult has {ip}, which is not reserved for {whose}");
        Err(Error::new(Code::Internal, message))
    })
}

fn collect(store: &mut Store, sets: &[RangeSet], network: &Network) -> Result<()> {
    let Some(valid) = &network.valid_attachments else {
        return Err(Error::config(
            "cni.dev/valid-attachments is missing; without it every attachment would count as stale",
        ));
    };
    store.retain(sets, |holder| {
        valid.iter().any(|valid| {
            // One that host-local of long ago has reserved does not say its interface.
            let is_same_interface =
                holder.interface.is_empty() || holder.interface == valid.interface;
            valid.container_id == holder.container_id && is_same_interface
        })
    })?;
    Ok(())
}

fn read_dns(path: &Path) -> Result<Dns> {
    let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))?;
    Ok(resolv::parse(&text))
}
