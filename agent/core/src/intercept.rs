//! Interceptions by detectors: sources that this agent denies for a time of its own accord.

use std::borrow::Cow;

use ipnet::IpNet;
use policy::{Action, AddressGroup, Detector, Mode, ServiceMatch};
use serde::{Deserialize, Serialize};
use wire::{Elsewhere, Outside, Set, View, ViewRule};

use crate::party::Party;

/// The most at once; beyond, the one that ends first makes room.
const MOST: usize = 1024;

/// One source that is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interception {
    /// The detector's name.
    pub detector: String,
    /// Who is denied; this VM itself: all that it begins and all that is begun with it.
    pub who: Party,
    /// When it ends, in milliseconds by the center's time, or else by the agent's own clock.
    pub until: i64,
    /// Whether it ends by the center's time.
    pub by_center: bool,
}

impl Interception {
    fn ends(&self, clock: Option<i64>) -> Option<i64> {
        if self.by_center { clock.map(|clock| self.until.saturating_sub(clock)) } else { Some(self.until) }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Interceptions {
    all: Vec<Interception>,
}

impl Interceptions {
    /// Those that an earlier life kept. Until the center's time is known they hold (semantics 14).
    pub(crate) fn new(kept: Vec<Interception>) -> Self {
        Self { all: kept.into_iter().filter(|one| one.by_center).collect() }
    }

    /// What outlives the process: what ends by its own clock does not.
    pub(crate) fn kept(&self) -> Vec<Interception> {
        self.all.iter().filter(|one| one.by_center).cloned().collect()
    }

    /// Denies a source `time` milliseconds from now on. `clock` is the center's time minus the agent's own.
    pub(crate) fn add(&mut self, detector: &str, who: &Party, until: i64, clock: Option<i64>) {
        self.all.retain(|one| one.detector != detector || one.who != *who);
        if self.all.len() >= MOST
            && let Some(first) = (0..self.all.len()).min_by_key(|at| self.all[*at].ends(clock))
        {
            self.all.remove(first);
        }
        let until = until.saturating_add(clock.unwrap_or(0));
        let (detector, who, by_center) = (detector.to_owned(), who.clone(), clock.is_some());
        self.all.push(Interception { detector, who, until, by_center });
    }

    /// Whether a source is denied for a detector.
    pub(crate) fn holds(&self, detector: &str, who: &Party) -> bool {
        self.all.iter().any(|one| one.detector == detector && one.who == *who)
    }

    /// Ends those that are over by `now`, the agent's own clock.
    pub(crate) fn end(&mut self, now: i64, clock: Option<i64>) {
        self.all.retain(|one| one.ends(clock).is_none_or(|end| end > now));
    }

    /// When the next one ends, by the agent's own clock.
    pub(crate) fn next(&self, clock: Option<i64>) -> Option<i64> {
        self.all.iter().filter_map(|one| one.ends(clock)).min()
    }

    /// A view with a rule before all others for each.
    pub(crate) fn within<'v>(&self, view: &'v View) -> Cow<'v, View> {
        if self.all.is_empty() {
            return Cow::Borrowed(view);
        }
        let mut view = view.clone();
        let mut rules = Vec::new();
        let everywhere = place(&mut view, Set { vms: Vec::new(), outside: Outside::All });
        for one in &self.all {
            let Some(set) = set(&one.who, &view) else { continue };
            let from = place(&mut view, set);
            rules.push(rule(&one.detector, Elsewhere { from, to: everywhere }));
        }
        rules.append(&mut view.rules);
        view.rules = rules;
        Cow::Owned(view)
    }
}

/// Whether a rule of a view is one of these, which act in every mode.
pub(crate) fn is_one(rule: &ViewRule) -> bool {
    rule.name.starts_with(Detector::PREFIX)
}

/// Puts a set behind a view's others; its index.
fn place(view: &mut View, set: Set) -> u32 {
    view.sets.push(set);
    u32::try_from(view.sets.len() - 1).unwrap_or(u32::MAX)
}

fn rule(detector: &str, all: Elsewhere) -> ViewRule {
    ViewRule {
        name: Detector::rule_of(detector),
        action: Action::Deny,
        services: vec![ServiceMatch::Any],
        inbound: Some(all.from),
        outbound: Some(all.from),
        elsewhere: Some(all),
        log: false,
        mode: Mode::Enforce,
        until: None,
        tier: 0,
    }
}

/// The peers that are denied; `None` where they are gone.
fn set(who: &Party, view: &View) -> Option<Set> {
    let index = |at: usize| u32::try_from(at).ok();
    match who {
        Party::Vm(vm) if *vm == view.vm => {
            Some(Set { vms: (0..view.peers.len()).filter_map(index).collect(), outside: Outside::All })
        }
        Party::Vm(vm) => {
            let at = view.peers.iter().position(|peer| peer.vm == *vm)?;
            Some(Set { vms: vec![index(at)?], outside: Outside::None })
        }
        Party::Address(address) => {
            let name = "detect".parse().ok()?;
            let group = AddressGroup { name, includes: vec![IpNet::from(*address)], excludes: Vec::new() };
            Some(Set { vms: Vec::new(), outside: Outside::Groups(vec![group.into()]) })
        }
    }
}
