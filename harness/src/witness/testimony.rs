//! Testimony: brings together, for each probe, what sockets, taps, records and kernel counters say of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use policy::Builtin;
use wire::{Direction, Record};

use super::account::Account;
use super::counters::Counts;
use super::taps::Taps;
use crate::evidence::{Client, Evidence, Fence, Testimony};
use crate::probe::prober::Attempt;
use crate::probe::tuple::Tuple;

/// What is known of one managed VM while a batch ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Managed {
    /// Its agent's process runs.
    pub(crate) alive: bool,
    /// Its agent reaches the center.
    pub(crate) connected: bool,
    /// Both of its barriers have come through.
    pub(crate) barrier: bool,
    /// The generation that it had acknowledged when the batch began.
    pub(crate) acked: u64,
    /// By how much its counters rose.
    pub(crate) risen: Counts,
}

/// All that evidence is made of.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// The managed VMs.
    pub(crate) managed: &'a BTreeMap<String, Managed>,
    /// The wire.
    pub(crate) taps: &'a Taps,
    /// The center.
    pub(crate) account: &'a Account,
    /// The VMs in which programs take packets out of the kernel.
    pub(crate) taken_out: &'a BTreeSet<String>,
    /// The newest generation when the batch began.
    pub(crate) published: u64,
}

/// Makes evidence of attempts. `counted`: the kernel's counters were read right before and behind this very batch, with
/// every record of it told; else they speak for agents alone that cannot.
pub(crate) fn evidence(attempts: Vec<Attempt>, sources: &Sources<'_>, counted: bool) -> Vec<Evidence> {
    let mut by_tuple: HashMap<Tuple, Vec<&Record>> = HashMap::new();
    for record in &sources.account.records {
        by_tuple.entry(Tuple::of_record(record)).or_default().push(record);
    }
    let mut made: Vec<Evidence> = attempts.into_iter().map(|attempt| one(attempt, sources, &by_tuple)).collect();
    compare(&mut made, sources.managed, counted);
    made
}

/// Whether a probe is neither delivered nor recorded although its fence came back, and the end that must have had it
/// could have told: it is settled once more. `foreign`: others enforce at an end, and no record tells of an interception
/// there; that the other end let it pass does not decide.
pub(crate) fn is_undecided(evidence: &Evidence, foreign: bool) -> bool {
    let ends = [&evidence.source_end, &evidence.destination_end];
    let decides = |record: &Record| !foreign || record.verdict != policy::Verdict::Allow;
    let recorded = ends.into_iter().flatten().any(|end| end.records.iter().any(decides));
    let here = if evidence.reached_destination > 0 { &evidence.destination_end } else { &evidence.source_end };
    let could_tell = here.as_ref().is_none_or(|end| end.alive && end.connected);
    evidence.client == Client::Silence
        && evidence.fence == Fence::Returned
        && !evidence.delivered
        && !recorded
        && could_tell
}

fn one(attempt: Attempt, sources: &Sources<'_>, by_tuple: &HashMap<Tuple, Vec<&Record>>) -> Evidence {
    let Attempt { probe, tuple, source_port, learned, delivered, listener_proven, fence, path_cut, settle_us } =
        attempt;
    let left = sources.taps.seen(&probe.source, &tuple);
    let reached = sources.taps.seen(&probe.destination, &tuple);
    let answer = tuple.reversed();
    let taken_out = [&probe.source, &probe.destination].into_iter().any(|name| sources.taken_out.contains(name));
    let tcp_sequence = left.sequence.or(reached.sequence);
    let records: Vec<&Record> = by_tuple.get(&tuple).map_or(&[][..], Vec::as_slice).to_vec();
    let end = |name: &str| sources.managed.get(name).map(|managed| testimony(name, managed, &records, tcp_sequence));
    Evidence {
        source_end: end(&probe.source),
        destination_end: end(&probe.destination),
        source_port,
        tcp_sequence,
        client: learned,
        delivered,
        listener_proven,
        left_source: left.left,
        reached_destination: reached.reached,
        answers_left: sources.taps.seen(&probe.destination, &answer).left,
        answers_reached: sources.taps.seen(&probe.source, &answer).reached,
        taken_out,
        tap_losses: sources.taps.lost(),
        fence,
        path_cut,
        published: sources.published,
        again: false,
        by_clock: fence == Fence::Lost && !path_cut,
        settle_us,
        probe,
    }
}

