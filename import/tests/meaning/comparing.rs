//! A cluster by two minds: the importer with the oracle, and the reference.

use std::collections::BTreeSet;
use std::net::IpAddr;

use import::Source;
use policy::{Family, FlowService, IpNet};
use serde_json::Value;

use crate::reading::{self, World, family};
use crate::reference::{Cluster, End};

/// A case.
pub(crate) struct Case {
    objects: Vec<Value>,
    cluster: Cluster,
    /// What came out of the import.
    pub(crate) world: World,
}

impl Case {
    /// The objects of files, and the scenario that was made of them.
    pub(crate) fn new(sources: &[Source], scenario: &str) -> Self {
        let mut objects = Vec::new();
        for source in sources {
            let read = serde_saphyr::from_multiple::<Value>(&source.text);
            objects.extend(read.unwrap_or_else(|error| panic!("{}: {error}", source.name)));
        }
        let mut cluster = Cluster::default();
        objects.iter().filter(|object| !object.is_null()).for_each(|object| cluster.add(object, ""));
        Self { objects, cluster, world: reading::read(scenario) }
    }

    /// The pairs of addresses by which two endpoints can speak.
    pub(crate) fn pairs(&self, source: &str, destination: &str) -> Vec<(IpAddr, IpAddr)> {
        let destinations = self.world.addresses(destination);
        let pairs = self
            .world
            .addresses(source)
            .into_iter()
            .flat_map(|source| destinations.iter().map(move |one| (source, *one)));
        pairs.filter(|(source, destination)| family(*source, *destination).is_some()).collect()
    }

    fn end(&self, address: IpAddr) -> End<'_> {
        let Some((name, _)) = self.world.inventory.owner(address) else {
            return End { pod: None, address: Some(address) };
        };
        let pod = self.cluster.pods.iter().find(|pod| format!("{}.{}", pod.namespace, pod.name) == name.as_str());
        let pod = pod.unwrap_or_else(|| panic!("{name} is no pod"));
        End { pod: Some(pod), address: pod.ips.contains(&address).then_some(address) }
    }

    /// What the oracle says of the import, and the reference of the objects.
    pub(crate) fn both(&self, source: IpAddr, destination: IpAddr, service: FlowService) -> (bool, bool) {
        let reference = self.cluster.passes(self.end(source), self.end(destination), service);
        (self.world.passes(source, destination, service), reference)
    }

    /// Every flow of which the two say other things; and how many they were asked about.
    pub(crate) fn differences(&self) -> (Vec<String>, usize) {
        let vms: Vec<IpAddr> = self.world.inventory.vms.values().flat_map(|vm| vm.addresses.iter().copied()).collect();
        let running: usize = self.cluster.pods.len();
        assert_eq!(self.world.inventory.vms.len(), running, "a VM for each pod");
        let services = self.services();
        let ends: BTreeSet<IpAddr> = self.outside().into_iter().chain(vms.iter().copied()).collect();
        let (mut wrong, mut count) = (Vec::new(), 0);
        for (source, destination) in ends.iter().flat_map(|one| ends.iter().map(move |other| (*one, *other))) {
            let Some(family) =
                family(source, destination).filter(|_| vms.contains(&source) || vms.contains(&destination))
            else {
                continue;
            };
            let asked: Vec<FlowService> = services.iter().copied().filter(|one| one.exists_in(family)).collect();
            count += asked.len();
            wrong.extend(asked.into_iter().filter_map(|service| self.difference(source, destination, service)));
        }
        (wrong, count)
    }

    fn difference(&self, source: IpAddr, destination: IpAddr, service: FlowService) -> Option<String> {
        let (oracle, reference) = self.both(source, destination, service);
        let word = if oracle { "allow" } else { "deny" };
        (oracle != reference)
            .then(|| format!("{source} -> {destination} {service}: {word}, and Kubernetes says otherwise"))
    }

    /// Every port that the objects name, its neighbours, and what has no port.
    fn services(&self) -> Vec<FlowService> {
        let mut numbers = BTreeSet::from([1, 53, 65535]);
        self.objects.iter().for_each(|object| ports(object, &mut numbers));
        let near = numbers.iter().flat_map(|number| [number - 1, *number, number + 1]);
        let near: BTreeSet<u16> = near.filter_map(|number| u16::try_from(number).ok()).collect();
        let both = near.into_iter().flat_map(|number| [FlowService::Tcp(number), FlowService::Udp(number)]);
        let more = [FlowService::Icmp(8), FlowService::Icmpv6(128), FlowService::Proto(47), FlowService::Proto(132)];
        both.chain(more).collect()
    }

    /// The endpoints outside, and the edges of all ranges that the objects name.
    fn outside(&self) -> Vec<IpAddr> {
        let mut found: Vec<IpAddr> = self.world.outside.values().flatten().copied().collect();
        found.extend(["192.0.2.99".parse::<IpAddr>().unwrap(), "2001:db8:99::99".parse().unwrap()]);
        self.objects.iter().for_each(|object| edges(object, &mut found));
        let unbound = |address: &IpAddr| !self.world.inventory.managed.iter().any(|net| net.contains(address));
        found.retain(|address| unbound(address) && is_ordinary(*address));
        found
    }
}

fn is_ordinary(address: IpAddr) -> bool {
    let odd = address.is_multicast() || address.is_loopback() || address.is_unspecified();
    !odd && match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

fn children(value: &Value) -> Vec<(&str, &Value)> {
    let items = value.as_array().into_iter().flatten().map(|value| ("", value));
    let fields = value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value));
    items.chain(fields).collect()
}

fn ports(value: &Value, found: &mut BTreeSet<i64>) {
    for (key, child) in children(value) {
        let is_port = ["port", "endPort", "containerPort", "start", "end"].contains(&key);
        found.extend(child.as_i64().filter(|_| is_port));
        ports(child, found);
    }
}

fn edges(value: &Value, found: &mut Vec<IpAddr>) {
    for (_, child) in children(value) {
        if let Some(net) = child.as_str().and_then(|text| text.parse::<IpNet>().ok()) {
            let [first, last] = [net.network(), net.broadcast()];
            found.extend([first, last]);
            found.extend([step(first, -1), step(first, 1), step(last, -1), step(last, 1)].into_iter().flatten());
        }
        edges(child, found);
    }
}

fn step(address: IpAddr, by: i64) -> Option<IpAddr> {
    match Family::of(address) {
        Family::V4 => {
            let IpAddr::V4(address) = address else { return None };
            let bits = i64::from(address.to_bits()).checked_add(by)?;
            u32::try_from(bits).ok().map(|bits| IpAddr::V4(bits.into()))
        }
        Family::V6 => {
            let IpAddr::V6(address) = address else { return None };
            address.to_bits().checked_add_signed(by.into()).map(|bits| IpAddr::V6(bits.into()))
        }
    }
}
