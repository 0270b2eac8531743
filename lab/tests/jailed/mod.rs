//! The tests' bodies; each runs as the world of a jail.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use lab::packet::{self, Family};
use lab::{Cut, Direction, Lab, LabError, Neighbours, Place, Plan, Ports, StationSpec};

use crate::talk;

fn spec(name: &str, host: &str, number: u16) -> StationSpec {
    let [high, low] = number.to_be_bytes();
    StationSpec {
        name: name.to_owned(),
        host: host.to_owned(),
        addresses: vec![IpAddr::from([10, 98, high, low]), IpAddr::from([0xfd98, 0, 0, 0, 0, 0, 0, number])],
    }
}

fn plan(stations: &[(&str, &str)]) -> Plan {
    Plan {
        hosts: vec!["h1".to_owned(), "h2".to_owned()],
        stations: (1..).zip(stations).map(|(number, (name, host))| spec(name, host, number)).collect(),
        neighbours: Neighbours::Permanent,
        ports: Ports::Open,
    }
}

fn trio() -> Lab {
    Lab::raise(&plan(&[("a", "h1"), ("b", "h1"), ("c", "h2")])).unwrap()
}

/// Three stations on two hosts.
pub(crate) fn small() -> Lab {
    trio()
}

pub(crate) fn all_talk() {
    let mut plan = plan(&[("a", "h1"), ("b", "h1"), ("c", "h2"), ("far", "h2")]);
    plan.stations[3].addresses = vec![IpAddr::from([192, 0, 2, 7]), "2001:db8::7".parse().unwrap()];
    let lab = Lab::raise(&plan).unwrap();
    for (one, other) in [("a", "b"), ("a", "c"), ("a", "far"), ("c", "far")] {
        talk::check(&lab, one, other, true);
    }
}

/// With permanent neighbours no station says anything by itself, and has no address that nobody gave it.
pub(crate) fn quiet() {
    let mut lab = trio();
    let read = || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
    for station in lab.stations() {
        let addresses = station.enter(read).unwrap();
        assert!(!addresses.contains("fe80"), "{addresses}");
    }
    let mut tap = lab.station("b").unwrap().tap().unwrap();
    lab.relocate("b", "h2").unwrap();
    talk::check(&lab, "a", "b", true);
    tap.drain(|frame| {
        let key = packet::parse(frame.bytes).unwrap();
        let is_membership_report = key.protocol == 58 && key.destination_port == 143 << 8;
        assert!(key.destination.is_multicast() == is_membership_report, "{key:?}");
    })
    .unwrap();
}

pub(crate) fn learned() {
    let mut plan = plan(&[("a", "h1"), ("b", "h1"), ("c", "h2")]);
    plan.neighbours = Neighbours::Learned;
    let lab = Lab::raise(&plan).unwrap();
    talk::check(&lab, "a", "b", true);
    talk::check(&lab, "a", "c", true);
}

pub(crate) fn marker() {
    let lab = trio();
    let near = lab.station("a").unwrap().marker().unwrap();
    for far in ["b", "c"] {
        let far = lab.station(far).unwrap();
        let reflector = far.marker().unwrap();
        near.send(far.mac(), 0xfeed_0000_0000_0001).unwrap();
        let (from, id) = soon(|| reflector.recv().unwrap());
        assert_eq!(from, lab.station("a").unwrap().mac());
        reflector.send(from, id).unwrap();
        assert_eq!(soon(|| near.recv().unwrap()), (far.mac(), 0xfeed_0000_0000_0001));
        assert_eq!(near.recv().unwrap(), None);
    }
}

pub(crate) fn taps() {
    let lab = trio();
    let (a, c) = (lab.station("a").unwrap(), lab.station("c").unwrap());
    for address in c.addresses() {
        let mut from = a.tap().unwrap();
        let mut to = c.tap().unwrap();
        let mut blind = c.tap_except(7000).unwrap();
        let (patience, talk) = (Duration::from_secs(5), talk::Talk::Tcp);
        assert!(talk::answers(talk, a, c, address, patience));
        let (syn, syn_ack) = (2, 18);
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        for (tap, out, back) in
            [(&mut from, Direction::FromVm, Direction::ToVm), (&mut to, Direction::ToVm, Direction::FromVm)]
        {
            let seen = segments(tap);
            assert!(seen.iter().all(|(_, seen, _)| *seen == family), "{seen:?}");
            assert!(seen.iter().any(|&(way, _, flags)| way == out && flags == syn), "{seen:?}");
            assert!(seen.iter().any(|&(way, _, flags)| way == back && flags == syn_ack), "{seen:?}");
        }
        assert_eq!(segments(&mut blind), []);
        assert!(talk::answers(talk::Talk::Udp, a, c, address, patience));
        assert!(blind.drain(|_| ()).unwrap().frames >= 2);
    }
}

