//! What the oracle says at each end: every agent judges by what it holds, which is older where its center cannot reach it.

use std::borrow::Cow;
use std::net::IpAddr;

use policy::{Builtin, End, Flow, FlowService, Inventory, Mode, Name, Ruling, Timestamp, Verdict, Would};
use reports::event::{Side, Word};

use super::{Decision, Ends};
use crate::scenario::{Expected, soon};
use crate::state::State;

/// What both ends of a flow decide in a state.
#[must_use]
pub fn ends(state: &State, source: &Name, destination: &Name, flow: &Flow, now: Timestamp) -> Ends {
    let at = |end, name: &Name| at(state, name, end, flow, now);
    Ends { source: at(End::Source, source), destination: at(End::Destination, destination) }
}

/// What one end decides of a flow in a state; `None` where nobody enforces there.
#[must_use]
pub(crate) fn at(state: &State, name: &Name, end: End, flow: &Flow, now: Timestamp) -> Option<Decision> {
    at_from(state, name, end, (flow, None), now)
}

/// As [`at`], of a flow whose source port may be known.
#[must_use]
pub(crate) fn at_from(
    state: &State,
    name: &Name,
    end: End,
    flow: (&Flow, Option<u16>),
    now: Timestamp,
) -> Option<Decision> {
    let enforces = state.is_managed(name) || state.is_foreign(name);
    enforces.then(|| decision(state, name, end, flow, now))
}

/// A flow between two addresses.
pub(super) fn flow(source: IpAddr, destination: IpAddr, service: FlowService) -> Flow {
    Flow { source, destination, service }
}

/// What leaves with an address that is not the VM's.
const SPOOFED: &str = "eastwest/spoofed";

fn closed() -> Decision {
    Decision { verdict: Verdict::Deny, rule: Builtin::Closed.to_string(), would: None }
}

fn decision(state: &State, vm: &Name, end: End, (flow, port): (&Flow, Option<u16>), now: Timestamp) -> Decision {
    if state.is_managed(vm) && !state.is_listed(vm) {
        let rule = Builtin::Quarantine.to_string();
        return Decision { verdict: Verdict::Deny, rule, would: None };
    }
    if state.over.contains(vm) {
        return closed();
    }
    let Some(held) = state.held.get(vm) else { return closed() };
    let Some(policy) = &held.policy else { return closed() };
    let nobodys = |address: &IpAddr| state.vms.get(vm).is_some_and(|spec| spec.unbound.contains(address));
    let (is_nobodys, own) = match end {
        End::Source => (nobodys(&flow.source), flow.source),
        End::Destination => (nobodys(&flow.destination), flow.destination),
    };
    if is_nobodys && end == End::Destination {
        return Decision { verdict: Verdict::Deny, rule: Builtin::Unknown.to_string(), would: None };
    }
    let mut inventory: Cow<'_, Inventory> = Cow::Borrowed(&held.inventory);
    if is_nobodys {
        inventory = Cow::Owned(with(&inventory, vm, own));
    }
    if state.suspended.contains(vm) {
        inventory = Cow::Owned(eased(&inventory, vm));
    }
    let inventory: &Inventory = &inventory;
    let now = state.now.unwrap_or(now);
    let judge = |policy| oracle::judge_from(policy, inventory, (flow, port), now);
    let judgement = match state.timeless.contains(vm) {
        true => judge(&soon::timeless(&policy.policy)),
        false => judge(&policy.policy),
    };
    let verdict = match end {
        End::Source => judgement.source,
        End::Destination => judgement.destination,
    };
    let Some(verdict) = verdict else { return closed() };
    if is_nobodys && verdict.verdict == Verdict::Allow {
        return Decision { verdict: Verdict::Deny, rule: SPOOFED.to_owned(), would: None };
    }
    let would = verdict.would.and_then(|would| would.rule.map(|rule| (would.verdict, rule)));
    Decision { verdict: verdict.verdict, rule: verdict.rule, would }
}

/// An inventory in which an address is a VM's: the VM's own agent judges what leaves it as the VM's, and the last look at
/// what leaves drops what it lets pass from an address that is not.
fn with(inventory: &Inventory, vm: &Name, address: IpAddr) -> Inventory {
    let mut bound = inventory.clone();
    if let Some(vm) = bound.vms.get_mut(vm) {
        vm.addresses.push(address);
    }
    bound
}

/// An inventory in which a VM's rules only record.
fn eased(inventory: &Inventory, vm: &Name) -> Inventory {
    let mut eased = inventory.clone();
    if let Some(vm) = eased.vms.get_mut(vm) {
        vm.mode = Mode::Monitor;
    }
    eased
}

/// Both ends together, in the form of semantics 35.
#[must_use]
pub fn ruling(ends: &Ends) -> Ruling {
    let acted = together(ends, false);
    let live = together(ends, true);
    let differs = (acted.0, &acted.1) != (live.0, &live.1);
    let would = differs.then_some(Would { verdict: live.0, rule: live.1, end: live.2 });
    Ruling { verdict: acted.0, rule: acted.1, end: acted.2, would }
}

