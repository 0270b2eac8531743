//! Frames from raw sockets: the output chain never sees them, the last look does.
use std::net::{IpAddr, SocketAddr};

use agent::kernel::devices;
use agent_core::{Builtin, Class, Direction, LogKind};
use futures::TryStreamExt;
use nft::{Batch, Element, Expr, Family, Hook, HookPoint, MetaKey, Policy, SetSpec, Table, Type};
use pnet::datalink::{Channel, Config, DataLinkSender};
use rtnetlink::{LinkUnspec, LinkVeth};
use socket2::{InterfaceIndexOrAddress, Socket};

use crate::rulesets::{ALLOW, GROUPS, PEERS, PORT, QUIET, UDP, open};
use crate::world::{At, Fate, OTHER, PEER, STAMP, VM, World};

pub(crate) const IPV4: [u8; 2] = [8, 0];
const IPV6: [u8; 2] = [0x86, 0xdd];
const ARP: [u8; 2] = [8, 6];
const BROADCAST: [u8; 6] = [0xff; 6];
const FORGED: [u8; 6] = [2, 2, 2, 2, 2, 2];

/// A raw socket on an interface of the machine's, and that interface's link address.
pub(crate) fn raw(world: &World, name: &str) -> (Box<dyn DataLinkSender>, [u8; 6]) {
    world.enter(At::Vm);
    let interface = pnet::datalink::interfaces().into_iter().find(|one| one.name == name).unwrap();
    let Channel::Ethernet(sender, _) = pnet::datalink::channel(&interface, Config::default()).unwrap() else {
        panic!("no Ethernet");
    };
    (sender, interface.mac.unwrap().octets())
}

pub(crate) fn octets(ip: &str) -> Vec<u8> {
    match ip.parse().unwrap() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

pub(crate) fn frame(sender: [u8; 6], kind: [u8; 2], packet: &[u8]) -> Vec<u8> {
    [BROADCAST.as_slice(), &sender, &kind, packet].concat()
}

/// A datagram from here to the peer's open port; the receiver takes one without a checksum (IPv4), or never gets so far.
fn datagram(source: &str, family: usize) -> Vec<u8> {
    let udp = [&PORT.to_be_bytes()[..], &PORT.to_be_bytes(), &[0, 12, 0, 0], b"hey!"].concat();
    let mut packet = match family {
        0 => vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0],
        _ => vec![0x60, 0, 0, 0, 0, 12, 17, 64],
    };
    packet.extend(octets(source));
    packet.extend(octets(PEER[family]));
    if family == 0 {
        let sum = crate::flows::checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    [packet, udp].concat()
}

fn arp(mac: [u8; 6], source: &str) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &octets(source), &[0; 6], &octets(PEER[0])].concat()
}

/// An advertisement from here: who has this address has this link address.
fn advertisement(target: &str, mac: [u8; 6]) -> Vec<u8> {
    let header = [&[0x60, 0, 0, 0, 0, 32, 58, 255][..], &octets(VM[1]), &octets(PEER[1])].concat();
    [&header[..], &[136, 0, 0, 0, 0x20, 0, 0, 0], &octets(target), &[2, 1], &mac].concat()
}

/// What was recorded of frames that left by raw sockets.
fn told(world: &mut World) -> Vec<Builtin> {
    let word = |mark: u32| Builtin::ALL.into_iter().find(|one| one.word().0 == mark & 0xf_ffff).unwrap();
    let events = world.events();
    assert!(events.iter().all(|event| (event.kind, event.direction) == (LogKind::Deny, Direction::Out)), "{events:?}");
    events.iter().map(|event| word(event.mark)).collect()
}

/// Sends a frame, and tells what was recorded of it; each record is counted, too.
fn sent(world: &mut World, sender: &mut Box<dyn DataLinkSender>, frame: &[u8]) -> Vec<Builtin> {
    let before = counted(world);
    // A dropped frame of one's own is told to the sender.
    drop(sender.send_to(frame, None).unwrap());
    let told = told(world);
    assert_eq!(counted(world) - before, told.len() as u64);
    told
}

fn counted(world: &mut World) -> u64 {
    world.enter(At::Vm);
    let mut socket = nft::Socket::open().unwrap();
    nft::read_counters(&mut socket, &devices(), "outcomes_egress").unwrap().iter().map(|one| one.packets).sum()
}

pub(crate) fn bypass(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    let (mut sender, mac) = raw(world, "eth0");
    for (family, kind) in [(0, IPV4), (1, IPV6)] {
        let receiver = world.receiver(At::Peer, (PEER[family].parse::<IpAddr>().unwrap(), PORT).into());
        let honest = datagram(VM[family], family);
        let tagged = [&[0, 0][..], &kind, &honest].concat();
        for frame in [frame(mac, kind, &honest), frame(mac, [0x81, 0], &tagged), frame(mac, [0x88, 0xa8], &tagged)] {
            assert_eq!(sent(world, &mut sender, &frame), [Builtin::Bypass], "{frame:02x?}");
            assert!(receiver.recv(&mut [std::mem::MaybeUninit::uninit(); 64]).is_err(), "it came through");
        }
    }
    assert_eq!(sent(world, &mut sender, &frame(mac, [0x88, 0xb5], b"of another protocol")), []);
}

