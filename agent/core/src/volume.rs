//! Volume: adds up the bytes that the kernel counts of each watched VM, and tells when a detector's number is reached.
//!
//! The kernel's counters are read at times of the driver's choosing. What came between two readings counts only while the
//! earlier of them is within the detector's time: so nothing older is ever counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use policy::{Detector, Family, Watch};
use wire::{FlowEnd, Kind, Record, View, ViewDetector};

use crate::detect::{Finding, Mark};
use crate::party::{Parties, Party};
use crate::spool::notice;

/// The most addresses whose bytes are counted at one VM: all are read every second.
pub const MOST_WEIGHED: usize = 16_384;
/// Into how many parts a detector's time is divided: what came within one of them is remembered as one.
const PARTS: u64 = 32;

/// What the kernel counted of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The sender.
    pub address: IpAddr,
    /// The bytes that came from there, whatever became of them, since the counter was made.
    pub bytes: u64,
}

/// The addresses whose bytes the kernel is to count for a view.
pub(crate) fn weighed(view: &View) -> BTreeSet<IpAddr> {
    let sets = view.detectors.iter().filter(|one| is_volume(one)).filter_map(|one| view.sets.get(one.peers as usize));
    let vms: BTreeSet<u32> = sets.flat_map(|set| set.vms.iter().copied()).collect();
    let peers = vms.into_iter().filter_map(|at| view.peers.get(at as usize));
    peers.filter(|peer| peer.vm != view.vm).flat_map(|peer| peer.addresses.iter().copied()).collect()
}

fn is_volume(detector: &ViewDetector) -> bool {
    matches!(detector.watch, Watch::Volume { .. })
}

/// All volume detectors of a VM.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    here: Here,
    scales: Vec<Scale>,
    /// What each counter stood at when it was read last, and when that was.
    stood: BTreeMap<IpAddr, u64>,
    read: u64,
}

/// What is known of this VM and of who is watched.
#[derive(Debug, Default)]
struct Here {
    vm: String,
    addresses: Vec<IpAddr>,
    generation: u64,
    /// Whose each watched address is.
    holders: BTreeMap<IpAddr, String>,
}

/// One detector with what it remembers.
#[derive(Debug)]
struct Scale {
    detector: ViewDetector,
    peers: Parties,
    sources: BTreeMap<Party, Load>,
}

/// What is remembered of one source: at most two spans for each part of the time, and one more.
#[derive(Debug, Default)]
struct Load {
    /// The oldest first.
    spans: VecDeque<Span>,
    /// It was told of: nothing more is told before this time.
    quiet: Option<u64>,
}

/// Bytes that came after one reading and up to another.
#[derive(Clone, Copy, Debug)]
struct Span {
    after: u64,
    up_to: u64,
    bytes: u64,
}

impl Volumes {
    /// Watches as a view says. A detector that stays goes on counting.
    pub(crate) fn hold(&mut self, view: &View) {
        let mut before = std::mem::take(&mut self.scales);
        let scale = |detector: &ViewDetector| {
            let peers = Parties::of(view, detector.peers);
            let detector = ViewDetector { peers: 0, ..detector.clone() };
            match before.iter().position(|one| one.peers == peers && one.detector == detector) {
                Some(at) => before.swap_remove(at),
                None => Scale { detector, peers, sources: BTreeMap::new() },
            }
        };
        self.scales = view.detectors.iter().filter(|one| is_volume(one)).map(scale).collect();
        self.here = Here::of(view);
        self.stood.retain(|address, _| self.here.holders.contains_key(address));
    }

    /// Whether the kernel counts anything for a detector here.
    pub(crate) fn watch(&self) -> bool {
        !self.here.holders.is_empty()
    }

    /// Takes in a reading of all counters. Who `is_answered` by a detector is denied already, and not counted by it.
    pub(crate) fn read(
        &mut self,
        weights: &[Weight],
        now: u64,
        is_answered: impl Fn(&str, &Party) -> bool,
    ) -> Vec<Finding> {
        let risen = self.risen(weights);
        let after = std::mem::replace(&mut self.read, now);
        let mut findings = Vec::new();
        for scale in &mut self.scales {
            let name = scale.detector.name.clone();
            for (who, (_, bytes)) in risen.iter().filter(|(who, _)| !is_answered(&name, who)) {
                scale.add(who, Span { after, up_to: now, bytes: *bytes });
            }
            for (who, seen) in scale.due(now) {
                let address = risen.get(&who).map(|(address, _)| *address);
                let last = self.here.alert(&scale.detector, &who, address);
                findings.push(Finding { detector: scale.detector.clone(), who, last, seen });
            }
        }
        findings
    }