fn together(ends: &Ends, live: bool) -> (Verdict, Option<String>, Option<End>) {
    let mut last = None;
    for (end, decision) in [(End::Source, &ends.source), (End::Destination, &ends.destination)] {
        let Some(decision) = decision else { continue };
        let (verdict, rule) = match &decision.would {
            Some((verdict, rule)) if live => (*verdict, rule.clone()),
            Some(_) | None => (decision.verdict, decision.rule.clone()),
        };
        if verdict != Verdict::Allow {
            return (verdict, Some(rule), Some(end));
        }
        last = Some(rule);
    }
    (Verdict::Allow, last, None)
}

/// A verdict as reports have it.
pub(crate) fn word(verdict: Verdict) -> Word {
    match verdict {
        Verdict::Allow => Word::Allow,
        Verdict::Deny => Word::Deny,
        Verdict::Reject => Word::Reject,
    }
}

/// What the oracle expects of a flow, given whether its path is cut: what the source lets go cannot arrive.
pub(super) fn side(ends: &Ends, cut: bool) -> Side {
    let ruling = ruling(ends);
    if cut && ruling.end != Some(End::Source) {
        return Side { verdict: Word::Unreachable, rule: None, end: None, would: None };
    }
    Side { verdict: word(ruling.verdict), rule: ruling.rule, end: ruling.end, would: ruling.would }
}

/// What a claim comes to, completed from the oracle where it leaves something open.
pub(super) fn completed(claimed: &Expected, ends: &Ends) -> Side {
    let ruling = ruling(ends);
    let agrees = word(ruling.verdict) == claimed.word;
    let policy = matches!(claimed.word, Word::Allow | Word::Deny | Word::Reject);
    let rule = claimed.rule.clone().or(ruling.rule.filter(|_| agrees && policy));
    let end = claimed.end.filter(|_| claimed.word != Word::Allow).or(ruling.end.filter(|_| agrees));
    let would = claimed.would.clone().or(ruling.would.filter(|_| agrees));
    Side { verdict: claimed.word, rule, end, would }
}

/// What is expected of a cell: what the scenario claims, else what the oracle says.
pub(crate) fn expected(claimed: Option<&Expected>, ends: &Ends, cut: bool) -> Side {
    claimed.map_or_else(|| side(ends, cut), |claimed| completed(claimed, ends))
}

/// How a claim differs from the oracle; `None` where it does not.
pub(super) fn difference(claimed: &Expected, ends: &Ends, cut: bool) -> Option<String> {
    let ruling = ruling(ends);
    let says = describe(&ruling);
    let wanted = match claimed.word {
        Word::Refused => Word::Allow,
        Word::Unreachable if cut && ruling.end != Some(End::Source) => return None,
        Word::Unreachable => return Some(format!("no path is cut here, and the policy says {says}")),
        Word::Allow | Word::Deny | Word::Reject | Word::Cut | Word::Unproven => claimed.word,
    };
    let holds = wanted == word(ruling.verdict)
        && claimed.rule.as_deref().is_none_or(|rule| names(ends, &ruling, rule, claimed.end))
        && claimed.end.is_none_or(|end| ruling.end.is_none_or(|other| other == end))
        && claimed.would.as_ref().is_none_or(|would| would_holds(would, ruling.would.as_ref()));
    (!holds).then(|| format!("the policy says {says}"))
}

/// Whether a rule is a decider: of an allow, either end's or that of the end which is named; else the interceptor's.
pub(crate) fn names(ends: &Ends, ruling: &Ruling, rule: &str, end: Option<End>) -> bool {
    if ruling.verdict != Verdict::Allow {
        return ruling.rule.as_deref() == Some(rule);
    }
    let at = |decision: &Option<Decision>| decision.as_ref().is_some_and(|decision| decision.rule == rule);
    match end {
        Some(End::Source) => at(&ends.source),
        Some(End::Destination) => at(&ends.destination),
        None => at(&ends.source) || at(&ends.destination),
    }
}

/// Whether a would-be verdict is as claimed; what the claim leaves open is not compared.
pub(crate) fn would_holds(claimed: &Would, found: Option<&Would>) -> bool {
    found.is_some_and(|found| {
        found.verdict == claimed.verdict
            && (claimed.rule.is_none() || claimed.rule == found.rule)
            && (claimed.end.is_none() || claimed.end == found.end)
    })
}

/// A ruling as an expectation says it.
pub(crate) fn describe(ruling: &Ruling) -> String {
    let by = ruling.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let at = ruling.end.map(|end| format!(" at {end}")).unwrap_or_default();
    let would = ruling.would.as_ref().map(|would| {
        let by = would.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
        let at = would.end.map(|end| format!(" at {end}")).unwrap_or_default();
        format!(", would {}{by}{at}", would.verdict)
    });
    format!("{}{by}{at}{}", ruling.verdict, would.unwrap_or_default())
}
