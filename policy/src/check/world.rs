//! What a policy is held against: the endpoints that it tells apart, of an inventory or of all that there can be.

use std::collections::BTreeSet;

use super::walk::{Share, Took, walk};
use crate::classify::terms::Terms;
use crate::classify::{Bits, Cell, Decider, Pair, Space, Table, cells_of, narrow};
use crate::kinds::{self, Labels, Picked, TooMuch};
use crate::{
    Action, At, Claim, End, Family, FlowService, Inventory, Mode, Name, Outage, Policy, Rule, Selector, Timestamp,
    Verdict, Vm, Who,
};

/// How many pairs of kinds of endpoints are looked at, and how many times rules beside them.
const PAIRS: usize = 2_000_000;
const WORK: usize = 400_000_000;
/// How many kinds of sources, or of destinations, are told apart where there is no inventory.
const KINDS: usize = 5_000;

/// A policy over all endpoints, in classes.
pub(super) struct World<'a> {
    pub(super) policy: &'a Policy,
    pub(super) table: Table,
    /// The claims, as though each were a rule.
    pub(super) claims: Table,
    pub(super) cells: Vec<Cell>,
    /// The cells that are sources, and those that are destinations.
    ends: [Vec<usize>; 2],
    /// Whether the VMs are an inventory's; else their labels stand for them.
    pub(super) named: bool,
    pub(super) inventory: Inventory,
    pub(super) now: Timestamp,
    space: Space,
    /// The services of IPv4, of IPv6, and of both.
    services: [Bits; 3],
}

/// Two cells of which one can speak to the other.
pub(super) struct Meeting<'w> {
    pub(super) source: &'w Cell,
    pub(super) destination: &'w Cell,
    pub(super) pair: Pair<'w>,
    /// The services for which it can.
    pub(super) services: &'w Bits,
}

impl<'a> World<'a> {
    /// # Errors
    /// There are more kinds of endpoints than can be looked at: how many.
    pub(super) fn of(policy: &'a Policy, inventory: Option<&Inventory>, now: Timestamp) -> Result<Self, String> {
        let claims = questions(&policy.tests);
        let (mut known, standing) = match inventory {
            Some(inventory) => (inventory.clone(), None),
            None => imagined(policy, &claims).map(|(all, ends)| (all, Some(ends))).map_err(|why| why.to_string())?,
        };
        let named = standing.is_none();
        // What is quarantined or on trial today says nothing of the policy.
        for vm in known.vms.values_mut() {
            (vm.quarantined, vm.mode) = (false, Mode::Enforce);
        }
        let (space, mut tables) = Space::of(&[policy, &claims], &known, now);
        let (claims, table) = (tables.remove(1), tables.remove(0));
        let cells = cells_of(&space.endpoints);
        let stands = |end: usize, cell: &Cell| {
            let is = |vms: &BTreeSet<Name>| cell.outside.is_some() || cell.vms.iter().any(|vm| vms.contains(vm));
            standing.as_ref().is_none_or(|ends| is(&ends[end]))
        };
        let ends = [0, 1].map(|end| (0..cells.len()).filter(|cell| stands(end, &cells[*cell])).collect::<Vec<_>>());
        let [sources, destinations] = ends.each_ref().map(Vec::len);
        let most = PAIRS.min(WORK / policy.rules.len().max(1));
        if sources * destinations > most {
            let help = if named { "" } else { "; an inventory may have fewer" };
            return Err(format!(
                "{sources} kinds of sources by {destinations} of destinations are told apart, and {most} pairs are the most{help}"
            ));
        }
        let exist = |wanted: fn(&Space, usize) -> bool| {
            let judged = |class: usize| !space.services.nature(class).neighbours && wanted(&space, class);
            Bits::of(space.services.count(), judged)
        };
        let (v4, v6) = (exist(|s, class| s.services.nature(class).v4), exist(|s, class| s.services.nature(class).v6));
        let mut both = v4.clone();
        both.add(&v6);
        Ok(Self { policy, table, claims, cells, ends, named, inventory: known, now, space, services: [v4, v6, both] })
    }

