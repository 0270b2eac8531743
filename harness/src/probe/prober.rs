//! The prober: sends probes one by one and settles each by what its own sockets learn. On wires without a queue every
//! answer is there at once; a fence ends the wait where there is none.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use lab::Lab;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use policy::{FlowService, Protocol};

use super::client::Client;
use super::fence::Fences;
use super::listener::{Listeners, Place};
use super::ports::Ports;
use super::raw::{Ask, Heard, RawSockets};
use super::tuple::Tuple;
use crate::evidence::{Client as Learned, Fence, Probe};
use crate::scenario::Speech;

/// Looks at both ends that follow one packet: handshake, question, answer, and one to spare.
const LOOKS: usize = 4;
/// … and that follow a conversation of several turns.
const LOOKS_OF_SPEECHES: usize = 12;
/// Numbers of self-tests; no probe has one.
const SELF_TEST: u64 = 1 << 63;

/// One probe that was sent, and what its sockets learned.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) probe: Probe,
    pub(crate) tuple: Tuple,
    pub(crate) source_port: u16,
    pub(crate) learned: Learned,
    pub(crate) delivered: bool,
    pub(crate) listener_proven: bool,
    pub(crate) fence: Fence,
    pub(crate) path_cut: bool,
    pub(crate) settle_us: u64,
}

/// A probe under way.
pub(super) struct Flight {
    pub(super) probe: Probe,
    source_port: u16,
    client: Option<Client>,
    pub(super) learned: Option<Learned>,
    delivered: bool,
    pub(super) fence: Fence,
    begun: Instant,
    settle_us: u64,
    /// How often anything had moved before the last fence.
    pub(super) moved: u64,
}

/// All sockets of the probing side.
#[derive(Debug, Default)]
pub(crate) struct Prober {
    pub(crate) listeners: Listeners,
    pub(crate) ports: Ports,
    raw: RawSockets,
    /// Probes without ports whose answers have come, some while another's was looked for.
    answered: HashSet<u64>,
    pub(crate) fences: Fences,
    self_tests: u64,
    /// It does not ask the lab which paths are cut (a test of the harness itself).
    pub(crate) unaware: bool,
}

impl Prober {
    /// Whether the lab is known to have cut a path.
    pub(super) fn path_is_cut(&self, lab: &Lab, source: &str, destination: &str) -> bool {
        !self.unaware && lab.path_is_cut(source, destination)
    }

    /// Forgets a station that is gone, with its addresses.
    pub(crate) fn forget(&mut self, station: &str, addresses: &[IpAddr]) {
        self.fences.close(station);
        for &address in addresses {
            self.listeners.close(address);
            self.raw.close(address);
        }
    }

