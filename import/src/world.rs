//! Who there is and what holds between them, in words that every importer shares; and the rules that mean the same.
//!
//! What others enforce as it comes in is judged at the destination alone, what they enforce as it goes out at the source alone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use policy::{Action, AddressGroup, At, Family, FlowService, Selector, ServiceMatch};

use crate::blocks::Block;
use crate::selectors::{both, either};
use crate::source::{Complaints, Place};

/// A VM to be.
#[derive(Clone, Debug)]
pub(crate) struct Vm {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Its addresses; none where the lab is to give them.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) serves: Vec<FlowService>,
    /// Names of ports (`tcp/http`) that stand for several numbers there.
    pub(crate) unclear: BTreeSet<String>,
}

/// Which way a flow goes, seen from those whom an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// To them: judged at the destination.
    Ingress,
    /// From them: judged at the source.
    Egress,
}

/// Whom flows come from, or go to.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// VMs by their labels.
    Vms(Selector),
    /// Addresses, of VMs too.
    Block(Block, Place),
}

/// What flows ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// A service.
    Service(ServiceMatch),
    /// A name that each destination gives to ports of its own, by the protocols that are meant: `tcp/http`.
    Named(Vec<String>),
}

/// One thing that a policy says.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) direction: Direction,
    /// Whom it is about.
    pub(crate) subject: Selector,
    /// Anybody, where there is no list.
    pub(crate) peers: Option<Vec<Peer>>,
    pub(crate) ports: Vec<Port>,
    pub(crate) note: Option<String>,
    pub(crate) place: Place,
}

/// A rule to be.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) services: Vec<ServiceMatch>,
    pub(crate) from: Selector,
    pub(crate) to: Selector,
    pub(crate) at: At,
    pub(crate) note: Option<String>,
}

/// The key of the label that tells the number of a named port.
pub(crate) fn port_label(port: &str) -> String {
    format!("port:{port}")
}

/// Whom the peers of an entry mean.
struct Meant {
    everybody: bool,
    /// Outside addresses.
    outside: Vec<Selector>,
    vms: Vec<Selector>,
}

impl Meant {
    /// All of them.
    fn all(&self) -> Option<Selector> {
        if self.everybody {
            return Some(Selector::Any);
        }
        either(self.outside.iter().chain(&self.vms).cloned().collect())
    }

    /// The VMs among them.
    fn vms(&self) -> Option<Selector> {
        if self.everybody { Some(Selector::Vms) } else { either(self.vms.clone()) }
    }
}

/// Everybody, and the blocks that entries have named so far.
pub(crate) struct World<'c, 's> {
    pub(crate) vms: Vec<Vm>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) complaints: &'c mut Complaints<'s>,
}

impl World<'_, '_> {
    /// The rules that mean what the entries say, in their order.
    pub(crate) fn rules(&mut self, entries: Vec<Entry>) -> Vec<Rule> {
        entries.into_iter().flat_map(|entry| self.entry(&entry)).collect()
    }

    fn entry(&mut self, entry: &Entry) -> Vec<Rule> {
        self.addresses_apart(entry);
        let meant = self.meant(entry);
        // What is listed twice is one thing: rules have names of their own.
        let first = |(index, port): &(usize, &Port)| !entry.ports.iter().take(*index).any(|other| other == *port);
        let ports = || entry.ports.iter().enumerate().filter(first).map(|(_, port)| port);
        let services: Vec<ServiceMatch> = ports().filter_map(service).collect();
        let mut rules = Vec::new();
        if let Some(peers) = meant.all().filter(|_| !services.is_empty()) {
            rules.push(rule(entry, entry.name.clone(), services, entry.subject.clone(), peers));
        }
        for names in ports().filter_map(named) {
            rules.extend(self.by_name(entry, names, &meant));
        }
        rules
    }

