//! Two namespaces and a wire: a virtual machine with our tables, and its peer.
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use agent::kernel::{BARRIER_PORT, Kernel, KernelLog};
use agent_core::{LogEvent, LogKind};
use futures::TryStreamExt;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::link::{LinkAttribute, State};
use rtnetlink::{LinkUnspec, LinkVeth};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Runtime;

pub(crate) const VM: [&str; 2] = ["10.98.0.1", "fd98::1"];
pub(crate) const PEER: [&str; 2] = ["10.98.0.2", "fd98::2"];
pub(crate) const OTHER: [&str; 2] = ["10.98.0.3", "fd98::3"];

/// Addresses of the peer's that no ruleset binds.
pub(crate) const STRANGER: [&str; 2] = ["10.98.0.9", "fd98::9"];

/// Addresses that the machine has and no ruleset binds to it.
pub(crate) const LATE: [&str; 2] = ["10.98.0.8", "fd98::8"];

/// Marks what was judged.
pub(crate) const STAMP: u32 = 0x5eed_cafe;

/// Where a socket lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Vm,
    Peer,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Through,
    Refused,
    Silent,
}

pub(crate) struct World {
    vm: OwnedFd,
    peer: OwnedFd,
    pub(crate) kernel: Kernel,
    log: KernelLog,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let (vm, peer) = (namespace(), namespace());
        setns(&vm, CloneFlags::CLONE_NEWNET).unwrap();
        runtime.block_on(wire(&peer));
        runtime.block_on(addresses(&[VM]));
        setns(&peer, CloneFlags::CLONE_NEWNET).unwrap();
        runtime.block_on(addresses(&[PEER, OTHER, STRANGER]));
        runtime.block_on(carrier("wire"));
        setns(&vm, CloneFlags::CLONE_NEWNET).unwrap();
        runtime.block_on(carrier("eth0"));
        reachable(0);
        reachable(1);
        let (kernel, log) = (Kernel::open(STAMP).unwrap(), KernelLog::open().unwrap());
        assert_eq!(agent::kernel::prepare(), Vec::<String>::new());
        drop(_entered);
        Self { vm, peer, kernel, log, runtime }
    }

    pub(crate) fn enter(&self, at: At) {
        let namespace = match at {
            At::Vm => &self.vm,
            At::Peer => &self.peer,
        };
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
    }

    pub(crate) fn socket(&self, at: At, ip: IpAddr, kind: Type, protocol: Option<Protocol>) -> Socket {
        self.enter(at);
        let domain = if ip.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, kind, protocol).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    pub(crate) fn listen(&self, at: At, to: SocketAddr) -> Socket {
        let socket = self.socket(at, to.ip(), Type::STREAM, None);
        socket.bind(&to.into()).unwrap();
        socket.listen(16).unwrap();
        socket
    }

    /// Begins a connection; on this wire its answer is there when the call returns.
    pub(crate) fn connect(&self, from: At, source: IpAddr, to: SocketAddr) -> (Socket, Fate) {
        let socket = self.socket(from, to.ip(), Type::STREAM, None);
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        let begun = socket.connect(&to.into());
        let fate = fate_of_connect(&socket, begun);
        (socket, fate)
    }

    /// Sends a datagram from a connected socket, and tells whether it came, or was answered by an error.
    pub(crate) fn datagram(&self, from: At, source: IpAddr, receiver: &Socket) -> (Socket, Fate) {
        let to = receiver.local_addr().unwrap().as_socket().unwrap();
        let socket = self.socket(from, to.ip(), Type::DGRAM, None);
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let fate = deliver(&socket, receiver);
        (socket, fate)
    }

    pub(crate) fn receiver(&self, at: At, to: SocketAddr) -> Socket {
        let socket = self.socket(at, to.ip(), Type::DGRAM, None);
        socket.bind(&to.into()).unwrap();
        socket
    }

    /// Gives the machine addresses, and tells the peer where they are: what the machine says of them does not come out.
    pub(crate) fn give(&self, all: [&str; 2]) {
        self.enter(At::Vm);
        self.runtime.block_on(addresses(&[all]));
        let link = |name: &'static str| async move {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            let task = tokio::spawn(connection);
            let found = handle.link().get().match_name(name.to_owned()).execute().try_next().await.unwrap().unwrap();
            (found, handle, task)
        };
        let (machine, _, task) = self.runtime.block_on(link("eth0"));
        task.abort();
        let is_address = |one| if let LinkAttribute::Address(bytes) = one { Some(bytes) } else { None };
        let mac = machine.attributes.into_iter().find_map(is_address).unwrap();
        self.enter(At::Peer);
        self.runtime.block_on(async {
            let (wire, handle, task) = link("wire").await;
            for ip in all {
                let request = handle.neighbours().add(wire.header.index, ip.parse().unwrap());
                request.link_layer_address(&mac).execute().await.unwrap();
            }
            task.abort();
        });
    }

    /// Everything logged so far: a sentinel makes the kernel hand it over.
    pub(crate) fn events(&mut self) -> Vec<LogEvent> {
        let to: SocketAddr = SocketAddr::new(PEER[0].parse().unwrap(), BARRIER_PORT);
        let socket = self.socket(At::Vm, to.ip(), Type::DGRAM, None);
        // A dropped packet of one's own is told to the sender.
        drop(socket.send_to(b"EWB1................", &to.into()));
        let mut all = Vec::new();
        while let Some(batch) = self.log.try_next().unwrap() {
            assert_eq!((batch.lost, batch.foreign), (0, 0));
            all.extend(batch.events);
        }
        assert_eq!(all.pop().unwrap().kind, LogKind::Barrier, "no sentinel came");
        all
    }

    /// The counter of a word, inbound and outbound.
    pub(crate) fn count(&mut self, word: u32) -> [u64; 2] {
        self.kernel.counters().unwrap().map(|all| all.iter().find(|one| one.key == word).map_or(0, |one| one.packets))
    }
}

