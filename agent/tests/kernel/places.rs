//! For whom a packet comes: the machine itself, an address that is not bound to it, a multicast group.
use std::net::{IpAddr, SocketAddr};

use agent_core::Ruleset;
use socket2::Socket;

use crate::rulesets::{ALLOW, DEFAULT, DENY, GROUPS, PEERS, PORT, QUIET, TCP, UDP, UNKNOWN, open};
use crate::world::{At, Fate, LATE, OTHER, PEER, STRANGER, VM, World, deliver};

const TEAM: [&str; 2] = ["239.98.0.1", "ff05::98"];

pub(crate) fn unbound(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, DENY), None).unwrap();
    world.give(LATE);
    for family in [0, 1] {
        for source in [PEER, OTHER, STRANGER] {
            let expected = |to| if to == VM && source == PEER { Fate::Through } else { Fate::Silent };
            for to in [VM, LATE] {
                let target = SocketAddr::new(to[family].parse().unwrap(), PORT);
                let (receiver, _listener) = (world.receiver(At::Vm, target), world.listen(At::Vm, target));
                let source = source[family].parse().unwrap();
                assert_eq!(world.datagram(At::Peer, source, &receiver).1, expected(to), "{source} -> {target}");
                assert_eq!(world.connect(At::Peer, source, target).1, expected(to), "{source} -> {target}");
            }
        }
    }
    assert_eq!(world.count(UNKNOWN.0), [12, 0]);
    // A flow that is under way is cut when its address is another's.
    let ruleset = open(2, QUIET, DENY);
    let target = SocketAddr::new(VM[0].parse().unwrap(), PORT);
    let receiver = world.receiver(At::Vm, target);
    let (sender, fate) = world.datagram(At::Peer, PEER[0].parse().unwrap(), &receiver);
    assert_eq!(fate, Fate::Through);
    let moved =
        Ruleset { epoch: 3, places: ruleset.places.iter().map(|(range, _)| (*range, GROUPS)).collect(), ..ruleset };
    world.kernel.apply(&moved, None).unwrap();
    assert_eq!(deliver(&sender, &receiver), Fate::Silent);
    assert_eq!(world.count(DEFAULT.0)[0], 1 + 8);
}

pub(crate) fn groups(world: &mut World) {
    let closed = open(1, QUIET, DENY);
    let mut member = Ruleset { epoch: 2, ..closed.clone() };
    member.elsewhere.insert((GROUPS, PEERS, UDP), ALLOW);
    let mut near = Ruleset { epoch: 3, ..closed.clone() };
    near.elsewhere.insert((GROUPS, PEERS, TCP), ALLOW);
    for (ruleset, fate) in [(closed, Fate::Silent), (member, Fate::Through), (near, Fate::Silent)] {
        world.kernel.apply(&ruleset, None).unwrap();
        for family in [0, 1] {
            let (sender, receiver) = team(world, family);
            let epoch = ruleset.epoch;
            assert_eq!(deliver(&sender, &receiver), fate, "v{family} in epoch {epoch}");
        }
    }
    assert_eq!((world.count(ALLOW.0), world.count(DEFAULT.0)), ([2, 0], [4, 0]));
}

/// A peer's socket that sends to a group, and a member's at the machine.
fn team(world: &World, family: usize) -> (Socket, Socket) {
    let group: IpAddr = TEAM[family].parse().unwrap();
    let receiver = world.receiver(At::Vm, SocketAddr::new(group, PORT));
    let device = nix::net::if_::if_nametoindex("eth0").unwrap();
    match group {
        IpAddr::V4(group) => receiver.join_multicast_v4(&group, &VM[0].parse().unwrap()).unwrap(),
        IpAddr::V6(group) => receiver.join_multicast_v6(&group, device).unwrap(),
    }
    let sender = world.socket(At::Peer, group, socket2::Type::DGRAM, None);
    match group {
        IpAddr::V4(_) => sender.set_multicast_if_v4(&PEER[0].parse().unwrap()).unwrap(),
        IpAddr::V6(_) => {
            sender.set_multicast_if_v6(nix::net::if_::if_nametoindex("wire").unwrap()).unwrap();
        }
    }
    sender.bind(&SocketAddr::new(PEER[family].parse().unwrap(), 0).into()).unwrap();
    sender.connect(&SocketAddr::new(group, PORT).into()).unwrap();
    (sender, receiver)
}
