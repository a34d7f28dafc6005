//! Ranges of addresses: what belongs to one, and in which order its addresses are given out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Deserialize;

use crate::config;

/// A range as a configuration has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RangeConfig {
    #[serde(deserialize_with = "config::address::optional")]
    range_start: Option<IpAddr>,
    #[serde(deserialize_with = "config::address::optional")]
    range_end: Option<IpAddr>,
    #[serde(deserialize_with = "subnet")]
    pub(super) subnet: Option<IpNet>,
    #[serde(deserialize_with = "config::address::optional")]
    gateway: Option<IpAddr>,
}

fn subnet<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<IpNet>, D::Error> {
    let text: Option<String> = Option::deserialize(reader)?;
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| {
        let subnet = config::network::parse(&text)?;
        match subnet {
            IpNet::V6(subnet) if subnet.network().to_ipv4_mapped().is_some() => Err(format!(
                "{text:?} is an IPv4 network that is written as an IPv6 one"
            )),
            _ => Ok(subnet),
        }
    })
    .transpose()
    .map_err(serde::de::Error::custom)
}

/// Addresses of one subnet from `start` to `end`, both included. The gateway is never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNet,
    start: IpAddr,
    end: IpAddr,
    gateway: IpAddr,
}

impl Range {
    /// Checks a range and fills in what is left out, as host-local does: the first address is the gateway's, and the
    /// range ends before the broadcast address. An error is the rest of a sentence that begins with the field.
    pub(super) fn new(config: &RangeConfig) -> Result<Self, String> {
        let subnet = config.subnet.ok_or("subnet is missing")?;
        if subnet.prefix_len() > subnet.max_prefix_len() - 2 {
            return Err(format!("subnet {subnet} is too small to allocate from"));
        }
        if subnet.addr() != subnet.network() {
            return Err(format!(
                "subnet {subnet} has host bits set; its network address is {}",
                subnet.network()
            ));
        }
        let network = subnet.network();
        let first = address(network, number(network) + 1);
        let last = subnet.broadcast();
        // The broadcast address of IPv4 is nobody's.
        let last = if last.is_ipv4() {
            address(last, number(last) - 1)
        } else {
            last
        };
        let inside = |field: &str, address: Option<IpAddr>, otherwise: IpAddr| {
            let address = address.unwrap_or(otherwise);
            let is_inside = subnet.contains(&address);
            is_inside
                .then_some(address)
                .ok_or_else(|| format!("{field} {address} is not in subnet {subnet}"))
        };
        let start = inside("rangeStart", config.range_start, first)?;
        let end = inside("rangeEnd", config.range_end, last)?;
        if number(start) > number(end) {
            return Err(format!("rangeStart {start} is after rangeEnd {end}"));
        }
        Ok(Self {
            subnet,
            start,
            end,
            gateway: config.gateway.unwrap_or(first),
        })
    }

