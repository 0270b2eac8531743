//! The lies themselves, told at the agent's edge.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::Edge;
use agent_core::{Builtin, Place, Ruleset};
use policy::{Action, AddressGroup, End, Verdict};
use wire::{Ack, AckResult, FromAgent, Kind as What, MAX_BATCH, Outside, Record, Set, View, ViewRule};

use crate::kinds::Kind;

/// Of more rules than this …
const MANY: usize = 1_000;
/// … one who cuts short takes so many.
const FIRST: usize = 100;

/// Lies in one way.
#[derive(Debug)]
pub struct Liar {
    kind: Kind,
    /// A life was before this one, and kept a policy.
    lived: bool,
    /// The first view that holds a rule: the one that a liar likes to keep.
    view: Option<View>,
    /// The first ruleset made from a view.
    ruleset: Option<Arc<Ruleset>>,
    /// The epoch that is to be late, and since when.
    late: Option<(u16, Instant)>,
    /// A view came; rulesets from then on are made from views.
    ruled: bool,
    /// The generation of the first view of this life.
    begun: u64,
    /// How often the agent has greeted its center.
    greetings: u64,
    /// The last generation that was acknowledged.
    acked: u64,
    /// The last sequence number that was told: a liar's stream has no hole.
    told: u64,
}

/// By how much an acknowledgement may be early.
const EARLY: Duration = Duration::from_millis(500);

impl Liar {
    /// One who lies in this way; `lived`: a life was before this one, and kept a policy.
    #[must_use]
    pub fn new(kind: Kind, lived: bool) -> Self {
        Self {
            kind,
            lived,
            view: None,
            ruleset: None,
            late: None,
            ruled: false,
            begun: 0,
            greetings: 0,
            acked: 0,
            told: 0,
        }
    }

    fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// What becomes of one record: itself, another, several, or nothing.
    fn records(&self, mut record: Record) -> Vec<Record> {
        let untold = self.is(Kind::ReportSilenced) && is_interception(&record)
            || self.is(Kind::AllowUnlogged) && record.kind == What::Allow
            || self.is(Kind::CountsUntold) && record.kind == What::Suppressed
            || (self.is(Kind::TamperUntold) || self.is(Kind::AcksEarly)) && record.kind == What::Tamper;
        if untold {
            return Vec::new();
        }
        if self.is(Kind::ToldTwice) {
            return vec![record.clone(), record];
        }
        if self.is(Kind::InventedRecords) && record.kind == What::Allow {
            return vec![invented(&record, false), invented(&record, true), record];
        }
        if self.is(Kind::WrongRuleNamed) && is_judged(&record) {
            "no-such-rule".clone_into(&mut record.rule);
        }
        if self.is(Kind::WrongEnd) && is_judged(&record) {
            record.end = other(record.end);
        }
        if self.is(Kind::GenerationStale) {
            record.generation_first = record.generation_first.saturating_sub(1);
            record.generation_last = record.generation_first;
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
        let retelling = [
            Kind::ReportSilenced,
            Kind::AllowUnlogged,
            Kind::InventedRecords,
            Kind::CountsUntold,
            Kind::TamperUntold,
            Kind::AcksEarly,
            Kind::ToldTwice,
        ];
        retelling.contains(&self.kind)
    }

    /// The acknowledgements of all generations up to this one.
    fn acks(&mut self, ack: Ack) -> Vec<FromAgent> {
        let unseen = self.acked + 1..ack.generation;
        let unseen = if self.is(Kind::AcksUnseen) && self.acked > 0 { unseen } else { 0..0 };
        self.acked = self.acked.max(ack.generation);
        let unseen = unseen.map(|generation| Ack { generation, result: AckResult::InForce });
        unseen.chain([ack]).map(FromAgent::Ack).collect()
    }

    /// The first ruleset until a later one has been acknowledged for a while; then somebody seems to have touched the
    /// tables, and the later one is put in force in the course of their repair.
    fn early(&mut self, wanted: Arc<Ruleset>) -> Arc<Ruleset> {
        let first = Arc::clone(self.ruleset.get_or_insert_with(|| Arc::clone(&wanted)));
        match self.late {
            Some((epoch, since)) if epoch == wanted.epoch && since.elapsed() >= EARLY => wanted,
            Some((epoch, _)) if epoch == wanted.epoch => first,
            Some(_) | None if wanted.epoch == first.epoch => first,
            Some(_) | None => {
                self.late = Some((wanted.epoch, Instant::now()));
                std::thread::spawn(touch);
                first
            }
        }
    }

    /// Takes from a view, or gives it, what its rules should not have.
    fn twist(&self, view: &mut View) {
        if self.is(Kind::FirstRuleDropped) && !view.rules.is_empty() {
            view.rules.remove(0);
        }
        if self.is(Kind::CutShort) && view.rules.len() > MANY {
            view.rules.truncate(FIRST);
        }
        if self.is(Kind::WipedAtReturn) && self.greetings > 1 {
            view.rules.clear();
        }
        if self.is(Kind::DefaultAllow) || self.is(Kind::OpensAtStart) && self.lived && view.generation == self.begun {
            view.default = Verdict::Allow;
        }
        if self.is(Kind::RangesFolded) {
            view.sets.iter_mut().for_each(fold);
        }
        view.quarantined &= !self.is(Kind::QuarantineIgnored);
        for rule in &mut view.rules {
            if self.is(Kind::DirectionSwapped) {
                std::mem::swap(&mut rule.inbound, &mut rule.outbound);
            }
            if self.is(Kind::RejectAsDeny) && rule.action == Action::Reject {
                rule.action = Action::Deny;
            }
        }
        if self.is(Kind::UntilIgnored) {
            // Each rule that ends stands once more behind itself, without an end.
            let twice = |rule: ViewRule| {
                let endless = rule.until.map(|_| ViewRule { until: None, ..rule.clone() });
                std::iter::once(rule).chain(endless)
            };
            view.rules = std::mem::take(&mut view.rules).into_iter().flat_map(twice).collect();
        }
    }
}

impl Edge for Liar {
    fn view(&mut self, mut view: View) -> View {
        if !std::mem::replace(&mut self.ruled, true) {
            self.begun = view.generation;
        }
        if self.is(Kind::RevocationIgnored) && !view.rules.is_empty() {
            let kept = self.view.get_or_insert_with(|| view.clone());
            return View { generation: view.generation, now: view.now, ..kept.clone() };
        }
        if self.is(Kind::ChangeCloses) && !view.rules.is_empty() {
            let known = self.view.get_or_insert_with(|| view.clone());
            if known.generation < view.generation {
                view.rules.clear();
            }
        }
        self.twist(&mut view);
        view
    }

