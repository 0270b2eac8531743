//! Pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use policy::yaml::{self, Fields, Node, Text};
use policy::{Family, FlowService};

use super::objects::Meta;
use super::{NAMESPACE, OF_NAMESPACE};
use crate::blocks::address;
use crate::source::Document;
use crate::world::{Vm, port_label};
use crate::yaml::{filled, given, is_text, list, number, part, required, some, text};

/// The protocols that have ports.
pub(super) const PROTOCOLS: [(&str, &str); 3] = [("TCP", "tcp"), ("UDP", "udp"), ("SCTP", "sctp")];

/// A pod.
pub(super) struct Pod {
    pub(super) meta: Meta,
    /// It has ended, and has no network.
    pub(super) ended: bool,
    pub(super) addresses: Vec<IpAddr>,
    serves: Vec<FlowService>,
    /// The numbers of ports by protocol and name (`tcp/http`): one, unless two containers have that name for theirs.
    ports: BTreeMap<String, BTreeSet<u16>>,
}

impl Pod {
    /// The VM that stands for it.
    pub(super) fn vm(&self, namespace: Option<&Meta>, family: Option<Family>) -> Vm {
        let of_namespace = |key: &str| format!("{OF_NAMESPACE}{key}");
        let mut labels = self.meta.labels.clone();
        let more = namespace.into_iter().flat_map(|namespace| &namespace.labels);
        labels.extend(more.map(|(key, value)| (of_namespace(key), value.clone())));
        labels.insert(of_namespace(NAMESPACE), self.meta.namespace.clone());
        let (clear, unclear): (Vec<_>, Vec<_>) = self.ports.iter().partition(|(_, numbers)| numbers.len() == 1);
        let number =
            |(port, numbers): (&String, &BTreeSet<u16>)| Some((port_label(port), numbers.first()?.to_string()));
        labels.extend(clear.into_iter().filter_map(number));
        let wanted = |address: &IpAddr| family.is_none_or(|family| Family::of(*address) == family);
        Vm {
            name: format!("{}.{}", self.meta.namespace, self.meta.name),
            labels,
            addresses: self.addresses.iter().copied().filter(wanted).collect(),
            serves: self.serves.clone(),
            unclear: unclear.into_iter().map(|(port, _)| port.clone()).collect(),
        }
    }
}

/// Reads a pod.
pub(super) fn read(meta: Meta, fields: &Fields<'_>, document: &mut Document) -> Option<Pod> {
    let before = document.problems.count();
    let status = part(fields, "status", document);
    let phase = status.and_then(|status| text(&status, "phase", document));
    let mut pod = Pod {
        meta,
        ended: matches!(phase, Some("Succeeded" | "Failed")),
        addresses: Vec::new(),
        serves: Vec::new(),
        ports: BTreeMap::new(),
    };
    if pod.ended {
        return Some(pod);
    }
    let spec = part(fields, "spec", document);
    let on_node = spec
        .and_then(|spec| given(&spec, "hostNetwork"))
        .filter(|node| yaml::flag(node, &mut document.problems) == Some(true));
    if let Some(node) = on_node {
        let message =
            format!("the pod {} has its node's network: Kubernetes leaves open what policies mean for it", pod.meta);
        document.advise(
            node.span,
            message,
            "leave such pods out: kubectl get pods -A --field-selector spec.hostNetwork=false",
        );
    }
    status.into_iter().for_each(|status| pod.addresses(&status, document));
    for container in spec.iter().flat_map(|spec| containers(spec, document)).collect::<Vec<_>>() {
        for port in list(&container, "ports", document) {
            pod.port(port, document);
        }
    }
    (document.problems.count() == before).then_some(pod)
}

/// Its containers, and those that begin before and stay.
fn containers<'n>(spec: &Fields<'n>, document: &mut Document) -> Vec<Fields<'n>> {
    let mut all = Vec::new();
    for key in ["containers", "initContainers"] {
        for node in list(spec, key, document) {
            let Some(container) = some(node, "a container", document) else { continue };
            if key == "containers" || text(&container, "restartPolicy", document) == Some("Always") {
                all.push(container);
            }
        }
    }
    all
}

impl Pod {
    fn addresses(&mut self, status: &Fields<'_>, document: &mut Document) {
        let of_item = |item: &'_ Node, document: &mut Document| {
            let fields = some(item, "an address", document)?;
            Some((item.span, text(&fields, "ip", document)?.to_owned()))
        };
        let mut written: Vec<_> =
            list(status, "podIPs", document).iter().filter_map(|item| of_item(item, document)).collect();
        if written.is_empty()
            && let Some(node) = given(status, "podIP")
        {
            written.extend(text(status, "podIP", document).map(|text| (node.span, text.to_owned())));
        }
        for (span, text) in written {
            match address(&text) {
                Ok(address) if self.addresses.contains(&address) => {}
                Ok(address) => self.addresses.push(address),
                Err(_) if text.is_empty() => {}
                Err(why) => document.wrong(span, why),
            }
        }
    }

    fn port(&mut self, node: &Node, document: &mut Document) {
        let Some(fields) = some(node, "a port", document) else { return };
        let (Some(node), Some(number)) =
            (required(&fields, "containerPort", document), number(&fields, "containerPort", document))
        else {
            return;
        };
        let Some(number) = u16::try_from(number).ok().filter(|number| *number > 0) else {
            document.wrong(node.span, "a port is 1 to 65535");
            return;
        };
        let Some(protocol) = protocol(&fields, document) else { return };
        let service = match protocol {
            "tcp" => Some(FlowService::Tcp(number)),
            "udp" => Some(FlowService::Udp(number)),
            _ => None,
        };
        self.serves.extend(service.filter(|service| !self.serves.contains(service)));
        let name = filled(&fields, "name");
        let name = name.and_then(|node| yaml::text(node, "the name of a port", &mut document.problems));
        let Some(name) = name else { return };
        if !is_port_name(name) {
            document.wrong(name.span(), format!("`{}` is no name of a port", name.as_str()));
            return;
        }
        self.ports.entry(format!("{protocol}/{}", name.as_str())).or_default().insert(number);
    }
}

/// The protocol of a port: TCP where it does not say so.
pub(super) fn protocol(fields: &Fields<'_>, document: &mut Document) -> Option<&'static str> {
    match filled(fields, "protocol") {
        Some(node) => yaml::word(node, &PROTOCOLS, &mut document.problems),
        None => Some("tcp"),
    }
}

/// Whether a text can be the name of a port: lower case, at least one letter, at most 15 characters.
pub(super) fn is_port_name(text: &Text) -> bool {
    let name = text.as_str();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = !name.starts_with('-') && !name.ends_with('-') && !name.contains("--");
    is_text(text)
        && (1..=15).contains(&name.len())
        && name.chars().all(word)
        && ends
        && name.chars().any(|c| c.is_ascii_lowercase())
}
