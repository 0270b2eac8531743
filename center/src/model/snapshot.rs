//! One generation, prepared once, from which each agent's view is cut.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use policy::{At, Detector, Key, Mode, Name, Outage, Policy, Rule, Selector, Tier, Verdict};
use wire::{Elsewhere, InventoryFile, Outside, Peer, Set, View, ViewDetector, ViewRule};

use super::Standing;
use super::distinct::Distinct;
use super::resolve::{Endpoints, Labels, endpoints};

/// One generation.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    generation: u64,
    members: Vec<Member>,
    labels: Vec<Labels>,
    managed: Vec<IpNet>,
    record_all: bool,
    table: Option<Table>,
}

#[derive(Clone, Debug)]
struct Member {
    name: Name,
    addresses: Vec<IpAddr>,
    managed: bool,
    quarantined: bool,
    dhcp: bool,
    mode: Mode,
}

/// A policy with its selectors resolved; equal sets stand once.
#[derive(Clone, Debug)]
struct Table {
    sets: Vec<Endpoints>,
    rules: Vec<Resolved<Rule>>,
    detectors: Vec<Resolved<Detector>>,
    default: Verdict,
    mode: Mode,
    outage: Outage,
}

#[derive(Clone, Debug)]
struct Resolved<T> {
    what: T,
    from: usize,
    to: usize,
    /// The ends at which its tier is evaluated; `None`: at every end.
    owned: Option<usize>,
}

impl Snapshot {
    /// Prepares a generation.
    pub(crate) fn new(
        generation: u64,
        policy: Option<&Policy>,
        inventory: &InventoryFile,
        standing: &Standing,
    ) -> Self {
        let mut addresses: BTreeMap<Name, Vec<IpAddr>> = BTreeMap::new();
        for (address, owner) in standing.bindings(inventory) {
            addresses.entry(owner).or_default().push(address);
        }
        let member = |(name, vm): (&Name, &wire::InventoryVm)| Member {
            name: name.clone(),
            addresses: addresses.remove(name).unwrap_or_default(),
            managed: vm.managed,
            quarantined: standing.quarantined.contains(name),
            dhcp: vm.dhcp,
            mode: vm.mode,
        };
        let labels: Vec<Labels> = inventory.vms.values().map(|vm| vm.labels.clone()).collect();
        Self {
            generation,
            members: inventory.vms.iter().map(member).collect(),
            table: policy.map(|policy| Table::new(policy, &labels)),
            labels,
            managed: inventory.managed.clone(),
            record_all: inventory.record_all,
        }
    }

    /// The view of one managed VM; `None` before the first policy and for VMs that have no agent.
    pub(crate) fn view_for(&self, vm: &str, center: Option<SocketAddr>, now: i64) -> Option<View> {
        let table = self.table.as_ref()?;
        let own = self.members.binary_search_by(|member| member.name.as_str().cmp(vm)).ok()?;
        let member = self.members.get(own).filter(|member| member.managed)?;
        // A tier in monitor has all its rules in monitor; the last one decides of the end.
        let mode = if member.mode == Mode::Monitor { Mode::Monitor } else { table.mode };
        let mut cut = Cut {
            snapshot: self,
            table,
            own,
            mode: member.mode,
            known: HashMap::new(),
            beyond: HashMap::new(),
            sets: Distinct::new(alike),
        };
        let rules = table.rules.iter().filter_map(|resolved| cut.rule(resolved)).collect();
        let detectors = table.detectors.iter().filter_map(|resolved| cut.detector(resolved)).collect();
        let others = self.members.iter().enumerate().filter(|(index, _)| *index != own);
        Some(View {
            generation: self.generation,
            vm: vm.to_owned(),
            addresses: member.addresses.clone(),
            center,
            managed: self.managed.clone(),
            peers: others
                .map(|(_, peer)| Peer { vm: peer.name.to_string(), addresses: peer.addresses.clone() })
                .collect(),
            sets: cut.sets.all,
            rules,
            detectors,
            default: table.default,
            mode,
            quarantined: member.quarantined,
            dhcp: member.dhcp,
            record_all: self.record_all,
            now,
            outage: table.outage,
        })
    }
}

