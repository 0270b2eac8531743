//! What is measured on a wire: bytes, packets and new connections a second.
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Socket, Type};

use crate::policy::PORT;
use crate::world::{At, Fate, PEER, VM, World};

/// What a pair of measurements compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Bytes a second of one stream.
    Throughput,
    /// Small datagrams a second of one flow.
    Packets,
    /// Connections a second, each begun, accepted and reset.
    Connections,
}

fn target() -> SocketAddr {
    SocketAddr::new(VM[0].parse().unwrap(), PORT)
}

/// Measures for a time; the unit is that of `what`.
pub(crate) fn measure(world: &World, what: What, time: Duration) -> f64 {
    match what {
        What::Throughput => throughput(world, time),
        What::Packets => packets(world, time),
        What::Connections => connections(world, time),
    }
}

fn rate(done: u64, begun: Instant) -> f64 {
    done as f64 / begun.elapsed().as_secs_f64()
}

fn throughput(world: &World, time: Duration) -> f64 {
    let listener = world.listen(At::Vm, target());
    let (near, fate) = world.connect(At::Peer, PEER[0].parse().unwrap(), target());
    assert_eq!(fate, Fate::Through, "no stream");
    let far = listener.accept().unwrap().0;
    for end in [&near, &far] {
        end.set_nonblocking(false).unwrap();
    }
    let (mut near, mut far) = (TcpStream::from(near), TcpStream::from(far));
    let reader = std::thread::spawn(move || {
        let (mut all, mut buffer) = (0_u64, vec![0; 256 << 10]);
        while let Ok(size @ 1..) = far.read(&mut buffer) {
            all += size as u64;
        }
        all
    });
    let (begun, chunk) = (Instant::now(), vec![0; 64 << 10]);
    while begun.elapsed() < time {
        near.write_all(&chunk).unwrap();
    }
    drop(near);
    let all = reader.join().unwrap();
    rate(all, begun)
}

fn packets(world: &World, time: Duration) -> f64 {
    let receiver = world.receiver(At::Vm, target());
    let (sender, fate) = world.datagram(At::Peer, PEER[0].parse().unwrap(), &receiver);
    assert_eq!(fate, Fate::Through, "no datagram");
    // Answered once, the flow is established.
    receiver.send_to(b"hello", &sender.local_addr().unwrap()).unwrap();
    let (begun, mut all, mut buffer) = (Instant::now(), 0, [MaybeUninit::uninit(); 64]);
    while begun.elapsed() < time {
        for _ in 0..64 {
            let _full = sender.send(b"hello");
        }
        while receiver.recv_from(&mut buffer).is_ok() {
            all += 1;
        }
    }
    rate(all, begun)
}

fn connections(world: &World, time: Duration) -> f64 {
    let listener = world.listen(At::Vm, target());
    world.enter(At::Peer);
    let (begun, mut all) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let near = Socket::new(socket2::Domain::IPV4, Type::STREAM, None).unwrap();
        near.set_linger(Some(Duration::ZERO)).unwrap();
        near.connect(&target().into()).unwrap();
        let far = listener.accept().unwrap().0;
        far.set_linger(Some(Duration::ZERO)).unwrap();
        drop(near);
        all += 1;
    }
    rate(all, begun)
}
