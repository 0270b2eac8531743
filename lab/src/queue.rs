//! Queueing disciplines as routing netlink has them: a hierarchical token bucket in which each class has a rate and a
//! queue of its own, and what is of no class passes at once.

use rtnetlink::packet_core::DefaultNla;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};

/// The discipline's number; its classes are numbered below it.
const MAJOR: u16 = 1;
/// Attributes and versions of the kernel's interface.
const OPTIONS: u16 = 2;
const PARAMETERS: u16 = 1;
const INIT: u16 = 2;
const VERSION: u32 = 3;
const ETHERNET: u8 = 1;
/// The kernel counts time in 64 nanoseconds here.
const TICK: u64 = 64;
/// The most that leaves at once: two full frames, or what takes ten milliseconds.
const LEAST_BURST: u64 = 3_028;
/// What waits for its turn: half a second's worth, and room for what a connection has on its way.
const LEAST_QUEUE: u64 = 256 * 1024;

/// The priority of a packet that is of a class.
pub(crate) fn priority(class: u16) -> u32 {
    u32::from(MAJOR) << 16 | u32::from(class)
}

/// The discipline at an interface, without a class.
pub(crate) fn root(interface: u32) -> RouteNetlinkMessage {
    let words = [VERSION, 10, 0, 0, 0];
    let init = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let options = TcAttribute::Options(vec![TcOption::Other(DefaultNla::new(INIT, init))]);
    let handle = TcHandle { major: MAJOR, minor: 0 };
    RouteNetlinkMessage::NewQueueDiscipline(message(interface, handle, TcHandle::ROOT, vec![kind("htb"), options]))
}

/// Takes away whatever discipline an interface has.
pub(crate) fn no_root(interface: u32) -> RouteNetlinkMessage {
    RouteNetlinkMessage::DelQueueDiscipline(message(interface, TcHandle::UNSPEC, TcHandle::ROOT, Vec::new()))
}

/// A class of so many bits a second.
pub(crate) fn class(interface: u32, class: u16, bits: u64) -> RouteNetlinkMessage {
    let bytes = (bits / 8).max(1);
    let rate = u32::try_from(bytes).unwrap_or(u32::MAX);
    let burst = LEAST_BURST.max(bytes / 100);
    let ticks = u32::try_from(burst.saturating_mul(1_000_000_000) / bytes / TICK).unwrap_or(u32::MAX);
    let mut parameters = Vec::with_capacity(44);
    for _ in ["rate", "ceiling"] {
        parameters.extend([0, ETHERNET, 0, 0, 0, 0, 0, 0]);
        parameters.extend(rate.to_ne_bytes());
    }
    // The buffers of the two, the share, the level and the priority.
    for word in [ticks, ticks, 1_514, 0, 0] {
        parameters.extend(word.to_ne_bytes());
    }
    let options = TcAttribute::Options(vec![TcOption::Other(DefaultNla::new(PARAMETERS, parameters))]);
    let parent = TcHandle { major: MAJOR, minor: 0 };
    let own = TcHandle { major: MAJOR, minor: class };
    RouteNetlinkMessage::NewTrafficClass(message(interface, own, parent, vec![kind("htb"), options]))
}

/// The queue of a class, bounded in bytes.
pub(crate) fn leaf(interface: u32, class: u16, bits: u64) -> RouteNetlinkMessage {
    let limit = u32::try_from(LEAST_QUEUE.max(bits / 16)).unwrap_or(u32::MAX);
    let options = TcAttribute::Other(DefaultNla::new(OPTIONS, limit.to_ne_bytes().to_vec()));
    let parent = TcHandle { major: MAJOR, minor: class };
    RouteNetlinkMessage::NewQueueDiscipline(message(interface, TcHandle::UNSPEC, parent, vec![kind("bfifo"), options]))
}

/// Netem as it is without a wish, at an interface: to see whether the kernel has it.
pub(crate) fn netem(interface: u32) -> RouteNetlinkMessage {
    // Latency, limit, loss, gap, duplicates, jitter.
    let words: [u32; 6] = [0, 1000, 0, 0, 0, 0];
    let wishes = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let options = TcAttribute::Other(DefaultNla::new(OPTIONS, wishes));
    let handle = TcHandle { major: MAJOR, minor: 0 };
    RouteNetlinkMessage::NewQueueDiscipline(message(interface, handle, TcHandle::ROOT, vec![kind("netem"), options]))
}

fn kind(name: &str) -> TcAttribute {
    TcAttribute::Kind(name.to_owned())
}

fn message(interface: u32, handle: TcHandle, parent: TcHandle, attributes: Vec<TcAttribute>) -> TcMessage {
    let mut message = TcMessage::with_index(interface.cast_signed());
    message.header.handle = handle;
    message.header.parent = parent;
    message.attributes = attributes;
    message
}
