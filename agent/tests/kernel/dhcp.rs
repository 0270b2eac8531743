//! DHCP clients: who may renew an address may by a client's port alone, at servers' ports, and by broadcast frames.
use std::net::{IpAddr, SocketAddr};

use agent_core::{Builtin, LogKind, Ruleset};
use socket2::Type;

use crate::egress::{IPV4, frame, octets, raw};
use crate::rulesets::{DEFAULT, closed};
use crate::world::{At, Fate, OTHER, PEER, VM, World, deliver};

const BROADCAST: &str = "255.255.255.255";
/// Ports of client and server, by family.
const PORTS: [(u16, u16); 2] = [(68, 67), (546, 547)];

fn ruleset(epoch: u16, dhcp: bool) -> Ruleset {
    Ruleset { dhcp, ..closed(epoch) }
}

/// What becomes of a datagram between these ports, and of an answer where it came.
fn asked(world: &mut World, from: At, family: usize, (source, destination): (u16, u16)) -> Fate {
    let (here, there, to) = match from {
        At::Vm => (VM[family], PEER[family], At::Peer),
        // Not from where the machine's own questions are answered: that would be an answer, too.
        At::Peer => (OTHER[family], VM[family], At::Vm),
    };
    let [here, there] =
        [(here, source), (there, destination)].map(|(ip, port)| SocketAddr::new(ip.parse().unwrap(), port));
    let receiver = world.receiver(to, there);
    let sender = world.socket(from, here.ip(), Type::DGRAM, None);
    sender.bind(&here.into()).unwrap();
    sender.connect(&there.into()).unwrap();
    let fate = deliver(&sender, &receiver);
    if fate == Fate::Through {
        receiver.connect(&here.into()).unwrap();
        assert_eq!(deliver(&receiver, &sender), Fate::Through, "no answer");
    }
    fate
}

/// What was recorded, as kinds and words.
fn told(world: &mut World) -> Vec<(LogKind, u32)> {
    world.events().iter().map(|event| (event.kind, event.mark & 0xf_ffff)).collect()
}

/// A question of either side: whether it is let through, what is counted in and out, and what is recorded.
fn check(world: &mut World, dhcp: bool, family: usize, (from, ports): (At, (u16, u16))) {
    let address = Builtin::Address.word().0;
    let before = world.count(address);
    let (fate, record) = match dhcp {
        true => (Fate::Through, (LogKind::Allow, address)),
        false => (Fate::Silent, (LogKind::Deny, DEFAULT.0)),
    };
    assert_eq!(asked(world, from, family, ports), fate, "{dhcp} {from:?} {ports:?}");
    let sides = match from {
        At::Peer => [u64::from(dhcp), 0],
        At::Vm => [0, u64::from(dhcp)],
    };
    let [inbound, outbound] = world.count(address);
    assert_eq!([inbound - before[0], outbound - before[1]], sides, "{from:?} {ports:?}");
    assert_eq!(told(world), [record], "{dhcp} {from:?} {ports:?}");
}

pub(crate) fn renewed(world: &mut World) {
    for (epoch, dhcp) in [(1, false), (2, true), (3, false)] {
        world.kernel.apply(&ruleset(epoch, dhcp), None).unwrap();
        for (family, (client, server)) in PORTS.into_iter().enumerate() {
            check(world, dhcp, family, (At::Vm, (client, server)));
            check(world, dhcp, family, (At::Peer, (server, client)));
        }
    }
    world.kernel.apply(&ruleset(4, true), None).unwrap();
    for (family, (client, server)) in PORTS.into_iter().enumerate() {
        let (other, near) = PORTS[1 - family];
        let out = [(1068, server), (client, client), (client, server + 10), (other, near), (server, client)];
        let inward = [(server, 1068), (server, server), (1067, client), (near, other), (client, server)];
        for (from, ports) in [(At::Vm, out), (At::Peer, inward)] {
            for ports in ports {
                assert_eq!(asked(world, from, family, ports), Fate::Silent, "{from:?} {ports:?}");
            }
        }
    }
}