impl Table {
    fn new(policy: &Policy, vms: &[Labels]) -> Self {
        let mut sets = Distinct::new(|set: &Endpoints| (set.vms.clone(), names(&set.outside)));
        let mut place = |selector: &Selector| sets.place(endpoints(selector, vms));
        let owned: Vec<Option<usize>> = policy.tiers.iter().map(|tier| tier.owns.as_ref().map(&mut place)).collect();
        let owned = |tier: &Option<Arc<Tier>>| owned.get(tier.as_ref()?.place).copied().flatten();
        let rule = |rule: &Rule| Resolved {
            owned: owned(&rule.tier),
            from: place(&rule.from),
            to: place(&rule.to),
            what: rule.clone(),
        };
        let rules = policy.rules.iter().map(rule).collect();
        let detector = |one: &Detector| Resolved {
            owned: owned(&one.tier),
            from: place(&one.from),
            to: place(&one.to),
            what: one.clone(),
        };
        let detectors = policy.detect.iter().map(detector).collect();
        Self { sets: sets.all, rules, detectors, default: policy.default, mode: policy.mode, outage: policy.outage }
    }
}

/// The cutting of one VM's view.
struct Cut<'a> {
    snapshot: &'a Snapshot,
    table: &'a Table,
    own: usize,
    /// Whether anything acts at this VM, whatever the policy says.
    mode: Mode,
    known: HashMap<(usize, Option<Key>), Option<u32>>,
    /// What is known of flows to addresses of no VM, by the rule's ends.
    beyond: HashMap<(usize, usize), Option<Elsewhere>>,
    sets: Distinct<(Vec<u32>, Vec<Name>), Set>,
}

fn alike(set: &Set) -> (Vec<u32>, Vec<Name>) {
    (set.vms.clone(), names(&set.outside))
}

/// The part of the outside that can reach a VM which it does not name: of address groups those that hold a multicast or
/// broadcast address. An outside address that a VM has for itself is matched by `outside` and `any`.
fn reaching(outside: &Outside) -> Outside {
    match outside {
        Outside::None | Outside::All => outside.clone(),
        Outside::Groups(groups) => {
            let many: Vec<_> = groups.iter().filter(|group| group.includes.iter().any(meets_many)).cloned().collect();
            if many.is_empty() { Outside::None } else { Outside::Groups(many) }
        }
    }
}

/// Whether a prefix has a multicast or broadcast address.
fn meets_many(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.broadcast() >= Ipv4Addr::new(224, 0, 0, 0),
        IpNet::V6(net) => net.broadcast().is_multicast(),
    }
}

/// The names of the groups in it.
fn names(outside: &Outside) -> Vec<Name> {
    match outside {
        Outside::None | Outside::All => Vec::new(),
        Outside::Groups(groups) => groups.iter().map(|group| group.name.clone()).collect(),
    }
}