/// The TCP segments a tap saw, with their flags; nothing may be lost or lack its time.
fn segments(tap: &mut lab::Tap) -> Vec<(Direction, Family, u8)> {
    let mut seen = Vec::new();
    let drained = tap.drain(|frame| {
        assert!(frame.stamp_ns > 0);
        let key = packet::parse(frame.bytes).unwrap();
        seen.extend(key.tcp.map(|tcp| (frame.direction, key.family, tcp.flags)));
    });
    assert_eq!(drained.unwrap().lost, 0);
    seen
}

pub(crate) fn inject() {
    let lab = trio();
    let (a, b) = (lab.station("a").unwrap(), lab.station("b").unwrap());
    let mut tap = a.tap().unwrap();
    let client = a.enter(|| UdpSocket::bind("0.0.0.0:7001")).unwrap().unwrap();
    client.send_to(b"crafted", (b.addresses()[0], 7002)).unwrap();
    let mut frame = Vec::new();
    let is_ours = |key: &packet::Key| key.destination_port == 7002;
    tap.drain(|seen| {
        if packet::parse(seen.bytes).as_ref().is_some_and(is_ours) {
            frame = seen.bytes.to_vec();
        }
    })
    .unwrap();
    let key = packet::parse(&frame).unwrap();
    assert_eq!(&frame[key.payload..], b"crafted");
    let server = b.enter(|| UdpSocket::bind("0.0.0.0:7002")).unwrap().unwrap();
    server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    frame[40] = 0;
    frame[41] = 0;
    b.inject(&frame).unwrap();
    assert_eq!(server.recv(&mut [0; 64]).unwrap(), 7);
}

pub(crate) fn relocate() {
    let mut lab = trio();
    let (a, b) = (lab.station("a").unwrap().clone(), lab.station("b").unwrap().clone());
    let mut tap = b.tap().unwrap();
    for address in b.addresses() {
        let server = b.enter(|| TcpListener::bind((address, 7100))).unwrap().unwrap();
        let patience = Duration::from_secs(5);
        let mut client = talk::connect(&a, (address, 7100).into(), patience).unwrap();
        let (mut serving, _) = server.accept().unwrap();
        for host in ["h2", "h1", "h2", "h2"] {
            lab.relocate("b", host).unwrap();
            assert_eq!(b.host(), host);
            assert!(talk::exchange(&mut client, &mut serving), "{address} after the move to {host}");
        }
        let seen = segments(&mut tap).len();
        assert!(seen >= 11, "{seen} segments");
        for (one, other) in [("a", "b"), ("b", "c"), ("a", "c")] {
            talk::check(&lab, one, other, true);
        }
        segments(&mut tap);
    }
}

pub(crate) fn link_down() {
    let mut lab = trio();
    let carrier = |lab: &Lab| {
        let read = || std::fs::read_to_string("/proc/thread-self/net/route").unwrap();
        lab.station("b").unwrap().enter(read).unwrap()
    };
    let before = carrier(&lab);
    let cut = lab.cut(Cut::LinkDown("b".to_owned())).unwrap();
    assert!(lab.path_is_cut("a", "b") && lab.path_is_cut("b", "a") && !lab.path_is_cut("a", "c"));
    talk::check(&lab, "a", "b", false);
    lab.relocate("b", "h2").unwrap();
    talk::check(&lab, "c", "b", false);
    lab.heal(cut).unwrap();
    assert!(!lab.path_is_cut("a", "b"));
    assert_eq!(carrier(&lab), before);
    talk::check(&lab, "a", "b", true);
    talk::check(&lab, "c", "b", true);
    assert!(matches!(lab.heal(cut), Err(LabError::NoCut(_))));
}

pub(crate) fn cut() {
    let mut lab = trio();
    let station = |name: &str| vec![Place::Station(name.to_owned())];
    let host = |name: &str| vec![Place::Host(name.to_owned())];
    // Which of the paths a-b, a-c, b-c each cut cuts.
    let rows = [
        (station("a"), station("b"), [true, false, false]),
        (station("c"), station("a"), [false, true, false]),
        (host("h1"), host("h2"), [false, true, true]),
        (host("h1"), host("h1"), [true, false, false]),
        (station("b"), vec![Place::Everyone], [true, false, true]),
    ];
    for (one, other, cut) in rows {
        let mut from = lab.station("a").unwrap().tap().unwrap();
        let id = lab.cut(Cut::Silent { one, other }).unwrap();
        expect_cut(&lab, cut);
        assert!(from.drain(|_| ()).unwrap().frames > 0, "what leaves is seen");
        lab.heal(id).unwrap();
        expect_cut(&lab, [false; 3]);
    }
    let first = lab.cut(Cut::Silent { one: station("a"), other: station("b") }).unwrap();
    let second = lab.cut(Cut::Silent { one: host("h1"), other: station("b") }).unwrap();
    expect_cut(&lab, [true, false, false]);
    lab.heal(first).unwrap();
    expect_cut(&lab, [true, false, false]);
    lab.relocate("b", "h2").unwrap();
    expect_cut(&lab, [true, false, false]);
    lab.relocate("c", "h1").unwrap();
    expect_cut(&lab, [true, false, true]);
    lab.heal(second).unwrap();
    expect_cut(&lab, [false; 3]);
    let unknown = Cut::Silent { one: station("nobody"), other: vec![Place::Everyone] };
    assert!(matches!(lab.cut(unknown), Err(LabError::NoStation(_))));
}

