//! Bytes are counted by sender, whatever becomes of them, and only where that is asked for.
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use agent::kernel::table;
use agent_core::Ruleset;
use nft::Socket;

use crate::rulesets::{DENY, PORT, QUIET, open};
use crate::world::{At, Fate, OTHER, PEER, VM, World, deliver};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn weighing(ruleset: Ruleset, senders: &[&str]) -> Ruleset {
    Ruleset { weighed: senders.iter().map(|sender| ip(sender)).collect(), ..ruleset }
}

fn weights(world: &mut World) -> BTreeMap<String, u64> {
    world.enter(At::Vm);
    world.kernel.weights().unwrap().into_iter().map(|one| (one.address.to_string(), one.bytes)).collect()
}

fn expect(world: &mut World, rows: &[(&str, u64)], case: &str) {
    let rows: BTreeMap<String, u64> = rows.iter().map(|(sender, bytes)| ((*sender).to_owned(), *bytes)).collect();
    assert_eq!(weights(world), rows, "{case}");
}

/// What the first chain of arriving packets consists of.
fn first_rules(world: &World) -> Vec<Vec<String>> {
    world.enter(At::Vm);
    let rules = Socket::open().unwrap().rules(&table()).unwrap();
    rules.into_iter().filter(|rule| rule.chain == "epoch_in").map(|rule| rule.sets).collect()
}

pub(crate) fn counted(world: &mut World) {
    let plain = open(1, QUIET, QUIET);
    world.kernel.apply(&plain, None).unwrap();
    let epoch = [Vec::<String>::new()];
    assert_eq!(first_rules(world), epoch, "without a detector the first rule is the epoch's");
    expect(world, &[], "nothing is asked for");
    let asked = weighing(open(2, QUIET, QUIET), &[PEER[0], PEER[1]]);
    world.kernel.apply(&asked, Some(&plain)).unwrap();
    let volumes = [vec!["volumes4".to_owned()], vec!["volumes6".to_owned()]];
    assert_eq!(first_rules(world), [&volumes[..], &epoch].concat());
    // Five bytes, a header of UDP and one of IP.
    let mut flows = Vec::new();
    for (family, length) in [(0, 33_u64), (1, 53)] {
        let receiver = world.receiver(At::Vm, SocketAddr::new(ip(VM[family]), PORT));
        let before = weights(world)[PEER[family]];
        let (sender, fate) = world.datagram(At::Peer, ip(PEER[family]), &receiver);
        assert_eq!(fate, Fate::Through);
        for _ in 0..9 {
            assert_eq!(deliver(&sender, &receiver), Fate::Through);
        }
        let _denied = world.datagram(At::Peer, ip(OTHER[family]), &receiver);
        let came = weights(world)[PEER[family]] - before;
        assert!(came == 10 * length || family == 1 && came > 10 * length, "{came} of ten datagrams of {length}");
        flows.push((sender, receiver));
    }
    stays(world, &asked, &flows[0]);
}

/// A counter outlives changes of the policy and of others' counters, and ends with what asked for it.
fn stays(world: &mut World, asked: &Ruleset, (sender, receiver): &(socket2::Socket, socket2::Socket)) {
    let denied = weighing(open(3, DENY, QUIET), &[PEER[0], OTHER[0]]);
    world.kernel.apply(&denied, Some(asked)).unwrap();
    assert_eq!(deliver(sender, receiver), Fate::Silent);
    expect(world, &[(PEER[0], 11 * 33), (OTHER[0], 0)], "what is denied counts too");
    world.enter(At::Vm);
    world.kernel.apply(&denied, None).unwrap();
    expect(world, &[(PEER[0], 11 * 33), (OTHER[0], 0)], "laid anew");
    let over = open(4, QUIET, QUIET);
    world.kernel.apply(&over, Some(&denied)).unwrap();
    expect(world, &[], "nobody asks any more");
    assert_eq!(first_rules(world).len(), 1);
}
