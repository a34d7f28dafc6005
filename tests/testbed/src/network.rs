//! The host's side of the cluster's network: a bridge, a cable to each node, routes to their pods, one rule table.
//!
//! Everything is looked at first and changed only where it is not as it should be, so that a repeated run repairs.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::layout::{
    BRIDGE, HOST, NODE_RANGE, POD_RANGE, SERVICE_RANGE, node_address, node_link, pod_range,
};
use crate::progress::Outcome;
use crate::run;
use crate::wait;

/// The name of our table, and the mark of our rules in tables of others.
const TABLE: &str = "ironkeel";

/// How long the kernel may take to remove the cable of a node that has ended.
const CABLE_LIMIT: Duration = Duration::from_secs(5);

/// Makes sure that the bridge, the host's address on it and the rules are there.
pub(crate) fn ensure_host() -> Result<Outcome> {
    let mut outcome = Outcome::Unchanged;
    refuse_overlap(&run::output(
        ip().args(["-json", "route", "show", "table", "all"]),
    )?)?;
    if !link_exists(BRIDGE) {
        run::output(ip().args(["link", "add", BRIDGE, "type", "bridge"]))?;
        outcome = Outcome::Done;
    }
    if !run::output(ip().args(["-json", "address", "show", "dev", BRIDGE]))?
        .contains(&format!("\"{HOST}\""))
    {
        run::output(ip().args(["address", "add", &format!("{HOST}/24"), "dev", BRIDGE]))?;
        outcome = Outcome::Done;
    }
    run::output(ip().args(["link", "set", BRIDGE, "up"]))?;
    if !run::output(nft().args(["list", "table", "inet", TABLE]))
        .is_ok_and(|there| there.contains("masquerade"))
    {
        run::output_with_input(nft().args(["-f", "-"]), &rules())?;
        outcome = Outcome::Done;
    }
    for iptables in dropping_iptables() {
        for direction in ["-i", "-o"] {
            if run::output(
                Command::new(iptables)
                    .args(["-C"])
                    .args(forward_rule(direction)),
            )
            .is_err()
            {
                run::output(
                    Command::new(iptables)
                        .args(["-I"])
                        .args(forward_rule(direction)),
                )?;
                outcome = Outcome::Done;
            }
        }
    }
    Ok(outcome)
}

/// Pods and nodes reach the outside under the host's address. `{}` first, so that the deletion never fails.
fn rules() -> String {
    format!(
        "table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n  chain postrouting {{\n    \
         type nat hook postrouting priority srcnat; policy accept;\n    \
         ip saddr {{ {POD_RANGE}, {NODE_RANGE} }} oifname != {{ \"{BRIDGE}\", \"lo\" }} masquerade\n  }}\n}}\n"
    )
}

/// The flavours of iptables whose FORWARD chain drops by default, as docker sets it. An accept in a table of ours would
/// not overrule that, so those chains get two rules; others are not touched, for a rule would leave a table behind.
fn dropping_iptables() -> Vec<&'static str> {
    let mut flavours = Vec::new();
    let nft_drops = run::output(nft().args(["list", "chain", "ip", "filter", "FORWARD"]))
        .is_ok_and(|chain| chain.contains("policy drop"));
    if nft_drops {
        flavours.push("iptables-nft");
    }
    // Merely asking iptables-legacy would load its tables.
    let legacy = fs::read_to_string("/proc/net/ip_tables_names")
        .is_ok_and(|names| names.lines().any(|name| name == "filter"));
    if legacy
        && run::output(Command::new("iptables-legacy").args(["-S", "FORWARD"]))
            .is_ok_and(|rules| rules.contains("-P FORWARD DROP"))
    {
        flavours.push("iptables-legacy");
    }
    flavours
}

fn forward_rule(direction: &str) -> [&str; 9] {
    [
        "FORWARD",
        direction,
        BRIDGE,
        "-m",
        "comment",
        "--comment",
        TABLE,
        "-j",
        "ACCEPT",
    ]
}

/// Connects a node's network namespace, named by its first process, to the bridge, and routes its pods to it.
pub(crate) fn ensure_node(number: u8, first: u32, nodes: u8) -> Result<Outcome> {
    let mut outcome = Outcome::Unchanged;
    let link = node_link(number);
    let address = node_address(number);
    let inside = || {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{first}/ns/net")).arg("ip");
        command
    };
    let connected =
        link_exists(&link) && run::output(inside().args(["link", "show", "eth0"])).is_ok();
    if !connected {
        remove_link(&link)?;
        let first = first.to_string();
        run::output(ip().args([
            "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &first,
        ]))?;
        outcome = Outcome::Done;
    }
    run::output(ip().args(["link", "set", &link, "master", BRIDGE, "up"]))?;
    run::output(inside().args(["link", "set", "lo", "up"]))?;
    run::output(inside().args([
        "address",
        "replace",
        &format!("{address}/24"),
        "dev",
        "eth0",
    ]))?;
    run::output(inside().args(["link", "set", "eth0", "up"]))?;
    run::output(inside().args(["route", "replace", "default", "via", &HOST.to_string()]))?;
    for other in (1..=nodes).filter(|&other| other != number) {
        run::output(inside().args([
            "route",
            "replace",
            &pod_range(other),
            "via",
            &node_address(other).to_string(),
        ]))?;
    }
    run::output(ip().args([
        "route",
        "replace",
        &pod_range(number),
        "via",
        &address.to_string(),
        "dev",
        BRIDGE,
    ]))?;
    Ok(outcome)
}

