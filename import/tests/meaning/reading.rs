//! A scenario that came out of an import, as an inventory and a policy; and what the oracle says of flows in it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use import::Source;
use policy::yaml::{self, Fields, Node, Value};
use policy::{Bundle, Family, Flow, FlowService, Inventory, Policy, Problems, Timestamp, Verdict, Vm};

/// Who there is, and what holds.
pub(crate) struct World {
    /// The VMs.
    pub(crate) inventory: Inventory,
    /// Endpoints outside.
    pub(crate) outside: BTreeMap<String, Vec<IpAddr>>,
    /// All tiers.
    pub(crate) policy: Policy,
}

fn entries<'n>(fields: &Fields<'n>, key: &str) -> Vec<(&'n str, &'n Node)> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    let Value::Mapping(entries) = &node.value else { panic!("{key} is {}", node.kind()) };
    entries.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect()
}

fn fields(node: &Node) -> Fields<'_> {
    Fields::of(node, "a mapping", &[], &mut Problems::default()).unwrap()
}

fn texts<'n>(fields: &Fields<'n>, key: &str) -> Vec<&'n str> {
    let items = fields.get(key).map(yaml::one_or_many).unwrap_or_default();
    items.iter().map(|item| item.as_text().unwrap().as_str()).collect()
}

/// A policy's own text, with its indentation taken off; inside a scenario it need not name its version.
fn cut(text: &str, node: &Node) -> String {
    let before = &text[..node.span.start];
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    let deeper = format!("\n{}", " ".repeat(column));
    let own = text[node.span.start..node.span.end].replace(&deeper, "\n") + "\n";
    if own.starts_with("eastwest: ") { own } else { format!("eastwest: policy/v1\n{own}") }
}

/// Reads a scenario.
pub(crate) fn read(text: &str) -> World {
    let mut problems = Problems::default();
    let root = yaml::tree(text, &mut problems);
    if let Some(errors) = problems.into_errors("imported", text) {
        panic!("{}\n{text}", policy::render_plain(&errors));
    }
    let root = root.unwrap();
    let top = fields(&root);
    let topology = fields(top.get("topology").unwrap());
    let hosts = texts(&topology, "hosts");
    let mut inventory = Inventory::default();
    let managed = texts(&topology, "managed");
    let managed = if managed.is_empty() { vec!["10.98.0.0/16", "fd98::/48"] } else { managed };
    inventory.managed = managed.iter().map(|net| net.parse().unwrap()).collect();
    let mut given = 0;
    for (name, node) in entries(&topology, "vms") {
        let vm = fields(node);
        assert!(hosts.contains(&texts(&vm, "host")[0]), "{name}: {text}");
        texts(&vm, "serves").iter().for_each(|service| assert!(service.parse::<FlowService>().is_ok(), "{service}"));
        let labels = entries(&vm, "labels")
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.as_text().unwrap().as_str().to_owned()));
        let mut one = Vm { managed: true, labels: labels.collect(), ..Vm::default() };
        one.addresses = texts(&vm, "addresses").iter().map(|address| address.parse().unwrap()).collect();
        if one.addresses.is_empty() {
            given += 1;
            one.addresses.push(IpAddr::V4(Ipv4Addr::new(10, 98, 0, given)));
            one.addresses.push(IpAddr::V6(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, given.into())));
        }
        inventory.vms.insert(name.parse().unwrap(), one);
    }
    let outside = entries(&topology, "outside").into_iter().map(|(name, node)| {
        let addresses = texts(&fields(node), "addresses").iter().map(|address| address.parse().unwrap()).collect();
        (name.to_owned(), addresses)
    });
    World { inventory, outside: outside.collect(), policy: policy_of(text, top.get("policy").unwrap()) }
}

fn policy_of(text: &str, node: &Node) -> Policy {
    let sources =
        yaml::one_or_many(node).iter().map(|tier| Source { name: "policy".to_owned(), text: cut(text, tier) });
    let bundle = Bundle { tiers: sources.collect(), included: Vec::new() };
    bundle.policy().unwrap_or_else(|errors| panic!("{}\n{text}", policy::render_plain(&errors)))
}

impl World {
    /// Whether a flow passes.
    pub(crate) fn passes(&self, source: IpAddr, destination: IpAddr, service: FlowService) -> bool {
        let flow = Flow { source, destination, service };
        let ruling = oracle::evaluate(&self.policy, &self.inventory, &flow, Timestamp::UNIX_EPOCH);
        assert_ne!(ruling.rule.as_deref(), Some("eastwest/unknown"), "{flow:?}");
        ruling.verdict == Verdict::Allow
    }

    /// The addresses of an endpoint, or the address itself.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        if let Ok(address) = name.parse() {
            return vec![address];
        }
        let outside = || self.outside.get(name).cloned();
        let vm = self.inventory.vms.get(name).map(|vm| vm.addresses.clone()).or_else(outside);
        vm.unwrap_or_else(|| panic!("there is no `{name}`"))
    }
}

/// Whether a source and a destination can speak, and in which family.
pub(crate) fn family(source: IpAddr, destination: IpAddr) -> Option<Family> {
    (Family::of(source) == Family::of(destination)).then(|| Family::of(source))
}
