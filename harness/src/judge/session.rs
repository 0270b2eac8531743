//! Sessions: a permitted one is not disturbed, a forbidden one is cut, recorded once, and no byte is accepted behind it.

use policy::{End, Protocol};
use reports::event::{Cell, Finding, FindingKind, Side, Word};
use wire::{Kind, Record};

use super::detail::{row, testimony_of};
use super::{Fault, diagnosis, foreign};
use crate::evidence::{Fence, SessionEvidence, Testimony};
use crate::plan::{Decision, PlannedSession, sessions};
use crate::scenario::SessionClaim;

/// Judges one session at the end of a step.
#[must_use]
pub fn judge_session(session: &PlannedSession, evidence: &SessionEvidence) -> (Cell, Vec<Finding>) {
    let observed = observed(session, evidence);
    let faults = faults(session, evidence);
    let expected = sessions::side(&session.expected);
    let cell = Cell {
        source: session.stream.source.to_string(),
        destination: session.stream.destination.to_string(),
        service: session.stream.service.to_string(),
        family: session.stream.family,
        expected: expected.clone(),
        observed: observed.clone(),
        by_oracle: !session.claimed,
        note: format!("session {}", session.name),
        generation: evidence.published,
        settle_us: 0,
    };
    let bare = |fault: &Fault| Finding {
        kind: fault.kind,
        step: session.origin.step.to_string(),
        expectation: session.origin.text.to_string(),
        source: Some(cell.source.clone()),
        destination: Some(cell.destination.clone()),
        service: Some(cell.service.clone()),
        family: Some(cell.family),
        expected: Some(expected.clone()),
        observed: Some(observed.clone()),
        line: session.origin.line,
        detail: format!("{}\n{}", fault.why, detail(session, evidence)),
        diagnosis: None,
        tag: None,
    };
    let finding = |fault: Fault| {
        let mut finding = bare(&fault);
        let cause = diagnosis::of_session(fault.kind, session, evidence);
        cause.iter().for_each(|(cause, why)| finding.diagnose(*cause, why));
        finding
    };
    let findings = faults.into_iter().map(finding).collect();
    (cell, findings)
}

/// What is wrong with a session.
pub(super) fn faults(session: &PlannedSession, evidence: &SessionEvidence) -> Vec<Fault> {
    match &session.expected {
        SessionClaim::Alive => alive(session, evidence),
        SessionClaim::Cut { rule, end } => cut(session, evidence, rule.as_deref(), *end),
    }
}

fn ends<'e>(session: &'e PlannedSession, evidence: &'e SessionEvidence) -> Vec<(End, &'e Testimony, &'e str)> {
    let source = evidence.source_end.as_ref().map(|testimony| (End::Source, testimony, session.stream.source.as_str()));
    let to = session.stream.destination.as_str();
    let destination = evidence.destination_end.as_ref().map(|testimony| (End::Destination, testimony, to));
    source.into_iter().chain(destination).collect()
}

/// The cuts of this session that its ends recorded.
fn cuts<'e>(session: &'e PlannedSession, evidence: &'e SessionEvidence) -> Vec<(End, &'e Record)> {
    let mut found = Vec::new();
    for (end, testimony, vm) in ends(session, evidence) {
        let cuts = testimony.records.iter().filter(|record| record.kind == Kind::Cut && record.key.vm == vm);
        found.extend(cuts.map(|record| (end, record)));
    }
    found
}

fn observed(session: &PlannedSession, evidence: &SessionEvidence) -> Side {
    let bare = |verdict| Side { verdict, rule: None, end: None, would: None };
    match cuts(session, evidence).first() {
        Some((_, record)) => Side { rule: Some(record.rule.clone()), end: Some(record.end), ..bare(Word::Cut) },
        None if whole(evidence) => bare(Word::Allow),
        None if session.cut => bare(Word::Unreachable),
        None if session.was_cut && nothing_came(evidence) => bare(Word::Cut),
        None => match foreign::severed(session, evidence) {
            Some(end) => Side { end: Some(end), ..bare(Word::Cut) },
            None => bare(Word::Unproven),
        },
    }
}

/// Every byte came through both ways.
fn whole(evidence: &SessionEvidence) -> bool {
    let sent = evidence.sent_forward > 0 && evidence.sent_backward > 0;
    let came =
        evidence.received_forward == evidence.sent_forward && evidence.received_backward == evidence.sent_backward;
    sent && came && !evidence.client_reset && !evidence.server_reset
}

