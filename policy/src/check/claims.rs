//! A policy held against what its authors claim of it.

use super::walk::Share;
use super::world::{Meeting, View, World};
use super::{Kind, Place, Warning, named};
use crate::classify::{Bits, Decider, Decision, Outcome, together};
use crate::{Claim, End, Name, Verdict, Who};

/// The claims that do not hold, and why some could not be looked at.
pub(super) fn warnings(world: &World<'_>) -> (Vec<Warning>, Vec<String>) {
    let claims = &world.policy.tests;
    let mut holder = Holder { world, tested: Bits::none(claims.len()), failed: vec![None; claims.len()] };
    let asked = |claim: &Claim| world.named || ![&claim.from, &claim.to].iter().any(|who| matches!(who, Who::Vm(_)));
    let known = |claim: &Claim| missing(world, claim).is_none();
    let open: Vec<usize> = (0..claims.len()).filter(|&one| asked(&claims[one]) && known(&claims[one])).collect();
    for meeting in world.meetings() {
        holder.meeting(&meeting, &open);
    }
    let warnings = claims.iter().enumerate().filter(|(_, claim)| asked(claim)).filter_map(|(one, claim)| {
        let failed = holder.failed[one].clone();
        failed.or_else(|| holder.tests_nothing(one)).map(|(kind, flow, text)| Warning {
            kind,
            about: Place { name: claim.text.clone(), file: Some(claim.file.clone()), line: Some(claim.line) },
            other: None,
            flow,
            text,
        })
    });
    let warnings = warnings.collect();
    let unasked = claims.iter().filter(|claim| !asked(claim)).count();
    let left = format!("{unasked} of {} claims: they name VMs, which needs an inventory", claims.len());
    (warnings, Vec::from_iter((unasked > 0).then_some(left)))
}

/// A claim that does not hold: how, the flow, and all of it in words.
type Failed = (Kind, Option<String>, String);

struct Holder<'w, 'a> {
    world: &'w World<'a>,
    tested: Bits,
    failed: Vec<Option<Failed>>,
}

/// The first VM of a claim that the inventory does not have.
fn missing<'c>(world: &World<'_>, claim: &'c Claim) -> Option<&'c Name> {
    let names = [&claim.from, &claim.to].into_iter().filter_map(vm);
    names.into_iter().find(|name| !world.inventory.vms.contains_key(*name))
}

fn vm(who: &Who) -> Option<&Name> {
    match who {
        Who::Vm(name) => Some(name),
        Who::Those(_) => None,
    }
}

impl Holder<'_, '_> {
    /// Holds one pair of cells against the claims that are about it.
    fn meeting(&mut self, meeting: &Meeting<'_>, open: &[usize]) {
        let (world, claims) = (self.world, &self.world.policy.tests);
        let about = |one: &usize| world.claims.meets(&meeting.pair, *one) && stand(meeting, &claims[*one]);
        let unsettled = |one: &usize| self.failed[*one].as_ref().is_none_or(|(kind, ..)| *kind == Kind::OnTrial);
        let about: Vec<usize> = open.iter().copied().filter(|one| unsettled(one) && about(one)).collect();
        if about.is_empty() {
            return;
        }
        let shares = |view| [End::Source, End::Destination].map(|end| world.shares(meeting, end, view));
        let (acted, live) = (shares(View::Acted), world.records().then(|| shares(View::Live)));
        for one in about {
            let services = world.claims.covered[one].bits().both(meeting.services);
            if services.is_empty() {
                continue;
            }
            self.tested.put(one);
            let Some(counter) = self.counter(&claims[one], &services, &acted) else { continue };
            let on_trial = live.as_ref().is_some_and(|live| self.counter(&claims[one], &services, live).is_none());
            let vms = [vm(&claims[one].from), vm(&claims[one].to)];
            let flow = world.flow_between(meeting, &counter.services, vms);
            let (kind, more) = match on_trial {
                true => (Kind::OnTrial, ", and what is claimed only once rules in monitor act"),
                false => (Kind::Failed, ""),
            };
            let text = format!("{flow} gets {}{more}", self.said(counter.outcome));
            if kind == Kind::Failed || self.failed[one].is_none() {
                self.failed[one] = Some((kind, Some(flow), text));
            }
        }
    }

