//! The account of what the center has told: records of the step, barriers, agents, generations.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use policy::Builtin;
use wire::{AgentState, CenterEvent, Direction, Kind, Presence, Record, RecordKey};

use super::counters::Counts;
use super::operator::Operator;
use crate::evidence::Answers;
use crate::jail::halt::{halts, waits};
use crate::patience::scaled;

/// How long one wait for the center's word may last before it is given up and counted.
pub(crate) const LAST_RESORT: Duration = Duration::from_secs(10);
/// What agents do not tell of.
const UNTOLD: [Builtin; 3] = [Builtin::Barrier, Builtin::Center, Builtin::Neighbours];
/// How long a wait lasts before it says so, and says so again.
const SAYS: Duration = Duration::from_secs(1);
/// How long one look at the stream lasts.
const LOOK: Duration = Duration::from_millis(20);
/// … and between two rounds of probes, so that agents get their share of the processor.
const BREATH: Duration = Duration::from_millis(1);
/// Acknowledgements that are kept for a step.
const MOST_ACKS: usize = 1 << 17;
/// Alerts that are kept for a step.
const MOST_ALERTS: usize = 1000;

/// What the center has told.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The step's records but the barriers', in the center's order.
    pub(crate) records: Vec<Record>,
    /// What the center says of each agent.
    pub(crate) agents: BTreeMap<String, AgentState>,
    /// The newest generation.
    pub(crate) published: u64,
    /// Alerts of this step: VM and text.
    pub(crate) alerts: Vec<(String, String)>,
    /// What agents answered in this step.
    pub(crate) answers: Answers,
    /// Waits that the last-resort clock ended in this step.
    pub(crate) by_clock: u64,
    /// The lives of copies' agents, whose records go by the name of the VM that was copied, with the copies' names.
    pub(crate) copies: BTreeMap<String, String>,
    barriers: HashSet<(String, String)>,
    /// The keys of all records that were told, in every step.
    told: HashSet<RecordKey>,
    /// How many packets all records of a VM, a direction and a rule told of, in every step.
    books: BTreeMap<(String, Direction, String), u64>,
    /// How many records of each life of an agent were told, and the highest of their numbers.
    lives: BTreeMap<(String, String), (u64, u64)>,
    /// Something was told that was not heard: it is to be asked for.
    behind: bool,
    /// The number of the newest record that was asked for.
    asked: u64,
}

impl Account {
    /// A new step begins.
    pub(crate) fn turn(&mut self) {
        self.records.clear();
        self.alerts.clear();
        self.barriers.clear();
        self.by_clock = 0;
        self.answers = Answers { from: self.published, ..Answers::default() };
    }

    /// Takes in what the center tells until something holds. `meanwhile` runs between two looks. `false`: the clock
    /// ended the wait.
    pub(crate) fn wait(
        &mut self,
        operator: &mut Operator,
        patience: Duration,
        mut holds: impl FnMut(&Self) -> bool,
        mut meanwhile: impl FnMut(&Self) -> bool,
    ) -> bool {
        let (begun, patience) = (Instant::now(), scaled(patience));
        let mut said = begun;
        loop {
            while let Some(event) = operator.next(Duration::ZERO) {
                self.take(event);
            }
            self.catch_up(operator);
            if holds(self) {
                return true;
            }
            if halts() {
                return false;
            }
            if said.elapsed() > SAYS {
                waits();
                said = Instant::now();
            }
            if begun.elapsed() > patience {
                self.by_clock += 1;
                return false;
            }
            let look = if meanwhile(self) { BREATH } else { LOOK };
            if let Some(event) = operator.next(look) {
                self.take(event);
            }
        }
    }

    /// The center was not heard for a while, and may have told something meanwhile.
    pub(crate) fn fell_behind(&mut self) {
        self.behind = true;
    }

