//! The verdict on a flow, at each end and together (semantics 5–9, 14, 35).

use policy::{At, Builtin, End, Flow, FlowService, Inventory, Mode, Policy, Rule, Ruling, Timestamp, Verdict, Would};

use crate::endpoint::{Endpoint, link_local};
use crate::why::{Passed, Place};

/// What one managed end says of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndVerdict {
    /// The verdict of this end alone.
    pub verdict: Verdict,
    /// The rule that decided; `default` where none matched.
    pub rule: String,
    /// What this end would have said with every monitor rule live, where that differs in verdict or rule.
    pub would: Option<Would>,
}

/// A verdict with what each managed end said; `None` at an end without an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the source's agent says.
    pub source: Option<EndVerdict>,
    /// What the destination's agent says.
    pub destination: Option<EndVerdict>,
    /// Both together.
    pub ruling: Ruling,
}

/// Why a rule was passed over: the first of these, in this order, that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its tier is not evaluated at this end: it owns others.
    NotOwned,
    /// A rule before it passed the flow on, out of its tier.
    TierLeft,
    /// Its `until` is past.
    Expired,
    /// Its `at` names the other end.
    NotThisEnd,
    /// It is about other services.
    Service,
    /// Its `from` does not match the source.
    From,
    /// Its `to` does not match the original destination address.
    To,
    /// The ends do not both carry its `within` key with the same value.
    Within,
    /// It matches, and only monitors.
    Monitor,
    /// It matches, and passes the flow on to the next tier.
    Passes,
}

/// What a policy says of a flow at an instant.
#[must_use]
pub fn evaluate(policy: &Policy, inventory: &Inventory, flow: &Flow, now: Timestamp) -> Ruling {
    judge(policy, inventory, flow, now).ruling
}

/// What a policy says of a flow at an instant, with what each managed end says.
#[must_use]
pub fn judge(policy: &Policy, inventory: &Inventory, flow: &Flow, now: Timestamp) -> Judgement {
    judge_from(policy, inventory, (flow, None), now)
}

/// As [`judge`], of a flow whose source port may be known: by it, a DHCP client is told from others (semantics 21).
#[must_use]
pub fn judge_from(
    policy: &Policy,
    inventory: &Inventory,
    (flow, source_port): (&Flow, Option<u16>),
    now: Timestamp,
) -> Judgement {
    let case = Case { source_port, ..Case::new(policy, inventory, flow, now) };
    let end_verdict = |end| {
        let (acted, live) = (case.decide(end, false)?, case.decide(end, true)?);
        let would = acted.would(&live, end);
        Some(EndVerdict { verdict: acted.verdict, rule: acted.rule, would })
    };
    Judgement { source: end_verdict(End::Source), destination: end_verdict(End::Destination), ruling: case.ruling() }
}

/// A flow before a policy.
pub(crate) struct Case<'a> {
    policy: &'a Policy,
    flow: &'a Flow,
    now: Timestamp,
    source_port: Option<u16>,
    source: Endpoint<'a>,
    destination: Endpoint<'a>,
}

/// What decided at one end, and what was passed over before.
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) rule: String,
    pub(crate) place: Option<Place>,
    pub(crate) passed: Vec<Passed>,
}

impl Decision {
    fn new(verdict: Verdict, rule: impl ToString, passed: Vec<Passed>) -> Self {
        Self { verdict, rule: rule.to_string(), place: None, passed }
    }

    fn by(rule: &Rule, verdict: Verdict, passed: Vec<Passed>) -> Self {
        Self { verdict, rule: rule.full_name(), place: Some(Place::of(rule)), passed }
    }

    /// What this end would have said, where that differs.
    pub(crate) fn would(&self, live: &Self, end: End) -> Option<Would> {
        let differs = (self.verdict, &self.rule) != (live.verdict, &live.rule);
        let end = (live.verdict != Verdict::Allow).then_some(end);
        differs.then(|| Would { verdict: live.verdict, rule: Some(live.rule.clone()), end })
    }
}

impl<'a> Case<'a> {
    pub(crate) fn new(policy: &'a Policy, inventory: &'a Inventory, flow: &'a Flow, now: Timestamp) -> Self {
        let source = Endpoint::of(inventory, flow.source);
        let destination = Endpoint::of(inventory, flow.destination);
        Self { policy, flow, now, source_port: None, source, destination }
    }

