//! Security groups and their rules.

use policy::yaml::{self, Fields, Node};
use policy::{Action, Selector, ServiceMatch};

use super::member;
use crate::blocks::{Block, network};
use crate::source::{Document, Place};
use crate::world::{Direction, Entry, Peer, Port};
use crate::yaml::{given, list, number, required, some, text};

/// What means everything where a number is asked for.
const ALL: i64 = -1;
/// Types of ICMP that have the code 0 alone.
const ONE_CODE: [i64; 6] = [8, 13, 15, 17, 128, 129];

/// A security group.
pub(super) struct Group {
    pub(super) id: String,
    pub(super) entries: Vec<Entry>,
    /// Other groups that its rules speak of, and where.
    pub(super) speaks_of: Vec<(String, Place)>,
}

/// Reads a group.
pub(super) fn read(node: &Node, document: &mut Document) -> Option<Group> {
    let fields = some(node, "a security group", document)?;
    let id = required(&fields, "GroupId", document)?;
    let id = id_of(id, document)?;
    let mut group = Group { id, entries: Vec::new(), speaks_of: Vec::new() };
    let directions = [("IpPermissions", Direction::Ingress), ("IpPermissionsEgress", Direction::Egress)];
    for (key, direction) in directions {
        if given(&fields, key).is_none() {
            let message = format!("the security group {} does not say `{key}`", group.id);
            document.advise(super::first(&fields), message, "an empty list says that nothing is allowed");
        }
        for (number, item) in (1..).zip(list(&fields, key, document)) {
            permission(item, &mut group, (direction, number), document);
        }
    }
    Some(group)
}

/// The id of a group, which names rules and labels.
pub(super) fn id_of(node: &Node, document: &mut Document) -> Option<String> {
    let id = yaml::text(node, "the id of a security group", &mut document.problems)?.as_str();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let right = id.starts_with("sg-") && id.len() <= 100 && id.chars().all(word);
    if !right {
        document.wrong(node.span, format!("`{id}` is no id of a security group, such as sg-0a1b2c3d"));
    }
    right.then(|| id.to_owned())
}

fn permission(node: &Node, group: &mut Group, (direction, number): (Direction, usize), document: &mut Document) {
    let before = document.problems.count();
    let known = ["IpProtocol", "FromPort", "ToPort", "IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"];
    let Some(fields) = Fields::of(node, "a rule of a security group", &known, &mut document.problems) else { return };
    let service = service(&fields, document);
    let mut peers = Vec::new();
    for (key, cidr) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
        for item in list(&fields, key, document) {
            let Some(range) = some(item, "a range", document) else { continue };
            let Some(node) = required(&range, cidr, document) else { continue };
            let block = network(node, document).map(|net| Block { includes: vec![net], excludes: Vec::new() });
            peers.extend(block.map(|block| Peer::Block(block, document.place(node.span))));
        }
    }
    for item in list(&fields, "UserIdGroupPairs", document) {
        let Some(pair) = some(item, "a pair", document) else { continue };
        let Some(node) = required(&pair, "GroupId", document) else { continue };
        if let Some(id) = id_of(node, document) {
            peers.push(Peer::Vms(Selector::Has(member(&id))));
            group.speaks_of.push((id, document.place(node.span)));
        }
    }
    if let Some(item) = list(&fields, "PrefixListIds", document).first() {
        let help = "write the ranges of the list in its place: aws ec2 get-managed-prefix-list-entries tells them";
        document.advise(item.span, "a prefix list cannot be carried: its ranges are not in these files", help);
    }
    let (key, subject) = match direction {
        Direction::Ingress => ("ingress", Selector::Has(member(&group.id))),
        Direction::Egress => ("egress", Selector::Has(member(&group.id))),
    };
    // A rule that names nobody lets nobody through.
    if document.problems.count() == before && !peers.is_empty() {
        let name = format!("{}.{key}-{number}", group.id);
        let (ports, note) = (service.into_iter().map(Port::Service).collect(), note(&fields));
        let (place, peers) = (document.place(node.span), Some(peers));
        group.entries.push(Entry { name, action: Action::Allow, direction, subject, peers, ports, note, place });
    }
}

/// What its first range or pair is described by.
fn note(fields: &Fields<'_>) -> Option<String> {
    let mut quiet = policy::Problems::default();
    let lists = ["IpRanges", "Ipv6Ranges", "UserIdGroupPairs"].into_iter().filter_map(|key| given(fields, key));
    let items = lists.flat_map(yaml::one_or_many);
    let described = items.filter_map(|item| Fields::of(item, "", &[], &mut quiet)?.get("Description")?.as_text());
    described.map(|text| text.as_str().to_owned()).find(|text| !text.is_empty())
}

fn service(fields: &Fields<'_>, document: &mut Document) -> Option<ServiceMatch> {
    let node = required(fields, "IpProtocol", document)?;
    let protocol = text(fields, "IpProtocol", document)?;
    match protocol {
        "-1" => Some(ServiceMatch::Any),
        "tcp" | "6" => ports(true, fields, document),
        "udp" | "17" => ports(false, fields, document),
        "icmp" | "1" => Some(ServiceMatch::Icmp(kind(fields, document)?)),
        "icmpv6" | "58" => Some(ServiceMatch::Icmpv6(kind(fields, document)?)),
        other => {
            let number = other.parse().ok().filter(|number: &u8| number.to_string() == other).map(ServiceMatch::Proto);
            if number.is_none() {
                document.wrong(
                    node.span,
                    format!("`{other}` is no protocol: tcp, udp, icmp, icmpv6, a number, or -1 for all"),
                );
            }
            number
        }
    }
}

fn ports(tcp: bool, fields: &Fields<'_>, document: &mut Document) -> Option<ServiceMatch> {
    let first = number(fields, "FromPort", document);
    let last = number(fields, "ToPort", document);
    let (first, last) = match (first, last) {
        (None | Some(ALL), None | Some(ALL)) => (0, i64::from(u16::MAX)),
        (Some(first), Some(last)) => (first, last),
        (Some(_), None) | (None, Some(_)) => {
            if ["FromPort", "ToPort"].iter().any(|key| given(fields, key).is_none()) {
                document.wrong(super::first(fields), "`FromPort` and `ToPort` need each other");
            }
            return None;
        }
    };
    let both = u16::try_from(first).ok().zip(u16::try_from(last).ok()).filter(|(first, last)| first <= last);
    if both.is_none() {
        document.wrong(super::first(fields), format!("`FromPort` {first} and `ToPort` {last} are no range of ports"));
    }
    both.map(|(first, last)| ServiceMatch::Ports { tcp, first, last })
}

/// The type of ICMP that a rule means; `None` within for all.
fn kind(fields: &Fields<'_>, document: &mut Document) -> Option<Option<u8>> {
    let kind = number(fields, "FromPort", document).unwrap_or(ALL);
    let code = number(fields, "ToPort", document).unwrap_or(ALL);
    if kind == ALL {
        return Some(None);
    }
    if code != ALL && !(code == 0 && ONE_CODE.contains(&kind)) {
        let message = format!("the code {code} of ICMP's type {kind} cannot be carried: rules know types alone");
        document.advise(super::first(fields), message, "`ToPort: -1` means all codes");
        return None;
    }
    let number = u8::try_from(kind).ok();
    if number.is_none() {
        document.wrong(super::first(fields), format!("{kind} is no type of ICMP"));
    }
    number.map(Some)
}