    /// Makes the listeners and markers that probes need. Done before anything is measured or sent.
    pub(crate) fn prepare(&mut self, lab: &Lab, probes: &[Probe]) -> Result<(), String> {
        self.listeners.mute = false;
        for probe in probes {
            self.listen(lab, probe)
                .map_err(|error| format!("listen for {} on {}: {error}", describe(probe.service), probe.destination))?;
            let markers = [&probe.source, &probe.destination];
            markers.into_iter().try_for_each(|name| self.fences.open(lab, name)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn listen(&mut self, lab: &Lab, probe: &Probe) -> std::io::Result<()> {
        let station = lab.station(&probe.destination).map_err(std::io::Error::other)?;
        let protocol = probe.service.protocol();
        match protocol {
            Protocol::Tcp | Protocol::Udp => self.listeners.open(station, (probe.destination_address, probe.service)),
            Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_) => {
                let source = lab.station(&probe.source).map_err(std::io::Error::other)?;
                self.raw.open(source, probe.source_address, protocol)?;
                self.raw.open(station, probe.destination_address, protocol)
            }
        }
    }

    /// Sends probes and settles each. Listeners must have been prepared.
    pub(crate) fn run(&mut self, lab: &Lab, probes: Vec<Probe>) -> Vec<Attempt> {
        let _pinned = Pinned::here();
        self.answered.clear();
        let proven = self.self_test(lab, &probes);
        let mut flights = self.board(lab, probes);
        let numbers: HashMap<u64, usize> = flights.iter().enumerate().map(|(at, one)| (one.probe.id, at)).collect();
        let mut delivered = Vec::new();
        for flight in &mut flights {
            self.launch(flight, &mut delivered);
            self.follow(flight, &mut delivered);
        }
        self.fence_off(lab, &mut flights.iter_mut().collect::<Vec<_>>());
        for flight in &mut flights {
            self.follow(flight, &mut delivered);
        }
        self.await_turns(lab, &mut flights, &mut delivered);
        for id in delivered {
            if let Some(flight) = numbers.get(&id).and_then(|&at| flights.get_mut(at)) {
                flight.delivered = true;
            }
        }
        flights.into_iter().map(|flight| self.land(lab, flight, &proven)).collect()
    }

    /// Makes the clients' sockets, one visit to each source's namespace.
    fn board(&mut self, lab: &Lab, probes: Vec<Probe>) -> Vec<Flight> {
        let mut by_source: BTreeMap<String, Vec<(usize, Probe)>> = BTreeMap::new();
        for (at, probe) in probes.into_iter().enumerate() {
            by_source.entry(probe.source.clone()).or_default().push((at, probe));
        }
        let mut flights: Vec<(usize, Flight)> = Vec::new();
        for (source, probes) in by_source {
            let (ports, listeners) = (&mut self.ports, &self.listeners);
            let make = || probes.iter().map(|(_, probe)| new_client(ports, listeners, probe)).collect::<Vec<_>>();
            let clients = lab.station(&source).and_then(|station| station.enter(make));
            let mut clients = clients.map(Vec::into_iter);
            for (at, probe) in probes {
                let client = match &mut clients {
                    Ok(clients) => clients.next().unwrap_or_else(|| Err("no socket was made".into())),
                    Err(error) => Err(error.to_string()),
                };
                flights.push((at, Flight::new(probe, client)));
            }
        }
        flights.sort_by_key(|(at, _)| *at);
        flights.into_iter().map(|(_, flight)| flight).collect()
    }

    fn launch(&mut self, flight: &mut Flight, delivered: &mut Vec<u64>) {
        if flight.learned.is_some() {
            return;
        }
        flight.begun = Instant::now();
        let learned = match &mut flight.client {
            Some(client) => client.start(flight.probe.id),
            None => self.raw.ask(&flight.ask()).err().map(|error| super::client::classify(&error, false)),
        };
        flight.settle(learned);
        self.serve(flight, delivered);
    }

    /// Looks at both ends until the probe is settled or nothing moves any more.
    pub(super) fn follow(&mut self, flight: &mut Flight, delivered: &mut Vec<u64>) {
        let looks = self.looks((flight.probe.destination_address, flight.probe.service));
        for _ in 0..looks {
            if flight.learned.is_some() {
                break;
            }
            let learned = match &mut flight.client {
                Some(client) => client.look(flight.probe.id),
                None => self.hear_answer(&flight.probe, delivered),
            };
            flight.settle(learned);
            self.serve(flight, delivered);
        }
        if matches!(flight.learned, Some(Learned::Answered)) && flight.client.take().is_some() {
            // The client has closed first, and has read all: the far end sees an orderly end.
            self.serve(flight, delivered);
        }
    }

    /// How often both ends are looked at.
    fn looks(&self, place: Place) -> usize {
        if self.listeners.speech(place) == Speech::Plain { LOOKS } else { LOOKS_OF_SPEECHES }
    }

    fn serve(&mut self, flight: &Flight, delivered: &mut Vec<u64>) {
        let probe = &flight.probe;
        match probe.service.protocol() {
            Protocol::Tcp | Protocol::Udp => {
                delivered.extend(self.listeners.serve((probe.destination_address, probe.service)));
            }
            protocol @ (Protocol::Icmp | Protocol::Icmpv6 | Protocol::Other(_)) => {
                self.hear(probe.destination_address, protocol, delivered);
            }
        }
    }

    fn hear_answer(&mut self, probe: &Probe, delivered: &mut Vec<u64>) -> Option<Learned> {
        self.hear(probe.source_address, probe.service.protocol(), delivered);
        self.answered.remove(&probe.id).then_some(Learned::Answered)
    }

    /// Takes what has come to an address: it may be another probe's answer as well as this one's question.
    fn hear(&mut self, address: IpAddr, protocol: Protocol, delivered: &mut Vec<u64>) {
        for heard in self.raw.hear(address, protocol) {
            match heard {
                Heard::Question(id) => delivered.push(id),
                Heard::Answer(id) => drop(self.answered.insert(id)),
            }
        }
    }

    fn land(&mut self, lab: &Lab, mut flight: Flight, proven: &HashMap<Place, bool>) -> Attempt {
        flight.settle(Some(Learned::Silence));
        if let Some(client) = flight.client.take() {
            client.abort();
        }
        let probe = flight.probe;
        Attempt {
            tuple: Tuple::of_probe(&probe, flight.source_port),
            source_port: flight.source_port,
            learned: flight.learned.unwrap_or(Learned::Silence),
            delivered: flight.delivered,
            listener_proven: proven.get(&(probe.destination_address, probe.service)).copied().unwrap_or(false),
            fence: flight.fence,
            path_cut: self.path_is_cut(lab, &probe.source, &probe.destination),
            settle_us: flight.settle_us,
            probe,
        }
    }

    /// Asks every listener over loopback whether it answers.
    fn self_test(&mut self, lab: &Lab, probes: &[Probe]) -> HashMap<Place, bool> {
        let mut places: BTreeMap<(&str, IpAddr), BTreeSet<FlowService>> = BTreeMap::new();
        for probe in probes {
            places.entry((&probe.destination, probe.destination_address)).or_default().insert(probe.service);
        }
        let mut proven = HashMap::new();
        for ((name, address), services) in places {
            let Ok(station) = lab.station(name) else { continue };
            let client = |&service| Client::loopback(address, service, self.listeners.speech((address, service)));
            let make = || services.iter().map(client).collect::<Vec<_>>();
            let Ok(clients) = station.enter(make) else { continue };
            for (&service, client) in services.iter().zip(clients) {
                proven.insert((address, service), self.test_one((address, service), client));
            }
        }
        proven
    }

    fn test_one(&mut self, place: Place, client: Option<std::io::Result<Client>>) -> bool {
        self.self_tests += 1;
        let id = SELF_TEST | self.self_tests;
        let (address, service) = place;
        let Some(client) = client else {
            let ask = Ask { id, identifier: 1, from: address, to: address, service };
            let asked = self.raw.ask(&ask).is_ok();
            return asked && self.raw.hear(address, service.protocol()).contains(&Heard::Question(id));
        };
        let Ok(mut client) = client else { return false };
        let mut learned = client.start(id);
        for _ in 0..self.looks(place) {
            self.listeners.serve(place);
            learned = learned.or_else(|| client.look(id));
        }
        drop(client);
        self.listeners.serve(place);
        learned == Some(Learned::Answered)
    }
}

impl Flight {
    fn new(probe: Probe, client: Result<(u16, Option<Client>), String>) -> Self {
        let (source_port, client, learned) = match client {
            Ok((port, client)) => (port, client, None),
            Err(reason) => (0, None, Some(Learned::Failed(reason))),
        };
        let (delivered, fence) = (false, Fence::NotNeeded);
        Self { probe, source_port, client, learned, delivered, fence, begun: Instant::now(), settle_us: 0, moved: 0 }
    }

    /// How often anything went out of its client or came to it.
    pub(super) fn moves(&self) -> u64 {
        self.client.as_ref().map_or(0, |client| client.moves)
    }

    fn ask(&self) -> Ask {
        Ask {
            id: self.probe.id,
            identifier: self.source_port,
            from: self.probe.source_address,
            to: self.probe.destination_address,
            service: self.probe.service,
        }
    }

    fn settle(&mut self, learned: Option<Learned>) {
        if self.learned.is_none() {
            self.settle_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.learned = learned;
        }
    }
}

fn new_client(ports: &mut Ports, listeners: &Listeners, probe: &Probe) -> Result<(u16, Option<Client>), String> {
    let speech = listeners.speech((probe.destination_address, probe.service));
    match Client::new(ports, (probe.source_address, probe.destination_address), probe.service, speech) {
        Some(Ok(client)) => Ok((client.port, Some(client))),
        Some(Err(error)) => Err(format!("make a socket: {error}")),
        None => Ok((ports.take(probe.source_address).ok_or("no ICMP identifier is left")?, None)),
    }
}

fn describe(service: FlowService) -> String {
    match service {
        FlowService::Tcp(port) => format!("tcp/{port}"),
        FlowService::Udp(port) => format!("udp/{port}"),
        FlowService::Icmp(kind) => format!("icmp/{kind}"),
        FlowService::Icmpv6(kind) => format!("icmpv6/{kind}"),
        FlowService::Proto(number) => format!("proto/{number}"),
    }
}

/// The prober's thread stays on one CPU while a batch runs, so that packets and markers share one queue.
struct Pinned(Option<CpuSet>);

impl Pinned {
    fn here() -> Self {
        let before = sched_getaffinity(Pid::from_raw(0)).ok();
        let mut one = CpuSet::new();
        // A kernel that refuses costs a safeguard, not the proof: the record makes the deny.
        let _ = sched_getcpu().and_then(|cpu| one.set(cpu)).and_then(|()| sched_setaffinity(Pid::from_raw(0), &one));
        Self(before)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = sched_setaffinity(Pid::from_raw(0), before);
        }
    }
}
