//! What must be tried: small labs in a jail, with real packets.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nft::{Batch, CtKey, Expr, Family, Hook, HookPoint, Log, LogOptions, LogReader, Policy, Table, Verdict};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Check, paths};
use crate::cut::{Cut, Place};
use crate::plan::{Neighbours, Plan, Ports, StationSpec};
use crate::raised::Lab;

/// The name of the check that the others need.
pub(super) const JAIL: &str = "a jail: user, process, mount and network namespaces";

pub(super) const A: &str = "a";
pub(super) const B: &str = "b";
pub(super) const PORT: u16 = 7;
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
const GROUP: u16 = 98;

pub(super) type Found = Result<String, String>;
/// A check's name, its attempt, and its remedy.
pub(super) type Row = (&'static str, fn() -> Found, &'static str);

/// Tries everything.
pub(super) fn checks() -> Vec<Check> {
    let rows: [Row; 9] = [
        (JAIL, || Ok("this runs in one".to_owned()), ""),
        ("network namespaces, veth and bridges", near, "load the kernel modules veth and bridge"),
        ("VXLAN between hosts", far, "load the kernel module vxlan"),
        ("IPv6", v6, "boot without ipv6.disable=1; without IPv6 only scenarios of IPv4 addresses run"),
        ("packet sockets", packets, "load the kernel module af_packet"),
        ("ICMP sockets", ping, "the lab sets net.ipv4.ping_group_range in its own namespaces; see why it cannot"),
        ("nf_tables", tables, "load the kernel modules nf_tables, nf_tables_inet and nft_reject_inet"),
        ("connection tracking and NFLOG", tracking, "load the kernel modules nf_conntrack, nft_ct and nfnetlink_log"),
        ("nf_tables on bridges", bridge, "load nf_tables for bridges; only scenarios with partitions need it"),
    ];
    let tried = rows.into_iter().map(|(name, attempt, remedy)| Check::of(name, attempt(), remedy));
    tried.chain(paths::checks()).collect()
}

fn near() -> Found {
    exchange(&raise(&[HERE])?, v4_of(B))?;
    Ok("two stations on one host talk".to_owned())
}

fn far() -> Found {
    exchange(&raise(&[HERE, THERE])?, v4_of(B))?;
    Ok("two stations on two hosts talk".to_owned())
}

fn v6() -> Found {
    let mut plan = plan(&[HERE]);
    plan.stations[0].addresses = vec![v6_of(A)];
    plan.stations[1].addresses = vec![v6_of(B)];
    exchange(&Lab::raise(&plan).map_err(words)?, v6_of(B))?;
    Ok("two stations talk".to_owned())
}

fn packets() -> Found {
    let lab = raise(&[HERE])?;
    let station = lab.station(A).map_err(words)?;
    let mut tap = station.tap().map_err(words)?;
    station.marker().map_err(words)?;
    exchange(&lab, v4_of(B))?;
    let seen = tap.drain(|_| ()).map_err(words)?;
    if seen.frames > 0 { Ok(format!("a tap saw {} frames", seen.frames)) } else { Err("a tap saw nothing".to_owned()) }
}

fn ping() -> Found {
    let lab = raise(&[HERE])?;
    let open = || Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4));
    lab.station(A).and_then(|station| station.enter(open)).map_err(words)?.map_err(words)?;
    Ok("an ICMP socket opens".to_owned())
}

fn tables() -> Found {
    commit(&[Expr::Counter, Expr::Verdict(Verdict::Accept)])?;
    Ok("a table with a rule is taken".to_owned())
}

fn tracking() -> Found {
    let log = Log { group: GROUP, prefix: "doctor".to_owned(), snaplen: 0, threshold: 1 };
    let lab = commit(&[Expr::Ct(CtKey::State, None, 0), Expr::Log(log)])?;
    let station = lab.station(B).map_err(words)?;
    let options = LogOptions { group: GROUP, ..LogOptions::default() };
    let mut reader = station.enter(|| LogReader::open(options)).map_err(words)?.map_err(words)?;
    exchange(&lab, v4_of(B))?;
    match reader.read_batch().map_err(words)? {
        Some(batch) if !batch.packets.is_empty() => Ok("a packet is tracked and logged".to_owned()),
        Some(_) | None => Err("a packet was not logged".to_owned()),
    }
}

fn bridge() -> Found {
    let mut lab = raise(&[HERE])?;
    let (one, other) = (vec![Place::Station(A.to_owned())], vec![Place::Everyone]);
    lab.cut(Cut::Silent { one, other }).map_err(words).map(drop)?;
    Ok("a path is cut".to_owned())
}

/// A lab in whose second station this rule sees what arrives.
fn commit(rule: &[Expr]) -> Result<Lab, String> {
    let lab = raise(&[HERE])?;
    let station = lab.station(B).map_err(words)?;
    let mut socket = station.enter(nft::Socket::open).map_err(words)?.map_err(words)?;
    let table = Table::new(Family::Inet, "doctor");
    let hook = Hook { point: HookPoint::Input, priority: 0, policy: Policy::Accept };
    let mut batch = Batch::new();
    batch.add_table(&table).add_base_chain(&table, "input", &hook).add_rule(&table, "input", rule);
    batch.commit(&mut socket).map_err(words)?;
    Ok(lab)
}

pub(super) const HERE: &str = "here";
const THERE: &str = "there";

pub(super) fn raise(hosts: &[&str]) -> Result<Lab, String> {
    Lab::raise(&plan(hosts)).map_err(words)
}

/// Two stations, the second on the last of the hosts.
fn plan(hosts: &[&str]) -> Plan {
    let station = |name: &str, host: Option<&&str>| StationSpec {
        name: name.to_owned(),
        host: host.map_or_else(String::new, |host| (*host).to_owned()),
        addresses: vec![v4_of(name)],
    };
    Plan {
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        stations: vec![station(A, hosts.first()), station(B, hosts.last())],
        neighbours: Neighbours::Permanent,
        ports: Ports::Open,
    }
}

pub(super) fn v4_of(name: &str) -> IpAddr {
    Ipv4Addr::new(10, 98, 0, if name == A { 1 } else { 2 }).into()
}

fn v6_of(name: &str) -> IpAddr {
    Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, if name == A { 1 } else { 2 }).into()
}

/// One datagram from the first station to an address of the second.
fn exchange(lab: &Lab, to: IpAddr) -> Result<(), String> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let server = bind(lab, B, (to, PORT).into())?;
    let client = bind(lab, A, (any, 0).into())?;
    let sent = server.set_read_timeout(Some(PATIENCE)).and_then(|()| client.send_to(b"?", (to, PORT)));
    let arrived = sent.and_then(|_| server.recv(&mut [0]));
    match arrived {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err("a packet did not arrive".to_owned()),
        Err(error) => Err(words(error)),
    }
}

/// A socket in a station.
pub(super) fn bind(lab: &Lab, name: &str, address: SocketAddr) -> Result<UdpSocket, String> {
    let station = lab.station(name).map_err(words)?;
    station.enter(|| UdpSocket::bind(address)).map_err(words)?.map_err(words)
}

pub(super) fn words(error: impl Display) -> String {
    format!("cannot {error}")
}
