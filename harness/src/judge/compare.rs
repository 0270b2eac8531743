//! An outcome against the expectation: what is wrong, each thing by its name.

use policy::{End, FlowService, Verdict};
use reports::event::{FindingKind, Word};
use wire::Record;

use super::outcome::{Outcome, interception, vm_at};
use super::{Fault, foreign, is_interception, managed};
use crate::evidence::{Client, Evidence, Testimony};
use crate::plan::{Decision, PlannedCell, ends};

/// All that is wrong with a probe's outcome.
pub(super) fn faults(cell: &PlannedCell, evidence: &Evidence, outcome: &Outcome<'_>) -> Vec<Fault> {
    let expected = cell.expected.verdict;
    let faults = match outcome {
        Outcome::HarnessError(why) => vec![Fault::new(FindingKind::HarnessError, why.clone())],
        Outcome::Unproven(why) => vec![Fault::new(FindingKind::Unproven, why.clone())],
        Outcome::Refused => refused(expected),
        Outcome::Unreachable(_) if expected == Word::Unreachable => Vec::new(),
        Outcome::Unreachable(why) => vec![Fault::new(FindingKind::Unreachable, why.clone())],
        Outcome::Allowed(records) => allowed(cell, evidence, records),
        Outcome::Delivered => delivered(cell, evidence),
        Outcome::Unreported(_, why) if is_interception(expected) => {
            vec![Fault::new(FindingKind::Unreported, why.clone())]
        }
        Outcome::Unreported(_, why) => vec![Fault::new(FindingKind::Overblock, why.clone())],
        Outcome::Witnessed(end, verdict) => foreign::stopped(cell, evidence, (*end, *verdict)),
        Outcome::AnswerStopped => foreign::answer_stopped(cell),
        Outcome::Counted(end, verdict, rule) => counted(cell, (*end, *verdict, rule)),
        Outcome::Intercepted(end, record) => intercepted(cell, evidence, *end, record),
    };
    if faults.is_empty() { accounts(cell, evidence, outcome) } else { faults }
}

fn refused(expected: Word) -> Vec<Fault> {
    match expected {
        Word::Refused => Vec::new(),
        Word::Deny | Word::Reject | Word::Cut => {
            vec![Fault::new(FindingKind::Leak, "it came up to the destination, where nothing listens")]
        }
        Word::Allow | Word::Unreachable | Word::Unproven => {
            vec![Fault::new(FindingKind::Refused, "it came up to the destination, where nothing listens")]
        }
    }
}

/// The agent's account must agree with the kernel's: packets of a rule, counted by both.
fn accounts(cell: &PlannedCell, evidence: &Evidence, outcome: &Outcome<'_>) -> Vec<Fault> {
    let rules: Vec<(End, &str)> = match outcome {
        Outcome::Allowed(records) => records.iter().map(|(end, record)| (*end, record.rule.as_str())).collect(),
        Outcome::Intercepted(end, record) => vec![(*end, record.rule.as_str())],
        Outcome::Counted(end, _, rule) => vec![(*end, rule.as_str())],
        Outcome::Delivered
        | Outcome::Witnessed(..)
        | Outcome::AnswerStopped
        | Outcome::Unreported(..)
        | Outcome::Refused
        | Outcome::Unreachable(_)
        | Outcome::Unproven(_)
        | Outcome::HarnessError(_) => Vec::new(),
    };
    let differs = managed(&cell.ends, evidence).into_iter().find_map(|(end, testimony, _)| {
        let about = |line: &&String| rules.iter().any(|(at, rule)| *at == end && tells_of(line, rule));
        testimony.counters.iter().find(about).map(|line| format!("the accounts of the {end} differ: {line}"))
    });
    differs.map(|why| Fault::new(FindingKind::Unproven, why)).into_iter().collect()
}

/// Whether a line `[verdict] rule: …` of the accounts is about a rule.
fn tells_of(line: &str, rule: &str) -> bool {
    let head = line.split(": ").next().unwrap_or_default();
    head.split_whitespace().any(|word| word == rule)
}

/// A record whose generations all lie before the one that its agent had acknowledged.
fn late(end: End, record: &Record, testimony: &Testimony, evidence: &Evidence) -> Option<Fault> {
    let span = (record.generation_first, record.generation_last);
    let newest = evidence.published.max(testimony.acked);
    let fits = span.1 >= testimony.acked && span.0 <= newest && span.0 <= span.1;
    (!fits).then(|| {
        let why = format!(
            "the {end} judged under generation {}–{}, and had acknowledged {} of {newest}",
            span.0, span.1, testimony.acked
        );
        Fault::new(FindingKind::Late, why)
    })
}