    /// The gateway of its addresses.
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// `address` with the length of the subnet's prefix.
    pub fn in_subnet(&self, address: IpAddr) -> IpNet {
        IpNet::new(address, self.subnet.prefix_len()).unwrap_or(self.subnet)
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.start.is_ipv4()
            && (number(self.start)..=number(self.end)).contains(&number(address))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.start)
            || self.contains(other.end)
            || other.contains(self.start)
            || other.contains(self.end)
    }

    /// Addresses in it, the gateway's included where that lies in it.
    fn len(&self) -> u128 {
        number(self.end)
            .saturating_sub(number(self.start))
            .saturating_add(1)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of the same family as `like` that has this number.
fn address(like: IpAddr, number: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(number as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

/// Ranges of one family. A container gets one address of each set.
///
/// Its addresses have places: those of the first range from 0 on, then those of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet(Vec<Range>);

impl RangeSet {
    /// Checks the ranges of a set. An error is the rest of a sentence that begins with the field.
    pub(super) fn new(configs: &[RangeConfig]) -> Result<Self, String> {
        let ranges: Vec<Range> = configs.iter().map(Range::new).collect::<Result<_, _>>()?;
        let Some(first) = ranges.first() else {
            return Err("it has no range".to_owned());
        };
        if ranges
            .iter()
            .any(|range| range.start.is_ipv4() != first.start.is_ipv4())
        {
            return Err("it mixes IPv4 and IPv6".to_owned());
        }
        for (at, one) in ranges.iter().enumerate() {
            if let Some(other) = ranges[at + 1..].iter().find(|other| one.overlaps(other)) {
                return Err(format!("ranges {one} and {other} overlap"));
            }
        }
        Ok(Self(ranges))
    }

    /// Whether its addresses are of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.0.first().is_some_and(|range| range.start.is_ipv4())
    }

    /// The range that `address` is in.
    pub fn range_of(&self, address: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(address))
    }

    /// Whether any address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meets = |range: &Range| other.0.iter().any(|one| range.overlaps(one));
        self.0.iter().any(meets)
    }

    /// Places in it; more than there are numbers for count as the largest number.
    pub fn len(&self) -> u128 {
        let lengths = self.0.iter().map(Range::len);
        lengths.fold(0, u128::saturating_add)
    }

    /// Whether it has no address: never, but for a set that was not checked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of an address.
    pub fn place_of(&self, wanted: IpAddr) -> Option<u128> {
        let mut before: u128 = 0;
        for range in &self.0 {
            if range.contains(wanted) {
                return Some(before + (number(wanted) - number(range.start)));
            }
            before = before.saturating_add(range.len());
        }
        None
    }

    /// The address at a place, with its range.
    pub fn at(&self, place: u128) -> Option<(IpAddr, &Range)> {
        let mut rest = place;
        for range in &self.0 {
            if rest < range.len() {
                return Some((address(range.start, number(range.start) + rest), range));
            }
            rest -= range.len();
        }
        None
    }

    /// Places that are never given out: those of gateways.
    pub fn gateways(&self) -> impl Iterator<Item = u128> + '_ {
        let own = |range: &Range| range.contains(range.gateway).then_some(range.gateway);
        self.0
            .iter()
            .filter_map(move |range| self.place_of(own(range)?))
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn set(ranges: &Value) -> Result<RangeSet, String> {
        let configs: Vec<RangeConfig> = serde_json::from_value(ranges.clone()).unwrap();
        RangeSet::new(&configs)
    }

    #[track_caller]
    fn refused(ranges: &Value, told: &str) {
        assert_eq!(set(ranges).unwrap_err(), told);
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let v4 = set(&json!([{ "subnet": "10.1.2.0/24" }])).unwrap();
        assert_eq!(v4.to_string(), "10.1.2.1-10.1.2.254");
        assert_eq!(v4.0[0].gateway, ip("10.1.2.1"));
        let v6 = set(&json!([{ "subnet": "fd00::/120", "gateway": "fd00::5" }])).unwrap();
        assert_eq!(v6.to_string(), "fd00::1-fd00::ff");
        assert_eq!(v6.gateways().collect::<Vec<_>>(), [4]);
        let all = set(&json!([{ "subnet": "::/0" }])).unwrap();
        assert_eq!(all.len(), u128::MAX);
    }

    #[test]
    fn places_go_on_from_range_to_range() {
        let set = set(&json!([
            { "subnet": "10.1.2.0/29", "rangeStart": "10.1.2.2", "rangeEnd": "10.1.2.3" },
            { "subnet": "10.1.4.0/29" },
        ]))
        .unwrap();
        assert_eq!(set.len(), 8);
        for place in 0..8 {
            let (address, _) = set.at(place).unwrap();
            assert_eq!(set.place_of(address), Some(place));
        }
        assert_eq!(set.at(2).unwrap().0, ip("10.1.4.1"));
        assert_eq!(set.at(8), None);
        assert_eq!(set.place_of(ip("10.1.2.4")), None);
        assert_eq!(
            set.range_of(ip("10.1.4.6"))
                .unwrap()
                .in_subnet(ip("10.1.4.6"))
                .to_string(),
            "10.1.4.6/29"
        );
    }

    #[test]
    fn a_bad_range_is_told_by_its_values() {
        refused(&json!([]), "it has no range");
        refused(&json!([{}]), "subnet is missing");
        refused(
            &json!([{ "subnet": "10.1.2.0/31" }]),
            "subnet 10.1.2.0/31 is too small to allocate from",
        );
        refused(
            &json!([{ "subnet": "10.1.2.2/24" }]),
            "subnet 10.1.2.2/24 has host bits set; its network address is 10.1.2.0",
        );
        refused(
            &json!([{ "subnet": "10.1.2.0/24", "rangeStart": "10.1.3.1" }]),
            "rangeStart 10.1.3.1 is not in subnet 10.1.2.0/24",
        );
        refused(
            &json!([{ "subnet": "10.1.2.0/24", "rangeEnd": "fd00::1" }]),
            "rangeEnd fd00::1 is not in subnet 10.1.2.0/24",
        );
        refused(
            &json!([{ "subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.8" }]),
            "rangeStart 10.1.2.9 is after rangeEnd 10.1.2.8",
        );
        refused(
            &json!([{ "subnet": "10.1.2.0/24" }, { "subnet": "fd00::/64" }]),
            "it mixes IPv4 and IPv6",
        );
        refused(
            &json!([{ "subnet": "10.1.0.0/16" }, { "subnet": "10.1.2.0/24" }]),
            "ranges 10.1.0.1-10.1.255.254 and 10.1.2.1-10.1.2.254 overlap",
        );
    }
}
