//! Random histories of an agent beside a kernel that counts every packet and logs as many as it likes: storms, logs that are
//! lost, lives that end between any two deeds, a center that is away. In the end, for each direction and rule, what the
//! kernel counted is what was told one by one, told as one, told by the counters alone, or declared lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

mod views;
mod world;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use agent_core::{Config, Count, Direction, KernelRequest, Limits, LogEvent, LogKind, Machine, Ruleset, State, Word};
use policy::{Action, FlowService, Verdict};
use proptest::prelude::*;
use views::{ANY, look_up, rule, tcp, udp};
use wire::{FromAgent, Kind, Record, RecordKey, View};
use world::{Disk, first_packet, generation};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Packets of a rule are counted; some of them are logged, in this many of ten.
    Packets { rule: usize, times: u16, of_ten: u16 },
    /// The agent reads so many messages.
    Read(usize),
    /// A tick, at which the log is read to its end and the counters are read.
    Tick,
    /// The disk does what it was asked.
    Write,
    /// The session begins or breaks.
    Session(bool),
    /// The center stored what it heard.
    Answer,
    /// Messages are lost on their way.
    Lose(usize),
    /// The agent is killed and starts anew, after so many packets that nobody logged.
    Kill { unheard: u16 },
    /// The next generation, by which another rule decides.
    View,
}

fn step() -> impl Strategy<Value = Step> {
    let packets = |times| (0..4_usize, times, 0..=10_u16);
    prop_oneof![
        8 => packets(1..4_u16).prop_map(|(rule, times, of_ten)| Step::Packets { rule, times, of_ten }),
        1 => packets(4_000..5_000_u16).prop_map(|(rule, times, of_ten)| Step::Packets { rule, times, of_ten }),
        4 => (0..10_usize).prop_map(Step::Read),
        3 => Just(Step::Tick),
        4 => Just(Step::Write),
        2 => any::<bool>().prop_map(Step::Session),
        2 => Just(Step::Answer),
        1 => (0..5_usize).prop_map(Step::Lose),
        1 => (0..9_u16).prop_map(|unheard| Step::Kill { unheard }),
        1 => Just(Step::View),
    ]
}

/// What each outcome is reached by.
const FLOWS: [(Direction, FlowService); 4] = [
    (Direction::In, FlowService::Tcp(22)),
    (Direction::In, FlowService::Udp(9)),
    (Direction::Out, FlowService::Tcp(22)),
    (Direction::In, FlowService::Tcp(80)),
];

/// Packets by direction and rule.
type Sums = BTreeMap<(Direction, String), u64>;

struct World {
    machine: Machine,
    life: usize,
    now: u64,
    kept: Option<State>,
    disk: Disk,
    kernel: Option<Arc<Ruleset>>,
    counts: BTreeMap<(Direction, Word), u64>,
    log: VecDeque<LogEvent>,
    generation: u64,
    connected: bool,
    stored: BTreeMap<RecordKey, Record>,
    heard: VecDeque<RecordKey>,
}

fn config(life: usize) -> Config {
    let spool = Limits { records: 200, bytes: 1 << 20 };
    Config { boot: format!("boot-{life:04}"), spool, ..world::config(2047) }
}

impl World {
    fn new() -> Self {
        let machine = Machine::new(config(0), None, Disk::default().read());
        let mut world = Self {
            machine,
            life: 0,
            now: 0,
            kept: None,
            disk: Disk::default(),
            kernel: None,
            counts: BTreeMap::new(),
            log: VecDeque::new(),
            generation: 0,
            connected: false,
            stored: BTreeMap::new(),
            heard: VecDeque::new(),
        };
        world.pump();
        world.view();
        world
    }

    fn view(&mut self) {
        self.generation += 1;
        let odd = if self.generation.is_multiple_of(2) { "even" } else { "odd" };
        let rules = vec![rule(odd, Action::Reject, &[udp(9)], ANY), rule("web", Action::Allow, &[tcp(80, 80)], ANY)];
        let view: View = generation(self.generation, rules);
        self.machine.handle_view(view, self.now);
        self.pump();
    }

    fn pump(&mut self) {
        loop {
            self.kept = self.machine.poll_persist().or(self.kept.take());
            match self.machine.poll_kernel() {
                None => break,
                Some(KernelRequest::Sweep { .. }) => self.machine.handle_swept(self.now),
                Some(KernelRequest::Repair { .. }) => self.machine.handle_repaired(),
                Some(KernelRequest::Apply { ruleset, .. }) => {
                    self.kernel = Some(ruleset);
                    self.machine.handle_committed(self.now);
                }
            }
        }
    }

    fn packets(&mut self, (direction, service): (Direction, FlowService), times: u16, of_ten: u16) {
        let ruleset = self.kernel.as_ref().unwrap();
        let word = look_up(ruleset, direction == Direction::In, "10.98.0.2".parse().unwrap(), service);
        let mark = u32::from(ruleset.epoch) << 20 | word.0;
        let kind = if word.action() == Some(agent_core::Action::Allow) { LogKind::Allow } else { LogKind::Deny };
        let (me, peer) = ("10.98.0.1".parse().unwrap(), "10.98.0.2".parse().unwrap());
        let ends = if direction == Direction::In { (peer, me) } else { (me, peer) };
        for number in 0..times {
            *self.counts.entry((direction, word)).or_default() += 1;
            if number % 10 < of_ten {
                self.log.push_back(LogEvent { kind, direction, mark, packet: first_packet(ends, service, 1) });
            }
        }
    }