    /// A port's name means another number at each destination that says so: a rule for each number.
    fn by_name(&mut self, entry: &Entry, names: &[String], meant: &Meant) -> Vec<Rule> {
        let destinations = match entry.direction {
            Direction::Ingress => Some(entry.subject.clone()),
            Direction::Egress => meant.vms(),
        };
        let mut rules = Vec::new();
        if let Some(destinations) = destinations {
            self.all_clear(entry, names, &destinations);
            for (port, number) in self.numbers(names, &destinations) {
                rules.extend(self.numbered(entry, (&port, &number), &destinations, meant));
            }
        }
        if rules.is_empty() {
            let note =
                format!("{}: nobody whom it means has a port of the name `{}`", entry.name, names.join("` or `"));
            self.complaints.note(note);
        }
        rules
    }

    /// A port's name must stand for one number at each VM that is meant.
    fn all_clear(&mut self, entry: &Entry, names: &[String], destinations: &Selector) {
        let meant = self.vms.iter().filter(|vm| destinations.matches(&vm.labels));
        let unclear = meant.flat_map(|vm| vm.unclear.iter().map(move |port| (vm, port)));
        if let Some((vm, port)) = unclear.into_iter().find(|(_, port)| names.contains(port)) {
            let message =
                format!("`{}` has several ports of the name `{port}`, which leaves open what is meant", vm.name);
            self.complaints.wrong(entry.place, message, "write their numbers here, or give each a name of its own");
        }
    }

    /// The numbers that a port's names have at VMs.
    fn numbers(&self, names: &[String], selector: &Selector) -> BTreeSet<(String, String)> {
        let vms = self.vms.iter().filter(|vm| selector.matches(&vm.labels));
        let number = |vm: &Vm, name: &String| Some((name.clone(), vm.labels.get(&port_label(name))?.clone()));
        vms.flat_map(|vm| names.iter().filter_map(move |name| number(vm, name))).collect()
    }

    /// The rule for one number of a port's name, at those destinations that have it.
    fn numbered(
        &mut self,
        entry: &Entry,
        (port, number): (&str, &str),
        destinations: &Selector,
        meant: &Meant,
    ) -> Option<Rule> {
        let (protocol, _) = port.split_once('/')?;
        if !matches!(protocol, "tcp" | "udp") {
            let message = format!("the port `{port}` cannot be carried: rules know no ports of SCTP");
            self.complaints.wrong(entry.place, message, "leave `port` out to mean all of SCTP");
            return None;
        }
        let first = number.parse().ok()?;
        let service = ServiceMatch::Ports { tcp: protocol == "tcp", first, last: first };
        let there = both(destinations, &Selector::Equals(port_label(port), number.to_owned()));
        let (subject, peers) = match entry.direction {
            Direction::Ingress => (there, meant.all()?),
            Direction::Egress => (entry.subject.clone(), there),
        };
        let name = format!("{}-{}-{number}", entry.name, port.replace('/', "-"));
        Some(rule(entry, name, vec![service], subject, peers))
    }

    /// Whom an entry's peers mean. A VM is never matched by its address: those that lie in a block get a label.
    fn meant(&mut self, entry: &Entry) -> Meant {
        let mut meant = Meant { everybody: entry.peers.is_none(), outside: Vec::new(), vms: Vec::new() };
        let peers = entry.peers.as_deref().unwrap_or_default();
        let whole = |family| peers.iter().filter_map(block).any(|block| block.is_all_of(family));
        if whole(Family::V4) && whole(Family::V6) && self.vms.iter().all(|vm| !vm.addresses.is_empty()) {
            meant.everybody = true;
            return meant;
        }
        for peer in peers {
            match peer {
                Peer::Vms(selector) => meant.vms.push(selector.clone()),
                Peer::Block(block, _) => {
                    let (group, inside) = self.block(block);
                    meant.outside.extend(group);
                    meant.vms.extend(inside);
                }
            }
        }
        meant
    }

    /// The group of a block, and the label of the VMs that lie in it if there are any.
    fn block(&mut self, block: &Block) -> (Option<Selector>, Option<Selector>) {
        let known = self.blocks.iter().position(|other| other == block);
        let index = known.unwrap_or(self.blocks.len());
        let label = format!("in:block-{}", index + 1);
        if known.is_none() {
            self.blocks.push(block.clone());
            for vm in self.vms.iter_mut().filter(|vm| vm.addresses.iter().any(|address| block.holds(*address))) {
                vm.labels.insert(label.clone(), "member".to_owned());
            }
        }
        let inside = self.vms.iter().any(|vm| vm.labels.contains_key(&label));
        let group = group(index, block).map(|group| Selector::Addresses(Arc::new(group)));
        (group, inside.then_some(Selector::Has(label)))
    }

