//! Storms: more records alike than anybody reads one by one become one, with how many, from when to when and which ports.
//!
//! A pair of machines, and a rule as a whole, have each a bucket of records that are told one by one. Where it is empty, a
//! storm is on, and all further records of it are counted into one, until none comes for a second.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::{End, Family, Protocol, Verdict};
use wire::{Direction, FlowEnd, Kind, MAX_TEXT, Record};

/// How many records are told one by one at once, and how many a second on the way.
struct Rate {
    burst: u64,
    a_second: u64,
}

const OF_A_PAIR: Rate = Rate { burst: 4_096, a_second: 1_000 };
const OF_A_RULE: Rate = Rate { burst: 16_384, a_second: 4_000 };
/// A storm without a record for so long is over, in microseconds.
const QUIET: u64 = 1_000_000;
/// One that lasts longer is told in parts.
const LONGEST: u64 = 60_000_000;
/// Pairs that are told apart at once.
const MOST_PAIRS: usize = 4_096;
/// Spans of ports that are told.
const MOST_SPANS: usize = 24;

/// What a rule's records alike have in common; the bucket of the rule as a whole has no pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    kind: Kind,
    verdict: Verdict,
    direction: Direction,
    end: End,
    pair: Option<(IpAddr, IpAddr, u8)>,
}

/// What is left to be told one by one, in microseconds of its rate, and the storm that is on.
#[derive(Debug)]
struct Bucket {
    spent: u64,
    stamp: u64,
    storm: Option<Storm>,
}

#[derive(Debug)]
struct Storm {
    /// The first record that was counted.
    first: Record,
    last: u64,
    packets: u64,
    /// Destination ports, or ICMP types, as spans apart from one another.
    ports: BTreeMap<u16, u16>,
    more: bool,
}

/// All buckets, by rule: in a storm a rule's name is looked up, and not copied for each record.
#[derive(Debug, Default)]
pub(crate) struct Storms {
    rules: BTreeMap<String, BTreeMap<Alike, Bucket>>,
    /// How many buckets there are.
    count: usize,
}

impl Storms {
    /// Whether a record is to be told by itself; else it is counted into a storm. Its stamp tells the time.
    pub(crate) fn tells(&mut self, record: &Record) -> bool {
        let alike = Alike {
            kind: record.kind,
            verdict: record.verdict,
            direction: record.direction,
            end: record.end,
            pair: Some((record.source.address, record.destination.address, record.protocol.number())),
        };
        if self.count >= MOST_PAIRS {
            self.forget(record.stamp);
        }
        let full = self.count >= MOST_PAIRS;
        if !self.rules.contains_key(&record.rule) {
            self.rules.insert(record.rule.clone(), BTreeMap::new());
        }
        let Some(buckets) = self.rules.get_mut(&record.rule) else { return true };
        let before = buckets.len();
        let fresh = || Bucket { spent: 0, stamp: record.stamp, storm: None };
        let is_one_by_one = full && !buckets.contains_key(&alike)
            || buckets.entry(alike).or_insert_with(fresh).takes(record, &OF_A_PAIR);
        let whole = Alike { pair: None, ..alike };
        let told = is_one_by_one && buckets.entry(whole).or_insert_with(fresh).takes(record, &OF_A_RULE);
        self.count += buckets.len() - before;
        told
    }

    /// Forgets buckets that are full again, and rules that have none.
    fn forget(&mut self, stamp: u64) {
        self.rules.retain(|_, buckets| {
            buckets.retain(|_, bucket| bucket.storm.is_some() || bucket.spent > stamp.saturating_sub(bucket.stamp));
            !buckets.is_empty()
        });
        self.count = self.rules.values().map(BTreeMap::len).sum();
    }

    fn buckets(&self) -> impl Iterator<Item = (&Alike, &Bucket)> {
        self.rules.values().flatten()
    }

    /// When the next storm may be over, in microseconds.
    pub(crate) fn next(&self) -> Option<u64> {
        self.buckets().filter_map(|(_, bucket)| bucket.storm.as_ref()).map(Storm::end).min()
    }

