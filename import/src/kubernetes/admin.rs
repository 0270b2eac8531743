//! AdminNetworkPolicies, and the BaselineAdminNetworkPolicy.

use policy::yaml::{self, Fields, Node};
use policy::{Action, Selector, ServiceMatch};

use super::labels::{self, Of};
use super::network_policy::{is_block, ports};
use super::objects::{Meta, first};
use super::pods::{PROTOCOLS, is_port_name, protocol};
use crate::blocks::{Block, network};
use crate::selectors::all;
use crate::source::Document;
use crate::world::{Direction, Entry, Peer, Port};
use crate::yaml::{given, is_null, list, number, required};

const ACTIONS: [(&str, Action); 3] = [("Allow", Action::Allow), ("Deny", Action::Deny), ("Pass", Action::Pass)];

/// One of them.
pub(super) struct Admin {
    pub(super) meta: Meta,
    /// The lower comes first.
    pub(super) priority: i64,
    pub(super) entries: Vec<Entry>,
}

impl Admin {
    pub(super) fn names_networks(&self) -> bool {
        self.entries.iter().flat_map(|entry| entry.peers.iter().flatten()).any(is_block)
    }
}

/// Reads one; only those before NetworkPolicies have a priority, and may pass.
pub(super) fn read(meta: Meta, fields: &Fields<'_>, before_others: bool, document: &mut Document) -> Option<Admin> {
    let before = document.problems.count();
    let Some(spec) = given(fields, "spec") else {
        document.wrong(first(fields), "this policy needs `spec`");
        return None;
    };
    let known: &[&str] =
        if before_others { &["priority", "subject", "ingress", "egress"] } else { &["subject", "ingress", "egress"] };
    let spec = Fields::of(spec, "the spec of this policy", known, &mut document.problems)?;
    let priority = if before_others { priority(&spec, document) } else { Some(0) };
    let subject = required(&spec, "subject", document).and_then(|node| pods(node, "a subject", document));
    let (priority, subject) = (priority?, subject?);
    let mut entries = Vec::new();
    for (key, direction) in [("ingress", Direction::Ingress), ("egress", Direction::Egress)] {
        for (number, node) in (1..).zip(list(&spec, key, document)) {
            let name = format!("{}.{key}-{number}", meta.name);
            let actions = if before_others { &ACTIONS[..] } else { &ACTIONS[..2] };
            entries.extend(rule(node, (name, &subject, direction), actions, document));
        }
    }
    (document.problems.count() == before).then_some(Admin { meta, priority, entries })
}

fn priority(spec: &Fields<'_>, document: &mut Document) -> Option<i64> {
    let node = required(spec, "priority", document)?;
    let priority = number(spec, "priority", document)?;
    let right = (0..=1000).contains(&priority);
    if !right {
        document.wrong(node.span, "a priority is 0 to 1000");
    }
    right.then_some(priority)
}

/// The one thing that a mapping says of a few that it may say.
fn one<'n>(fields: &Fields<'n>, what: &str, document: &mut Document) -> Option<(&'n str, &'n Node)> {
    let mut said = fields.entries().iter().filter(|entry| !is_null(&entry.value));
    let (first, more) = (said.next(), said.next());
    if first.is_none() || more.is_some() {
        document.wrong(fields.span(), format!("{what} says exactly one thing"));
        return None;
    }
    first.map(|entry| (entry.key.as_str(), &entry.value))
}

/// `namespaces: SELECTOR` or `pods: {namespaceSelector, podSelector}`.
fn pods(node: &Node, what: &str, document: &mut Document) -> Option<Selector> {
    let fields = Fields::of(node, what, &["namespaces", "pods"], &mut document.problems)?;
    let (key, node) = one(&fields, what, document)?;
    selected(key, node, document)
}

fn selected(key: &str, node: &Node, document: &mut Document) -> Option<Selector> {
    if key == "namespaces" {
        return labels::selector(node, Of::Namespaces, document).map(all);
    }
    let fields = Fields::of(node, "`pods`", &["namespaceSelector", "podSelector"], &mut document.problems)?;
    let namespaces = required(&fields, "namespaceSelector", document);
    let mut parts = labels::selector(namespaces?, Of::Namespaces, document)?;
    let pods = required(&fields, "podSelector", document);
    parts.extend(labels::selector(pods?, Of::Pods, document)?);
    Some(all(parts))
}

