//! Observing a step: sessions and probes, then barriers, then what every witness has to say.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use policy::Builtin;
use reports::delays::Delays;
use reports::event::Figures;
use wire::Kind;

use super::exec::Running;
use super::own::Own;
use super::throughout::managed;
use super::{CENTER, CENTER_V4, CENTER_V6, Wanted, World};
use crate::evidence::{Evidence, Observation, Probe};
use crate::plan::{PlannedCell, PlannedStep};
use crate::probe::prober::Attempt;
use crate::probe::tuple::Tuple;
use crate::scenario::{Act, Action, Process};
use crate::witness::account::Account;
use crate::witness::barrier::{self, Far, Nonce};
use crate::witness::counters::{Counts, risen};
use crate::witness::testimony::{Managed, Sources, evidence};

/// How long a barrier may take; its absence makes `unproven`, never "denied".
const BARRIER: Duration = Duration::from_secs(5);
/// How many probes are under way at once: each has a socket of its own, and so has what it meets.
const AT_ONCE: usize = 4_000;
/// The rules of what leaves by raw sockets.
const RAW: [&str; 2] = ["eastwest/spoofed", "eastwest/bypass"];

impl World {
    /// Begins a step: nothing of the one before is held against it.
    pub(crate) fn begin(&mut self, step: &PlannedStep) -> Result<(), String> {
        self.undone.clear();
        self.act_all(&step.prelude)?;
        // Words of the step before that are still under way belong to it.
        self.await_word(Duration::ZERO, |_| true);
        self.account.turn();
        self.own.iter_mut().for_each(Own::turn);
        if step.wants_memory() {
            self.forget_peak()?;
        }
        self.ran = self.running.values().map(Running::at).collect();
        self.stopped = self.stopped_for(step);
        self.flooded = None;
        self.carried = None;
        self.busiest = 0.0;
        self.outlived.clear();
        self.note_acknowledged()?;
        self.taps.clear().map_err(|error| error.to_string())?;
        self.rounds.begin(step.throughout.iter().map(wanted).collect(), ends_a_life(step));
        let probes: Vec<Probe> = step.throughout.iter().map(|cell| self.probe(wanted(cell))).collect();
        self.prober.prepare(&self.lab, &probes)
    }

    /// Does the step's items in order, and probes `throughout` once more behind the last.
    pub(crate) fn carry_out(&mut self, step: &PlannedStep) -> Result<(), String> {
        self.act_all(&step.acts)?;
        self.await_slow().map_err(|error| format!("cannot {error}"))?;
        self.await_standings(step);
        self.await_word(Duration::ZERO, |_| true);
        let Self { account, rounds, lab, prober, counters, known, next_probe, state, .. } = self;
        rounds.go(&mut super::throughout::Hands { lab, prober, counters, known, next_probe, state }, account);
        rounds.stop();
        Ok(())
    }

    /// Probes the step's cells, exercises its sessions, and gathers what the witnesses saw.
    pub(crate) fn observe(&mut self, step: &PlannedStep) -> Result<(Observation, Figures), String> {
        // What is on its way has its turn first: where a queue is full, the probes' own records would be lost.
        let mut imbalance = if step.wants_balance() { self.balance()? } else { Vec::new() };
        let sessions = self.exercise(step)?;
        let probes: Vec<Probe> = step.cells.iter().map(|cell| self.probe(wanted(cell))).collect();
        self.prober.prepare(&self.lab, &probes)?;
        self.break_prepared(&probes);
        let begun = Instant::now();
        let mut made = self.settle(probes)?;
        let again = self.settle_again(&mut made)?;
        self.in_time()?;
        self.still_suspended()?;
        self.still_in_force()?;
        self.still_enforced()?;
        let settle_seconds = begun.elapsed().as_secs_f64();
        let throughout = self.gather_rounds();
        self.look_at_foreign()?;
        if step.wants_balance() && imbalance.is_empty() {
            imbalance = self.balance()?;
        }
        self.await_acks(step);
        self.look_at_programs()?;
        let (own, strays) = self.strays();
        let observation = Observation {
            sessions: self.session_evidence(step, &sessions),
            throughout,
            strays,
            records: self.account.records.clone(),
            agents: self.account.agents.values().cloned().collect(),
            disconnected: self.disconnected(),
            published: self.account.published,
            answers: self.account.answers.clone(),
            center_peak: step.wants_memory().then(|| self.center_peak()).flatten(),
            undone: self.undone.clone(),
            stopped: self.newly_stopped(step),
            imbalance,
            probes: made,
        };
        let figures = self.figures(&observation, again, settle_seconds);
        Ok((observation, Figures { own: own.iter().map(|record| record.packets).sum(), ..figures }))
    }

