//! What becomes of living flows when the ruleset changes.
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};

use agent::kernel::Kernel;
use agent_core::{Builtin, Class, Direction, LogKind, Ruleset, Service, Word};
use socket2::Socket;

use crate::rulesets::{ALLOW, DENY, PORT, QUIET, REJECT, REST, open};
use crate::unpin;
use crate::world::{At, Fate, PEER, STAMP, VM, World, deliver};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A stream, and the listener's end of it.
fn stream(world: &World, from: At, family: usize) -> (Socket, Socket) {
    let (source, to, there) = match from {
        At::Peer => (PEER[family], VM[family], At::Vm),
        At::Vm => (VM[family], PEER[family], At::Peer),
    };
    let target = SocketAddr::new(ip(to), PORT);
    let listener = world.listen(there, target);
    let (near, fate) = world.connect(from, ip(source), target);
    assert_eq!(fate, Fate::Through);
    let far = listener.accept().unwrap().0;
    far.set_nonblocking(true).unwrap();
    (near, far)
}

/// What one end sends, the other reads at once.
fn passes(from: &Socket, to: &Socket) -> Result<(), ErrorKind> {
    from.send(b"x").map_err(|error| error.kind())?;
    match to.recv(&mut [MaybeUninit::uninit(); 8]) {
        Ok(1) => Ok(()),
        Ok(_) => Err(ErrorKind::UnexpectedEof),
        Err(error) => Err(error.kind()),
    }
}

fn both_pass(one: &Socket, other: &Socket) -> bool {
    passes(one, other).is_ok() && passes(other, one).is_ok()
}

fn kinds(world: &mut World) -> Vec<(LogKind, Direction, u32)> {
    world.events().iter().map(|event| (event.kind, event.direction, event.mark)).collect()
}

fn mark(epoch: u16, word: Word) -> u32 {
    u32::from(epoch) << 20 | word.0
}

pub(crate) fn cut_tcp(world: &mut World) {
    for (family, base) in [(0, 1), (1, 11)] {
        let allowed = open(base, ALLOW, QUIET);
        world.kernel.apply(&allowed, None).unwrap();
        let (peer, vm) = stream(world, At::Peer, family);
        assert!(both_pass(&peer, &vm));
        assert_eq!(kinds(world), [(LogKind::Allow, Direction::In, mark(base, ALLOW))]);
        let before = world.count(REJECT.0)[0];
        let denied = open(base + 1, REJECT, QUIET);
        world.kernel.apply(&denied, Some(&allowed)).unwrap();
        assert!(passes(&peer, &vm).is_err(), "a byte passed after the cut");
        assert_eq!(
            kinds(world),
            [(LogKind::Was, Direction::In, mark(base, ALLOW)), (LogKind::Cut, Direction::In, mark(base + 1, REJECT))]
        );
        assert_eq!(passes(&peer, &vm), Err(ErrorKind::ConnectionReset), "the sender was not reset");
        let again = open(base + 2, ALLOW, QUIET);
        world.kernel.apply(&again, Some(&denied)).unwrap();
        assert!(passes(&vm, &peer).is_err());
        assert_eq!(passes(&vm, &peer), Err(ErrorKind::ConnectionReset), "the idle end was not reset");
        assert_eq!(kinds(world), [], "later packets of a cut flow are no records");
        assert_eq!(world.count(REJECT.0)[0] - before, 1);
        drop((peer, vm));
        let (peer, vm) = stream(world, At::Peer, family);
        assert!(both_pass(&peer, &vm), "a new stream does not pass");
        kinds(world);
    }
}

pub(crate) fn cut_outbound(world: &mut World) {
    let allowed = open(1, DENY, QUIET);
    world.kernel.apply(&allowed, None).unwrap();
    let (vm, peer) = stream(world, At::Vm, 0);
    assert!(both_pass(&vm, &peer));
    world.kernel.apply(&open(2, DENY, DENY), Some(&allowed)).unwrap();
    // The first packet is the peer's: the verdict is that of the flow's direction, out.
    assert!(passes(&peer, &vm).is_err());
    assert_eq!(
        kinds(world),
        [(LogKind::Was, Direction::In, mark(1, QUIET)), (LogKind::Cut, Direction::In, mark(2, DENY))]
    );
    assert_eq!(world.count(DENY.0), [0, 1]);
    assert_eq!(passes(&peer, &vm), Err(ErrorKind::ConnectionReset));
    assert!(passes(&vm, &peer).is_err());
}