pub(crate) fn spoofed(world: &mut World) {
    world.kernel.apply(&open(1, ALLOW, ALLOW), None).unwrap();
    let (mut sender, mac) = raw(world, "eth0");
    let forged = [
        frame(FORGED, IPV4, &datagram(VM[0], 0)),
        frame(FORGED, [0x88, 0xb5], b"of another protocol"),
        frame(mac, IPV4, &datagram(OTHER[0], 0)),
        frame(mac, IPV6, &datagram(OTHER[1], 1)),
        frame(mac, ARP, &arp(FORGED, VM[0])),
        frame(mac, ARP, &arp(mac, OTHER[0])),
        frame(mac, IPV6, &advertisement(OTHER[1], mac)),
        frame(mac, IPV6, &advertisement(VM[1], FORGED)),
    ];
    for frame in forged {
        assert_eq!(sent(world, &mut sender, &frame), [Builtin::Spoofed], "{frame:02x?}");
    }
    for honest in [frame(mac, ARP, &arp(mac, VM[0])), frame(mac, ARP, &arp(mac, "0.0.0.0"))] {
        assert_eq!(sent(world, &mut sender, &honest), [], "{honest:02x?}");
    }
    assert_eq!(sent(world, &mut sender, &frame(mac, IPV6, &advertisement(VM[1], mac))), [Builtin::Bypass]);
    forged_by_ip(world);
}

/// A raw IP socket is judged by the policy first; its forged source is caught behind that, however few or many addresses this
/// machine has. The last one holds the bytes of the machine's IPv4 address where a packet of that family would.
fn forged_by_ip(world: &mut World) {
    let mut ruleset = open(2, ALLOW, ALLOW);
    for addresses in [2, 8] {
        ruleset.own.extend((ruleset.own.len()..addresses).map(|one| IpAddr::from([10, 98, 1, one as u8])));
        world.kernel.apply(&ruleset, None).unwrap();
        let (judged, forged) = ((LogKind::Allow, ALLOW.0), (LogKind::Deny, Builtin::Spoofed.word().0));
        let rows = [
            (OTHER[0], 0, true),
            (OTHER[1], 1, true),
            ("fd98:0:a62:1::5", 1, true),
            (VM[0], 0, false),
            (VM[1], 1, false),
        ];
        for (source, family, is_forged) in rows {
            let to: IpAddr = PEER[family].parse().unwrap();
            let socket = world.socket(At::Vm, to, socket2::Type::RAW, Some(socket2::Protocol::from(255)));
            drop(socket.send_to(&datagram(source, family), &SocketAddr::new(to, 0).into()));
            let told: Vec<_> = world.events().iter().map(|event| (event.kind, event.mark & 0xf_ffff)).collect();
            let expected: Vec<_> = [judged].into_iter().chain(is_forged.then_some(forged)).collect();
            assert_eq!(told, expected, "{source} of {addresses}");
        }
        world.kernel.forget(&[PEER[0], PEER[1]].map(|ip| ip.parse().unwrap()).into()).unwrap();
    }
}

/// Tables that count, behind ours, what leaves and what comes in with the stamp and without a mark.
fn watchers() -> [Table; 2] {
    let hooks = [(Family::Netdev, HookPoint::EgressAll), (Family::Inet, HookPoint::Input)];
    hooks.map(|(family, point)| {
        let table = Table::new(family, "watcher");
        let mut batch = Batch::new();
        batch.add_table(&table);
        batch.add_base_chain(&table, "last", &Hook { point, priority: 100, policy: Policy::Accept });
        batch.add_set(&table, &SetSpec::counted("marks", Type::Mark));
        batch.add_elements(&table, "marks", &[STAMP, 0].map(|mark| Element::key(mark.to_ne_bytes())));
        let lookup = Expr::Lookup { set: "marks".to_owned(), key: 0, inverted: false };
        batch.add_rule(&table, "last", &[Expr::Meta(MetaKey::Mark, 0), lookup]);
        batch.commit(&mut nft::Socket::open().unwrap()).unwrap();
        table
    })
}

/// What the watchers have counted of packets with the stamp; they have seen others.
fn stamped(tables: &[Table; 2]) -> [u64; 2] {
    [&tables[0], &tables[1]].map(|table| {
        let counters = nft::read_counters(&mut nft::Socket::open().unwrap(), table, "marks").unwrap();
        let (none, stamps): (Vec<_>, Vec<_>) = counters.iter().partition(|one| one.key == 0);
        assert!(none.iter().any(|one| one.packets > 0), "nothing was seen");
        stamps.iter().map(|one| one.packets).sum()
    })
}

