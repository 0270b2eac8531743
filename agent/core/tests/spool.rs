//! Random histories of a spool with its disk: records are made, sent, stored, lost; the agent is killed between any two
//! deeds and begins anew with what the disk holds. In the end the center has every record that was not declared lost,
//! once and in order.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;
mod world;

use std::collections::{BTreeMap, VecDeque};

use agent_core::{Former, Limits, Spool, SpoolChange};
use proptest::prelude::*;
use wire::{Kind, Record};
use world::{Disk, record};

const LIMITS: Limits = Limits { records: 12, bytes: 2_000 };

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A packet is logged.
    Push,
    /// The disk does what it was asked.
    Write,
    /// A batch reaches the center.
    Send,
    /// The center's answer reaches the agent.
    Answer,
    /// The session breaks.
    Break,
    /// The agent is killed, and starts anew; a power cut may take the end of the file.
    Kill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => Just(Step::Push),
        5 => Just(Step::Write),
        2 => Just(Step::Send),
        2 => Just(Step::Answer),
        1 => Just(Step::Break),
        1 => prop_oneof![3 => Just(0), 1 => 1..3_usize].prop_map(Step::Kill),
    ]
}

/// A center: keeps each key once, in the order of arrival.
#[derive(Default)]
struct Center {
    stored: Vec<Record>,
    answers: VecDeque<(String, u64)>,
}

impl Center {
    fn hear(&mut self, batch: Vec<Record>) {
        let last = batch.last().unwrap().key.clone();
        for record in batch {
            assert_eq!(record.key.boot, last.boot, "a batch is of one boot");
            if !self.stored.iter().any(|known| known.key == record.key) {
                self.stored.push(record);
            }
        }
        self.answers.push_back((last.boot, last.sequence));
    }
}

#[derive(Default)]
struct Life {
    number: usize,
    /// Packets that were logged and were neither written nor sent when the agent was killed.
    gone: u64,
}

fn run(steps: Vec<Step>) {
    let boot = |number: usize| format!("boot-{number}");
    let begin = |number, former| Spool::new("db".into(), boot(number), LIMITS, former);
    let (mut spool, mut disk, mut center, mut life) =
        (begin(0, Former::default()), Disk::default(), Center::default(), Life::default());
    let (mut made, mut cut) = (0, false);
    for step in steps {
        match step {
            Step::Push => {
                made += 1;
                spool.push(record(made));
            }
            Step::Write => disk.carry_out(spool.poll_change()),
            Step::Send => {
                disk.carry_out(spool.poll_change());
                spool.next_batch().into_iter().for_each(|batch| center.hear(batch));
            }
            Step::Answer => {
                if let Some((boot, up_to)) = center.answers.pop_front() {
                    spool.stored(&boot, up_to);
                }
            }
            Step::Break => {
                center.answers.clear();
                spool.rewind();
            }
            Step::Kill(torn) => {
                // What was not written yet is gone with the process, which a disk that is asked each time keeps small.
                let unwritten = spool.poll_change().unwrap_or_default();
                life.gone += packets(&unwritten, &disk, spool.boot());
                cut |= torn > 0;
                disk.tear(torn);
                life.number += 1;
                center.answers.clear();
                spool = begin(life.number, disk.read());
                disk.begin_anew();
            }
        }
        assert!(spool.waiting() <= LIMITS.records + life.number * 4, "{}", spool.waiting());
    }
    disk.carry_out(spool.poll_change());
    spool.rewind();
    for _ in 0..1000 {
        let Some(batch) = spool.next_batch() else { break };
        center.hear(batch);
        while let Some((boot, up_to)) = center.answers.pop_front() {
            spool.stored(&boot, up_to);
        }
        disk.carry_out(spool.poll_change());
    }
    assert_eq!((spool.waiting(), disk.len()), (0, 0), "all is stored, and the disk is empty");
    in_order(&center.stored);
    let told: u64 = center.stored.iter().map(|record| record.packets).sum();
    match cut {
        false => assert_eq!(told + life.gone, made, "{:#?}", center.stored),
        true => assert!(told + life.gone <= made + disk.torn, "{told} + {} of {made}", life.gone),
    }
}