pub(crate) fn cut_udp(world: &mut World) {
    let allowed = open(1, QUIET, QUIET);
    world.kernel.apply(&allowed, None).unwrap();
    let receiver = world.receiver(At::Vm, SocketAddr::new(ip(VM[0]), PORT));
    let (sender, fate) = world.datagram(At::Peer, ip(PEER[0]), &receiver);
    assert_eq!(fate, Fate::Through);
    let denied = open(2, DENY, QUIET);
    world.kernel.apply(&denied, Some(&allowed)).unwrap();
    for _ in 0..3 {
        assert_eq!(deliver(&sender, &receiver), Fate::Silent);
    }
    assert_eq!(
        kinds(world),
        [(LogKind::Was, Direction::In, mark(1, QUIET)), (LogKind::Cut, Direction::In, mark(2, DENY))]
    );
    assert_eq!(world.count(DENY.0), [1, 0]);
    let again = open(3, DENY, QUIET);
    world.kernel.apply(&again, Some(&denied)).unwrap();
    assert_eq!(deliver(&sender, &receiver), Fate::Silent);
    assert_eq!(kinds(world), [(LogKind::Deny, Direction::In, mark(3, DENY))]);
    let restored = open(4, QUIET, QUIET);
    world.kernel.apply(&restored, Some(&again)).unwrap();
    assert_eq!(deliver(&sender, &receiver), Fate::Through);
    assert_eq!(kinds(world), []);
}

pub(crate) fn epochs(world: &mut World) {
    let mut held = open(1, ALLOW, ALLOW);
    world.kernel.apply(&held, None).unwrap();
    let flows: Vec<_> = [(At::Peer, 0), (At::Vm, 0), (At::Peer, 1), (At::Vm, 1)]
        .into_iter()
        .map(|(from, family)| stream(world, from, family))
        .collect();
    kinds(world);
    let before = world.count(ALLOW.0);
    for epoch in 2..52 {
        let next = Ruleset { epoch, ..held.clone() };
        world.kernel.apply(&next, Some(&held)).unwrap();
        held = next;
        for (one, other) in &flows {
            assert_eq!((passes(one, other), passes(other, one)), (Ok(()), Ok(())), "epoch {epoch}");
        }
    }
    assert_eq!(kinds(world), []);
    assert_eq!(world.count(ALLOW.0), before);
}

pub(crate) fn sweep(world: &mut World) {
    world.kernel.apply(&open(1, ALLOW, ALLOW), None).unwrap();
    let (peer, vm) = stream(world, At::Peer, 0);
    assert_eq!(world.kernel.sweep(1).unwrap(), 0);
    assert_eq!(world.kernel.sweep(2).unwrap(), 1);
    kinds(world);
    assert!(both_pass(&peer, &vm));
    assert_eq!((kinds(world), world.count(ALLOW.0)), (vec![], [1, 0]));
    world.kernel.sweep(2).unwrap();
    world.kernel.apply(&open(2, DENY, ALLOW), None).unwrap();
    assert!(passes(&peer, &vm).is_err());
    assert_eq!(kinds(world), [(LogKind::Was, Direction::In, ALLOW.0), (LogKind::Cut, Direction::In, mark(2, DENY))]);
    world.kernel.apply(&open(3, ALLOW, ALLOW), None).unwrap();
    let (peer, vm) = stream(world, At::Peer, 1);
    kinds(world);
    assert_eq!(world.kernel.forget(&BTreeSet::from([ip(PEER[1])])).unwrap(), 1);
    assert!(passes(&peer, &vm).is_err());
    assert_eq!(kinds(world).first().map(|event| event.0), Some(LogKind::Invalid));
}

