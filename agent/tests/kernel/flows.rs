//! What becomes of single flows.
use std::net::{IpAddr, SocketAddr};

use agent_core::{Builtin, Direction, LogKind, Word};
use socket2::{Protocol, Type};

use crate::rulesets::{ALLOW, DEFAULT, DENY, PEERS, PORT, QUIET, REJECT, TCP, closed, open};
use crate::world::{At, Fate, OTHER, PEER, STRANGER, VM, World, deliver};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(text), port)
}

pub(crate) fn nothing_yet(world: &mut World) {
    for (from, to, family) in
        [(At::Vm, At::Peer, 0), (At::Vm, At::Peer, 1), (At::Peer, At::Vm, 0), (At::Peer, At::Vm, 1)]
    {
        let (source, target) = ends(from, family);
        let _listener = world.listen(to, target);
        assert_eq!(world.connect(from, source, target).1, Fate::Silent, "{from:?} {family}");
    }
    let local = world.listen(At::Vm, at(VM[0], PORT + 1));
    assert_eq!(world.connect(At::Vm, ip(VM[0]), local.local_addr().unwrap().as_socket().unwrap()).1, Fate::Through);
}

fn ends(from: At, family: usize) -> (IpAddr, SocketAddr) {
    match from {
        At::Vm => (ip(VM[family]), at(PEER[family], PORT)),
        At::Peer => (ip(PEER[family]), at(VM[family], PORT)),
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Tcp,
    Udp,
    Echo,
}

/// Word, fate of TCP, fate of UDP and echo, what is logged.
const VERDICTS: [(Word, Fate, Fate, Option<LogKind>); 4] = [
    (ALLOW, Fate::Through, Fate::Through, Some(LogKind::Allow)),
    (QUIET, Fate::Through, Fate::Through, None),
    (DENY, Fate::Silent, Fate::Silent, Some(LogKind::Deny)),
    (REJECT, Fate::Refused, Fate::Refused, Some(LogKind::Deny)),
];

pub(crate) fn table(world: &mut World) {
    let mut epoch = 0;
    let mut previous = None;
    for (word, tcp, other, logged) in VERDICTS {
        for (from, family) in [(At::Vm, 0), (At::Vm, 1), (At::Peer, 0), (At::Peer, 1)] {
            epoch += 1;
            let (inbound, outbound) = if from == At::Peer { (word, DENY) } else { (DENY, word) };
            let ruleset = open(epoch, inbound, outbound);
            world.kernel.apply(&ruleset, previous.as_ref()).unwrap();
            for (kind, fate) in [(Kind::Tcp, tcp), (Kind::Udp, other), (Kind::Echo, other)] {
                let case = format!("{word:?} {from:?} v{} {kind:?}", [4, 6][family]);
                let before = world.count(word.0);
                assert_eq!(attempt(world, kind, from, family), fate, "{case}");
                proven(world, (word, epoch, from, logged), before, &case);
            }
            previous = Some(ruleset);
        }
    }
}

/// One packet is counted, in the flow's direction alone, and logged as it should.
fn proven(world: &mut World, what: (Word, u16, At, Option<LogKind>), before: [u64; 2], case: &str) {
    let (word, epoch, from, logged) = what;
    let events = world.events();
    let direction = if from == At::Peer { Direction::In } else { Direction::Out };
    let mark = u32::from(epoch) << 20 | word.0;
    let expected: Vec<_> = logged.into_iter().map(|kind| (kind, direction, mark)).collect();
    let got: Vec<_> = events.iter().map(|event| (event.kind, event.direction, event.mark)).collect();
    assert_eq!(got, expected, "{case}");
    let after = world.count(word.0);
    let rise = [after[0] - before[0], after[1] - before[1]];
    assert_eq!(rise, if from == At::Peer { [1, 0] } else { [0, 1] }, "{case}");
}

fn attempt(world: &World, kind: Kind, from: At, family: usize) -> Fate {
    let to = if from == At::Peer { At::Vm } else { At::Peer };
    let (source, target) = ends(from, family);
    match kind {
        Kind::Tcp => {
            let _listener = world.listen(to, target);
            world.connect(from, source, target).1
        }
        Kind::Udp => {
            let receiver = world.receiver(to, target);
            world.datagram(from, source, &receiver).1
        }
        Kind::Echo => echo(world, from, source, target.ip()),
    }
}

fn echo(world: &World, from: At, source: IpAddr, to: IpAddr) -> Fate {
    let (protocol, kind) = if to.is_ipv6() { (Protocol::ICMPV6, 128) } else { (Protocol::ICMPV4, 8) };
    let socket = world.socket(from, to, Type::DGRAM, Some(protocol));
    socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
    socket.connect(&SocketAddr::new(to, 0).into()).unwrap();
    drop(socket.send(&[kind, 0, 0, 0, 0, 1, 0, 1]));
    match socket.recv(&mut [std::mem::MaybeUninit::uninit(); 64]) {
        Ok(_) => Fate::Through,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Fate::Silent,
        Err(_) => Fate::Refused,
    }
}

pub(crate) fn near_misses(world: &mut World) {
    let mut ruleset = closed(1);
    ruleset.inbound.insert((PEERS, TCP), ALLOW);
    world.kernel.apply(&ruleset, None).unwrap();
    let rows = [
        (At::Peer, PEER[0], at(VM[0], PORT), Fate::Through),
        (At::Peer, PEER[0], at(VM[0], PORT - 1), Fate::Silent),
        (At::Peer, PEER[0], at(VM[0], PORT + 1), Fate::Silent),
        (At::Peer, OTHER[0], at(VM[0], PORT), Fate::Silent),
        (At::Vm, VM[0], at(PEER[0], PORT), Fate::Silent),
        (At::Peer, PEER[1], at(VM[1], PORT), Fate::Through),
        (At::Peer, OTHER[1], at(VM[1], PORT), Fate::Silent),
        (At::Vm, VM[1], at(PEER[1], PORT), Fate::Silent),
    ];
    for (from, source, target, fate) in rows {
        let _listener = world.listen(if from == At::Peer { At::Vm } else { At::Peer }, target);
        assert_eq!(world.connect(from, ip(source), target).1, fate, "{source} -> {target}");
    }
    assert_eq!(world.count(DEFAULT.0), [4, 2]);
    assert_eq!(world.count(ALLOW.0), [2, 0]);
}

pub(crate) fn center(world: &mut World) {
    let mut ruleset = closed(1);
    ruleset.center = Some(at(PEER[0], 9443));
    world.kernel.apply(&ruleset, None).unwrap();
    let rows = [
        (At::Vm, VM[0], at(PEER[0], 9443), Fate::Through),
        (At::Vm, VM[0], at(PEER[0], 9444), Fate::Silent),
        (At::Vm, VM[0], at(OTHER[0], 9443), Fate::Silent),
        (At::Vm, VM[1], at(PEER[1], 9443), Fate::Silent),
        (At::Peer, PEER[0], at(VM[0], 9443), Fate::Silent),
    ];
    for (from, source, target, fate) in rows {
        let _listener = world.listen(if from == At::Peer { At::Vm } else { At::Peer }, target);
        assert_eq!(world.connect(from, ip(source), target).1, fate, "{source} -> {target}");
    }
    assert_eq!(world.count(Builtin::Center.word().0), [0, 1]);
    // The other addresses are not known to the neighbour tables: their discovery passes as well.
    for (epoch, family) in [(2, 0), (3, 1)] {
        let before = ruleset.clone();
        ruleset.epoch = epoch;
        ruleset.center = Some(at(OTHER[family], 9443));
        world.kernel.apply(&ruleset, Some(&before)).unwrap();
        let _listener = world.listen(At::Peer, at(OTHER[family], 9443));
        assert_eq!(world.connect(At::Vm, ip(VM[family]), at(OTHER[family], 9443)).1, Fate::Through, "{family}");
    }
}

pub(crate) fn spoofed_mark(world: &mut World) {
    world.kernel.apply(&open(1, DENY, QUIET), None).unwrap();
    let words = [ALLOW.0, 1 << 20 | ALLOW.0, 1 << 31 | ALLOW.0, 1 << 30 | PEERS.0, 3 << 30 | ALLOW.0, u32::MAX];
    for target in [at(PEER[0], PORT + 1), at(STRANGER[0], PORT), at(STRANGER[1], PORT)] {
        let _listener = world.listen(At::Peer, target);
        for mark in words {
            let socket = world.socket(At::Vm, target.ip(), Type::STREAM, None);
            socket.set_mark(mark).unwrap();
            assert!(socket.connect(&target.into()).is_err());
            assert!(socket.peer_addr().is_err(), "mark {mark:x} connected to {target}");
        }
    }
    assert_eq!(world.count(DEFAULT.0), [0, 3 * words.len() as u64]);
}

pub(crate) fn related(world: &mut World) {
    for (family, epoch) in [(0, 1), (1, 3)] {
        let ruleset = open(epoch, DENY, QUIET);
        world.kernel.apply(&ruleset, None).unwrap();
        let socket = world.socket(At::Vm, ip(VM[family]), Type::DGRAM, None);
        socket.connect(&at(PEER[family], PORT).into()).unwrap();
        socket.send(b"nobody listens").unwrap();
        assert!(socket.take_error().unwrap().is_some(), "no error came back, family {family}");
        // The next packet of the flow is the error itself: the send below fails at the old route only after it.
        let next = open(epoch + 1, DENY, QUIET);
        world.kernel.apply(&next, Some(&ruleset)).unwrap();
        socket.send(b"nobody listens").unwrap();
        assert!(socket.take_error().unwrap().is_some(), "no error in the next epoch, family {family}");
    }
    assert_eq!(world.events(), []);
}

pub(crate) fn redirect(world: &mut World) {
    world.kernel.apply(&open(1, DENY, QUIET), None).unwrap();
    let receiver = world.receiver(At::Peer, at(PEER[0], PORT));
    let (sender, fate) = world.datagram(At::Vm, ip(VM[0]), &receiver);
    assert_eq!(fate, Fate::Through);
    let port = sender.local_addr().unwrap().as_socket().unwrap().port();
    for (kind, invalid) in [(5_u8, 1), (4, 2), (3, 2)] {
        let raw = world.socket(At::Peer, ip(PEER[0]), Type::RAW, Some(Protocol::ICMPV4));
        raw.send_to(&quoting(kind, port), &at(VM[0], 0).into()).unwrap();
        assert_eq!(world.count(Builtin::Invalid.word().0), [invalid, 0], "type {kind}");
    }
    let events = world.events();
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [LogKind::Invalid; 2]);
}

