//! Conversations between two stations, each proven by an answer.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use lab::{Lab, Station};
use socket2::{Domain, Protocol, Socket, Type};

const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(60);

/// A protocol to try.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Talk {
    Udp,
    Tcp,
    Icmp,
}

/// Whether `from` gets an answer from `to` at an address.
pub(crate) fn answers(talk: Talk, from: &Station, to: &Station, address: IpAddr, patience: Duration) -> bool {
    match talk {
        Talk::Udp => udp(from, to, address, patience),
        Talk::Tcp => tcp(from, to, address, patience),
        Talk::Icmp => icmp(from, address, patience),
    }
}

/// All three protocols at all addresses of `to`, in both directions.
pub(crate) fn check(lab: &Lab, a: &str, b: &str, expected: bool) {
    let (a, b) = (lab.station(a).unwrap(), lab.station(b).unwrap());
    let patience = if expected { PATIENCE } else { SHORT };
    for (from, to) in [(a, b), (b, a)] {
        for address in to.addresses() {
            for talk in [Talk::Udp, Talk::Tcp, Talk::Icmp] {
                let got = answers(talk, from, to, address, patience);
                assert_eq!(got, expected, "{talk:?} {} -> {} {address}", from.name(), to.name());
            }
        }
    }
}

fn udp(from: &Station, to: &Station, address: IpAddr, patience: Duration) -> bool {
    let server = to.enter(|| UdpSocket::bind((address, 7000))).unwrap().unwrap();
    server.set_read_timeout(Some(patience)).unwrap();
    let client = from.enter(|| UdpSocket::bind((any(address), 0))).unwrap().unwrap();
    client.set_read_timeout(Some(patience)).unwrap();
    if client.connect((address, 7000)).is_err() || client.send(b"ask").is_err() {
        return false;
    }
    let mut buffer = [0; 16];
    let Ok((_, peer)) = server.recv_from(&mut buffer) else {
        return false;
    };
    server.send_to(b"answer", peer).unwrap();
    client.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == b"answer")
}

fn tcp(from: &Station, to: &Station, address: IpAddr, patience: Duration) -> bool {
    let server = to.enter(|| TcpListener::bind((address, 7000))).unwrap().unwrap();
    let Ok(mut client) = connect(from, (address, 7000).into(), patience) else {
        return false;
    };
    let (mut serving, _) = server.accept().unwrap();
    exchange(&mut client, &mut serving)
}

/// One message each way over an open connection.
pub(crate) fn exchange(client: &mut TcpStream, serving: &mut TcpStream) -> bool {
    let mut buffer = [0; 4];
    for stream in [&*client, &*serving] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    client.write_all(b"ask!").is_ok()
        && serving.read_exact(&mut buffer).is_ok()
        && serving.write_all(b"yes!").is_ok()
        && client.read_exact(&mut buffer).is_ok()
        && &buffer == b"yes!"
}

/// Connects from inside a station.
pub(crate) fn connect(from: &Station, to: SocketAddr, patience: Duration) -> std::io::Result<TcpStream> {
    from.enter(|| TcpStream::connect_timeout(&to, patience)).unwrap()
}

fn icmp(from: &Station, address: IpAddr, patience: Duration) -> bool {
    let (domain, protocol, request, reply) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let open = || Socket::new(domain, Type::DGRAM, Some(protocol));
    let socket = from.enter(open).unwrap().unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    let echo = [request, 0, 0, 0, 0, 0, 0, 1, b'x', b'y'];
    if socket.send_to(&echo, &SocketAddr::new(address, 0).into()).is_err() {
        return false;
    }
    let mut buffer = [0; 64];
    (&socket).read(&mut buffer).is_ok_and(|length| length == echo.len()) && buffer[0] == reply
}

fn any(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0u8; 16]),
    }
}