    /// What of some services is not as claimed.
    fn counter(&self, claim: &Claim, services: &Bits, [source, destination]: &[Vec<Share>; 2]) -> Option<Counter> {
        let pairs = source.iter().flat_map(|from| destination.iter().map(move |to| (from, to)));
        pairs.into_iter().find_map(|(from, to)| {
            let met = from.services.both(&to.services).both(services);
            let outcome = together(from.decision, to.decision);
            let differs = !met.is_empty() && !self.as_claimed(claim, outcome, [from.decision, to.decision]);
            differs.then_some(Counter { services: met, outcome })
        })
    }

    /// An allow has two deciders, and either may be the one that is claimed (semantics 8).
    fn as_claimed(&self, claim: &Claim, outcome: Outcome, [source, destination]: [Option<Decision>; 2]) -> bool {
        let is = |decision: Option<Decision>, rule: &str| decision.is_some_and(|by| self.name(by.decider) == rule);
        let by = |rule: &String| match (outcome.verdict, claim.end) {
            (Verdict::Allow, Some(End::Source)) => is(source, rule),
            (Verdict::Allow, Some(End::Destination)) => is(destination, rule),
            (Verdict::Allow, None) => is(source, rule) || is(destination, rule),
            (Verdict::Deny | Verdict::Reject, _) => outcome.decider.is_some_and(|by| self.name(by) == *rule),
        };
        let at = outcome.verdict == Verdict::Allow || claim.end.is_none() || claim.end == outcome.end;
        outcome.verdict == claim.verdict && at && claim.rule.as_ref().is_none_or(by)
    }

    fn name(&self, decider: Decider) -> String {
        match decider {
            Decider::Rule(rule) => self.world.policy.rules[rule as usize].full_name(),
            Decider::Default => "default".to_owned(),
            Decider::Builtin(builtin) => builtin.to_string(),
        }
    }

    /// `reject by hr-reads-no-ledgers (line 9) at the source`
    fn said(&self, Outcome { verdict, decider, end }: Outcome) -> String {
        let by = match decider {
            Some(Decider::Rule(rule)) => format!(" by {}", named(&self.world.policy.rules[rule as usize])),
            Some(decider) => format!(" by {}", self.name(decider)),
            None => ", for no agent stands at either end".to_owned(),
        };
        let at = end.map(|end| format!(" at the {end}")).unwrap_or_default();
        format!("{verdict}{by}{at}")
    }

    /// Why no flow is about a claim, if none is.
    fn tests_nothing(&self, one: usize) -> Option<Failed> {
        let (world, claim) = (self.world, &self.world.policy.tests[one]);
        if let Some(name) = missing(world, claim) {
            return Some((Kind::Failed, None, format!("the inventory has no VM `{name}`")));
        }
        if self.tested.has(one) {
            return None;
        }
        let means = |who: &Who, end| world.cells.iter().any(|cell| is_in(who, &cell.vms) && world.asks(one, end, cell));
        let text = if !means(&claim.from, End::Source) {
            format!("it tests nothing: `{}` means nobody", claim.from)
        } else if !means(&claim.to, End::Destination) {
            format!("it tests nothing: `{}` means nobody", claim.to)
        } else {
            "it tests nothing: there is no such flow".to_owned()
        };
        Some((Kind::TestsNothing, None, text))
    }
}

/// Flows that do not get what is claimed.
struct Counter {
    services: Bits,
    outcome: Outcome,
}

/// Whether the VMs that a claim names stand at the ends, and are two.
fn stand(meeting: &Meeting<'_>, claim: &Claim) -> bool {
    let same = vm(&claim.from).is_some() && vm(&claim.from) == vm(&claim.to);
    !same && is_in(&claim.from, &meeting.source.vms) && is_in(&claim.to, &meeting.destination.vms)
}

fn is_in(who: &Who, vms: &[Name]) -> bool {
    vm(who).is_none_or(|name| vms.contains(name))
}