/// One end's words on one tuple. A record of another sequence number speaks of another packet.
pub(crate) fn testimony(name: &str, managed: &Managed, records: &[&Record], sequence: Option<u32>) -> Testimony {
    let same = |record: &Record| match (record.tcp_sequence, sequence) {
        (Some(recorded), Some(seen)) => recorded == seen,
        (None, _) | (_, None) => true,
    };
    let own = records.iter().filter(|record| record.key.vm == name && same(record));
    Testimony {
        alive: managed.alive,
        connected: managed.connected,
        barrier: managed.barrier,
        records: own.map(|record| (*record).clone()).collect(),
        counters: Vec::new(),
        counted: Vec::new(),
        acked: managed.acked,
    }
}

/// Kernel, probes and records must tell the same numbers, for each VM, direction and outcome.
fn compare(made: &mut [Evidence], managed: &BTreeMap<String, Managed>, counted: bool) {
    for (vm, managed) in managed {
        for direction in [Direction::In, Direction::Out] {
            let rises: BTreeMap<&String, u64> =
                managed.risen.iter().filter(|((way, _), _)| *way == direction).map(|((_, c), n)| (c, *n)).collect();
            match (managed.alive && managed.connected, counted) {
                (true, true) => compare_one(made, vm, direction, &rises),
                (true, false) => {}
                (false, _) => speak_for(made, vm, direction, &rises),
            }
        }
    }
}

/// The kernel's counters speak for an agent that cannot.
fn speak_for(made: &mut [Evidence], vm: &str, direction: Direction, rises: &BTreeMap<&String, u64>) {
    let counted: Vec<(String, u64)> = rises.iter().map(|(comment, n)| ((*comment).clone(), *n)).collect();
    let ends = made.iter_mut().filter_map(|evidence| end_at(evidence, vm, direction));
    ends.for_each(|end| end.counted.clone_from(&counted));
}

fn compare_one(made: &mut [Evidence], vm: &str, direction: Direction, rises: &BTreeMap<&String, u64>) {
    let mut probes: BTreeMap<String, u64> = BTreeMap::new();
    let mut records: BTreeMap<String, u64> = BTreeMap::new();
    for evidence in made.iter_mut() {
        let packets = packets(evidence, direction);
        let Some(end) = end_at(evidence, vm, direction) else { continue };
        for record in end.records.iter().filter(|record| record.direction == direction) {
            let allowed = record.verdict == policy::Verdict::Allow;
            *probes.entry(comment(record)).or_default() += if allowed { 1 } else { packets };
            *records.entry(comment(record)).or_default() += record.packets;
        }
    }
    let named = rises.keys().map(|comment| (*comment).clone());
    let all: BTreeSet<String> = named.chain(probes.keys().cloned()).filter(|comment| is_compared(comment)).collect();
    for name in all {
        let number = |of: &BTreeMap<String, u64>| of.get(&name).copied().unwrap_or(0);
        let (kernel, sent, told) = (rises.get(&name).copied().unwrap_or(0), number(&probes), number(&records));
        if kernel != sent || sent != told {
            complain(made, vm, direction, &name, &format!("{name}: kernel {kernel}, probes {sent}, records {told}"));
        }
    }
}

/// Puts a difference where it belongs: at the probes whose records name the outcome, else at those that were neither
/// delivered nor recorded.
fn complain(made: &mut [Evidence], vm: &str, direction: Direction, name: &str, text: &str) {
    let mut concerned = Vec::new();
    let mut mute = Vec::new();
    for evidence in made.iter_mut() {
        let delivered = evidence.delivered;
        let Some(end) = end_at(evidence, vm, direction) else { continue };
        if end.records.iter().any(|record| comment(record) == name) {
            concerned.push(end);
        } else if end.records.is_empty() && !delivered {
            mute.push(end);
        }
    }
    let ends = if concerned.is_empty() { mute } else { concerned };
    for end in ends {
        end.counters.push(text.to_owned());
    }
}

fn comment(record: &Record) -> String {
    format!("{} {}", record.verdict, record.rule)
}

/// Outcomes that healthy flows and the harness itself bring about are not compared (semantics 20).
fn is_compared(comment: &str) -> bool {
    let out = [Builtin::Barrier, Builtin::Invalid, Builtin::Center, Builtin::Neighbours];
    !out.iter().any(|builtin| comment.ends_with(builtin.name()))
}

fn end_at<'a>(evidence: &'a mut Evidence, vm: &str, direction: Direction) -> Option<&'a mut Testimony> {
    match direction {
        Direction::Out if evidence.probe.source == vm => evidence.source_end.as_mut(),
        Direction::In if evidence.probe.destination == vm => evidence.destination_end.as_mut(),
        Direction::Out | Direction::In => None,
    }
}

/// How many packets of a denied probe came to the hook of an end: what left a source is dropped before the wire.
fn packets(evidence: &Evidence, direction: Direction) -> u64 {
    match direction {
        Direction::Out => evidence.left_source.max(1),
        Direction::In => evidence.reached_destination,
    }
}