fn allowed(cell: &PlannedCell, evidence: &Evidence, records: &[(End, &Record)]) -> Vec<Fault> {
    let ends = managed(&cell.ends, evidence);
    let stale = records.iter().find_map(|(end, record)| {
        let testimony = ends.iter().find(|(at, _, _)| at == end)?.1;
        late(*end, record, testimony, evidence)
    });
    if let Some(fault) = stale {
        return vec![fault];
    }
    match cell.expected.verdict {
        Word::Allow => {}
        Word::Deny | Word::Reject | Word::Cut => {
            return vec![Fault::new(FindingKind::Leak, "it should be intercepted, and was delivered and answered")];
        }
        Word::Refused | Word::Unreachable | Word::Unproven => {
            return vec![Fault::new(FindingKind::Unmet, "it was delivered and answered")];
        }
    }
    if let Some(fault) = reported_all_the_same(cell, evidence) {
        return vec![fault];
    }
    let mut faults = foreign::unknown_would(cell, evidence);
    for (end, testimony, decision) in ends {
        let record = records.iter().find(|(at, _)| *at == end).map(|(_, record)| *record);
        faults.extend(admitted(end, testimony, decision, record));
    }
    if faults.is_empty() {
        faults.extend(claimed_allow(cell, records, evidence));
    }
    faults.truncate(1);
    faults
}

/// A delivered probe of which an agent says that it was intercepted.
fn reported_all_the_same(cell: &PlannedCell, evidence: &Evidence) -> Option<Fault> {
    managed(&cell.ends, evidence).into_iter().find_map(|(end, testimony, _)| {
        let record = interception(vm_at(cell, end), testimony, evidence)?;
        let why =
            format!("the {end} reported {} by {}, and it was delivered and answered", record.verdict, record.rule);
        Some(Fault::new(FindingKind::Phantom, why))
    })
}

/// What an end must testify of a probe that it let pass.
fn admitted(end: End, testimony: &Testimony, decision: Option<&Decision>, record: Option<&Record>) -> Option<Fault> {
    match record {
        None if !testimony.alive => None,
        None if !testimony.barrier => {
            Some(Fault::new(FindingKind::Unproven, format!("the barrier of the {end}'s records did not come")))
        }
        None => Some(Fault::new(FindingKind::Unreported, format!("the {end} let it pass, and no record tells of it"))),
        Some(record) => {
            let decision = decision.filter(|decision| decision.verdict == Verdict::Allow)?;
            wrong_end(end, record).or_else(|| wrong_rule(end, record, decision))
        }
    }
}

fn wrong_end(end: End, record: &Record) -> Option<Fault> {
    let why = format!("the {end}'s own record says that it stands at the {}", record.end);
    (record.end != end).then(|| Fault::new(FindingKind::Misplaced, why))
}

fn wrong_rule(end: End, record: &Record, decision: &Decision) -> Option<Fault> {
    if record.rule != decision.rule {
        let why = format!("the {end} names `{}`, and `{}` decides there", record.rule, decision.rule);
        return Some(Fault::new(FindingKind::Misattributed, why));
    }
    wrong_would(end, record, decision)
}

/// A record tells what would have been decided at its own end; at the flow's other end it may be otherwise.
fn wrong_would(end: End, record: &Record, decision: &Decision) -> Option<Fault> {
    let would = record.would.as_ref().map(|would| (would.verdict, would.rule.clone().unwrap_or_default()));
    (would != decision.would).then(|| {
        let words = |would: &Option<(Verdict, String)>| {
            would.as_ref().map_or("nothing".to_owned(), |(verdict, rule)| format!("{verdict} by {rule}"))
        };
        let why =
            format!("the {end} says that it would be {}, and it would be {}", words(&would), words(&decision.would));
        Fault::new(FindingKind::Misattributed, why)
    })
}

/// The scenario's own claim of an allow: either end's rule, or that of the end which it names.
fn claimed_allow(cell: &PlannedCell, records: &[(End, &Record)], evidence: &Evidence) -> Option<Fault> {
    let claimed = cell.claimed.as_ref()?;
    let rule = claimed.rule.as_deref()?;
    let asked = |end: End| claimed.end.is_none_or(|wanted| wanted == end);
    let named = records.iter().any(|(end, record)| asked(*end) && record.rule == rule);
    let dead = |(end, testimony, decision): &(End, &Testimony, Option<&Decision>)| {
        asked(*end) && !testimony.alive && decision.is_some_and(|decision| decision.rule == rule)
    };
    if named
        || foreign::decides_by(cell, evidence, (rule, claimed.end))
        || managed(&cell.ends, evidence).iter().any(dead)
    {
        return None;
    }
    let found: Vec<String> = records.iter().map(|(end, record)| format!("`{}` at the {end}", record.rule)).collect();
    let found = if found.is_empty() { "no end testifies of a rule".to_owned() } else { found.join(", ") };
    Some(Fault::new(FindingKind::Misattributed, format!("expected by `{rule}`, and was by {found}")))
}

