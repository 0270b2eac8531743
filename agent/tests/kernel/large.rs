//! Rulesets that no single batch can carry: in force whole or not at all, and changed without a window.
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

use agent::kernel::{Kernel, devices, table};
use agent_core::{Action, Class, IpRange, Ruleset, Word};
use nft::{Batch, Socket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket as Socket2;

use crate::rulesets::{ALLOW, PORT, QUIET, TCP, open};
use crate::unpin;
use crate::world::{At, Fate, PEER, STAMP, STRANGER, VM, World};

/// How many entries a large group has.
const ENTRIES: u32 = 100_000;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(start: u32, end: u32) -> IpRange {
    IpRange { start: IpAddr::from(start.to_be_bytes()), end: IpAddr::from(end.to_be_bytes()) }
}

/// Every second address from 20.0.0.0 on is in a class of its own kind, up to 100,000 of them, and 5,000 rules tell them
/// apart; the peer is in another class in each epoch.
fn crowd(epoch: u16, entries: u32) -> Ruleset {
    let mut ruleset = open(epoch, QUIET, QUIET);
    let class = Class(1 + u32::from(epoch % 2));
    ruleset.peers.values_mut().for_each(|held| *held = class);
    for pairs in [&mut ruleset.inbound, &mut ruleset.outbound] {
        *pairs = std::mem::take(pairs).into_iter().map(|((_, service), word)| ((class, service), word)).collect();
    }
    let six = ruleset.networks.pop().unwrap();
    let (first, rest) = (20 << 24, Class(9));
    ruleset.networks = vec![(range(0, first - 1), rest)];
    for n in 0..entries {
        let address = first + 2 * n;
        ruleset.networks.push((range(address, address), Class(10 + (n + u32::from(epoch)) % 5_000)));
        ruleset.networks.push((range(address + 1, address + 1), rest));
    }
    ruleset.networks.push((range(first + 2 * entries, u32::MAX), rest));
    ruleset.networks.push(six);
    for n in 0..5_000 {
        let word = Word::new(Action::Allow, false, 1_000 + n);
        ruleset
            .outcomes_in
            .insert(word, format!("allow rule-{n}, one of five thousand that tell this crowd apart").into());
        ruleset.inbound.insert((Class(10 + n), TCP), word);
    }
    ruleset
}

/// The peer's stream passes on the open port, and on no other.
fn holds(world: &World, case: &str) {
    for (port, fate) in [(PORT, Fate::Through), (PORT + 1, Fate::Silent)] {
        let target = SocketAddr::new(ip(VM[0]), port);
        let _listener = world.listen(At::Vm, target);
        assert_eq!(world.connect(At::Peer, ip(PEER[0]), target).1, fate, "{case}: {port}");
        assert_eq!(world.connect(At::Peer, ip(STRANGER[0]), target).1, Fate::Silent, "{case}: {port}");
    }
}

/// Which set of the map of networks is in force, and which of the exact map of peers.
fn bank(socket: &mut Socket) -> (u8, u8) {
    let held = socket.elements(&table(), "banks").unwrap();
    let of = |place: u8| held.iter().find(|one| one.key[0] == place).unwrap().value.as_ref().unwrap()[0];
    (of(5), of(1))
}

/// What others say of which sets are in force has nobody fill those anew into which rules look.
pub(crate) fn misled(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    world.enter(At::Vm);
    let mut others = Socket::open().unwrap();
    let held = bank(&mut others);
    assert_ne!(held, (0, 0), "nothing would be misled");
    Batch::new().flush_set(&table(), "banks").commit(&mut others).unwrap();
    let before = world.kernel.generation().unwrap();
    world.kernel.repair(&open(1, QUIET, QUIET)).unwrap();
    assert_eq!(world.kernel.generation().unwrap() - before, 1, "sets were filled that hold the same already");
    assert_eq!(bank(&mut others), held);
    holds(world, "laid anew");
}

pub(crate) fn whole(world: &mut World) {
    world.enter(At::Vm);
    let mut look = Socket::open().unwrap();
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    assert_eq!(bank(&mut look), (1, 0));
    let first = crowd(1, ENTRIES);
    world.kernel.apply(&first, Some(&open(1, QUIET, QUIET))).unwrap();
    assert_eq!(bank(&mut look), (0, 0));
    holds(world, "a large one");
    // One entry less is a change of ranges too, and never made where packets look.
    let mut second = first.clone();
    // The last entry, and what lies behind it, belong to the rest.
    let last = second.networks.len() - 3;
    second.networks.drain(last - 1..=last + 1);
    second.networks[last - 2].0.end = IpAddr::from([255; 4]);
    second.epoch = 3;
    world.kernel.apply(&second, Some(&first)).unwrap();
    assert_eq!(bank(&mut look), (1, 0));
    holds(world, "one entry less");
    // What says nothing of ranges is.
    let mut third = Ruleset { epoch: 4, ..second.clone() };
    third.peers.insert(ip(STRANGER[0]), Class(9));
    world.kernel.apply(&third, Some(&second)).unwrap();
    assert_eq!(bank(&mut look), (1, 0));
    holds(world, "another peer");
    // The next life finds what is in force, and writes it anew beside it.
    world.enter(At::Vm);
    world.kernel = Kernel::open(STAMP).unwrap();
    holds(world, "a second life");
    world.kernel.apply(&second, None).unwrap();
    assert_eq!(bank(&mut look), (0, 1));
    for table in [table(), devices()] {
        Batch::new().delete_table(&table).commit(&mut look).unwrap();
    }
    world.kernel.repair(&second).unwrap();
    assert_eq!(bank(&mut look), (1, 0));
    holds(world, "laid anew");
    world.kernel.apply(&open(5, QUIET, QUIET), Some(&second)).unwrap();
    assert_eq!(bank(&mut look), (0, 0));
    holds(world, "a small one");
}

/// What the kernel refuses half-way leaves the old ruleset whole, and nothing beside it.
pub(crate) fn refused(world: &mut World) {
    let held = open(1, QUIET, QUIET);
    world.kernel.apply(&held, None).unwrap();
    world.enter(At::Vm);
    let mut look = Socket::open().unwrap();
    let before = bank(&mut look);
    let mut wrong = crowd(3, 20_000);
    let last = wrong.networks.len() - 3;
    wrong.networks[last].0.end = range(0, u32::MAX).end;
    wrong.default_in = ALLOW;
    let error = world.kernel.apply(&wrong, Some(&held)).unwrap_err().to_string();
    assert!(error.starts_with("change the kernel's tables: add elements inet eastwest networks4: "), "{error}");
    assert_eq!(bank(&mut look), before);
    assert!(look.elements(&table(), "networks4").unwrap().is_empty());
    holds(world, "refused");
    world.kernel.apply(&crowd(3, 20_000), Some(&held)).unwrap();
    holds(world, "the next");
}

/// Whether something comes to a socket within a second.
fn comes(receiver: &Socket2) -> bool {
    let mut fds = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(1000_u16)).unwrap() > 0 && receiver.recv(&mut [MaybeUninit::uninit(); 16]).is_ok()
}