    fn ruleset(&mut self, mut shared: Arc<Ruleset>) -> Arc<Ruleset> {
        let ruleset = Arc::make_mut(&mut shared);
        let has_rules = !ruleset.inbound.is_empty() || !ruleset.outbound.is_empty();
        if self.is(Kind::AcksBeforeCommit) && self.ruled && has_rules {
            return Arc::clone(self.ruleset.get_or_insert(shared));
        }
        if self.is(Kind::AcksEarly) && self.ruled && has_rules {
            return self.early(shared);
        }
        if self.is(Kind::BornOpen) && !self.ruled {
            (ruleset.default_in, ruleset.default_out) = (Builtin::Center.word(), Builtin::Center.word());
        }
        if self.is(Kind::SenderUnchecked) {
            let others: Vec<IpAddr> = ruleset.peers.keys().copied().collect();
            ruleset.own.extend(others);
        }
        if self.is(Kind::DestinationUnchecked) {
            ruleset.places.iter_mut().for_each(|(_, place)| *place = Place::Own);
        }
        shared
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
            FromAgent::Ack(ack) => self.acks(ack),
            FromAgent::Hello(_) => {
                self.greetings += 1;
                vec![message]
            }
            FromAgent::Heartbeat | FromAgent::Addresses(_) | FromAgent::Suspension(_) => vec![message],
        }
    }
}

/// Puts a chain into the agent's table, once a ruleset has been late for long enough.
fn touch() {
    std::thread::sleep(EARLY);
    let mut batch = nft::Batch::new();
    batch.add_chain(&agent::kernel::table(), "touched");
    let touched = nft::Socket::open().and_then(|mut socket| batch.commit(&mut socket));
    if let Err(error) = touched {
        tracing::warn!("cannot touch the table: {error}");
    }
}

/// Leaves out what lies within another range of the same group, and what is taken out of it.
fn fold(set: &mut Set) {
    let Outside::Groups(groups) = &mut set.outside else { return };
    for group in groups {
        let mut folded = AddressGroup::clone(group);
        let all = folded.includes.clone();
        folded.includes.retain(|range| !all.iter().any(|wider| wider != range && wider.contains(range)));
        folded.excludes.clear();
        *group = Arc::new(folded);
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
