//! Judging later: what agents record while they cannot reach the center is told behind the first barrier after its
//! return, and until then nothing of it is judged (semantics 22).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use wire::Record;

use super::World;
use crate::evidence::{Evidence, Observation, Testimony};
use crate::probe::tuple::Tuple;
use crate::scenario::Process;
use crate::witness::testimony::Managed;

impl Observation {
    /// Whether a living agent that the center does not hear has still to testify.
    pub(crate) fn is_pending(&self) -> bool {
        let probes = self.probes.iter().chain(&self.throughout).flat_map(|one| [&one.source_end, &one.destination_end]);
        let sessions = self.sessions.iter().flat_map(|one| [&one.source_end, &one.destination_end]);
        probes.chain(sessions).flatten().any(is_awaited)
    }
}

impl World {
    /// Adds what agents have told since to an earlier step's observation.
    pub(crate) fn complete(&self, observation: &mut Observation) {
        let late = Late::new(&self.account.records, &self.last);
        let mut own = HashSet::new();
        for one in observation.probes.iter_mut().chain(&mut observation.throughout) {
            let tuple = Tuple::of_probe(&one.probe, one.source_port);
            own.insert(tuple);
            late.complete(one, &tuple);
        }
        for one in &mut observation.sessions {
            let Some(session) = self.sessions.get(&one.name) else { continue };
            own.extend([session.tuple, session.tuple.reversed()]);
            late.testify(&one.probe.source, one.source_end.as_mut(), &session.tuple, None);
            late.testify(&one.probe.destination, one.destination_end.as_mut(), &session.tuple, None);
        }
        let told = self.account.records.iter().filter(|record| own.contains(&Tuple::of_record(record)));
        observation.records.extend(told.cloned());
    }

    /// Undoes what keeps agents from the center, so that they can tell the rest. For the end of a scenario.
    pub(crate) fn recover(&mut self) -> Result<(), String> {
        let mut state = (*self.state).clone();
        let center_was_down = state.down.remove(&Process::Center);
        state.cuts.clear();
        self.state = Arc::new(state);
        self.account.turn();
        self.cuts.clear();
        self.lab.heal_all().map_err(|error| error.to_string())?;
        if center_was_down {
            self.start_center()?;
        }
        self.await_agents()?;
        self.settle(Vec::new()).map(drop)
    }
}

/// What was told lately, by tuple.
struct Late<'a> {
    by_tuple: HashMap<Tuple, Vec<&'a Record>>,
    last: &'a BTreeMap<String, Managed>,
}

impl<'a> Late<'a> {
    fn new(records: &'a [Record], last: &'a BTreeMap<String, Managed>) -> Self {
        let mut by_tuple: HashMap<Tuple, Vec<&Record>> = HashMap::new();
        for record in records {
            by_tuple.entry(Tuple::of_record(record)).or_default().push(record);
        }
        Self { by_tuple, last }
    }

    fn complete(&self, one: &mut Evidence, tuple: &Tuple) {
        let sequence = one.tcp_sequence;
        self.testify(&one.probe.source, one.source_end.as_mut(), tuple, sequence);
        self.testify(&one.probe.destination, one.destination_end.as_mut(), tuple, sequence);
    }

    fn testify(&self, vm: &str, end: Option<&mut Testimony>, tuple: &Tuple, sequence: Option<u32>) {
        let Some(end) = end.filter(|end| is_awaited(end)) else { return };
        if !self.last.get(vm).is_some_and(|last| last.barrier) {
            return;
        }
        end.barrier = true;
        let same = |record: &&Record| match (record.tcp_sequence, sequence) {
            (Some(told), Some(seen)) => told == seen,
            (None, _) | (_, None) => true,
        };
        // A session lives on: what an agent did to it when it had learned more belongs to a later step. Without its
        // center nobody knows what it had acknowledged, and it learns nothing.
        let then = |record: &&Record| end.acked == 0 || record.generation_first <= end.acked;
        let own = self.by_tuple.get(tuple).into_iter().flatten().copied().filter(then);
        let told: Vec<Record> = own.filter(|record| record.key.vm == vm).filter(same).cloned().collect();
        end.records.extend(told);
    }
}

fn is_awaited(end: &Testimony) -> bool {
    end.alive && !end.connected && !end.barrier
}