/// A packet under way while the rules turn to other maps gets what both rulesets say.
pub(crate) fn flips(world: &mut World) {
    const FLIPS: u16 = 60;
    let first = crowd(1, 6_000);
    world.kernel.apply(&first, None).unwrap();
    world.enter(At::Vm);
    let mut kernel = Kernel::open(STAMP).unwrap();
    let done = AtomicBool::new(false);
    let (open, shut) = [PORT, PORT + 1].map(|port| world.receiver(At::Vm, SocketAddr::new(ip(VM[0]), port))).into();
    let mut sent = 0_u32;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = first;
            unpin();
            for epoch in 2..FLIPS {
                let next = crowd(epoch, 6_000);
                kernel.apply(&next, Some(&held)).unwrap();
                held = next;
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            sent += 1;
            let fate = world.datagram(At::Peer, ip(PEER[0]), &open).1;
            // On a busy machine the kernel may put a delivery off; what comes late comes.
            let came = fate == Fate::Through || comes(&open);
            assert!(came, "datagram {sent} is lost");
            assert_eq!(world.datagram(At::Peer, ip(PEER[0]), &shut).1, Fate::Silent, "datagram {sent}");
        }
    });
    assert!(sent > u32::from(FLIPS), "{sent} datagrams in {FLIPS} changes try nothing");
}