    /// Sends one batch of probes and waits for its records.
    pub(super) fn settle(&mut self, probes: Vec<Probe>) -> Result<Vec<Evidence>, String> {
        self.await_word(Duration::ZERO, |_| true);
        let mut managed = managed(&self.state, &self.account);
        let published = self.account.published;
        let before = self.read_counters(&managed);
        let mut attempts: Vec<Attempt> = Vec::with_capacity(probes.len());
        for part in probes.chunks(AT_ONCE) {
            attempts.extend(self.prober.run(&self.lab, part.to_vec()));
        }
        self.known.extend(attempts.iter().map(|attempt| attempt.tuple));
        self.raise_barriers(&mut managed)?;
        self.taps.drain().map_err(|error| error.to_string())?;
        let after = self.read_counters(&managed);
        for (vm, one) in &mut managed {
            if let (Some(before), Some(after)) = (before.get(vm), after.get(vm)) {
                one.risen = risen(before, after);
            }
        }
        let taken_out = self.taken_out();
        let (taps, account) = (&self.taps, &self.account);
        let sources = Sources { managed: &managed, taps, account, taken_out: &taken_out, published };
        // What others send at the same time is counted as well.
        let made = evidence(attempts, &sources, !self.others_send());
        self.last = managed;
        Ok(made)
    }

    /// One sentinel per direction of every living, connected VM, and the wait for all of them.
    pub(super) fn raise_barriers(&mut self, managed: &mut BTreeMap<String, Managed>) -> Result<(), String> {
        let center = self.lab.station(CENTER).map_err(|error| error.to_string())?;
        let far = Far { mac: center.mac(), addresses: vec![CENTER_V4, CENTER_V6] };
        let mut awaited: Vec<(String, String)> = Vec::new();
        for vm in managed.iter().filter(|(_, one)| one.alive && one.connected).map(|(vm, _)| vm) {
            let (out, into): (Nonce, Nonce) = (rand::random(), rand::random());
            let station = self.lab.station(vm).map_err(|error| error.to_string())?;
            if let Err(error) = barrier::send(station, &far, out, into) {
                // What is not sent does not come through: its records stay unproven.
                tracing::warn!(vm, %error, "cannot raise a barrier");
                continue;
            }
            awaited.extend([out, into].map(|nonce| (vm.clone(), barrier::hex(&nonce))));
        }
        let through = |account: &Account| awaited.iter().all(|(vm, nonce)| account.has_barrier(vm, nonce));
        self.await_word(BARRIER, through);
        for (vm, one) in managed {
            let mut own = awaited.iter().filter(|(of, _)| of == vm).peekable();
            one.barrier = own.peek().is_some() && own.all(|(vm, nonce)| self.account.has_barrier(vm, nonce));
        }
        Ok(())
    }

    fn read_counters(&mut self, managed: &BTreeMap<String, Managed>) -> BTreeMap<String, Counts> {
        let mut all = BTreeMap::new();
        for vm in managed.keys() {
            all.extend(self.counters.of(&self.lab, vm).map(|counts| (vm.clone(), counts)));
        }
        all
    }