    /// By how much each source's counters rose, with an address of it that did.
    fn risen(&mut self, weights: &[Weight]) -> BTreeMap<Party, (IpAddr, u64)> {
        let mut risen = BTreeMap::new();
        for Weight { address, bytes } in weights {
            let Some(vm) = self.here.holders.get(address) else { continue };
            let rise = match self.stood.insert(*address, *bytes) {
                // A counter that fell was made anew, and counts from nothing.
                Some(before) => bytes.checked_sub(before).unwrap_or(*bytes),
                // When that came, nobody knows.
                None => 0,
            };
            if rise > 0 {
                let (last, sum) = risen.entry(Party::Vm(vm.clone())).or_insert((*address, 0_u64));
                (*last, *sum) = (*address, sum.saturating_add(rise));
            }
        }
        risen
    }
}

impl Here {
    fn of(view: &View) -> Self {
        let watched = weighed(view);
        let holders = view.peers.iter().flat_map(|peer| peer.addresses.iter().map(|address| (*address, &peer.vm)));
        let holders = holders.filter(|(address, _)| watched.contains(address));
        Self {
            vm: view.vm.clone(),
            addresses: view.addresses.clone(),
            generation: view.generation,
            holders: holders.map(|(address, vm)| (address, vm.clone())).collect(),
        }
    }

    /// What is known of an alert: source, this VM, and the policy.
    fn alert(&self, detector: &ViewDetector, who: &Party, address: Option<IpAddr>) -> Record {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let known = self.holders.iter().find(|(_, vm)| Party::Vm((*vm).clone()) == *who).map(|(address, _)| *address);
        let from = address.or(known).unwrap_or(unknown);
        let to = self.addresses.iter().copied().find(|own| own.is_ipv6() == from.is_ipv6()).unwrap_or(unknown);
        let vm = match who {
            Party::Vm(vm) => Some(vm.clone()),
            Party::Address(_) => None,
        };
        Record {
            source: FlowEnd { vm, address: from, port: 0 },
            destination: FlowEnd { vm: Some(self.vm.clone()), address: to, port: 0 },
            family: if from.is_ipv6() { Family::V6 } else { Family::V4 },
            generation_first: self.generation,
            generation_last: self.generation,
            ..notice(Kind::Alert, &Detector::rule_of(&detector.name), 0, String::new())
        }
    }
}

impl Scale {
    fn add(&mut self, who: &Party, span: Span) {
        if self.peers.hold(who) {
            self.sources.entry(who.clone()).or_default().add(span, self.detector.within);
        }
    }

    /// Who reached the number by now, with what was seen.
    fn due(&mut self, now: u64) -> Vec<(Party, Vec<(u64, Mark)>)> {
        let (within, threshold) = (self.detector.within, self.detector.watch.threshold());
        let told = |(who, load): (&Party, &mut Load)| Some((who.clone(), load.due(now, within, threshold)?));
        let due = self.sources.iter_mut().filter_map(told).collect();
        self.sources.retain(|_, load| !load.spans.is_empty() || load.quiet.is_some());
        due
    }
}

impl Load {
    fn add(&mut self, span: Span, within: u64) {
        match self.spans.back_mut() {
            Some(last) if span.up_to.saturating_sub(last.after) <= within / PARTS => {
                last.up_to = span.up_to;
                last.bytes = last.bytes.saturating_add(span.bytes);
            }
            Some(_) | None => self.spans.push_back(span),
        }
    }

    /// What was seen, if it reaches the number and was not told of.
    fn due(&mut self, now: u64, within: u64, threshold: u64) -> Option<Vec<(u64, Mark)>> {
        while self.spans.front().is_some_and(|span| span.after.saturating_add(within) < now) {
            self.spans.pop_front();
        }
        self.quiet = self.quiet.filter(|until| now < *until);
        let sum = self.spans.iter().fold(0_u64, |sum, span| sum.saturating_add(span.bytes));
        if self.quiet.is_some() || sum < threshold {
            return None;
        }
        self.quiet = Some(now.saturating_add(within));
        // What was told of is not told of again.
        Some(std::mem::take(&mut self.spans).into_iter().map(|span| (span.up_to, Mark::Bytes(span.bytes))).collect())
    }
}