    /// All pairs of cells of which one can speak to the other.
    pub(super) fn meetings(&self) -> impl Iterator<Item = Meeting<'_>> {
        let [sources, destinations] = &self.ends;
        let pairs =
            sources.iter().flat_map(|source| destinations.iter().map(move |destination| [*source, *destination]));
        pairs.map(|pair| pair.map(|cell| &self.cells[cell])).filter_map(|[source, destination]| {
            let can = |family| source.towards(destination, family).is_some();
            let [v4, v6, both] = &self.services;
            let services = match (can(Family::V4), can(Family::V6)) {
                (true, true) => both,
                (true, false) => v4,
                (false, true) => v6,
                (false, false) => return None,
            };
            let [from, to] = [source, destination].map(|cell| &self.space.endpoints.all()[cell.endpoint]);
            Some(Meeting { source, destination, pair: Pair::apart(from, to), services })
        })
    }

    /// The rules that hold at an end, in their order; `None` where no agent stands.
    pub(super) fn rules(&self, meeting: &Meeting<'_>, end: End, view: View) -> Option<Vec<u32>> {
        let managed = meeting.pair.end(end).standing.managed;
        managed.then(|| self.table.holding_at(&meeting.pair, end, view == View::Live))
    }

    /// Who decides what at an end; one that passes everything where no agent stands.
    pub(super) fn shares(&self, meeting: &Meeting<'_>, end: End, view: View) -> Vec<Share> {
        let Some(rules) = self.rules(meeting, end, view) else {
            return vec![Share { services: meeting.services.clone(), decision: None }];
        };
        self.decided(&rules, meeting.services.clone(), view, &mut |_, _, _| {})
    }

    /// Who decides what of some services, by these rules; `took` is told of each rule that takes some.
    pub(super) fn decided(&self, rules: &[u32], services: Bits, view: View, took: Took<'_>) -> Vec<Share> {
        let mut shares = Vec::new();
        let rest = walk(&self.table, rules, services, &mut |place, rule, taken| {
            took(place, rule, taken);
            if let (Some(verdict), _) = self.table.actions[rule] {
                shares.push(Share::by(taken.clone(), verdict, Decider::Rule(narrow(rule))));
            }
        });
        let last = self.table.last(self.policy.mode == Mode::Monitor, view == View::Live);
        if !rest.is_empty() {
            shares.push(Share { services: rest, decision: Some(last) });
        }
        shares
    }

    /// Whether a side of a claim means a cell.
    pub(super) fn asks(&self, claim: usize, end: End, cell: &Cell) -> bool {
        let endpoint = &self.space.endpoints.all()[cell.endpoint];
        self.claims.matches(end, endpoint, claim)
    }

    /// The empty set of rules.
    pub(super) fn no_rules(&self) -> Bits {
        Bits::none(self.policy.rules.len())
    }

    /// Whether some rule only records, so that what acts and what would act differ.
    pub(super) fn records(&self) -> bool {
        !self.table.monitors.is_empty() || self.policy.mode == Mode::Monitor
    }

    /// One service of a set, one that people know if it holds one.
    pub(super) fn example(&self, services: &Bits) -> Option<FlowService> {
        const KNOWN: [FlowService; 6] = [
            FlowService::Tcp(443),
            FlowService::Tcp(22),
            FlowService::Tcp(80),
            FlowService::Udp(53),
            FlowService::Icmp(8),
            FlowService::Icmpv6(128),
        ];
        let known = KNOWN.into_iter().find(|service| services.has(self.space.services.class(*service)));
        let first = || {
            let range = self.space.services.ranges(services.iter().next()?).first().copied()?;
            // Port 0 is nobody's.
            Some(if range.first == FlowService::Tcp(0) || range.first == FlowService::Udp(0) {
                range.last
            } else {
                range.first
            })
        };
        known.or_else(first)
    }
}

/// Whether rules in monitor are taken as acting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// They are not there.
    Acted,
    /// They act.
    Live,
}

/// VMs of every kind that a policy and the claims can tell apart; those that stand for sources, and for destinations.
fn imagined(policy: &Policy, claims: &Policy) -> Result<(Inventory, [BTreeSet<Name>; 2]), TooMuch> {
    let mut terms = Terms::default();
    [policy, claims].into_iter().for_each(|policy| drop(terms.read(policy)));
    let keys = kinds::spoken(&terms);
    let few = |(_, picked): &(usize, Picked)| {
        kinds::labels(keys.iter().zip(picked).filter(|(key, choice)| !key.choices[**choice].absent))
    };
    let rules = || policy.rules.iter().chain(&claims.rules);
    let of = |end: fn(&Rule) -> &Selector| {
        let selectors = rules().flat_map(|rule| [Some(end(rule)), rule.owns()]).flatten().collect();
        let mut all = kinds::all(&keys, &selectors, |key| key.compared, KINDS)?;
        all.sort_unstable();
        Ok(all.iter().map(few).collect::<Vec<Labels>>())
    };
    let (sources, destinations) = (of(|rule| &rule.from)?, of(|rule| &rule.to)?);
    let first = sources.len();
    let vms = kinds::vms([sources, destinations].concat(), &terms)?;
    let names = |vms: &[(Name, Vm)]| vms.iter().map(|(name, _)| name.clone()).collect();
    let ends = [names(&vms[..first]), names(&vms[first..])];
    Ok((Inventory { vms: vms.into_iter().collect(), ..Inventory::default() }, ends))
}

/// Claims as a policy, of which each rule matches the flows that a claim is about; a VM by its name may be any.
fn questions(claims: &[Claim]) -> Policy {
    let side = |who: &Who| match who {
        Who::Those(selector) => selector.clone(),
        Who::Vm(_) => Selector::Vms,
    };
    let rule = |claim: &Claim| {
        let name = "claim".parse().ok()?;
        Some(Rule {
            tier: None,
            name,
            action: Action::Pass,
            services: claim.services.clone(),
            from: side(&claim.from),
            to: side(&claim.to),
            within: None,
            at: At::Both,
            log: false,
            mode: Mode::Enforce,
            until: None,
            note: None,
            line: claim.line,
        })
    };
    Policy {
        services: Default::default(),
        groups: Default::default(),
        tiers: Vec::new(),
        rules: claims.iter().filter_map(rule).collect(),
        detect: Vec::new(),
        default: Verdict::Deny,
        outage: Outage::KeepLast,
        mode: Mode::Enforce,
        tests: Vec::new(),
    }
}
