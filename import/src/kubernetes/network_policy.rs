//! NetworkPolicies.

use policy::yaml::{self, Fields, Node, Value};
use policy::{Action, Selector, ServiceMatch};

use super::labels::{self, Of, namespace};
use super::objects::{Meta, first};
use super::pods::{is_port_name, protocol};
use crate::blocks::{Block, network};
use crate::selectors::all;
use crate::source::{Document, Place};
use crate::world::{Direction, Entry, Peer, Port};
use crate::yaml::{given, is_decimal, is_null, list, number, required};

const TYPES: [(&str, Direction); 2] = [("Ingress", Direction::Ingress), ("Egress", Direction::Egress)];

/// A NetworkPolicy.
pub(super) struct NetworkPolicy {
    pub(super) meta: Meta,
    pub(super) allows: Vec<Entry>,
    /// What its pods get in the directions that it is about.
    pub(super) isolates: Vec<Entry>,
    /// Directions that it has rules for and is not about.
    pub(super) beside: Vec<&'static str>,
}

impl NetworkPolicy {
    pub(super) fn names_blocks(&self) -> bool {
        self.allows.iter().flat_map(|entry| entry.peers.iter().flatten()).any(is_block)
    }
}

pub(super) fn is_block(peer: &Peer) -> bool {
    match peer {
        Peer::Vms(_) => false,
        Peer::Block(..) => true,
    }
}

/// Reads a NetworkPolicy.
pub(super) fn read(meta: Meta, fields: &Fields<'_>, document: &mut Document) -> Option<NetworkPolicy> {
    let before = document.problems.count();
    // Without a spec, or with an empty one, it isolates all pods of its namespace.
    let empty = Node { value: Value::Mapping(Vec::new()), span: first(fields) };
    let spec = given(fields, "spec").unwrap_or(&empty);
    let known = ["podSelector", "policyTypes", "ingress", "egress"];
    let spec = Fields::of(spec, "the spec of a NetworkPolicy", &known, &mut document.problems)?;
    let mut subject = vec![namespace(&meta.namespace)];
    if let Some(node) = given(&spec, "podSelector") {
        subject.extend(labels::selector(node, Of::Pods, document)?);
    }
    let subject = all(subject);
    let types = types(&spec, document);
    let mut policy = NetworkPolicy { meta, allows: Vec::new(), isolates: Vec::new(), beside: Vec::new() };
    for (word, direction) in TYPES {
        let written = if direction == Direction::Ingress { "ingress" } else { "egress" };
        let rules = list(&spec, written, document);
        let entries: Vec<Entry> = (1..)
            .zip(rules)
            .filter_map(|(number, rule)| {
                let (peers, ports) = one(rule, direction, &policy.meta, document)?;
                let name = format!("{}.{}.{written}-{number}", policy.meta.namespace, policy.meta.name);
                Some(entry(name, Action::Allow, (direction, &subject), (peers, ports), document.place(rule.span)))
            })
            .collect();
        if !types.contains(&direction) {
            policy.beside.extend((!rules.is_empty()).then_some(word));
            continue;
        }
        policy.allows.extend(entries);
        let name = format!("{}.{}.isolates-{written}", policy.meta.namespace, policy.meta.name);
        let everything = (None, vec![Port::Service(ServiceMatch::Any)]);
        policy.isolates.push(entry(name, Action::Deny, (direction, &subject), everything, policy.meta.place));
    }
    (document.problems.count() == before).then_some(policy)
}

fn entry(
    name: String,
    action: Action,
    (direction, subject): (Direction, &Selector),
    (peers, ports): (Option<Vec<Peer>>, Vec<Port>),
    place: Place,
) -> Entry {
    Entry { name, action, direction, subject: subject.clone(), peers, ports, note: None, place }
}

/// The directions that a policy is about. Where it does not say so: what comes in, and what goes out if it has rules for that; an empty
/// list of rules counts as none, as the cluster itself has it.
fn types(spec: &Fields<'_>, document: &mut Document) -> Vec<Direction> {
    let items = list(spec, "policyTypes", document);
    if items.is_empty() {
        let out = !list(spec, "egress", document).is_empty();
        return [Direction::Ingress].into_iter().chain(out.then_some(Direction::Egress)).collect();
    }
    items.iter().filter_map(|item| yaml::word(item, &TYPES, &mut document.problems)).collect()
}

/// One rule: whom it lets through, and to which ports.
fn one(
    node: &Node,
    direction: Direction,
    meta: &Meta,
    document: &mut Document,
) -> Option<(Option<Vec<Peer>>, Vec<Port>)> {
    let (key, what) = match direction {
        Direction::Ingress => ("from", "an ingress rule"),
        Direction::Egress => ("to", "an egress rule"),
    };
    if is_null(node) {
        document.advise(node.span, format!("{what} is nothing"), "write `{}` for one that allows everything");
        return None;
    }
    let before = document.problems.count();
    let fields = Fields::of(node, what, &[key, "ports"], &mut document.problems)?;
    let items = list(&fields, key, document);
    let peers: Vec<Peer> = items.iter().filter_map(|item| peer(item, meta, document)).collect();
    let ports = list(&fields, "ports", document);
    let ports: Vec<Port> = match ports {
        [] => vec![Port::Service(ServiceMatch::Any)],
        ports => ports.iter().filter_map(|item| port(item, document)).collect(),
    };
    let right = document.problems.count() == before;
    right.then_some(((!items.is_empty()).then_some(peers), ports))
}

