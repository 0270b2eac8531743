//! Sessions through the steps: which live, which were cut, and by what.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Detector, End, Protocol, Timestamp, Verdict};
use reports::event::{Finding, FindingKind, Side, Word};

use super::claims::Names;
use super::{Ends, Origin, PlannedSession, detected, ends};
use crate::scenario::{Claim, Expectation, FlowClaim, SessionClaim, Step, Stream};
use crate::state::State;

/// What has come of a session so far.
#[derive(Clone, Debug, Default)]
struct Life {
    /// What the ends decided when it last lived.
    admitted: Ends,
    /// What they decided when it was cut.
    cut: Option<Ends>,
}

/// The sessions as they go through the steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(BTreeMap<String, Life>);

fn decided(state: &State, stream: &Stream, now: Timestamp) -> Option<Ends> {
    let from = state.address(&stream.source, stream.family)?;
    let to = state.address(&stream.destination, stream.family)?;
    let flow = ends::flow(from, to, stream.service);
    Some(ends::ends(state, &stream.source, &stream.destination, &flow, now))
}

impl Sessions {
    /// Traffic goes both ways on some sessions of a state: what is forbidden is cut.
    pub(super) fn traffic(&mut self, state: &State, now: Timestamp, which: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| state.sessions.contains_key(name));
        for (name, stream) in state.sessions.iter().filter(|(name, _)| which(name)) {
            let Some(decided) = decided(state, stream, now) else { continue };
            let life = self.0.entry(name.clone()).or_default();
            let allowed = ends::ruling(&decided).verdict == Verdict::Allow;
            let is_final = stream.service.protocol() == Protocol::Tcp && life.cut.is_some();
            match (allowed, is_final) {
                (_, true) => {}
                (true, false) => *life = Life { admitted: decided, cut: None },
                (false, false) => life.cut = Some(decided),
            }
        }
    }

    fn is_cut(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|life| life.cut.is_some())
    }

    /// Every open session of a state with what is expected of it. `before` are the sessions at the end of the step before.
    pub(super) fn planned(&self, before: &Self, state: &State, step: &Arc<str>, line: usize) -> Vec<PlannedSession> {
        let planned = |(name, stream): (&String, &Stream)| {
            let life = self.0.get(name).cloned().unwrap_or_default();
            let expected = match &life.cut {
                None => SessionClaim::Alive,
                Some(ends) => {
                    let ruling = ends::ruling(ends);
                    SessionClaim::Cut { rule: ruling.rule, end: ruling.end }
                }
            };
            PlannedSession {
                name: name.clone(),
                stream: stream.clone(),
                expected,
                claimed: false,
                was_cut: before.is_cut(name),
                ends: life.cut.unwrap_or_else(|| life.admitted.clone()),
                admitted: life.admitted,
                cut: state.is_cut(&stream.source, &stream.destination),
                origin: Origin { step: Arc::clone(step), line, text: Arc::from("") },
            }
        };
        state.sessions.iter().map(planned).collect()
    }
}

/// Puts a step's claims on its sessions; findings are claims that the oracle does not share.
pub(super) fn claim(names: &mut Names<'_>, step: &Step, sessions: &mut [PlannedSession]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for expectation in &step.expect {
        let (which, claim) = match &expectation.claim {
            Claim::Session { name, claim } => (named(names, expectation, name, sessions), claim.clone()),
            Claim::Flow(flow) => match cut_claim(flow) {
                Some(claim) => (matching(names, expectation, flow, sessions), claim),
                None => continue,
            },
            Claim::Report(_)
            | Claim::Agent { .. }
            | Claim::AckedByAll { .. }
            | Claim::CenterBelow { .. }
            | Claim::PortStopped { .. }
            | Claim::PathMtu { .. }
            | Claim::Balanced => continue,
        };
        if let SessionClaim::Cut { rule, .. } = &claim {
            names.rule(expectation, rule.as_deref());
        }
        for at in which {
            let Some(session) = sessions.get_mut(at) else { continue };
            findings.extend(put(session, expectation, &claim));
        }
    }
    findings
}

fn cut_claim(flow: &FlowClaim) -> Option<SessionClaim> {
    let expected = flow.expected.as_ref().filter(|expected| expected.word == Word::Cut)?;
    Some(SessionClaim::Cut { rule: expected.rule.clone(), end: expected.end })
}

