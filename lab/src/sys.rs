//! The one module with `unsafe`: link-layer addresses, the packet socket's own options and a path's MTU, for which
//! neither `nix` nor `socket2` has a safe call.
#![expect(unsafe_code, reason = "sockaddr_ll, SOL_PACKET and IPV6_MTU have no safe wrapper")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockFilter, Socket, Type};

/// Which frames a packet socket is to get.
pub(crate) struct Listen<'a> {
    /// The interface's index in the namespace of the calling thread.
    pub(crate) interface: u32,
    /// The ethertype; `ETH_P_ALL` for every frame in both directions; 0 for none (a sender).
    pub(crate) ethertype: u16,
    /// A classic BPF program; empty for none.
    pub(crate) filter: &'a [SockFilter],
    /// Leave out what this machine sends itself.
    pub(crate) ignore_outgoing: bool,
}

/// Opens a non-blocking raw packet socket in the calling thread's namespace. The filter stands before the
/// socket is bound, so no unwanted frame can slip in.
pub(crate) fn packet_socket(listen: &Listen<'_>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket.set_nonblocking(true)?;
    if !listen.filter.is_empty() {
        socket.attach_filter(listen.filter)?;
    }
    if listen.ignore_outgoing {
        ignore_outgoing(&socket)?;
    }
    socket.bind(&link_address(listen.interface, listen.ethertype))?;
    Ok(socket)
}

/// Frames that a packet socket lost for want of room, since the last call.
pub(crate) fn lost(socket: &impl AsFd) -> io::Result<u32> {
    // SAFETY: tpacket_stats is two plain integers; the kernel writes at most `length` bytes into it.
    let (result, statistics) = unsafe {
        let mut statistics: libc::tpacket_stats = mem::zeroed();
        let mut length = mem::size_of::<libc::tpacket_stats>() as libc::socklen_t;
        let result = libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        );
        (result, statistics)
    };
    if result == 0 { Ok(statistics.tp_drops) } else { Err(io::Error::last_os_error()) }
}

/// How large a packet may be on the path of a connected socket, as far as the kernel knows.
///
/// # Errors
/// The kernel's, such as that the socket is not connected.
pub fn path_mtu(socket: &impl AsFd, v6: bool) -> io::Result<u32> {
    let (level, option) = if v6 { (libc::IPPROTO_IPV6, libc::IPV6_MTU) } else { (libc::IPPROTO_IP, libc::IP_MTU) };
    let mut mtu: libc::c_int = 0;
    let mut length = mem::size_of_val(&mtu) as libc::socklen_t;
    // SAFETY: the pointers describe one live integer, of which the kernel writes at most `length` bytes.
    let result = unsafe {
        let place = (&raw mut mtu).cast();
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, option, place, &raw mut length)
    };
    if result == 0 { u32::try_from(mtu).map_err(io::Error::other) } else { Err(io::Error::last_os_error()) }
}

fn ignore_outgoing(socket: &Socket) -> io::Result<()> {
    switch_on(socket, libc::PACKET_IGNORE_OUTGOING)
}

/// Has a packet socket give and take frames with what the kernel leaves for a network card to do, told before each.
pub(crate) fn leave_work(socket: &Socket) -> io::Result<()> {
    switch_on(socket, libc::PACKET_VNET_HDR)
}

fn switch_on(socket: &Socket, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer and the length describe one live integer.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn link_address(interface: u32, ethertype: u16) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    let length = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: sockaddr_ll is plain data that fits the storage, and every field the kernel reads is set.
    unsafe {
        let address = storage.view_as::<libc::sockaddr_ll>();
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = interface as libc::c_int;
        SockAddr::new(storage, length)
    }
}