    /// What storms are to be told by now.
    pub(crate) fn due(&mut self, stamp: u64) -> Vec<Record> {
        self.told(|storm| storm.end() <= stamp)
    }

    /// What storms have counted so far; those that are on go on.
    pub(crate) fn flush(&mut self) -> Vec<Record> {
        self.told(|_| true)
    }

    /// What storms have counted and not told.
    pub(crate) fn untold(&self) -> impl Iterator<Item = Record> {
        self.buckets().filter_map(|(alike, bucket)| Some(bucket.storm.as_ref()?.record(alike)))
    }

    fn told(&mut self, is_due: impl Fn(&Storm) -> bool) -> Vec<Record> {
        let mut records = Vec::new();
        for (alike, bucket) in self.rules.values_mut().flatten() {
            if let Some(storm) = bucket.storm.take_if(|storm| is_due(storm)) {
                records.push(storm.record(alike));
            }
        }
        records
    }
}

impl Bucket {
    /// Takes a record from the bucket, or counts it into the storm.
    fn takes(&mut self, record: &Record, rate: &Rate) -> bool {
        self.spent = self.spent.saturating_sub(record.stamp.saturating_sub(self.stamp));
        self.stamp = self.stamp.max(record.stamp);
        let one = 1_000_000 / rate.a_second;
        if self.storm.is_none() && self.spent + one <= rate.burst * one {
            self.spent += one;
            return true;
        }
        // While the storm is on, nothing flows back.
        self.spent = rate.burst * one;
        self.storm.get_or_insert_with(|| Storm::of(record)).count(record);
        false
    }
}

impl Storm {
    fn of(record: &Record) -> Self {
        Self { first: record.clone(), last: record.stamp, packets: 0, ports: BTreeMap::new(), more: false }
    }

    fn end(&self) -> u64 {
        (self.last + QUIET).min(self.first.stamp + LONGEST)
    }

    fn count(&mut self, record: &Record) {
        self.packets = self.packets.saturating_add(record.packets);
        self.last = self.last.max(record.stamp);
        let port = if record.icmp_type > 0 { record.icmp_type.into() } else { record.destination.port };
        self.add(port);
    }

    /// Adds a port to the spans.
    fn add(&mut self, port: u16) {
        let below = self.ports.range(..=port).next_back().map(|(start, end)| (*start, *end));
        if below.is_some_and(|(_, end)| port <= end) {
            return;
        }
        let start = below.filter(|(_, end)| *end + 1 == port).map_or(port, |(start, _)| start);
        let above = port.checked_add(1).and_then(|next| self.ports.remove(&next));
        if self.ports.len() >= MOST_SPANS && start == port && above.is_none() {
            self.more = true;
            return;
        }
        self.ports.insert(start, above.unwrap_or(port));
    }

    fn record(&self, alike: &Alike) -> Record {
        let seconds = |stamp: u64| format!("{}.{:03}", stamp / 1_000_000, stamp / 1000 % 1000);
        let span = |(start, end): (&u16, &u16)| if start == end { start.to_string() } else { format!("{start}-{end}") };
        let mut ports = self.ports.iter().map(span).collect::<Vec<_>>().join(",");
        ports.push_str(if self.more { " and more" } else { "" });
        let (first, last) = (seconds(self.first.stamp), seconds(self.last));
        let mut detail = format!("from second {first} to {last} of the agent's life, ports {ports}");
        detail.truncate(MAX_TEXT);
        let any = |address: IpAddr| match (alike.pair, address) {
            (Some(_), _) => address,
            (None, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (None, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let end = |end: &FlowEnd| FlowEnd {
            vm: end.vm.clone().filter(|_| alike.pair.is_some()),
            address: any(end.address),
            port: 0,
        };
        Record {
            kind: Kind::Aggregated,
            source: end(&self.first.source),
            destination: end(&self.first.destination),
            family: Family::of(self.first.source.address),
            protocol: if alike.pair.is_some() { self.first.protocol } else { Protocol::Other(0) },
            icmp_type: 0,
            icmp_id: 0,
            tcp_sequence: None,
            payload: Vec::new(),
            admitted_by: None,
            packets: self.packets,
            detail,
            stamp: self.last,
            ..self.first.clone()
        }
    }
}