fn delivered(cell: &PlannedCell, evidence: &Evidence) -> Vec<Fault> {
    let intercepted = managed(&cell.ends, evidence)
        .into_iter()
        .any(|(end, testimony, _)| interception(vm_at(cell, end), testimony, evidence).is_some());
    let fault = match (cell.expected.verdict, intercepted) {
        (Word::Deny | Word::Reject | Word::Cut, _) => {
            Fault::new(FindingKind::Leak, "it should be intercepted, and came up to the listener")
        }
        (Word::Allow, true) => {
            Fault::new(FindingKind::Overblock, "the listener had it, and its answer was intercepted")
        }
        (Word::Allow, false) if foreign::lost_the_answer(cell, evidence) => {
            Fault::new(FindingKind::Overblock, "the listener had it, and its answer was stopped")
        }
        (Word::Allow | Word::Refused | Word::Unreachable | Word::Unproven, _) => {
            Fault::new(FindingKind::Unproven, "the listener had it, and no answer came back")
        }
    };
    vec![fault]
}

fn counted(cell: &PlannedCell, (end, verdict, rule): (End, Verdict, &str)) -> Vec<Fault> {
    let why = format!("the kernel of the {end} counted {verdict} by {rule}");
    if !is_interception(cell.expected.verdict) {
        return vec![Fault::new(FindingKind::Overblock, why)];
    }
    against(cell, end, verdict, rule).into_iter().collect()
}

fn intercepted(cell: &PlannedCell, evidence: &Evidence, end: End, record: &Record) -> Vec<Fault> {
    let ends = managed(&cell.ends, evidence);
    let testimony = ends.iter().find(|(at, _, _)| *at == end);
    if let Some(fault) = testimony.and_then(|(_, testimony, _)| late(end, record, testimony, evidence)) {
        return vec![fault];
    }
    if !is_interception(cell.expected.verdict) {
        let why = format!("intercepted at the {end}: {} by {}", record.verdict, record.rule);
        return vec![Fault::new(FindingKind::Overblock, why)];
    }
    if testimony.is_some_and(|(_, testimony, _)| testimony.alive && !testimony.barrier) {
        return vec![Fault::new(FindingKind::Unproven, format!("the barrier of the {end}'s records did not come"))];
    }
    let fault = wrong_end(end, record)
        .or_else(|| nowhere(end, evidence))
        .or_else(|| against(cell, end, record.verdict, &record.rule))
        .or_else(|| answer(evidence, record))
        .or_else(|| wrong_would(end, record, testimony.and_then(|(_, _, decision)| *decision)?))
        .or_else(|| twice(cell, evidence, end));
    fault.into_iter().collect()
}

/// The destination's record of a probe that never left the source.
fn nowhere(end: End, evidence: &Evidence) -> Option<Fault> {
    let never = end == End::Destination && evidence.reached_destination == 0;
    never.then(|| Fault::new(FindingKind::Misplaced, "the destination reported it, and it never left the source"))
}

/// End, action and rule against what is expected.
fn against(cell: &PlannedCell, end: End, verdict: Verdict, rule: &str) -> Option<Fault> {
    let expected = &cell.expected;
    if let Some(wanted) = expected.end.filter(|wanted| *wanted != end) {
        return Some(Fault::new(FindingKind::Misplaced, format!("intercepted at the {end}, expected at the {wanted}")));
    }
    if let Some(wanted) = expected.rule.as_deref().filter(|wanted| *wanted != rule) {
        return Some(Fault::new(FindingKind::Misattributed, format!("by `{rule}`, expected by `{wanted}`")));
    }
    let wrong = ends::word(verdict) != expected.verdict;
    wrong.then(|| Fault::new(FindingKind::WrongAction, format!("the record says {verdict}")))
}

/// A rejected TCP probe is owed an RST, and a denied one must have none (semantics 12).
fn answer(evidence: &Evidence, record: &Record) -> Option<Fault> {
    let tcp = matches!(evidence.probe.service, FlowService::Tcp(_));
    let refused = matches!(evidence.client, Client::Refused | Client::Reset);
    match (tcp, record.verdict, refused) {
        (true, Verdict::Reject, false) => Some(Fault::new(FindingKind::WrongAction, "rejected, and no RST came")),
        (true, Verdict::Deny, true) => Some(Fault::new(FindingKind::WrongAction, "denied, and an RST came")),
        (_, _, _) => None,
    }
}

/// Both ends cannot have intercepted one probe.
fn twice(cell: &PlannedCell, evidence: &Evidence, at: End) -> Option<Fault> {
    managed(&cell.ends, evidence).into_iter().filter(|(end, _, _)| *end != at).find_map(|(end, testimony, _)| {
        let record = interception(vm_at(cell, end), testimony, evidence)?;
        let why = format!("the {end} reported {} by {} too, and it ended at the {at}", record.verdict, record.rule);
        Some(Fault::new(FindingKind::Phantom, why))
    })
}