/// An ICMP error about the datagram that the virtual machine sent.
fn quoting(kind: u8, port: u16) -> Vec<u8> {
    let mut inner = vec![0x45, 0, 0, 33, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 98, 0, 1, 10, 98, 0, 2];
    let sum = checksum(&inner);
    inner[10..12].copy_from_slice(&sum.to_be_bytes());
    inner.extend_from_slice(&port.to_be_bytes());
    inner.extend_from_slice(&PORT.to_be_bytes());
    inner.extend_from_slice(&[0, 13, 0, 0]);
    let mut all = vec![kind, 1, 0, 0, 10, 98, 0, 3];
    if kind == 3 {
        all[4..8].fill(0);
    }
    all.extend(inner);
    let sum = checksum(&all);
    all[2..4].copy_from_slice(&sum.to_be_bytes());
    all
}

pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub(crate) fn unknown_stream(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    let raw = world.socket(At::Peer, ip(PEER[0]), Type::RAW, Some(Protocol::TCP));
    let mut segment = vec![0x30, 0x39, 0x1b, 0x58, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0];
    let mut pseudo = vec![10, 98, 0, 2, 10, 98, 0, 1, 0, 6, 0, 20];
    pseudo.extend_from_slice(&segment);
    let sum = checksum(&pseudo);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    raw.send_to(&segment, &at(VM[0], 0).into()).unwrap();
    let events = world.events();
    assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [LogKind::Invalid]);
    assert_eq!(world.count(Builtin::Invalid.word().0), [1, 0]);
}