fn nothing_came(evidence: &SessionEvidence) -> bool {
    evidence.received_forward == 0 && evidence.received_backward == 0
}

fn alive(session: &PlannedSession, evidence: &SessionEvidence) -> Vec<Fault> {
    let cut = cuts(session, evidence);
    let reset = evidence.client_reset || evidence.server_reset;
    let by = cut.first().map(|(end, record)| format!("cut by {} at the {end}", record.rule));
    let fault = match (whole(evidence), by) {
        (true, None) => return Vec::new(),
        (true, Some(by)) => Fault::new(FindingKind::Phantom, format!("reported as {by}, and every byte came through")),
        (false, Some(by)) => Fault::new(FindingKind::Disturbed, format!("a permitted session was {by}")),
        (false, None) if reset => Fault::new(FindingKind::Disturbed, "a permitted session was reset"),
        (false, None) if session.cut && !session.claimed => return Vec::new(),
        (false, None) if session.cut => Fault::new(FindingKind::Unreachable, "the lab has cut the path"),
        (false, None) if evidence.fence == Fence::Lost => {
            Fault::new(FindingKind::Unproven, "the fence did not come back")
        }
        (false, None) if evidence.sent_forward == 0 || evidence.sent_backward == 0 => {
            Fault::new(FindingKind::Unproven, "nothing was sent on it")
        }
        (false, None) => Fault::new(FindingKind::Disturbed, "bytes of a permitted session are missing"),
    };
    vec![fault]
}

fn cut(session: &PlannedSession, evidence: &SessionEvidence, rule: Option<&str>, end: Option<End>) -> Vec<Fault> {
    if session.was_cut {
        let leaks = !nothing_came(evidence);
        let fault = leaks.then(|| Fault::new(FindingKind::Leak, "bytes came through a session that was cut"));
        return fault.into_iter().collect();
    }
    let sent = evidence.sent_forward > 0 && evidence.sent_backward > 0;
    let through = |sent: u64, received: u64| sent > 0 && received >= sent;
    let leaks = through(evidence.sent_forward, evidence.received_forward)
        || through(evidence.sent_backward, evidence.received_backward);
    let fault = match (leaks, sent) {
        (true, _) => Some(Fault::new(FindingKind::Leak, "it should be cut, and its last byte was accepted")),
        (false, false) => Some(Fault::new(FindingKind::Unproven, "it was not sent on from both sides")),
        (false, true) => recorded(session, evidence, rule, end),
    };
    fault.into_iter().collect()
}

/// The record of a cut: by the right rule, at the right end, once.
fn recorded(
    session: &PlannedSession,
    evidence: &SessionEvidence,
    rule: Option<&str>,
    end: Option<End>,
) -> Option<Fault> {
    let cuts = cuts(session, evidence);
    if cuts.is_empty() {
        return match foreign::severed(session, evidence) {
            Some(at) => foreign::misplaced(session, at, end),
            None => unrecorded(session, evidence, rule),
        };
    }
    let waits = ends(session, evidence).into_iter().find(|(_, testimony, _)| testimony.alive && !testimony.barrier);
    if let Some((at, _, _)) = waits {
        return Some(Fault::new(FindingKind::Unproven, format!("the barrier of the {at}'s records did not come")));
    }
    let one = |(at, record): &(End, &Record)| wrong(session, evidence, *at, record);
    if let Some(fault) = cuts.iter().find_map(one) {
        return Some(fault);
    }
    let claims = |(at, record): &&(End, &Record)| {
        !session.claimed || rule.is_none_or(|rule| rule == record.rule) && end.is_none_or(|end| end == *at)
    };
    if !cuts.iter().any(|cut| claims(&cut)) {
        let found: Vec<String> = cuts.iter().map(|(at, record)| format!("`{}` at the {at}", record.rule)).collect();
        let by_rule = rule.is_none_or(|rule| cuts.iter().any(|(_, record)| record.rule == rule));
        let kind = if by_rule { FindingKind::Misplaced } else { FindingKind::Misattributed };
        return Some(Fault::new(kind, format!("it was cut by {}", found.join(", "))));
    }
    let tcp = session.stream.service.protocol() == Protocol::Tcp;
    let twice = |wanted: End| cuts.iter().filter(|(at, _)| *at == wanted).count() > 1;
    let at = [End::Source, End::Destination].into_iter().find(|end| tcp && twice(*end))?;
    Some(Fault::new(FindingKind::Phantom, format!("the {at} recorded the cut more than once")))
}

