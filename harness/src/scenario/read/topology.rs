//! Reading the topology, and giving addresses to VMs that have none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use policy::keys::MODES;
use policy::yaml::{self, Entry, Fields, Node, Text, Value};
use policy::{Name, Problem, Span};

use super::super::{Eager, Neighbours, Outside, Topology, VmSpec};
use super::agent::AgentOptions;
use super::{Reader, generated, keys};

/// The lab's pool of IPv4 addresses: 10.98.0.0/16.
const POOL_V4: (u8, u8) = (10, 98);
/// The lab's pool of IPv6 addresses: fd98::/48.
const POOL_V6: u16 = 0xfd98;
/// The last number of the pool that is given away; above it stand the lab's own.
const LAST: u16 = 0xfdff;

/// How neighbours find each other.
pub(crate) const NEIGHBOURS: [(&str, Neighbours); 2] =
    [("permanent", Neighbours::Permanent), ("learned", Neighbours::Learned)];
/// Whether the hosts' ports are guarded.
pub(crate) const PORTS: [(&str, bool); 2] = [("open", false), ("guarded", true)];

/// The addresses for VMs that name none: in the order of the file, the n-th gets 10.98.0.n and fd98::n.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    given: u16,
    taken: BTreeSet<IpAddr>,
}

impl Pool {
    fn next(&mut self) -> Option<Vec<IpAddr>> {
        while self.given < LAST {
            self.given += 1;
            let [high, low] = self.given.to_be_bytes();
            let v4 = IpAddr::V4(Ipv4Addr::new(POOL_V4.0, POOL_V4.1, high, low));
            let v6 = IpAddr::V6(Ipv6Addr::new(POOL_V6, 0, 0, 0, 0, 0, 0, self.given));
            if !self.taken.contains(&v4) && !self.taken.contains(&v6) {
                return Some(vec![v4, v6]);
            }
        }
        None
    }

    /// The managed networks of a lab whose scenario names none.
    fn networks() -> Vec<IpNet> {
        let v4 = ipnet::Ipv4Net::new(Ipv4Addr::new(POOL_V4.0, POOL_V4.1, 0, 0), 16).map(IpNet::V4);
        let v6 = ipnet::Ipv6Net::new(Ipv6Addr::new(POOL_V6, 0, 0, 0, 0, 0, 0, 0), 48).map(IpNet::V6);
        v4.into_iter().chain(v6).collect()
    }
}