/// A datagram as a client that has no socket for it frames it. `fragment` is the header's field.
fn question(source: &str, destination: &str, ports: (u16, u16), fragment: [u8; 2]) -> Vec<u8> {
    let (from, to) = (ports.0.to_be_bytes(), ports.1.to_be_bytes());
    let udp = [&from[..], &to, &[0, 12, 0, 0], b"ask!"].concat();
    let mut packet = vec![0x45, 0, 0, 32, 0, 0, fragment[0], fragment[1], 64, 17, 0, 0];
    packet.extend([octets(source), octets(destination)].concat());
    let sum = crate::flows::checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    [packet, udp].concat()
}

pub(crate) fn broadcast(world: &mut World) {
    let (mut sender, mac) = raw(world, "eth0");
    let receiver = world.receiver(At::Peer, SocketAddr::new(IpAddr::from([0; 4]), 67));
    let none = "0.0.0.0";
    let [passed, bypass, spoofed] =
        [(LogKind::Allow, Builtin::Asked), (LogKind::Deny, Builtin::Bypass), (LogKind::Deny, Builtin::Spoofed)];
    let (asks, whole) = ((68, 67), [0; 2]);
    let unbound = Ruleset { own: Vec::new(), ..ruleset(3, true) };
    let cases = [
        (ruleset(1, true), question(none, BROADCAST, asks, whole), passed),
        (ruleset(1, true), question(VM[0], BROADCAST, asks, whole), passed),
        (ruleset(1, true), question(OTHER[0], BROADCAST, asks, whole), spoofed),
        (ruleset(1, true), question(none, PEER[0], asks, whole), spoofed),
        (ruleset(1, true), question(VM[0], PEER[0], asks, whole), bypass),
        (ruleset(1, true), question(VM[0], BROADCAST, (69, 67), whole), bypass),
        (ruleset(1, true), question(VM[0], BROADCAST, (68, 68), whole), bypass),
        (ruleset(1, true), question(VM[0], BROADCAST, asks, [0x20, 0]), bypass),
        (ruleset(1, true), question(VM[0], BROADCAST, asks, [0, 1]), bypass),
        (ruleset(2, false), question(none, BROADCAST, asks, whole), spoofed),
        (ruleset(2, false), question(VM[0], BROADCAST, asks, whole), bypass),
        (unbound.clone(), question(none, BROADCAST, asks, whole), passed),
        (unbound.clone(), question(VM[0], BROADCAST, asks, whole), spoofed),
        (unbound, question(VM[0], PEER[0], asks, whole), bypass),
    ];
    for (ruleset, packet, (kind, builtin)) in cases {
        world.kernel.apply(&ruleset, None).unwrap();
        world.enter(At::Vm);
        drop(sender.send_to(&frame(mac, IPV4, &packet), None).unwrap());
        let came = receiver.recv_from(&mut [std::mem::MaybeUninit::uninit(); 64]).is_ok();
        assert_eq!(came, kind == LogKind::Allow, "{packet:02x?}");
        assert_eq!(told(world), [(kind, builtin.word().0)], "{packet:02x?}");
    }
    let forged = frame([2; 6], IPV4, &question(none, BROADCAST, asks, whole));
    world.kernel.apply(&ruleset(4, true), None).unwrap();
    world.enter(At::Vm);
    drop(sender.send_to(&forged, None).unwrap());
    assert_eq!(told(world), [(LogKind::Deny, Builtin::Spoofed.word().0)]);
    // Renewals beside such frames: no two counters bear one word, or the account of both would never come right.
    assert_eq!(asked(world, At::Vm, 0, asks), Fate::Through);
    world.enter(At::Vm);
    let counted = world.kernel.counts().unwrap().into_iter().filter(|count| count.packets > 0);
    let words: Vec<u32> = counted.map(|count| count.word.0).collect();
    let distinct: std::collections::BTreeSet<u32> = words.iter().copied().collect();
    assert_eq!(words.len(), distinct.len(), "{words:?}");
    assert!([Builtin::Address, Builtin::Asked].iter().all(|one| distinct.contains(&one.word().0)), "{words:?}");
}