/// Removes a node's cable. Its route goes with the namespace's address, and otherwise with the bridge.
pub(crate) fn remove_node(number: u8) -> Result<()> {
    remove_link(&node_link(number))?;
    // Gone already where the bridge is.
    let _ = run::output(ip().args(["route", "delete", &pod_range(number)]));
    Ok(())
}

/// Removes a link, unless there is none.
fn remove_link(link: &str) -> Result<()> {
    match run::output(ip().args(["link", "delete", link])) {
        // The kernel removes a cable by itself a moment after the namespace at its other end: it may have been first.
        Err(error) if link_exists(link) => Err(error),
        _ => Ok(()),
    }
}

/// Removes all of it and says what stayed.
pub(crate) fn remove() -> Vec<String> {
    let mut left = Vec::new();
    let mut keep = |what: &str, result: Result<()>| {
        if let Err(error) = result {
            left.push(format!("{what}: {error:#}"));
        }
    };
    // The cables go by themselves a moment after the nodes.
    let cables_gone = || Ok(our_links().iter().all(|link| link == BRIDGE).then_some(()));
    let _ = wait::until(CABLE_LIMIT, "the end of the cables", cables_gone);
    for link in our_links() {
        keep(&format!("link {link}"), remove_link(&link));
    }
    if run::output(nft().args(["list", "table", "inet", TABLE])).is_ok() {
        keep(
            "nft table ironkeel",
            run::output(nft().args(["delete", "table", "inet", TABLE])).map(drop),
        );
    }
    for iptables in dropping_iptables() {
        for direction in ["-i", "-o"] {
            if run::output(
                Command::new(iptables)
                    .args(["-C"])
                    .args(forward_rule(direction)),
            )
            .is_ok()
            {
                keep(
                    "an iptables rule",
                    run::output(
                        Command::new(iptables)
                            .args(["-D"])
                            .args(forward_rule(direction)),
                    )
                    .map(drop),
                );
            }
        }
    }
    left
}

/// Cables first, then the bridge.
fn our_links() -> Vec<String> {
    let mut links: Vec<_> = fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("ironkeel-n") || name == BRIDGE)
        .collect();
    links.sort();
    links
}

/// Refuses when a route of somebody else lies inside one of our ranges or around one of them, the default route aside.
fn refuse_overlap(routes: &str) -> Result<()> {
    let routes: Vec<Value> = serde_json::from_str(routes).context("parse the routing table")?;
    for route in &routes {
        let device = route["dev"].as_str().unwrap_or("no link");
        let Some((there, range)) = route["dst"]
            .as_str()
            .and_then(|text| Some((parse_range(text)?, text)))
        else {
            continue;
        };
        if device.starts_with("ironkeel") {
            continue;
        }
        for ours in [NODE_RANGE, POD_RANGE, SERVICE_RANGE] {
            if parse_range(ours).is_some_and(|ours| overlap(ours, there)) {
                bail!(
                    "address range {ours}, which the cluster needs, overlaps {range} on link {device}"
                );
            }
        }
    }
    Ok(())
}

/// First address and prefix length.
fn parse_range(text: &str) -> Option<(u32, u32)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    Some((
        u32::from(address.parse::<Ipv4Addr>().ok()?),
        length.parse().ok().filter(|&length| length <= 32)?,
    ))
}

fn overlap(one: (u32, u32), other: (u32, u32)) -> bool {
    let common = one.1.min(other.1);
    let mask = u32::MAX.checked_shl(32 - common).unwrap_or(0);
    one.0 & mask == other.0 & mask
}

fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn ip() -> Command {
    Command::new("ip")
}

fn nft() -> Command {
    Command::new("nft")
}

#[cfg(test)]
mod tests {
    use super::{overlap, parse_range, refuse_overlap};

    #[test]
    fn ranges_overlap_when_one_holds_the_other() {
        let range = |text| parse_range(text).unwrap();
        for (one, other, expected) in [
            ("10.244.0.0/16", "10.244.3.0/24", true),
            ("10.244.3.0/24", "10.244.0.0/16", true),
            ("10.0.0.0/8", "10.96.0.0/16", true),
            ("172.31.0.0/24", "172.31.1.0/24", false),
            ("172.31.0.0/24", "172.31.0.7", true),
            ("0.0.0.0/0", "10.96.0.0/16", true),
        ] {
            assert_eq!(overlap(range(one), range(other)), expected, "{one} {other}");
        }
        assert_eq!(parse_range("default"), None);
        assert_eq!(parse_range("fe80::/64"), None);
        assert_eq!(parse_range("10.0.0.0/33"), None);
    }

    #[test]
    fn the_error_names_both_ranges_and_the_link() {
        let routes = r#"[{"dst":"default","dev":"eth0"},{"dst":"10.244.1.0/24","dev":"ironkeel0"},{"dst":"10.244.0.0/24","dev":"cni9"}]"#;
        let error = refuse_overlap(routes).unwrap_err().to_string();
        assert_eq!(
            error,
            "address range 10.244.0.0/16, which the cluster needs, overlaps 10.244.0.0/24 on link cni9"
        );
        refuse_overlap(r#"[{"dst":"default","dev":"eth0"},{"dst":"192.168.0.0/16","dev":"eth0"}]"#)
            .unwrap();
    }
}