fn expect_cut(lab: &Lab, cut: [bool; 3]) {
    for ((a, b), cut) in [("a", "b"), ("a", "c"), ("b", "c")].into_iter().zip(cut) {
        assert_eq!(lab.path_is_cut(a, b), cut, "{a} {b}");
        assert_eq!(lab.path_is_cut(b, a), cut, "{b} {a}");
        talk::check(lab, a, b, !cut);
    }
}

pub(crate) fn add_remove() {
    let mut lab = trio();
    lab.add(spec("d", "h2", 40)).unwrap();
    for other in ["a", "b", "c"] {
        talk::check(&lab, other, "d", true);
    }
    let old = lab.station("d").unwrap().clone();
    lab.remove("d").unwrap();
    assert!(matches!(lab.station("d"), Err(LabError::NoStation(_))));
    let gone = old.addresses()[0];
    let (a, patience) = (lab.station("a").unwrap(), Duration::from_millis(60));
    assert!(!talk::answers(talk::Talk::Icmp, a, &old, gone, patience));
    lab.add(spec("e", "h1", 40)).unwrap();
    assert_ne!(lab.station("e").unwrap().mac(), old.mac());
    for other in ["a", "b", "c"] {
        talk::check(&lab, other, "e", true);
    }
}

pub(crate) fn set_addresses() {
    let mut lab = trio();
    let old = lab.station("b").unwrap().addresses();
    let new = spec("b", "h1", 77).addresses;
    for (addresses, name) in [(&new, "new"), (&old, "old"), (&vec![], "none"), (&old, "old again")] {
        lab.set_addresses("b", addresses).unwrap();
        assert_eq!(&lab.station("b").unwrap().addresses(), addresses, "{name}");
        for other in ["a", "c"].iter().filter(|_| !addresses.is_empty()) {
            talk::check(&lab, other, "b", true);
        }
    }
    lab.set_addresses("b", &new).unwrap();
    let (a, b) = (lab.station("a").unwrap(), lab.station("b").unwrap());
    let patience = Duration::from_millis(60);
    assert!(!talk::answers(talk::Talk::Icmp, a, b, old[0], patience));
}

pub(crate) fn spawn() {
    let lab = trio();
    let link = |path: &str| std::fs::read_link(path).unwrap();
    let home = link("/proc/thread-self/ns/net");
    let mut seen = vec![home.clone()];
    for station in lab.stations() {
        let mut command = Command::new("/bin/sleep");
        command.arg("60");
        let mut child = station.spawn(command).unwrap();
        let inside = station.enter(|| link("/proc/thread-self/ns/net")).unwrap();
        assert_eq!(link(&format!("/proc/{}/ns/net", child.id())), inside);
        assert!(!seen.contains(&inside));
        seen.push(inside);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(link("/proc/thread-self/ns/net"), home);
    let missing = lab.station("a").unwrap().spawn(Command::new("/no/such/program"));
    assert!(missing.unwrap_err().to_string().contains("/no/such/program"));
}

pub(crate) fn names() {
    let long = "n".repeat(400);
    let lab = Lab::raise(&plan(&[("a", "h1"), (&long, "h2")])).unwrap();
    talk::check(&lab, "a", &long, true);
    for (stations, host) in [([("a", "h1"), ("a", "h2")], "h1"), ([("a", "h1"), ("b", "h3")], "h1")] {
        let error = Lab::raise(&plan(&stations)).unwrap_err();
        let told = matches!(error, LabError::Duplicate(_) | LabError::NoHost(_));
        assert!(told, "{error} {host}");
    }
}

pub(crate) fn ten() {
    let names: Vec<String> = (0..10).map(|number| format!("vm-{number}")).collect();
    let stations: Vec<(&str, &str)> =
        names.iter().zip(["h1", "h2"].into_iter().cycle()).map(|(name, host)| (name.as_str(), host)).collect();
    let begin = Instant::now();
    let lab = Lab::raise(&plan(&stations)).unwrap();
    eprintln!("10 stations on 2 hosts: {:?}", begin.elapsed());
    talk::check(&lab, "vm-0", "vm-9", true);
}

pub(crate) fn thousand() {
    let names: Vec<String> = (0..1000).map(|number| format!("vm-{number}")).collect();
    let stations: Vec<(&str, &str)> =
        names.iter().zip(["h1", "h2"].into_iter().cycle()).map(|(name, host)| (name.as_str(), host)).collect();
    let mut plan = plan(&stations);
    plan.neighbours = Neighbours::Learned;
    let begin = Instant::now();
    let lab = Lab::raise(&plan).unwrap();
    eprintln!("1,000 stations on 2 hosts: {:?}", begin.elapsed());
    talk::check(&lab, "vm-0", "vm-999", true);
}

/// What the closure gives as soon as it gives something.
fn soon<T>(mut try_it: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        if let Some(value) = try_it() {
            return value;
        }
        std::thread::yield_now();
    }
    panic!("nothing came");
}