/// A byte row that no other packet on the wire holds.
const TOLD: &[u8] = b"told in passing";

/// Sender, receiver's address, ICMPv6 type (or IGMP) and code, hop limit, whether it arrives.
type Neighbourly = (At, &'static str, Option<[u8; 2]>, u32, bool);

pub(crate) fn neighbours(world: &mut World) {
    world.kernel.apply(&closed(1), None).unwrap();
    let mut rows: Vec<Neighbourly> = Vec::new();
    for (from, four, six) in [(At::Peer, VM[0], VM[1]), (At::Vm, PEER[0], PEER[1])] {
        rows.extend([(from, six, Some([135, 0]), 255, true), (from, six, Some([136, 0]), 255, true)]);
        rows.extend([(from, six, Some([135, 0]), 254, false), (from, six, Some([135, 1]), 255, false)]);
        rows.extend([130, 131, 132, 143].map(|kind| (from, six, Some([kind, 0]), 64, false)));
        rows.extend([130, 143].map(|kind| (from, six, Some([kind, 0]), 1, false)));
        rows.extend([(from, "ff02::1", Some([130, 0]), 1, true), (from, "ff02::1", Some([130, 0]), 2, false)]);
        rows.extend([(from, four, None, 1, false), (from, four, None, 64, false)]);
        rows.extend([(from, "224.0.0.1", None, 1, true), (from, "224.0.0.1", None, 2, false)]);
    }
    for row @ (from, to, kind, hops, arrives) in rows {
        assert_eq!(arrival(world, from, ip(to), kind, hops), arrives, "{row:?}");
    }
}

/// Whether a hand-made neighbour packet, or an IGMP one, arrives.
fn arrival(world: &World, from: At, to: IpAddr, kind: Option<[u8; 2]>, hops: u32) -> bool {
    let protocol = if to.is_ipv6() { Protocol::ICMPV6 } else { Protocol::from(2) };
    let (near, far) = if from == At::Peer { (PEER, At::Vm) } else { (VM, At::Peer) };
    let receiver = world.socket(far, to, Type::RAW, Some(protocol));
    let sender = world.socket(from, to, Type::RAW, Some(protocol));
    let device = nix::net::if_::if_nametoindex(if from == At::Peer { "wire" } else { "eth0" }).unwrap();
    let mut packet = kind.map_or(vec![0x11, 0], Vec::from);
    packet.extend([0; 6]);
    packet.extend(TOLD);
    if to.is_ipv6() {
        sender.set_unicast_hops_v6(hops).unwrap();
        sender.set_multicast_hops_v6(hops).unwrap();
        sender.set_multicast_if_v6(device).unwrap();
    } else {
        sender.set_ttl_v4(hops).unwrap();
        sender.set_multicast_ttl_v4(hops).unwrap();
        sender.set_multicast_if_v4(&near[0].parse().unwrap()).unwrap();
    }
    drop(sender.send_to(&packet, &SocketAddr::new(to, 0).into()));
    heard(&receiver)
}

/// Whether a raw socket received what tells.
fn heard(receiver: &socket2::Socket) -> bool {
    let mut bytes = [0; 256];
    let mut reader = receiver;
    while let Ok(length) = std::io::Read::read(&mut reader, &mut bytes) {
        if bytes[..length].windows(TOLD.len()).any(|window| window == TOLD) {
            return true;
        }
    }
    false
}

pub(crate) fn forged_answer(world: &mut World) {
    let allowed = open(1, QUIET, QUIET);
    world.kernel.apply(&allowed, None).unwrap();
    let receiver = world.receiver(At::Vm, at(VM[0], PORT));
    let (sender, fate) = world.datagram(At::Peer, ip(PEER[0]), &receiver);
    assert_eq!(fate, Fate::Through);
    let port = sender.local_addr().unwrap().as_socket().unwrap().port();
    let listener = world.socket(At::Peer, ip(PEER[0]), Type::RAW, Some(Protocol::ICMPV4));
    let raw = world.socket(At::Vm, ip(VM[0]), Type::RAW, Some(Protocol::ICMPV4));
    let forge = || drop(raw.send_to(&prohibited(port), &at(PEER[0], 0).into()));
    forge();
    assert!(heard(&listener), "an error about an allowed flow does not pass");
    assert!(sender.take_error().unwrap().is_some(), "the error did not reach the sender");
    world.kernel.apply(&open(2, DENY, DENY), Some(&allowed)).unwrap();
    forge();
    assert!(!heard(&listener), "a process sent what the kernel alone may answer");
    assert_eq!(deliver(&sender, &receiver), Fate::Silent);
    forge();
    assert!(!heard(&listener), "a process sent an answer in a cut flow");
}

/// "Administratively prohibited" about the datagram that the peer sent from this port.
fn prohibited(port: u16) -> Vec<u8> {
    let mut all = quoting(3, port);
    all[1] = 13;
    let (source, destination) = ([10, 98, 0, 2], [10, 98, 0, 1]);
    all[20..24].copy_from_slice(&source);
    all[24..28].copy_from_slice(&destination);
    all.extend(TOLD);
    all[2..4].fill(0);
    let sum = checksum(&all);
    all[2..4].copy_from_slice(&sum.to_be_bytes());
    all
}