    pub(crate) fn endpoint(&self, end: End) -> Endpoint<'a> {
        match end {
            End::Source => self.source,
            End::Destination => self.destination,
        }
    }

    /// Both ends together: the first that denies; else allowed, by the destination's rule where it is managed.
    pub(crate) fn ruling(&self) -> Ruling {
        let acted = self.together(false);
        let live = self.together(true);
        let would =
            ((acted.0, &acted.1) != (live.0, &live.1)).then_some(Would { verdict: live.0, rule: live.1, end: live.2 });
        Ruling { verdict: acted.0, rule: acted.1, end: acted.2, would }
    }

    fn together(&self, live: bool) -> (Verdict, Option<String>, Option<End>) {
        if self.flow.source.is_loopback() || self.flow.destination.is_loopback() {
            return (Verdict::Allow, Some(Builtin::Loopback.to_string()), None);
        }
        let mut rule = None;
        for end in [End::Source, End::Destination] {
            let Some(decision) = self.decide(end, live) else { continue };
            if decision.verdict != Verdict::Allow {
                return (decision.verdict, Some(decision.rule), Some(end));
            }
            rule = Some(decision.rule);
        }
        (Verdict::Allow, rule, None)
    }

    /// What one end says, if an agent judges there; `live` takes every monitor rule as acting.
    pub(crate) fn decide(&self, end: End, live: bool) -> Option<Decision> {
        let _ = self.endpoint(end).managed()?;
        if let Some((verdict, rule)) = self.builtin(end) {
            return Some(Decision::new(verdict, rule, Vec::new()));
        }
        let (mut passed, mut left) = (Vec::new(), None);
        for rule in &self.policy.rules {
            let reason = match (self.reason(rule, end, live, left), rule.action.verdict()) {
                (None, Some(verdict)) => return Some(Decision::by(rule, verdict, passed)),
                (None, None) => {
                    left = Some(rule.place());
                    Reason::Passes
                }
                (Some(reason), _) => reason,
            };
            passed.push(Passed::over(rule, reason));
        }
        Some(if self.records_only(end) && !live {
            Decision::new(Verdict::Allow, Builtin::Monitor, passed)
        } else {
            Decision::new(self.policy.default, "default", passed)
        })
    }

    /// The built-in rule that decides at an end before the policy is asked.
    fn builtin(&self, end: End) -> Option<(Verdict, Builtin)> {
        let addresses = [self.flow.source, self.flow.destination];
        let unknown = |endpoint| matches!(endpoint, Endpoint::Unknown);
        if self.to_itself() {
            Some((Verdict::Allow, Builtin::Loopback))
        } else if is_neighbours(self.flow.service) {
            Some((Verdict::Allow, Builtin::Neighbours))
        } else if self.endpoint(end).managed().is_some_and(|(_, vm)| vm.quarantined) {
            Some((Verdict::Deny, Builtin::Quarantine))
        } else if self.is_address(end) {
            Some((Verdict::Allow, Builtin::Address))
        } else if addresses.into_iter().any(link_local) {
            Some((Verdict::Deny, Builtin::LinkLocal))
        } else if unknown(self.source) || unknown(self.destination) {
            Some((Verdict::Deny, Builtin::Unknown))
        } else {
            None
        }
    }

    /// Whether a DHCP client of the VM at this end asks, or is answered.
    fn is_address(&self, end: End) -> bool {
        let FlowService::Udp(to) = self.flow.service else { return false };
        let (client, server) = if self.flow.source.is_ipv4() { (68, 67) } else { (546, 547) };
        let ports = match end {
            End::Source => (client, server),
            End::Destination => (server, client),
        };
        self.endpoint(end).managed().is_some_and(|(_, vm)| vm.dhcp)
            && self.source_port.is_some_and(|from| (from, to) == ports)
    }

    /// Whether the policy's end only records at an end: by the last tier, or by the VM's own mode.
    fn records_only(&self, end: End) -> bool {
        self.policy.mode == Mode::Monitor || self.vm_records_only(end)
    }

    fn vm_records_only(&self, end: End) -> bool {
        self.endpoint(end).managed().is_some_and(|(_, vm)| vm.mode == Mode::Monitor)
    }

    /// Whether a VM speaks to itself.
    fn to_itself(&self) -> bool {
        let own = match (self.source, self.destination) {
            (Endpoint::Vm(source, _), Endpoint::Vm(destination, _)) => source == destination,
            (Endpoint::Vm(..) | Endpoint::Outside(_) | Endpoint::Unknown, _) => false,
        };
        own || self.flow.source.is_loopback() || self.flow.destination.is_loopback()
    }

    /// Why a rule does not decide at an end; `None` if it does.
    /// `left` is the tier that the flow was passed out of.
    fn reason(&self, rule: &Rule, end: End, live: bool, left: Option<usize>) -> Option<Reason> {
        let here = match rule.at {
            At::Both => true,
            At::Source => end == End::Source,
            At::Destination => end == End::Destination,
        };
        let together = || {
            rule.within.as_ref().is_none_or(|key| {
                self.source.label(key).is_some() && self.source.label(key) == self.destination.label(key)
            })
        };
        // A tier in monitor has all its rules in monitor.
        let monitors = rule.mode == Mode::Monitor || self.vm_records_only(end);
        // Each is asked only where those before it hold: a group may have a hundred thousand entries.
        let tests: [(&dyn Fn() -> bool, Reason); 9] = [
            (&|| rule.owns().is_none_or(|owned| self.endpoint(end).is(owned)), Reason::NotOwned),
            (&|| left != Some(rule.place()), Reason::TierLeft),
            (&|| rule.until.is_none_or(|until| self.now < until), Reason::Expired),
            (&|| here, Reason::NotThisEnd),
            (&|| rule.services.iter().any(|service| service.covers(self.flow.service)), Reason::Service),
            (&|| self.source.is(&rule.from), Reason::From),
            (&|| self.destination.is(&rule.to), Reason::To),
            (&together, Reason::Within),
            (&|| live || !monitors, Reason::Monitor),
        ];
        tests.into_iter().find(|(holds, _)| !holds()).map(|(_, reason)| reason)
    }
}

/// Neighbour discovery without redirects, MLD and IGMP.
fn is_neighbours(service: FlowService) -> bool {
    match service {
        FlowService::Icmpv6(kind) => matches!(kind, 130..=136 | 143),
        FlowService::Proto(number) => number == 2,
        FlowService::Tcp(_) | FlowService::Udp(_) | FlowService::Icmp(_) => false,
    }
}