    /// Asks for what was told and not heard; where the center cannot be asked now, it is asked at the next look.
    fn catch_up(&mut self, operator: &mut Operator) {
        while self.behind {
            let Ok((status, stored)) = operator.what_stands(self.asked) else { return };
            self.behind = !stored.is_empty();
            self.asked = stored.last().map_or(self.asked, |newest| newest.id);
            stored.into_iter().for_each(|stored| self.take_record(stored.record));
            self.published = self.published.max(status.generation);
            self.answers.incomplete = true;
            self.agents = status.agents.into_iter().map(|agent| (agent.vm.clone(), agent)).collect();
        }
    }

    /// Whether a VM's barrier with this nonce has come through.
    pub(crate) fn has_barrier(&self, vm: &str, nonce: &str) -> bool {
        self.barriers.contains(&(vm.to_owned(), nonce.to_owned()))
    }

    /// How many records were told, in every step.
    pub(crate) fn heard(&self) -> usize {
        self.told.len()
    }

    /// Where a VM's kernel counted otherwise than was told, in words.
    pub(crate) fn differences(&self, vm: &str, counts: &Counts) -> Vec<String> {
        let mut counted: BTreeMap<(Direction, &str), u64> = BTreeMap::new();
        for ((direction, comment), packets) in counts {
            let rule = comment.split_once(' ').map_or("", |(_, rule)| rule);
            *counted.entry((*direction, rule)).or_default() += packets;
        }
        counted.retain(|(_, rule), _| !UNTOLD.iter().any(|builtin| builtin.name() == *rule));
        let told = |direction, rule: &str| self.books.get(&(vm.to_owned(), direction, rule.to_owned())).copied();
        let compared =
            counted.into_iter().map(|((way, rule), packets)| (way, rule, packets, told(way, rule).unwrap_or(0)));
        let differ = compared.filter(|(_, _, packets, told)| told != packets);
        differ
            .map(|(way, rule, packets, told)| {
                format!("`{vm}` {way:?} {rule}: the kernel counted {packets}, and {told} were told")
            })
            .collect()
    }

    /// The lives of which a record is missing: VM, records and the highest of their numbers.
    pub(crate) fn holes(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let lives = self.lives.iter().map(|((vm, _), (count, highest))| (vm.as_str(), *count, *highest));
        lives.filter(|(_, count, highest)| count != highest)
    }

    /// The generation that a VM's agent has acknowledged last.
    pub(crate) fn acked(&self, vm: &str) -> u64 {
        self.agents.get(vm).map_or(0, |agent| agent.acked)
    }

    fn take(&mut self, event: CenterEvent) {
        match event {
            CenterEvent::Record(record) => self.take_record(*record),
            CenterEvent::Published { generation } => self.published = self.published.max(generation),
            CenterEvent::Agent(agent) => self.take_agent(agent),
            CenterEvent::Alert { vm, detail } if self.alerts.len() < MOST_ALERTS => self.alerts.push((vm, detail)),
            CenterEvent::Alert { .. } => {}
            CenterEvent::Missed { .. } => self.behind = true,
        }
    }

    fn take_agent(&mut self, agent: AgentState) {
        let known = self.agents.get(&agent.vm).map_or(0, |agent| agent.acked);
        if agent.presence != Presence::Online {
            self.answers.away.insert(agent.vm.clone());
        }
        if agent.acked > known {
            match self.answers.acks.len() < MOST_ACKS {
                true => self.answers.acks.push((agent.vm.clone(), agent.acked)),
                false => self.answers.incomplete = true,
            }
        }
        self.agents.insert(agent.vm.clone(), agent);
    }

    fn take_record(&mut self, mut record: Record) {
        if !self.told.insert(record.key.clone()) {
            return;
        }
        if let Some(copy) = self.copies.get(&record.key.boot) {
            record.key.vm.clone_from(copy);
        }
        let life = self.lives.entry((record.key.vm.clone(), record.key.boot.clone())).or_default();
        *life = (life.0 + 1, life.1.max(record.key.sequence));
        // What an alert counts is what was tried, not what its rule intercepted.
        if record.kind != Kind::Alert {
            let book = (record.key.vm.clone(), record.direction, record.rule.clone());
            *self.books.entry(book).or_default() += record.packets;
        }
        if record.rule == Builtin::Barrier.name() {
            self.barriers.insert((record.key.vm, record.detail));
        } else {
            self.records.push(record);
        }
    }
}