pub(crate) fn deliver(sender: &Socket, receiver: &Socket) -> Fate {
    let sent = sender.send(b"hello");
    let came = receiver.recv_from(&mut [std::mem::MaybeUninit::uninit(); 64]).is_ok();
    let answered = sender.take_error().unwrap().is_some();
    match (came, answered || sent.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::PermissionDenied)) {
        (true, _) => Fate::Through,
        (false, true) => Fate::Refused,
        (false, false) => Fate::Silent,
    }
}

fn fate_of_connect(socket: &Socket, begun: io::Result<()>) -> Fate {
    let code = begun.as_ref().err().and_then(io::Error::raw_os_error);
    if begun.is_err() && code != Some(nix::errno::Errno::EINPROGRESS as i32) {
        return Fate::Refused;
    }
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut fds, PollTimeout::ZERO).unwrap() == 0 {
        return Fate::Silent;
    }
    if socket.take_error().unwrap().is_some() { Fate::Refused } else { Fate::Through }
}

fn namespace() -> OwnedFd {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for (name, value) in [
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/icmp/ratelimit", "0"),
        ("ipv4/ping_group_range", "0 0"),
        ("ipv4/conf/all/accept_redirects", "1"),
    ] {
        fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
    }
    fs::File::open("/proc/thread-self/ns/net").unwrap().into()
}

async fn wire(peer: &OwnedFd) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    handle.link().add(LinkVeth::new("eth0", "wire").build()).execute().await.unwrap();
    let there = LinkUnspec::new_with_name("wire").setns_by_fd(peer.as_raw_fd()).build();
    handle.link().change(there).execute().await.unwrap();
    task.abort();
}

/// Waits until the peer answers: the kernel sets up addresses and their groups in its own time.
fn reachable(family: usize) {
    let to = SocketAddr::new(PEER[family].parse().unwrap(), 1);
    for _ in 0..1_000_000 {
        let domain = if family == 1 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let begun = socket.connect(&to.into());
        if fate_of_connect(&socket, begun) == Fate::Refused {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the peer does not answer");
}

/// Waits until the kernel has noticed the carrier: until then it drops what is sent.
async fn carrier(name: &str) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    for _ in 0..1_000_000 {
        let link = handle.link().get().match_name(name.to_owned()).execute().try_next().await.unwrap().unwrap();
        if link.attributes.contains(&LinkAttribute::OperState(State::Up)) {
            task.abort();
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("no carrier on {name}");
}

async fn addresses(all: &[[&str; 2]]) {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    let task = tokio::spawn(connection);
    let names = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let name = if names.contains("eth0") { "eth0" } else { "wire" };
    for name in ["lo", name] {
        handle.link().change(LinkUnspec::new_with_name(name).up().build()).execute().await.unwrap();
    }
    let index = nix::net::if_::if_nametoindex(name).unwrap();
    for [four, six] in all {
        handle.address().add(index, four.parse().unwrap(), 24).execute().await.unwrap();
        let mut request = handle.address().add(index, six.parse().unwrap(), 64);
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        request.execute().await.unwrap();
        own(six.parse().unwrap());
    }
    task.abort();
}

/// Waits until what comes for an address of IPv6 is this machine's: the kernel gives it its route in a worker's turn.
fn own(address: std::net::Ipv6Addr) {
    let digits: String = address.octets().iter().map(|byte| format!("{byte:02x}")).collect();
    let is_local = |line: &str| {
        let mut words = line.split_whitespace();
        let is_its = words.next() == Some(&digits) && words.next() == Some("80");
        is_its && line.split_whitespace().nth(8).is_some_and(|flags| flags.starts_with('8'))
    };
    for _ in 0..1_000_000 {
        if fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap().lines().any(is_local) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{address} has no route");
}