pub(crate) fn refused(world: &mut World) {
    let held = open(1, ALLOW, ALLOW);
    world.kernel.apply(&held, None).unwrap();
    let (peer, vm) = stream(world, At::Peer, 0);
    let before = world.kernel.generation().unwrap();
    let mut wrong = held.clone();
    wrong.inbound.insert((Class(77), crate::rulesets::TCP), DENY);
    let error = world.kernel.apply(&open(2, DENY, DENY), Some(&wrong)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "change the kernel's tables: delete elements inet eastwest arriving: No such file or directory"
    );
    assert_eq!(world.kernel.generation().unwrap(), before);
    assert!(both_pass(&peer, &vm));
    world.kernel.apply(&open(2, DENY, DENY), None).unwrap();
    assert!(passes(&peer, &vm).is_err());
}

pub(crate) fn restart(world: &mut World) {
    let held = open(1, ALLOW, ALLOW);
    world.kernel.apply(&held, None).unwrap();
    let (peer, vm) = stream(world, At::Peer, 0);
    kinds(world);
    world.enter(At::Vm);
    world.kernel = Kernel::open(STAMP).unwrap();
    assert!(both_pass(&peer, &vm));
    let mut next = open(2, ALLOW, ALLOW);
    next.outcomes_in.insert(DENY, "deny renamed".into());
    world.kernel.apply(&next, None).unwrap();
    assert!(both_pass(&peer, &vm));
    assert_eq!((kinds(world), world.count(ALLOW.0)), (vec![], [1, 0]));
    let [inbound, _] = world.kernel.counters().unwrap();
    assert_eq!(inbound.iter().find(|one| one.key == DENY.0).unwrap().comment, "deny renamed");
}

pub(crate) fn difference(world: &mut World) {
    let mut held = open(1, DENY, DENY);
    for n in 0..20_000_u32 {
        held.peers.insert(IpAddr::from((0x0a63_0000 + n).to_be_bytes()), Class(n % 7 + 3));
    }
    world.kernel.apply(&held, None).unwrap();
    let mut next = Ruleset { epoch: 2, ..held.clone() };
    next.outcomes_in.remove(&DENY);
    next.outcomes_in.insert(Word::new(agent_core::Action::Deny, false, 900), "deny new".into());
    next.peers.retain(|_, class| *class != Class(5));
    next.peers.insert(ip(PEER[0]), Class(2));
    next.inbound.insert((Class(2), crate::rulesets::TCP), ALLOW);
    world.kernel.apply(&next, Some(&held)).unwrap();
    let [inbound, outbound] = world.kernel.counters().unwrap();
    let words = |all: &[nft::Counted]| all.iter().map(|one| one.key).collect::<BTreeSet<_>>();
    assert_eq!(words(&inbound), next.outcomes_in.keys().map(|word| word.0).collect());
    assert_eq!(words(&outbound), next.outcomes_out.keys().map(|word| word.0).collect());
    assert!(words(&inbound).contains(&Builtin::Invalid.word().0));
    let (peer, vm) = stream(world, At::Peer, 0);
    assert!(both_pass(&peer, &vm));
}

pub(crate) fn ports_again(world: &mut World) {
    let target = SocketAddr::new(ip(VM[0]), PORT);
    for (base, closes) in [(1, false), (11, true)] {
        let allowed = open(base, ALLOW, QUIET);
        world.kernel.apply(&allowed, None).unwrap();
        let (peer, vm) = stream(world, At::Peer, 0);
        let source = peer.local_addr().unwrap();
        let denied = open(base + 1, DENY, QUIET);
        world.kernel.apply(&denied, Some(&allowed)).unwrap();
        assert!(passes(&peer, &vm).is_err());
        drop(peer);
        let vm = Some(vm).filter(|_| !closes);
        kinds(world);
        let listener = world.listen(At::Vm, target);
        let again = |world: &World| {
            let socket = world.socket(At::Peer, target.ip(), socket2::Type::STREAM, None);
            socket.bind(&source).unwrap();
            drop(socket.connect(&target.into()));
            socket
        };
        // While the policy forbids it, the same ports open nothing, and that is a denial like another.
        drop(again(world));
        assert_eq!(kinds(world), [(LogKind::Deny, Direction::In, mark(base + 1, DENY))], "closes: {closes}");
        let before = world.count(ALLOW.0)[0];
        world.kernel.apply(&open(base + 2, ALLOW, QUIET), Some(&denied)).unwrap();
        let mut near = again(world);
        // An end that still holds the old stream answers that first; the client then resets it, and tries once more.
        if near.peer_addr().is_err() {
            drop((near, vm));
            near = again(world);
        }
        let far = listener.accept().unwrap().0;
        far.set_nonblocking(true).unwrap();
        assert!(both_pass(&near, &far), "closes: {closes}");
        let told = kinds(world);
        assert!(!told.is_empty(), "closes: {closes}");
        assert!(told.iter().all(|told| *told == (LogKind::Allow, Direction::In, mark(base + 2, ALLOW))), "{told:?}");
        assert_eq!(world.count(ALLOW.0)[0] - before, told.len() as u64);
    }
}