    /// A label is a VM's, whichever of its addresses a flow is for: blocks that hold one address of a VM and not another
    /// cannot be carried, unless nobody whom the entry is about meets that VM at the other.
    fn addresses_apart(&mut self, entry: &Entry) {
        let peers = entry.peers.as_deref().unwrap_or_default();
        let blocks: Vec<&Block> = peers.iter().filter_map(block).collect();
        let Some(place) = peers.iter().find_map(place) else { return };
        let by_label = |vm: &Vm| peers.iter().filter_map(selector).any(|selector| selector.matches(&vm.labels));
        let subjects: Vec<&Vm> = self.vms.iter().filter(|vm| entry.subject.matches(&vm.labels)).collect();
        let met = [Family::V4, Family::V6].map(|family| speakers(&subjects, family));
        let is_inside = |one: &IpAddr| blocks.iter().any(|block| block.holds(*one));
        let apart = self.vms.iter().filter(|vm| vm.addresses.len() > 1).find(|vm| {
            let meets =
                |(count, only): &(usize, Option<&Vm>)| *count > 1 || only.is_some_and(|one| one.name != vm.name);
            let is_met = |address: &&IpAddr| meets(if address.is_ipv4() { &met[0] } else { &met[1] });
            let is_split = vm.addresses.iter().any(is_inside) && !vm.addresses.iter().filter(is_met).all(is_inside);
            is_split && !by_label(vm)
        });
        let Some(vm) = apart else { return };
        let is_whole = |family: &Family| {
            let of_family = vm.addresses.iter().filter(|one| Family::of(**one) == *family);
            of_family.map(is_inside).collect::<BTreeSet<bool>>().len() < 2
        };
        let help = match [Family::V4, Family::V6].iter().all(is_whole) {
            true => "import each family by itself (`--family v4`, `--family v6`), or name ranges of all of them here",
            false => "name ranges of all of them here, or leave the others out of the files",
        };
        let message = format!("only some of the addresses of `{}` are meant: rules hold for all of them", vm.name);
        self.complaints.wrong(place, message, help);
    }
}

/// The group of the outside addresses of a block, by its number.
pub(crate) fn group(index: usize, block: &Block) -> Option<AddressGroup> {
    let name = format!("block-{}", index + 1).parse().ok()?;
    Some(AddressGroup { name, includes: block.includes.clone(), excludes: block.excludes.clone() })
}

/// How many VMs can speak in a family, and one of them.
fn speakers<'v>(vms: &[&'v Vm], family: Family) -> (usize, Option<&'v Vm>) {
    let speaks = |vm: &&&Vm| vm.addresses.is_empty() || vm.addresses.iter().any(|one| Family::of(*one) == family);
    (vms.iter().filter(speaks).count(), vms.iter().find(speaks).copied())
}

fn rule(entry: &Entry, name: String, services: Vec<ServiceMatch>, subject: Selector, peers: Selector) -> Rule {
    let (from, to, at) = match entry.direction {
        Direction::Ingress => (peers, subject, At::Destination),
        Direction::Egress => (subject, peers, At::Source),
    };
    Rule { name, action: entry.action, services, from, to, at, note: entry.note.clone() }
}

fn service(port: &Port) -> Option<ServiceMatch> {
    match port {
        Port::Service(service) => Some(*service),
        Port::Named(_) => None,
    }
}

fn named(port: &Port) -> Option<&[String]> {
    match port {
        Port::Service(_) => None,
        Port::Named(names) => Some(names),
    }
}

fn block(peer: &Peer) -> Option<&Block> {
    match peer {
        Peer::Vms(_) => None,
        Peer::Block(block, _) => Some(block),
    }
}

fn place(peer: &Peer) -> Option<Place> {
    match peer {
        Peer::Vms(_) => None,
        Peer::Block(_, place) => Some(*place),
    }
}

fn selector(peer: &Peer) -> Option<&Selector> {
    match peer {
        Peer::Vms(selector) => Some(selector),
        Peer::Block(..) => None,
    }
}