/// Whoever may see what leaves or comes could read the stamp from it, and forge it.
pub(crate) fn unseen(world: &mut World) {
    let own = |ip: &str| ip.parse::<IpAddr>().unwrap();
    let mut ruleset = open(1, QUIET, QUIET);
    ruleset.own.push(own("10.98.7.1"));
    ruleset.peers.insert(own("10.98.7.2"), PEERS);
    ruleset.outbound.insert((Class(0), UDP), QUIET);
    ruleset.elsewhere.insert((GROUPS, Class(0), UDP), QUIET);
    world.kernel.apply(&ruleset, None).unwrap();
    let receiver = world.receiver(At::Peer, (own(PEER[0]), PORT).into());
    world.enter(At::Vm);
    let tables = watchers();
    assert_eq!(world.datagram(At::Vm, own(VM[0]), &receiver).1, Fate::Through);
    let receiver = world.receiver(At::Vm, (own(VM[0]), PORT).into());
    assert_eq!(world.datagram(At::Peer, own(PEER[0]), &receiver).1, Fate::Through);
    said_to_groups(world);
    world.enter(At::Vm);
    assert_eq!(stamped(&tables), [0; 2]);
    stacked();
    world.kernel.look().unwrap();
    let socket = world.socket(At::Vm, own(VM[0]), socket2::Type::DGRAM, None);
    socket.send_to(b"hello", &SocketAddr::new(own("10.98.7.2"), PORT).into()).unwrap();
    // The device below finds the stamp on it, or it would be told of.
    assert_eq!((told(world), stamped(&tables)), (vec![], [1, 0]));
}

/// What is said to a group comes back as it left: by a flow, and as what is said of groups.
fn said_to_groups(world: &World) {
    let send = |socket: &Socket, bytes: &[u8], to: SocketAddr| socket.send_to(bytes, &to.into()).unwrap();
    let hear = |socket: &Socket| socket.recv(&mut [std::mem::MaybeUninit::uninit(); 64]).unwrap();
    let (own, group): ([IpAddr; 2], _) = (VM.map(|ip| ip.parse().unwrap()), ["239.7.7.7", "ff05::7:7"]);
    let groups: [SocketAddr; 2] = group.map(|ip| SocketAddr::new(ip.parse().unwrap(), PORT));
    world.enter(At::Vm);
    let device = nix::net::if_::if_nametoindex("eth0").unwrap();
    for (own, group) in own.into_iter().zip(groups) {
        let member = world.receiver(At::Vm, group);
        let sender = world.socket(At::Vm, own, socket2::Type::DGRAM, None);
        sender.bind(&SocketAddr::new(own, 0).into()).unwrap();
        match group.ip() {
            IpAddr::V4(ip) => member.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(device)).unwrap(),
            IpAddr::V6(ip) => member.join_multicast_v6(&ip, device).unwrap(),
        }
        match own {
            IpAddr::V4(ip) => sender.set_multicast_if_v4(&ip).unwrap(),
            IpAddr::V6(_) => sender.set_multicast_if_v6(device).unwrap(),
        }
        // The second goes the way of what has been judged.
        for _ in 0..2 {
            send(&sender, b"hello", group);
            hear(&member);
        }
        if own.is_ipv4() {
            let report = world.socket(At::Vm, own, socket2::Type::RAW, Some(socket2::Protocol::from(2)));
            report.bind(&SocketAddr::new(own, 0).into()).unwrap();
            send(&report, &[0x16, 0, 0, 0, 0, 0, 0, 0], SocketAddr::new(group.ip(), 0));
        }
    }
}

/// A device that stands on the machine's own, with a neighbour behind it.
fn stacked() {
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let task = tokio::spawn(connection);
        handle.link().add(rtnetlink::LinkBridge::new("br7").up().build()).execute().await.unwrap();
        let index = nix::net::if_::if_nametoindex("br7").unwrap();
        let port = LinkUnspec::new_with_name("eth0").controller(index).build();
        handle.link().change(port).execute().await.unwrap();
        handle.address().add(index, "10.98.7.1".parse().unwrap(), 24).execute().await.unwrap();
        let neighbour = handle.neighbours().add(index, "10.98.7.2".parse().unwrap());
        neighbour.link_layer_address(&FORGED).execute().await.unwrap();
        task.abort();
    });
}

pub(crate) fn new_interface(world: &mut World) {
    world.kernel.apply(&open(1, QUIET, QUIET), None).unwrap();
    world.enter(At::Vm);
    // The kernel's own greetings on a new wire would be counted, too.
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let task = tokio::spawn(connection);
        handle.link().add(LinkVeth::new("new0", "new1").build()).execute().await.unwrap();
        for name in ["new0", "new1"] {
            handle.link().change(LinkUnspec::new_with_name(name).up().build()).execute().await.unwrap();
        }
        let mut links = handle.link().get().match_name("new0".to_owned()).execute();
        assert!(links.try_next().await.unwrap().is_some());
        task.abort();
    });
    let (mut sender, mac) = raw(world, "new0");
    // Its link address is not known yet, and nothing leaves.
    assert_eq!(sent(world, &mut sender, &frame(mac, IPV4, &datagram(VM[0], 0))), [Builtin::Spoofed]);
    world.enter(At::Vm);
    world.kernel.look().unwrap();
    assert_eq!(sent(world, &mut sender, &frame(mac, IPV4, &datagram(VM[0], 0))), [Builtin::Bypass]);
}