fn named(names: &mut Names<'_>, expectation: &Expectation, name: &str, sessions: &[PlannedSession]) -> Vec<usize> {
    let found = sessions.iter().position(|session| session.name == name);
    names.session(expectation, name);
    found.into_iter().collect()
}

fn matching(
    names: &mut Names<'_>,
    expectation: &Expectation,
    flow: &FlowClaim,
    sessions: &[PlannedSession],
) -> Vec<usize> {
    let is = |session: &PlannedSession| {
        let one = crate::scenario::Choice::One(session.stream.service);
        flow.source.matches(&session.stream.source)
            && flow.destination.matches(&session.stream.destination)
            && (flow.services.contains(&one) || flow.services.contains(&crate::scenario::Choice::Any))
            && flow.family.is_none_or(|family| family == session.stream.family)
    };
    let found: Vec<usize> = (0..sessions.len()).filter(|&at| sessions.get(at).is_some_and(is)).collect();
    if found.is_empty() {
        let message = "only an open session can be cut, and none is open on this flow".to_owned();
        names.report(expectation, "cut", message, Some("open one in `do`: `open NAME: A -> B SERVICE`".to_owned()));
    }
    found
}

fn put(session: &mut PlannedSession, expectation: &Expectation, claim: &SessionClaim) -> Option<Finding> {
    let expected_by_oracle = session.expected.clone();
    if let SessionClaim::Cut { rule: Some(rule), end } = claim
        && rule.starts_with(Detector::PREFIX)
    {
        detected::put(&mut session.ends, rule, *end);
    }
    let differs = !agrees(claim, session);
    session.origin.line = expectation.line;
    session.origin.text = Arc::from(expectation.text.as_str());
    session.expected = claim.clone();
    session.claimed = true;
    differs.then(|| {
        let observed = side(&expected_by_oracle);
        Finding {
            kind: FindingKind::Disagreement,
            step: session.origin.step.to_string(),
            expectation: expectation.text.clone(),
            source: Some(session.stream.source.to_string()),
            destination: Some(session.stream.destination.to_string()),
            service: Some(session.stream.service.to_string()),
            family: Some(session.stream.family),
            expected: Some(side(claim)),
            detail: format!("the scenario and the oracle differ: by the policy this session is {}", words(&observed)),
            observed: Some(observed),
            line: expectation.line,
            diagnosis: None,
            tag: None,
        }
    })
}

fn words(side: &Side) -> String {
    let by = side.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
    let at = side.end.map(|end| format!(" at {end}")).unwrap_or_default();
    if side.verdict == Word::Cut { format!("cut{by}{at}") } else { "alive".to_owned() }
}

/// A session's claim as one side of a comparison: a living one is allowed.
pub(crate) fn side(claim: &SessionClaim) -> Side {
    match claim {
        SessionClaim::Alive => Side { verdict: Word::Allow, rule: None, end: None, would: None },
        SessionClaim::Cut { rule, end } => Side { verdict: Word::Cut, rule: rule.clone(), end: *end, would: None },
    }
}

/// Whether the oracle shares a claim: either end that forbids the flow may cut it, each at its own next packet.
fn agrees(claim: &SessionClaim, session: &PlannedSession) -> bool {
    let is_cut = matches!(session.expected, SessionClaim::Cut { .. });
    match claim {
        SessionClaim::Alive => !is_cut,
        SessionClaim::Cut { rule, end } => {
            // The oracle knows nothing of detectors.
            let by_detector = rule.as_deref().is_some_and(|rule| rule.starts_with(Detector::PREFIX));
            by_detector
                || is_cut
                    && cutters(&session.ends).any(|(at, by)| {
                        rule.as_deref().is_none_or(|rule| rule == by) && end.is_none_or(|end| end == at)
                    })
        }
    }
}

/// The ends that forbid a flow, with their rules.
pub(crate) fn cutters(ends: &Ends) -> impl Iterator<Item = (End, &str)> {
    let both = [(End::Source, &ends.source), (End::Destination, &ends.destination)];
    both.into_iter().filter_map(|(end, decision)| {
        let decision = decision.as_ref().filter(|decision| decision.verdict != Verdict::Allow)?;
        Some((end, decision.rule.as_str()))
    })
}
