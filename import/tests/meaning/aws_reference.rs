//! What AWS says of flows between instances, written from its documentation over the JSON as it is; no code of the importer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy::{FlowService, IpNet};
use serde_json::Value;

/// An instance.
pub(crate) struct Instance {
    /// Its id.
    pub(crate) id: String,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
    groups: BTreeSet<String>,
}

/// All that the files say.
#[derive(Default)]
pub(crate) struct Account {
    groups: Vec<Value>,
    /// The instances that have a network.
    pub(crate) instances: Vec<Instance>,
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

impl Account {
    /// Takes a file.
    pub(crate) fn add(&mut self, file: &Value) {
        self.groups.extend(list(file, "SecurityGroups").iter().cloned());
        let all = list(file, "Reservations").iter().flat_map(|one| list(one, "Instances"));
        let gone = |one: &&Value| matches!(one["State"]["Name"].as_str(), Some("terminated" | "shutting-down"));
        self.instances.extend(all.filter(|one| !gone(one)).map(instance));
    }

    /// Whether a flow gets out of its source and into its destination.
    pub(crate) fn passes(&self, source: IpAddr, destination: IpAddr, service: FlowService) -> bool {
        let bound = |address| self.instances.iter().find(|one| one.addresses.contains(&address));
        let (from, to) = (bound(source), bound(destination));
        if let (Some(from), Some(to)) = (from, to)
            && from.id == to.id
        {
            return true;
        }
        let out = from.is_none_or(|one| self.allows(one, "IpPermissionsEgress", (to, destination), service));
        out && to.is_none_or(|one| self.allows(one, "IpPermissions", (from, source), service))
    }

    fn allows(&self, one: &Instance, way: &str, peer: (Option<&Instance>, IpAddr), service: FlowService) -> bool {
        let own = self.groups.iter().filter(|group| one.groups.contains(group["GroupId"].as_str().unwrap()));
        own.flat_map(|group| list(group, way)).any(|rule| is_about(rule, service) && means(rule, peer))
    }
}

fn instance(value: &Value) -> Instance {
    let mut addresses = Vec::new();
    let mut add = |text: &Value| {
        let address = text.as_str().map(|text| text.parse().unwrap());
        addresses.extend(address.filter(|address| !addresses.contains(address)));
    };
    add(&value["PrivateIpAddress"]);
    for interface in list(value, "NetworkInterfaces") {
        list(interface, "PrivateIpAddresses").iter().for_each(|one| add(&one["PrivateIpAddress"]));
        list(interface, "Ipv6Addresses").iter().for_each(|one| add(&one["Ipv6Address"]));
    }
    let groups = list(value, "SecurityGroups").iter().map(|group| group["GroupId"].as_str().unwrap().to_owned());
    Instance { id: value["InstanceId"].as_str().unwrap().to_owned(), addresses, groups: groups.collect() }
}

fn means(rule: &Value, (peer, address): (Option<&Instance>, IpAddr)) -> bool {
    let ranges = list(rule, "IpRanges").iter().map(|one| &one["CidrIp"]);
    let ranges = ranges.chain(list(rule, "Ipv6Ranges").iter().map(|one| &one["CidrIpv6"]));
    let inside = |range: &Value| range.as_str().unwrap().parse::<IpNet>().unwrap().contains(&address);
    let member = |pair: &Value| peer.is_some_and(|one| one.groups.contains(pair["GroupId"].as_str().unwrap()));
    ranges.into_iter().any(inside) || list(rule, "UserIdGroupPairs").iter().any(member)
}

fn is_about(rule: &Value, service: FlowService) -> bool {
    let (names, number): ([&str; 2], u16) = match service {
        FlowService::Tcp(port) => (["tcp", "6"], port),
        FlowService::Udp(port) => (["udp", "17"], port),
        FlowService::Icmp(kind) => (["icmp", "1"], kind.into()),
        FlowService::Icmpv6(kind) => (["icmpv6", "58"], kind.into()),
        FlowService::Proto(protocol) => {
            let protocol = protocol.to_string();
            return matches!(&rule["IpProtocol"], Value::String(text) if *text == "-1" || *text == protocol);
        }
    };
    let protocol = rule["IpProtocol"].as_str().unwrap();
    let (first, last) = (rule["FromPort"].as_i64().unwrap_or(-1), rule["ToPort"].as_i64().unwrap_or(-1));
    let number = i64::from(number);
    let fits = match service {
        FlowService::Tcp(_) | FlowService::Udp(_) => first == -1 || (first..=last).contains(&number),
        FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => first == -1 || first == number,
    };
    protocol == "-1" || (names.contains(&protocol) && fits)
}