/// Says the same as [`open`] with `QUIET`, but by the other class: the peer's former class is denied.
fn renamed(epoch: u16) -> Ruleset {
    let mut ruleset = open(epoch, QUIET, QUIET);
    let class = Class(1 + u32::from(epoch % 2));
    ruleset.peers.values_mut().for_each(|held| *held = class);
    for pairs in [&mut ruleset.inbound, &mut ruleset.outbound] {
        *pairs = std::mem::take(pairs).into_iter().map(|((_, service), word)| ((class, service), word)).collect();
    }
    ruleset
}

/// Says the same as [`open`] with `QUIET`, but by other classes of services, cut at other ports.
fn resliced(epoch: u16) -> Ruleset {
    let mut ruleset = open(epoch, QUIET, QUIET);
    if epoch.is_multiple_of(2) {
        return ruleset;
    }
    let moved = |service: Service| Service(service.0 + 10);
    for ranges in [&mut ruleset.tcp, &mut ruleset.udp] {
        ranges.iter_mut().for_each(|(_, service)| *service = moved(*service));
        ranges[0].0 = 23..=PORT - 1;
        ranges.splice(0..0, [(0..=21, moved(REST)), (22..=22, Service(20))]);
    }
    for pairs in [&mut ruleset.inbound, &mut ruleset.outbound] {
        let all = std::mem::take(pairs);
        *pairs = all.into_iter().map(|((class, service), word)| ((class, moved(service)), word)).collect();
    }
    ruleset
}

/// A packet under way while the maps change meets parts of two rulesets; it must get what both say.
pub(crate) fn flips(world: &mut World) {
    turns(world, renamed);
}

/// So where the ranges of services change.
pub(crate) fn slices(world: &mut World) {
    turns(world, resliced);
}

fn turns(world: &mut World, renamed: fn(u16) -> Ruleset) {
    const FLIPS: u16 = 2_000;
    let first = renamed(1);
    world.kernel.apply(&first, None).unwrap();
    world.enter(At::Vm);
    let mut kernel = Kernel::open(STAMP).unwrap();
    let done = AtomicBool::new(false);
    let (open, shut) = [PORT, PORT + 1].map(|port| world.receiver(At::Vm, SocketAddr::new(ip(VM[0]), port))).into();
    let (near, far) = stream(world, At::Peer, 0);
    let mut sent = 0_u32;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = first;
            unpin();
            for epoch in 2..FLIPS {
                let next = renamed(epoch);
                kernel.apply(&next, Some(&held)).unwrap();
                held = next;
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            sent += 1;
            assert_eq!(world.datagram(At::Peer, ip(PEER[0]), &open).1, Fate::Through, "datagram {sent}");
            assert_eq!(world.datagram(At::Peer, ip(PEER[0]), &shut).1, Fate::Silent, "datagram {sent}");
            assert_eq!((passes(&near, &far), passes(&far, &near)), (Ok(()), Ok(())), "message {sent}");
        }
    });
    assert!(sent > u32::from(FLIPS), "{sent} datagrams in {FLIPS} changes try nothing");
}