impl Reader<'_> {
    pub(super) fn topology(&mut self, node: &Node, pool: &mut Pool) -> Option<Topology> {
        let fields = self.fields(node, "a topology", &keys::TOPOLOGY, &["links", "include"])?;
        let hosts = self.hosts(&fields);
        let mut topology = Topology {
            managed: self.managed(&fields),
            neighbours: self.neighbours(&fields),
            guarded: self.guarded(&fields),
            vms: BTreeMap::new(),
            outside: BTreeMap::new(),
            hosts,
        };
        for node in ["vms", "outside"].iter().filter_map(|key| fields.get(key)) {
            reserve(node, pool);
        }
        for entry in self.entries(&fields, "vms", "VMs") {
            for (name, vm) in self.vm_entry(entry, &topology.hosts, pool) {
                let late = "a VM is `eager` where it is added in a step";
                vm.eager.iter().for_each(|_| self.wrong(entry.key.span(), late));
                let twice = format!("`{name}` stands here a second time");
                topology.vms.insert(name, vm).into_iter().for_each(|_| self.wrong(entry.key.span(), &twice));
            }
        }
        for entry in self.entries(&fields, "outside", "outside endpoints") {
            self.outside(entry, &mut topology);
        }
        self.no_address_twice(&topology, &fields);
        Some(topology)
    }

    pub(super) fn entries<'n>(&mut self, fields: &Fields<'n>, key: &str, what: &str) -> &'n [Entry] {
        let node = fields.get(key).filter(|node| !node.is_absent());
        node.and_then(|node| yaml::pairs(node, what, &mut self.problems)).unwrap_or_default()
    }

    fn hosts(&mut self, fields: &Fields<'_>) -> Vec<Name> {
        let Some(node) = fields.require("hosts", &mut self.problems) else { return Vec::new() };
        let mut hosts: Vec<Name> = Vec::new();
        for item in yaml::items(node, "a list of hosts", &mut self.problems).unwrap_or_default() {
            let Some(text) = yaml::text(item, "the name of a host", &mut self.problems) else { continue };
            match yaml::name(text, "a host", &mut self.problems) {
                Some(name) if name.as_str() == "center" => self.wrong(text.span(), "`center` is the control center"),
                Some(name) if hosts.contains(&name) => {
                    self.wrong(text.span(), format!("host `{name}` stands here a second time"));
                }
                Some(name) => hosts.push(name),
                None => {}
            }
        }
        if hosts.is_empty() {
            self.wrong(node.span, "a topology needs a host");
        }
        hosts
    }

    fn managed(&mut self, fields: &Fields<'_>) -> Vec<IpNet> {
        fields.get("managed").map_or_else(Pool::networks, |node| self.networks(node))
    }

    fn networks(&mut self, node: &Node) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for item in yaml::items(node, "a list of networks", &mut self.problems).unwrap_or_default() {
            let network = yaml::parsed::<IpNet>(item, "a network such as 10.98.0.0/16", &mut self.problems);
            match network {
                Some(network) if network.trunc() != network => {
                    let problem = Problem::new(item.span, format!("`{network}` has bits below its prefix"));
                    self.problems.report(problem.help(format!("write {}", network.trunc())));
                }
                Some(network) => networks.push(network),
                None => {}
            }
        }
        networks
    }

    fn neighbours(&mut self, fields: &Fields<'_>) -> Neighbours {
        let node = fields.get("neighbours");
        node.and_then(|node| yaml::word(node, &NEIGHBOURS, &mut self.problems)).unwrap_or_default()
    }

    fn guarded(&mut self, fields: &Fields<'_>) -> bool {
        let node = fields.get("ports");
        node.and_then(|node| yaml::word(node, &PORTS, &mut self.problems)).unwrap_or_default()
    }

    /// What a copy of a VM stands with: on another host, at addresses of its own.
    pub(super) fn copy(&mut self, of: (&Name, &VmSpec), host: Name, place: Span, pool: &mut Pool) -> Option<VmSpec> {
        let Some(addresses) = pool.next() else {
            self.wrong(place, "the pool has no address left for this VM");
            return None;
        };
        pool.taken.extend(&addresses);
        let addresses = self.of_family(addresses, place);
        let (second, unbound) = (BTreeSet::new(), BTreeSet::new());
        let (serves, speaks, copy_of) = (Vec::new(), BTreeMap::new(), Some(of.0.clone()));
        Some(VmSpec { host, addresses, second, unbound, serves, speaks, copy_of, eager: None, ..of.1.clone() })
    }

    /// One `name: {…}` of VMs; a generated name stands for many that are alike.
    pub(super) fn vm_entry(&mut self, entry: &Entry, hosts: &[Name], pool: &mut Pool) -> Vec<(Name, VmSpec)> {
        let generated = self.taken(&entry.key, generated::names(entry.key.as_str())).unwrap_or_default();
        let texts = match generated.as_slice() {
            [one] if one == entry.key.as_str() => vec![entry.key.clone()],
            names => names.iter().map(|name| Text::verbatim(name, entry.key.span().start)).collect(),
        };
        // What is wrong with one generated name is wrong with all of them.
        let names: Vec<Name> = texts.iter().map_while(|text| self.endpoint_name(text, "a VM")).collect();
        let later = ["interfaces", "cpu", "memory"];
        let Some(fields) = self.fields(&entry.value, "a VM", &keys::VM, &later) else { return Vec::new() };
        let host = self.host(&fields, hosts);
        let mut labels = BTreeMap::new();
        for label in self.entries(&fields, "labels", "labels") {
            if let Some((key, value)) = self.label(label) {
                labels.insert(key, value);
            }
        }
        let speaks = self.speaks(&fields);
        let mut serves = self.serves(&fields);
        let more = speaks.keys().filter(|service| !serves.contains(service)).copied().collect::<Vec<_>>();
        serves.extend(more);
        let given = match fields.get("addresses") {
            Some(node) if names.len() > 1 => {
                self.wrong(node.span, "the addresses of generated VMs come from the pool");
                None
            }
            node => node.map(|node| self.addresses(node)),
        };
        let (agent, AgentOptions { spool, protocol }) =
            fields.get("agent").and_then(|node| self.agent(node)).unwrap_or_default();
        self.only_of_ours(&fields, &agent);
        let allowed = fields.get("allowed").map(|node| self.networks(node)).unwrap_or_default();
        let mode = fields.get("mode").and_then(|node| yaml::word(node, &MODES, &mut self.problems)).unwrap_or_default();
        let dhcp = fields.get("dhcp").and_then(|node| yaml::flag(node, &mut self.problems)).unwrap_or_default();
        let clock = fields.get("clock").and_then(|node| self.clock(node)).unwrap_or_default();
        let eager = fields.get("eager").and_then(|node| self.eager(node));
        let mut vms = Vec::new();
        for (number, name) in (0..).zip(names) {
            let Some(addresses) = given.clone().or_else(|| pool.next()) else {
                self.wrong(entry.key.span(), "the pool has no address left for this VM");
                break;
            };
            pool.taken.extend(&addresses);
            let addresses = self.of_family(addresses, entry.key.span());
            let Some(host) = host.clone() else { continue };
            let host = self.placed(host, hosts);
            let spec = VmSpec {
                host,
                labels: labels.clone(),
                serves: serves.clone(),
                speaks: speaks.clone(),
                addresses,
                agent: agent.clone(),
                copy_of: None,
                clock,
                spool,
                allowed: allowed.clone(),
                late: BTreeSet::new(),
                second: BTreeSet::new(),
                unbound: BTreeSet::new(),
                mode,
                dhcp,
                // Of generated VMs each has a port of its own.
                eager: eager.clone().map(|eager| Eager { port: eager.port.saturating_add(number), ..eager }),
                protocol,
            };
            vms.push((name, spec));
        }
        vms
    }

    /// `{to: b, udp: 9000}`.
    fn eager(&mut self, node: &Node) -> Option<Eager> {
        let fields = self.fields(node, "what a VM sends from the first", &keys::EAGER, &[])?;
        let to = fields.require("to", &mut self.problems)?;
        let to = yaml::text(to, "the name of an endpoint", &mut self.problems)?;
        let port = fields.require("udp", &mut self.problems)?;
        let port: std::num::NonZeroU16 = yaml::parsed(port, "a port", &mut self.problems)?;
        let to = yaml::name(to, "an endpoint", &mut self.problems)?;
        Some(Eager { to, port: port.into() })
    }

    fn endpoint_name(&mut self, text: &Text, what: &str) -> Option<Name> {
        if text.as_str() == "center" {
            self.wrong(text.span(), "`center` is the control center");
            return None;
        }
        yaml::name(text, what, &mut self.problems)
    }

    /// A label; its value is the text as written.
    pub(super) fn label(&mut self, entry: &Entry) -> Option<(String, String)> {
        let value = match &entry.value.value {
            Value::Scalar(text) => Some(text.as_str().to_owned()),
            Value::Sequence(_) | Value::Mapping(_) => None,
        };
        if value.is_none() {
            self.wrong(entry.value.span, format!("a label's value is a text, and this is {}", entry.value.kind()));
        }
        Some((entry.key.as_str().to_owned(), value?))
    }

    pub(super) fn host(&mut self, fields: &Fields<'_>, hosts: &[Name]) -> Option<Name> {
        let node = fields.require("host", &mut self.problems)?;
        let text = yaml::text(node, "the name of a host", &mut self.problems)?;
        let found = hosts.iter().find(|host| host.as_str() == text.as_str()).cloned();
        if found.is_none() {
            let known: Vec<&str> = hosts.iter().map(Name::as_str).collect();
            let problem = Problem::new(text.span(), format!("there is no host `{}`", text.as_str()));
            self.problems.report(problem.maybe_help(policy::did_you_mean(text.as_str(), &known)));
        }
        found
    }

    pub(super) fn addresses(&mut self, node: &Node) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for item in yaml::one_or_many(node) {
            let Some(address) = yaml::parsed::<IpAddr>(item, "an address", &mut self.problems) else { continue };
            match unusable(address) {
                Some(why) => self.wrong(item.span, format!("`{address}` is {why}")),
                None if addresses.contains(&address) => {
                    self.wrong(item.span, format!("`{address}` stands here a second time"));
                }
                None => addresses.push(address),
            }
        }
        if matches!(&node.value, Value::Sequence(items) if items.is_empty()) {
            self.wrong(node.span, "an endpoint needs an address");
        }
        addresses
    }

    /// `-1d`, `+90s`.
    fn clock(&mut self, node: &Node) -> Option<i64> {
        let text = yaml::text(node, "by how much a clock is wrong", &mut self.problems)?;
        let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
        let parts = units.iter().find_map(|(unit, seconds)| Some((text.as_str().strip_suffix(*unit)?, *seconds)));
        let signed = parts.filter(|(number, _)| number.starts_with(['+', '-']));
        let found = signed.and_then(|(number, seconds)| number.parse::<i32>().ok().map(|n| i64::from(n) * seconds));
        if found.is_none() {
            let problem = Problem::new(text.span(), format!("`{}` is no error of a clock", text.as_str()));
            self.problems.report(problem.help("such as `-1d` or `+90s`"));
        }
        found
    }

    fn outside(&mut self, entry: &Entry, topology: &mut Topology) {
        let name = self.endpoint_name(&entry.key, "an outside endpoint");
        let Some(fields) = self.fields(&entry.value, "an outside endpoint", &keys::OUTSIDE, &["serves"]) else {
            return;
        };
        let host = self.host(&fields, &topology.hosts);
        let addresses = fields.require("addresses", &mut self.problems).map(|node| self.addresses(node));
        let (Some(name), Some(host), Some(addresses)) = (name, host, addresses) else { return };
        let addresses = self.of_family(addresses, entry.key.span());
        if topology.vms.contains_key(&name) {
            self.wrong(entry.key.span(), format!("`{name}` is a VM already"));
            return;
        }
        topology.outside.insert(name, Outside { host, addresses });
    }

    fn no_address_twice(&mut self, topology: &Topology, fields: &Fields<'_>) {
        let vms = topology.vms.iter().map(|(name, vm)| (name, &vm.addresses));
        let outside = topology.outside.iter().map(|(name, outside)| (name, &outside.addresses));
        let mut owners: BTreeMap<IpAddr, &Name> = BTreeMap::new();
        let all = vms.chain(outside).flat_map(|(name, addresses)| addresses.iter().map(move |address| (name, address)));
        for (name, address) in all {
            let Some(first) = owners.insert(*address, name) else { continue };
            let key = ["vms", "outside"].iter().filter_map(|key| fields.get(key)).find_map(|node| key_of(node, name));
            let span = key.map_or(fields.span(), |entry| entry.key.span());
            self.wrong(span, format!("`{name}` has the address {address} of `{first}`"));
        }
    }
}

fn key_of<'n>(node: &'n Node, name: &Name) -> Option<&'n Entry> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().find(|entry| entry.key.as_str() == name.as_str()),
        Value::Scalar(_) | Value::Sequence(_) => None,
    }
}

/// Keeps the addresses that a mapping of endpoints names out of the pool.
fn reserve(node: &Node, pool: &mut Pool) {
    let Value::Mapping(entries) = &node.value else { return };
    for entry in entries {
        let Value::Mapping(fields) = &entry.value.value else { continue };
        let addresses = fields.iter().filter(|field| field.key.as_str() == "addresses");
        let items = addresses.flat_map(|field| yaml::one_or_many(&field.value));
        pool.taken.extend(items.filter_map(|item| item.as_text()?.as_str().parse::<IpAddr>().ok()));
    }
}

/// Why an address cannot be an endpoint's.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    match address {
        _ if mapped => Some("an IPv4 address in IPv6 clothes"),
        _ if address.is_unspecified() => Some("no address of anyone"),
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_multicast() => Some("a multicast address"),
        IpAddr::V4(address) if address.is_link_local() => Some("a link-local address"),
        IpAddr::V6(address) if address.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}
