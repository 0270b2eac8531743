//! The lies themselves, told at the agent's edge.

use agent::Edge;
use agent_core::Ruleset;
use policy::{Action, End, Verdict};
use wire::{FromAgent, Kind as What, MAX_BATCH, Record, View};

use crate::kinds::Kind;

/// Lies in one way.
#[derive(Debug)]
pub struct Liar {
    kind: Kind,
    /// The first view that holds a rule: the one that a liar likes to keep.
    view: Option<View>,
    /// The first ruleset made from a view.
    ruleset: Option<Ruleset>,
    /// A view came; rulesets from then on are made from views.
    ruled: bool,
    /// The last sequence number that was told: a liar's stream has no hole.
    told: u64,
}

impl Liar {
    /// One who lies in this way.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, view: None, ruleset: None, ruled: false, told: 0 }
    }

    /// What becomes of one record: itself, another, several, or nothing.
    fn records(&self, mut record: Record) -> Vec<Record> {
        match self.kind {
            Kind::ReportSilenced if is_interception(&record) => return Vec::new(),
            Kind::AllowUnlogged if record.kind == What::Allow => return Vec::new(),
            Kind::WrongRuleNamed if is_judged(&record) => "no-such-rule".clone_into(&mut record.rule),
            Kind::WrongEnd if is_judged(&record) => record.end = other(record.end),
            Kind::GenerationStale => {
                record.generation_first = record.generation_first.saturating_sub(1);
                record.generation_last = record.generation_first;
            }
            Kind::InventedRecords if record.kind == What::Allow => {
                return vec![invented(&record, false), invented(&record, true), record];
            }
            Kind::FirstRuleDropped
            | Kind::DirectionSwapped
            | Kind::DefaultAllow
            | Kind::RevocationIgnored
            | Kind::ReportSilenced
            | Kind::WrongRuleNamed
            | Kind::WrongEnd
            | Kind::InventedRecords
            | Kind::AcksBeforeCommit
            | Kind::RejectAsDeny
            | Kind::AllowUnlogged => {}
        }
        vec![record]
    }

    /// Numbers what is told without a hole.
    fn numbered(&mut self, records: Vec<Record>) -> Vec<Record> {
        let mut out: Vec<Record> = records.into_iter().flat_map(|record| self.records(record)).collect();
        for record in &mut out {
            self.told += 1;
            record.key.sequence = self.told;
        }
        out
    }

    /// Whether the stream of records is changed, so that it must be numbered anew.
    fn retells(&self) -> bool {
        matches!(self.kind, Kind::ReportSilenced | Kind::AllowUnlogged | Kind::InventedRecords)
    }
}

impl Edge for Liar {
    fn view(&mut self, mut view: View) -> View {
        self.ruled = true;
        match self.kind {
            Kind::FirstRuleDropped if !view.rules.is_empty() => drop(view.rules.remove(0)),
            Kind::DirectionSwapped => {
                view.rules.iter_mut().for_each(|rule| std::mem::swap(&mut rule.inbound, &mut rule.outbound));
            }
            Kind::DefaultAllow => view.default = Action::Allow,
            Kind::RejectAsDeny => {
                let rejects = view.rules.iter_mut().filter(|rule| rule.action == Action::Reject);
                rejects.for_each(|rule| rule.action = Action::Deny);
            }
            Kind::RevocationIgnored if !view.rules.is_empty() => {
                let kept = self.view.get_or_insert_with(|| view.clone());
                return View { generation: view.generation, now: view.now, ..kept.clone() };
            }
            Kind::FirstRuleDropped
            | Kind::RevocationIgnored
            | Kind::ReportSilenced
            | Kind::WrongRuleNamed
            | Kind::WrongEnd
            | Kind::InventedRecords
            | Kind::AcksBeforeCommit
            | Kind::AllowUnlogged
            | Kind::GenerationStale => {}
        }
        view
    }

    fn ruleset(&mut self, ruleset: Ruleset) -> Ruleset {
        let has_rules = !ruleset.inbound.is_empty() || !ruleset.outbound.is_empty();
        if self.kind == Kind::AcksBeforeCommit && self.ruled && has_rules {
            return self.ruleset.get_or_insert(ruleset).clone();
        }
        ruleset
    }

    fn outgoing(&mut self, message: FromAgent) -> Vec<FromAgent> {
        match message {
            FromAgent::Records(records) if self.retells() => {
                let told = self.numbered(records);
                told.chunks(MAX_BATCH).map(|batch| FromAgent::Records(batch.to_vec())).collect()
            }
            FromAgent::Records(records) => {
                vec![FromAgent::Records(records.into_iter().flat_map(|record| self.records(record)).collect())]
            }
            FromAgent::Hello(_)
            | FromAgent::Ack(_)
            | FromAgent::Heartbeat
            | FromAgent::Addresses(_)
            | FromAgent::Suspension(_) => vec![message],
        }
    }
}

/// A deny of a flow that passed, or (`elsewhere`) of one that never was.
fn invented(of: &Record, elsewhere: bool) -> Record {
    let mut record = of.clone();
    record.kind = What::Deny;
    record.verdict = Verdict::Deny;
    "default".clone_into(&mut record.rule);
    record.would = None;
    if elsewhere {
        record.source.port = record.source.port.wrapping_add(1).max(1);
        record.tcp_sequence = record.tcp_sequence.map(|sequence| sequence.wrapping_add(0x5eed));
        record.payload.clear();
    }
    record
}

/// Whether the record tells of a denied, rejected or cut flow.
fn is_interception(record: &Record) -> bool {
    matches!(record.kind, What::Deny | What::Cut)
}

/// Whether the record tells of a flow that a policy judged.
fn is_judged(record: &Record) -> bool {
    matches!(record.kind, What::Deny | What::Cut | What::Allow)
}

fn other(end: End) -> End {
    match end {
        End::Source => End::Destination,
        End::Destination => End::Source,
    }
}