/// Packets of a change that was never carried out: its records, and its word of losses beyond what the disk says. What
/// former lives left is found again.
fn packets(change: &SpoolChange, disk: &Disk, boot: &str) -> u64 {
    let read = |bytes: &Vec<u8>| Record::decoded(bytes).unwrap();
    let Former { mut records, tail } = disk.read();
    records.extend(tail.lost);
    let on_disk = |key: &wire::RecordKey| records.iter().find(|one| one.key == *key).map_or(0, |one| one.packets);
    let appended = change.append.iter().map(read);
    let lost = change.tail.iter().flat_map(|tail| tail.lost.clone());
    appended
        .chain(lost)
        .filter(|record| record.key.boot == boot)
        .map(|record| record.packets - on_disk(&record.key))
        .sum()
}

/// Each boot's records come in ascending order, and boots one after the other.
fn in_order(stored: &[Record]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut boots: Vec<&str> = Vec::new();
    for record in stored {
        let before = last.insert(&record.key.boot, record.key.sequence);
        assert!(before.is_none_or(|before| before < record.key.sequence), "{:#?}", record.key);
        if boots.last() != Some(&record.key.boot.as_str()) {
            assert!(before.is_none(), "{} comes back", record.key.boot);
            boots.push(&record.key.boot);
        }
        assert_eq!(record.key.vm, "db");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_record_arrives_once_and_in_order_or_is_declared_lost(steps in prop::collection::vec(step(), 0..120)) {
        run(steps);
    }
}

#[test]
fn what_does_not_fit_is_one_gap_with_count_and_span() {
    let mut spool = Spool::new("db".into(), "b".into(), LIMITS, Former::default());
    (1..=30).for_each(|number| spool.push(record(number)));
    let fit = spool.waiting();
    assert_eq!(spool.lost() as usize, 30 - fit);
    let mut disk = Disk::default();
    disk.carry_out(spool.poll_change());
    // Killed at the brim: what was lost is known to the next life.
    let mut next = Spool::new("db".into(), "c".into(), LIMITS, disk.read());
    next.push(record(31));
    let mut told = Vec::new();
    while let Some(batch) = next.next_batch() {
        let last = batch.last().unwrap().key.clone();
        told.extend(batch);
        next.stored(&last.boot, last.sequence);
    }
    let gaps: Vec<_> = told.iter().filter(|record| record.kind == Kind::Gap).collect();
    let keys: Vec<_> = gaps.iter().map(|gap| (gap.key.boot.as_str(), gap.key.sequence as usize, gap.packets)).collect();
    assert_eq!(keys, [("b", fit + 1, (30 - fit) as u64), ("c", 1, 1)]);
    let span = format!("from second {}.000 to 30.000 of the agent's life", fit + 1);
    assert!(gaps[0].detail.ends_with(&span), "{}", gaps[0].detail);
}

#[test]
fn records_of_another_name_are_given_up_and_said() {
    let mut former: Vec<Record> = (1..=3).map(record).collect();
    for (index, record) in former.iter_mut().enumerate() {
        record.key =
            wire::RecordKey { vm: ["web", "", "db"][index].into(), boot: "b".into(), sequence: index as u64 + 1 };
    }
    let former = Former { records: former, ..Former::default() };
    let mut spool = Spool::new("db".into(), "c".into(), LIMITS, former);
    let first = spool.next_batch().unwrap();
    assert!(first.iter().all(|record| record.key.vm == "db"));
    assert_eq!(first.len(), 2);
    let gap = spool.next_batch().unwrap();
    assert_eq!((gap[0].kind, gap[0].packets), (Kind::Gap, 1));
}

#[test]
fn what_stands_on_disk_twice_is_taken_once_and_a_hole_is_said_in_its_place() {
    let keyed = |sequence: u64| {
        let key = wire::RecordKey { vm: "db".into(), boot: "b".into(), sequence };
        Record { key, ..record(sequence) }
    };
    // A life that was killed before it left the former's files, and a record that a full disk did not take.
    let former = [4, 5, 8, 4, 5, 8, 9].map(keyed).to_vec();
    let former = Former { records: former, ..Former::default() };
    let mut spool = Spool::new("db".into(), "c".into(), LIMITS, former);
    let batch = spool.next_batch().unwrap();
    let told: Vec<_> = batch.iter().map(|record| (record.key.sequence, record.kind, record.packets)).collect();
    let (deny, gap) = (Kind::Deny, Kind::Gap);
    assert_eq!(told, [(4, deny, 1), (5, deny, 1), (6, gap, 2), (8, deny, 1), (9, deny, 1)]);
    assert_eq!((spool.waiting(), spool.lost()), (5, 2));
}