impl Cut<'_> {
    /// A rule as this VM sees it; `None` where it holds in neither direction.
    fn rule(&mut self, resolved: &Resolved<Rule>) -> Option<ViewRule> {
        let Resolved { what: rule, from, to, .. } = self.here(resolved)?;
        let outbound = if rule.at == At::Destination { None } else { self.peers(*from, *to, rule.within.as_ref()) };
        let inbound = if rule.at == At::Source { None } else { self.peers(*to, *from, rule.within.as_ref()) };
        let elsewhere = if rule.at == At::Source || rule.within.is_some() { None } else { self.elsewhere(*from, *to) };
        if outbound.is_none() && inbound.is_none() && elsewhere.is_none() {
            return None;
        }
        let mode = if self.mode == Mode::Monitor { Mode::Monitor } else { rule.mode };
        Some(ViewRule {
            name: rule.full_name(),
            action: rule.action,
            services: rule.services.clone(),
            inbound,
            outbound,
            elsewhere,
            tier: u32::try_from(rule.place()).unwrap_or(u32::MAX),
            log: rule.log,
            mode,
            until: rule.until.map(|until| until.as_millisecond()),
        })
    }

    /// A detector as this VM has it; `None` where it does not watch here, or nobody is there to be watched.
    fn detector(&mut self, resolved: &Resolved<Detector>) -> Option<ViewDetector> {
        let Resolved { what: detector, from, to, .. } = self.here(resolved)?;
        let (own_end, other_end) = if detector.watch.is_at_source() { (*from, *to) } else { (*to, *from) };
        Some(ViewDetector {
            name: detector.full_name(),
            watch: detector.watch,
            within: u64::try_from(detector.within.as_millis()).unwrap_or(u64::MAX),
            peers: self.peers(own_end, other_end, None)?,
            then: detector.then,
        })
    }

    /// What is evaluated at this VM.
    fn here<'r, T>(&self, resolved: &'r Resolved<T>) -> Option<&'r Resolved<T>> {
        let is_owned = |set: usize| self.table.sets.get(set).and_then(|set| set.vms.get(self.own)) == Some(&true);
        resolved.owned.is_none_or(is_owned).then_some(resolved)
    }

    /// The set of peers at the other end, if this VM is at its own end of the rule and anybody is at the other.
    fn peers(&mut self, own_end: usize, other_end: usize, within: Option<&Key>) -> Option<u32> {
        let here = self.table.sets.get(own_end)?;
        if !*here.vms.get(self.own)? {
            return None;
        }
        self.others(other_end, within)
    }

    /// The flows that a rule covers to addresses of no VM, where such a flow can reach one.
    fn elsewhere(&mut self, from: usize, to: usize) -> Option<Elsewhere> {
        if let Some(known) = self.beyond.get(&(from, to)) {
            return *known;
        }
        let found = self.outside(from, to);
        self.beyond.insert((from, to), found);
        found
    }

    fn outside(&mut self, from: usize, to: usize) -> Option<Elsewhere> {
        let outside = reaching(&self.table.sets.get(to)?.outside);
        if outside == Outside::None {
            return None;
        }
        let from = self.others(from, None)?;
        let to = u32::try_from(self.sets.place(Set { vms: Vec::new(), outside })).ok()?;
        Some(Elsewhere { from, to })
    }

    /// The set of peers that these endpoints are.
    fn others(&mut self, other_end: usize, within: Option<&Key>) -> Option<u32> {
        let key = (other_end, within.cloned());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let index =
            self.set(self.table.sets.get(other_end)?, within).and_then(|set| u32::try_from(self.sets.place(set)).ok());
        self.known.insert(key, index);
        index
    }

    /// The endpoints as this VM's peers, with `within` applied; `None` for an empty set.
    fn set(&self, endpoints: &Endpoints, within: Option<&Key>) -> Option<Set> {
        let labels = &self.snapshot.labels;
        let value = |index: usize, key| labels.get(index).and_then(|labels: &Labels| labels.get(key));
        let together =
            |index| within.is_none_or(|key| value(self.own, key).is_some_and(|own| value(index, key) == Some(own)));
        let inside = endpoints.vms.iter().enumerate().filter(|(index, holds)| **holds && *index != self.own);
        let peers =
            inside.filter(|(index, _)| together(*index)).map(|(index, _)| index - usize::from(index > self.own));
        let vms: Vec<u32> = peers.filter_map(|index| u32::try_from(index).ok()).collect();
        let outside = if within.is_some() { Outside::None } else { endpoints.outside.clone() };
        let empty = vms.is_empty() && outside == Outside::None;
        (!empty).then_some(Set { vms, outside })
    }
}