/// One record of a cut against what decides at its end, and what had admitted there.
fn wrong(session: &PlannedSession, evidence: &SessionEvidence, at: End, record: &Record) -> Option<Fault> {
    let pick = |ends: &crate::plan::Ends| match at {
        End::Source => ends.source.clone(),
        End::Destination => ends.destination.clone(),
    };
    let testimony = match at {
        End::Source => evidence.source_end.as_ref(),
        End::Destination => evidence.destination_end.as_ref(),
    };
    if record.end != at {
        let why = format!("the {at}'s own record says that it stands at the {}", record.end);
        return Some(Fault::new(FindingKind::Misplaced, why));
    }
    if let Some(testimony) = testimony.filter(|testimony| record.generation_last < testimony.acked) {
        let why = format!("cut under generation {}, and {} was acknowledged", record.generation_last, testimony.acked);
        return Some(Fault::new(FindingKind::Late, why));
    }
    let decides = pick(&session.ends).filter(|decision| decision.verdict != policy::Verdict::Allow);
    let Some(decides) = decides else {
        return Some(Fault::new(FindingKind::Misplaced, format!("the {at} recorded a cut, and permits the session")));
    };
    if decides.rule != record.rule {
        let why = format!("the {at} names `{}`, and `{}` decides there", record.rule, decides.rule);
        return Some(Fault::new(FindingKind::Misattributed, why));
    }
    let admitted: Option<Decision> = pick(&session.admitted);
    let known = admitted.filter(|decision| decision.verdict == policy::Verdict::Allow)?;
    let named = record.admitted_by.as_deref();
    (named != Some(known.rule.as_str())).then(|| {
        let why = format!("admitted by `{}`, expected `{}`", named.unwrap_or("nothing"), known.rule);
        Fault::new(FindingKind::Misattributed, why)
    })
}

/// A broken session of which no end recorded a cut.
fn unrecorded(session: &PlannedSession, evidence: &SessionEvidence, rule: Option<&str>) -> Option<Fault> {
    let cutters: Vec<(End, &str)> = sessions::cutters(&session.ends).collect();
    for (end, testimony, _) in ends(session, evidence) {
        let Some((_, by)) = cutters.iter().find(|(at, _)| *at == end) else { continue };
        let wanted = rule.unwrap_or(by);
        let counted =
            testimony.counted.iter().any(|(comment, n)| comment.split(' ').any(|word| word == wanted) && *n > 0);
        if !testimony.alive && counted && testimony.counters.is_empty() && evidence.fence == Fence::Returned {
            return None;
        }
        if testimony.alive && testimony.barrier {
            return Some(Fault::new(FindingKind::Unreported, "it was cut, and no record tells of it"));
        }
    }
    Some(Fault::new(FindingKind::Unproven, "it is broken, and nothing testifies of a cut"))
}

fn detail(session: &PlannedSession, evidence: &SessionEvidence) -> String {
    let reset = match (evidence.client_reset, evidence.server_reset) {
        (true, true) => "both sockets were reset",
        (true, false) => "the client's socket was reset",
        (false, true) => "the server's socket was reset",
        (false, false) => "no socket was reset",
    };
    let forward = format!("{} of {} messages accepted", evidence.received_forward, evidence.sent_forward);
    let backward = format!("{} of {} messages accepted", evidence.received_backward, evidence.sent_backward);
    let wire = |left: u64, reached: u64| format!("{left} packets left, {reached} came up");
    let (there, back) = (
        wire(evidence.wire.left_source, evidence.wire.reached_destination),
        wire(evidence.wire.left_destination, evidence.wire.reached_source),
    );
    let mut lines = vec![
        row("forward", format!("{forward}; {there}")),
        row("backward", format!("{backward}; {back}")),
        row("sockets", reset.to_owned()),
    ];
    for (end, testimony, name) in [
        (End::Source, &evidence.source_end, &session.stream.source),
        (End::Destination, &evidence.destination_end, &session.stream.destination),
    ] {
        let others = || foreign::enforces(session, evidence, end).then(|| foreign::no_record(name));
        let said = testimony.as_ref().map(|testimony| testimony_of(testimony, end)).or_else(others);
        lines.extend(said.map(|said| row(&end.to_string(), said)));
    }
    lines.join("\n")
}