fn rule(
    node: &Node,
    (name, subject, direction): (String, &Selector, Direction),
    actions: &[(&str, Action)],
    document: &mut Document,
) -> Option<Entry> {
    let before = document.problems.count();
    let key = if direction == Direction::Ingress { "from" } else { "to" };
    let fields = Fields::of(node, "a rule", &["name", "action", key, "ports"], &mut document.problems)?;
    let action = required(&fields, "action", document);
    let action = action.and_then(|node| yaml::word(node, actions, &mut document.problems));
    let items = list(&fields, key, document);
    if items.is_empty() {
        let help = "`namespaces: {}` means all pods";
        document.advise(node.span, format!("a rule needs `{key}` with at least one peer"), help);
    }
    let peers: Vec<Peer> = items.iter().filter_map(|item| peer(item, direction, document)).collect();
    let note = crate::yaml::text(&fields, "name", document).map(str::to_owned);
    let mut services = Vec::new();
    match given(&fields, "ports").map(|_| list(&fields, "ports", document)) {
        None => services.push(Port::Service(ServiceMatch::Any)),
        Some([]) => document.wrong(node.span, "`ports` needs at least one port, or is left out"),
        Some(items) => services.extend(items.iter().filter_map(|item| port(item, document))),
    }
    if services.iter().any(is_named) && peers.iter().any(is_block) {
        document.wrong(node.span, "addresses have no names of ports: `networks` cannot stand beside `namedPort`");
    }
    let (subject, place) = (subject.clone(), document.place(node.span));
    let right = document.problems.count() == before;
    right.then_some(Entry {
        name,
        action: action?,
        direction,
        subject,
        peers: Some(peers),
        ports: services,
        note,
        place,
    })
}

fn is_named(port: &Port) -> bool {
    match port {
        Port::Service(_) => false,
        Port::Named(_) => true,
    }
}

fn peer(node: &Node, direction: Direction, document: &mut Document) -> Option<Peer> {
    let known: &[&str] = match direction {
        Direction::Ingress => &["namespaces", "pods"],
        Direction::Egress => &["namespaces", "pods", "nodes", "networks", "domainNames"],
    };
    let fields = Fields::of(node, "a peer", known, &mut document.problems)?;
    let (key, value) = one(&fields, "a peer", document)?;
    match key {
        "networks" => {
            let items = yaml::items(value, "a list of ranges", &mut document.problems)?;
            let includes: Vec<_> = items.iter().filter_map(|item| network(item, document)).collect();
            if items.is_empty() {
                document.wrong(value.span, "`networks` needs at least one range");
            }
            let block = Block { includes, excludes: Vec::new() };
            (block.includes.len() == items.len()).then(|| Peer::Block(block, document.place(value.span)))
        }
        "nodes" | "domainNames" => {
            let what = if key == "nodes" { "nodes" } else { "names of domains" };
            let message = format!("`{key}` cannot be carried: rules know labels of VMs and addresses, no {what}");
            document.advise(node.span, message, "write their addresses as `networks`");
            None
        }
        "namespaces" | "pods" => selected(key, value, document).map(Peer::Vms),
        _ => None,
    }
}

fn port(node: &Node, document: &mut Document) -> Option<Port> {
    let known = ["portNumber", "portRange", "namedPort"];
    let fields = Fields::of(node, "a port", &known, &mut document.problems)?;
    let (key, value) = one(&fields, "a port", document)?;
    match key {
        "portNumber" => {
            let fields = Fields::of(value, "`portNumber`", &["protocol", "port"], &mut document.problems)?;
            let _ = required(&fields, "port", document)?;
            let (protocol, only) = (protocol(&fields, document)?, number(&fields, "port", document)?);
            ports((protocol, only, only), value, document)
        }
        "portRange" => {
            let fields = Fields::of(value, "`portRange`", &["protocol", "start", "end"], &mut document.problems)?;
            let _ = required(&fields, "start", document).zip(required(&fields, "end", document))?;
            let (start, end) = (number(&fields, "start", document)?, number(&fields, "end", document)?);
            ports((protocol(&fields, document)?, start, end), value, document)
        }
        "namedPort" => {
            let text = yaml::text(value, "the name of a port", &mut document.problems)?;
            let name = text.as_str();
            if !is_port_name(text) {
                document.wrong(value.span, format!("`{name}` is no name of a port"));
                return None;
            }
            Some(Port::Named(PROTOCOLS.iter().map(|(_, protocol)| format!("{protocol}/{name}")).collect()))
        }
        _ => None,
    }
}