    fn read(&mut self, count: usize) {
        for _ in 0..count {
            let Some(event) = self.log.pop_front() else { break };
            self.machine.handle_log(&event, self.now * 1000);
        }
    }

    fn tick(&mut self) {
        self.now += 400;
        self.machine.handle_tick(self.now);
        self.read(usize::MAX);
        if self.machine.wants_counts(self.now * 1000) {
            let counts = self.counts.iter().map(|((direction, word), packets)| Count {
                direction: *direction,
                word: *word,
                packets: *packets,
            });
            self.machine.handle_counts(&counts.collect::<Vec<_>>(), self.now * 1000);
        }
        self.pump();
    }

    /// Records are on disk before they are sent.
    fn send(&mut self) {
        self.disk.carry_out(self.machine.poll_spool());
        while let Some(message) = self.machine.poll_send() {
            let FromAgent::Records(records) = message else { continue };
            for record in records {
                self.heard.push_back(record.key.clone());
                self.stored.entry(record.key.clone()).or_insert(record);
            }
        }
    }

    fn session(&mut self, stands: bool) {
        if stands && !self.connected {
            self.machine.handle_connected(Vec::new());
        } else if !stands && self.connected {
            self.machine.handle_disconnected();
            self.heard.clear();
        }
        self.connected = stands;
    }

    fn answer(&mut self) {
        for key in std::mem::take(&mut self.heard) {
            self.machine.handle_stored(&key.boot, key.sequence);
        }
    }

    fn kill(&mut self, unheard: u16) {
        self.log.clear();
        (self.connected, self.heard) = (false, VecDeque::new());
        self.life += 1;
        let former = self.disk.read();
        self.disk.begin_anew();
        for flow in FLOWS {
            self.packets(flow, unheard, 0);
        }
        self.machine = Machine::new(config(self.life), self.kept.clone(), former);
        self.pump();
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Packets { rule, times, of_ten } => self.packets(FLOWS[rule], times, of_ten),
            Step::Read(count) => self.read(count),
            Step::Tick => self.tick(),
            Step::Write => self.disk.carry_out(self.machine.poll_spool()),
            Step::Session(stands) => self.session(stands),
            Step::Answer => self.answer(),
            Step::Lose(count) => {
                let lost = count.min(self.log.len());
                self.log.drain(..lost);
                self.machine.handle_lost(lost as u64);
            }
            Step::Kill { unheard } => self.kill(unheard),
            Step::View => self.view(),
        }
        if self.connected {
            self.send();
        }
    }

    /// Time goes by, and the center listens, until nothing is left to be told.
    fn settle(&mut self) {
        self.session(true);
        for _ in 0..40 {
            self.tick();
            self.send();
            self.answer();
        }
    }

    /// What the kernel counted and what was told, by direction and rule.
    fn sums(&self) -> (Sums, Sums) {
        let mut counted = Sums::new();
        let kept = self.kept.as_ref().unwrap();
        for ((direction, word), packets) in &self.counts {
            let outcome = kept.numbering.outcome(word.number()).unwrap();
            if outcome.log || outcome.verdict != Verdict::Allow {
                *counted.entry((*direction, outcome.rule.clone())).or_default() += packets;
            }
        }
        let mut told = Sums::new();
        for record in self.stored.values() {
            *told.entry((record.direction, record.rule.clone())).or_default() += record.packets;
        }
        (counted, told)
    }
}

fn run(steps: Vec<Step>) -> World {
    let mut world = World::new();
    steps.into_iter().for_each(|step| world.go(step));
    world.settle();
    let (counted, told) = world.sums();
    let shown = |one: &Record| format!("{:?} {} {} {}", one.kind, one.rule, one.packets, one.detail);
    assert_eq!(counted, told, "{:#?}", world.stored.values().map(shown).collect::<BTreeSet<_>>());
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn counted_is_told_or_suppressed_or_declared_lost(steps in prop::collection::vec(step(), 0..80)) {
        run(steps);
    }
}

#[test]
fn a_storm_is_one_record_with_its_span_and_ports() {
    let mut world = World::new();
    let ssh = FLOWS[0];
    let mut steps = vec![Step::Session(true)];
    for _ in 0..5 {
        steps.extend([Step::Packets { rule: 0, times: 9_000, of_ten: 10 }, Step::Tick, Step::Answer]);
    }
    steps.into_iter().for_each(|step| world.go(step));
    world.packets((ssh.0, FlowService::Tcp(25)), 1, 10);
    world.packets((ssh.0, FlowService::Tcp(23)), 1, 10);
    world.settle();
    let kinds: BTreeSet<Kind> = world.stored.values().map(|record| record.kind).collect();
    assert_eq!(kinds, BTreeSet::from([Kind::Deny, Kind::Aggregated, Kind::Gap]));
    let storms: Vec<_> = world.stored.values().filter(|record| record.kind == Kind::Aggregated).collect();
    let [storm] = storms.as_slice() else { panic!("{storms:#?}") };
    assert_eq!((storm.packets, storm.rule.as_str()), (5 * 9_000 + 2 - 4_096, "default"));
    assert_eq!(storm.detail, "from second 0.400 to 2.400 of the agent's life, ports 22-23,25");
    assert_eq!((storm.source.vm.as_deref(), storm.destination.vm.as_deref()), (Some("hr-2"), Some("hr-1")));
}