    /// The evidence of `throughout`; its barriers are those behind the step's probes.
    fn gather_rounds(&mut self) -> Vec<Evidence> {
        let mut all = Vec::new();
        let taken_out = self.taken_out();
        for mut round in std::mem::take(&mut self.rounds.done) {
            for (vm, one) in &mut round.managed {
                one.barrier = self.last.get(vm).is_some_and(|last| last.barrier);
            }
            // What an agent judged by may be newer than what the harness had heard of when the probe left.
            let published = self.account.published;
            let (taps, account) = (&self.taps, &self.account);
            let sources = Sources { managed: &round.managed, taps, account, taken_out: &taken_out, published };
            all.extend(evidence(round.attempts, &sources, false));
        }
        all
    }

    /// Records that nothing explains: those of people's own programs in a living lab, and others. Totals, storms, declared gaps and detectors' alerts are about no single flow
    /// (semantics 20).
    fn strays(&self) -> (Vec<wire::Record>, Vec<wire::Record>) {
        let explained = |record: &&wire::Record| match record.kind {
            Kind::Invalid | Kind::Gap | Kind::Barrier | Kind::Alert | Kind::Aggregated | Kind::Suppressed => true,
            Kind::Tamper => self.tampered.contains(&record.key.vm),
            Kind::Allow | Kind::Deny | Kind::Cut => {
                let tuple = Tuple::of_record(record);
                let is_in = |sent: &HashSet<Tuple>| sent.contains(&tuple) || sent.contains(&tuple.reversed());
                // Probes leave by ordinary sockets: what is told of raw ones is about crafted packets alone, save where
                // the address was nobody's, or where the ruleset that marks what it has judged was tampered with, and
                // nothing is marked.
                match RAW.contains(&record.rule.as_str()) {
                    true if self.unbound.contains(&record.source.address) => is_in(&self.known),
                    true => is_in(&self.crafted) || self.tampered.contains(&record.key.vm),
                    false => is_in(&self.known),
                }
            }
        };
        let strays = self.account.records.iter().filter(|record| !explained(record)).cloned();
        strays.partition(|record| self.is_own(record))
    }

    fn figures(&self, observation: &Observation, again: u64, settle_seconds: f64) -> Figures {
        let probes = observation.probes.iter().chain(&observation.throughout);
        let recorded = |one: &Evidence| {
            let ends = [&one.source_end, &one.destination_end];
            let mut records = ends.into_iter().flatten().flat_map(|end| &end.records);
            records.any(|record| record.verdict != policy::Verdict::Allow)
        };
        let invalid = observation.records.iter().filter(|record| record.rule == Builtin::Invalid.name());
        Figures {
            change_seconds: 0.0,
            settle_seconds,
            probes: probes.clone().count() as u64,
            intercepted: probes.clone().filter(|one| recorded(one)).count() as u64,
            again,
            by_clock: self.account.by_clock + probes.filter(|one| one.by_clock).count() as u64,
            tap_losses: self.taps.lost(),
            invalid: invalid.map(|record| record.packets).sum(),
            flooded: self.flooded.map_or(0, |flooded| flooded.packets),
            flood_seconds: self.flooded.map_or(0.0, |flooded| flooded.seconds),
            carried: self.carried.map_or(0, |carried| carried.bytes),
            carry_seconds: self.carried.map_or(0.0, |carried| carried.seconds),
            busiest_agent: self.busiest,
            outlived: Delays::of(&self.outlived),
            own: 0,
        }
    }
}

/// Whether a step ends the life of an agent, so that what it saw last may never be told.
fn ends_a_life(step: &PlannedStep) -> bool {
    let ends = |act: &crate::plan::PlannedAct| {
        let Action::Process { act, process: Process::Agent(_) } = &act.doing.action else { return false };
        matches!(act, Act::Kill | Act::Stop | Act::Restart)
    };
    step.acts.iter().any(ends)
}

pub(super) fn wanted(cell: &PlannedCell) -> Wanted {
    Wanted {
        source: cell.source.to_string(),
        destination: cell.destination.to_string(),
        from: cell.source_address,
        to: cell.destination_address,
        service: cell.service,
    }
}