fn peer(node: &Node, meta: &Meta, document: &mut Document) -> Option<Peer> {
    let known = ["podSelector", "namespaceSelector", "ipBlock"];
    let fields = Fields::of(node, "a peer", &known, &mut document.problems)?;
    let (pods, namespaces) = (given(&fields, "podSelector"), given(&fields, "namespaceSelector"));
    if let Some(block) = given(&fields, "ipBlock") {
        if pods.is_some() || namespaces.is_some() {
            document.advise(node.span, "a peer has either `ipBlock` or selectors", "write each as an item of its own");
            return None;
        }
        return Some(Peer::Block(ip_block(block, document)?, document.place(block.span)));
    }
    if pods.is_none() && namespaces.is_none() {
        let help = "`podSelector: {}` means all pods of the policy's namespace, `namespaceSelector: {}` those of all";
        document.advise(node.span, "this peer means nobody", help);
        return None;
    }
    let mut parts = match namespaces {
        Some(node) => labels::selector(node, Of::Namespaces, document)?,
        None => vec![namespace(&meta.namespace)],
    };
    if let Some(node) = pods {
        parts.extend(labels::selector(node, Of::Pods, document)?);
    }
    Some(Peer::Vms(all(parts)))
}

fn ip_block(node: &Node, document: &mut Document) -> Option<Block> {
    let fields = Fields::of(node, "an ipBlock", &["cidr", "except"], &mut document.problems)?;
    let cidr = network(required(&fields, "cidr", document)?, document)?;
    let mut excludes = Vec::new();
    for item in list(&fields, "except", document) {
        let except = network(item, document)?;
        if !cidr.contains(&except) || cidr == except {
            document.wrong(item.span, format!("`{except}` is no part of {cidr}"));
            return None;
        }
        excludes.extend((!excludes.contains(&except)).then_some(except));
    }
    Some(Block { includes: vec![cidr], excludes })
}

fn port(node: &Node, document: &mut Document) -> Option<Port> {
    let fields = Fields::of(node, "a port", &["protocol", "port", "endPort"], &mut document.problems)?;
    let protocol = protocol(&fields, document)?;
    let end = given(&fields, "endPort");
    let Some(written) = given(&fields, "port") else {
        if let Some(end) = end {
            document.wrong(end.span, "`endPort` needs `port` beside it");
            return None;
        }
        return Some(Port::Service(every_port(protocol)));
    };
    let text = yaml::text(written, "a port", &mut document.problems)?;
    if !is_decimal(text) {
        if let Some(end) = end {
            document.wrong(end.span, "`endPort` cannot stand beside the name of a port");
            return None;
        }
        if !is_port_name(text) {
            let help =
                "a port is a number from 1 to 65535 in decimal without quotes, or the name of a container's port";
            document.advise(text.span(), format!("`{}` is no port", text.as_str()), help);
            return None;
        }
        return Some(Port::Named(vec![format!("{protocol}/{}", text.as_str())]));
    }
    let first = number(&fields, "port", document)?;
    let last = if end.is_some() { number(&fields, "endPort", document)? } else { first };
    ports((protocol, first, last), node, document)
}

/// Every port of a protocol.
pub(super) fn every_port(protocol: &str) -> ServiceMatch {
    match protocol {
        "tcp" | "udp" => ServiceMatch::Ports { tcp: protocol == "tcp", first: 0, last: u16::MAX },
        _ => ServiceMatch::Proto(SCTP),
    }
}

const SCTP: u8 = 132;

/// A range of ports.
pub(super) fn ports((protocol, first, last): (&str, i64, i64), node: &Node, document: &mut Document) -> Option<Port> {
    let port = |number: i64| u16::try_from(number).ok().filter(|number| *number > 0);
    let (Some(first), Some(last)) = (port(first), port(last)) else {
        document.wrong(node.span, "a port is 1 to 65535");
        return None;
    };
    if first > last {
        document.wrong(node.span, format!("the ports {first} to {last} end before they begin"));
        return None;
    }
    if !matches!(protocol, "tcp" | "udp") && (first, last) != (1, u16::MAX) {
        let message = "a port of SCTP cannot be carried: rules know SCTP as a whole, `proto/132`";
        document.advise(node.span, message, "leave `port` out to mean all of SCTP");
        return None;
    }
    Some(Port::Service(match protocol {
        "tcp" | "udp" => ServiceMatch::Ports { tcp: protocol == "tcp", first, last },
        _ => ServiceMatch::Proto(SCTP),
    }))
}
