//! A rule's expressions. Registers are sixteen slots of four bytes; wider values take several.
use crate::attr::Writer;

/// What the packet's surroundings tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MetaKey {
    /// The Ethernet protocol: 2 bytes.
    Protocol = 1,
    /// The priority, by which a queueing discipline finds a packet's class: 4 bytes.
    Priority = 2,
    /// The packet mark.
    Mark = 3,
    /// The index of the interface of arrival.
    InIndex = 4,
    /// The index of the interface of departure.
    OutIndex = 5,
    /// The name of the interface of arrival: 16 bytes.
    InName = 6,
    /// The name of the interface of departure: 16 bytes.
    OutName = 7,
    /// The hardware type of the interface of arrival: 2 bytes, host order.
    InType = 8,
    /// The hardware type of the interface of departure: 2 bytes, host order.
    OutType = 9,
    /// The user of the process whose socket sends: 4 bytes. The kernel's own packets have none, and match nothing.
    SocketUser = 10,
    /// The network family: 1 byte.
    Family = 15,
    /// The transport protocol: 1 byte.
    Transport = 16,
    /// Unicast, broadcast, multicast: 1 byte.
    PacketType = 19,
    /// The kind of the interface of departure, such as `vlan`: 16 bytes. One of hardware has none, and matches nothing.
    OutKind = 27,
}

/// What connection tracking tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CtKey {
    /// A bit of invalid 1, established 2, related 4, new 8, untracked 64.
    State = 0,
    /// 0 original, 1 reply: 1 byte.
    Direction = 1,
    /// The status bits.
    Status = 2,
    /// The connection mark.
    Mark = 3,
    /// The transport protocol; needs a direction: 1 byte.
    Protocol = 10,
    /// The source port; needs a direction: 2 bytes.
    SourcePort = 11,
    /// The destination port, or ICMP type and code; needs a direction: 2 bytes.
    DestinationPort = 12,
    /// The IPv4 source; needs a direction.
    Source4 = 19,
    /// The IPv4 destination; needs a direction.
    Destination4 = 20,
    /// The IPv6 source; needs a direction: 16 bytes.
    Source6 = 21,
    /// The IPv6 destination; needs a direction: 16 bytes.
    Destination6 = 22,
}

/// Which of a connection's two tuples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// As the first packet went.
    Original = 0,
    /// As the answers go.
    Reply = 1,
}

/// Where a payload's offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Header {
    /// The link header.
    Link = 0,
    /// The network header.
    Network = 1,
    /// The transport header.
    Transport = 2,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Test {
    /// Equal.
    Equal = 0,
    /// Not equal.
    NotEqual = 1,
    /// Less.
    Less = 2,
    /// Less or equal.
    LessEqual = 3,
    /// Greater.
    Greater = 4,
    /// Greater or equal.
    GreaterEqual = 5,
}

/// Where a packet goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Away.
    Drop,
    /// On.
    Accept,
    /// Into a chain, and back.
    Jump(String),
    /// Into a chain.
    Goto(String),
    /// Back to the calling chain.
    Return,
}

/// How a dropped packet is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// By a TCP reset.
    TcpReset,
    /// By ICMP or `ICMPv6` "administratively prohibited".
    Prohibited,
}

/// A message to the NFLOG reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The NFLOG group.
    pub group: u16,
    /// The prefix, at most 127 bytes.
    pub prefix: String,
    /// How much of the packet is copied; 0: as much as the reader asked for.
    pub snaplen: u32,
    /// How many messages the kernel gathers; 0: as many as the reader asked for.
    pub threshold: u16,
}

/// `NFT_BITWISE_OR`.
const BITWISE_OR: u32 = 4;

/// One expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Loads a meta key into a register.
    Meta(MetaKey, u8),
    /// Writes a register into a meta key.
    SetMeta(MetaKey, u8),
    /// Loads a connection tracking key.
    Ct(CtKey, Option<Direction>, u8),
    /// Writes a register into the connection mark.
    SetCtMark(u8),
    /// Loads bytes of the packet.
    Payload {
        /// Where the offset counts from.
        base: Header,
        /// The first byte.
        offset: u32,
        /// How many.
        length: u32,
        /// Into here.
        into: u8,
    },
    /// Goes on only if the comparison holds.
    Cmp(u8, Test, Vec<u8>),
    /// Goes on only if the register lies inside (or, with `false`, outside) the inclusive range.
    Range(u8, bool, Vec<u8>, Vec<u8>),
    /// `into = (from & mask) ^ xor`.
    Bitwise {
        /// The source register.
        from: u8,
        /// The destination register.
        into: u8,
        /// The mask, which also gives the length.
        mask: Vec<u8>,
        /// As long as the mask.
        xor: Vec<u8>,
    },
    /// `into = from | with`, of four bytes (Linux 6.13 and later).
    Or {
        /// One register.
        from: u8,
        /// The other.
        with: u8,
        /// The destination register.
        into: u8,
    },
    /// Goes on only if the set holds the key (or, with `inverted`, does not).
    Lookup {
        /// The set.
        set: String,
        /// The key's register.
        key: u8,
        /// Whether to go on only for keys that are absent.
        inverted: bool,
    },
    /// Goes on only if the map holds the key; loads its value.
    Map {
        /// The map.
        set: String,
        /// The key's register.
        key: u8,
        /// The value's register.
        into: u8,
    },
    /// Acts by the verdict that the map holds for the key, if any.
    VerdictMap {
        /// The map.
        set: String,
        /// The key's register.
        key: u8,
    },
    /// Loads a constant.
    Immediate(u8, Vec<u8>),
    /// Ends the rule.
    Verdict(Verdict),
    /// Counts packets and bytes.
    Counter,
    /// Sends a message to the NFLOG reader.
    Log(Log),
    /// Drops the packet and answers it.
    Reject(Reject),
    /// Goes on for so many packets a second (or, with `over`, only for those beyond).
    Limit {
        /// Packets a second.
        rate: u64,
        /// Packets at once.
        burst: u32,
        /// Whether to go on for the packets beyond the rate.
        over: bool,
    },
    /// Loads a random number below the modulus.
    Random {
        /// The modulus.
        modulus: u32,
        /// Into here.
        into: u8,
    },
    /// Turns a four-byte register from the host's order into the network's, so that "less" means less.
    NetworkOrder(u8),
    /// Loads the type of the destination address, as routing sees it (broadcast 3, multicast 5).
    DestinationType(u8),
}

impl Expr {
    /// Compares for equality.
    #[must_use]
    pub fn equal(register: u8, value: impl Into<Vec<u8>>) -> Self {
        Self::Cmp(register, Test::Equal, value.into())
    }

    /// Masks a four-byte register in host order, and flips bits of it.
    #[must_use]
    pub fn bits(from: u8, into: u8, mask: u32, xor: u32) -> Self {
        Self::Bitwise { from, into, mask: mask.to_ne_bytes().to_vec(), xor: xor.to_ne_bytes().to_vec() }
    }

    /// Compares a four-byte register in host order.
    #[must_use]
    pub fn word(register: u8, test: Test, value: u32) -> Self {
        Self::Cmp(register, test, value.to_ne_bytes().to_vec())
    }

    /// Jumps.
    #[must_use]
    pub fn jump(chain: &str) -> Self {
        Self::Verdict(Verdict::Jump(chain.to_owned()))
    }

    /// Goes.
    #[must_use]
    pub fn goto(chain: &str) -> Self {
        Self::Verdict(Verdict::Goto(chain.to_owned()))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Meta(..) | Self::SetMeta(..) => "meta",
            Self::Ct(..) | Self::SetCtMark(_) => "ct",
            Self::Payload { .. } => "payload",
            Self::Cmp(..) => "cmp",
            Self::Range(..) => "range",
            Self::Bitwise { .. } | Self::Or { .. } => "bitwise",
            Self::Lookup { .. } | Self::Map { .. } | Self::VerdictMap { .. } => "lookup",
            Self::Immediate(..) | Self::Verdict(_) => "immediate",
            Self::Counter => "counter",
            Self::Log(_) => "log",
            Self::Reject(_) => "reject",
            Self::Limit { .. } => "limit",
            Self::Random { .. } => "numgen",
            Self::NetworkOrder(_) => "byteorder",
            Self::DestinationType(_) => "fib",
        }
    }

    fn write_data(&self, w: &mut Writer) {
        match self {
            Self::Meta(key, into) => w.be32(1, slot(*into)).be32(2, *key as u32),
            Self::SetMeta(key, from) => w.be32(2, *key as u32).be32(3, slot(*from)),
            Self::Ct(key, direction, into) => {
                w.be32(1, slot(*into)).be32(2, *key as u32);
                direction.iter().fold(w, |w, direction| w.u8(3, *direction as u8))
            }
            Self::SetCtMark(from) => w.be32(2, CtKey::Mark as u32).be32(4, slot(*from)),
            Self::Payload { base, offset, length, into } => {
                w.be32(1, slot(*into)).be32(2, *base as u32).be32(3, *offset).be32(4, *length)
            }
            Self::Cmp(register, test, value) => {
                w.be32(1, slot(*register)).be32(2, *test as u32).nest(3, value_in(value))
            }
            Self::Range(register, inside, from, to) => {
                w.be32(1, slot(*register)).be32(2, u32::from(!inside)).nest(3, value_in(from)).nest(4, value_in(to))
            }
            Self::Bitwise { from, into, mask, xor } => {
                let length = u32::try_from(mask.len()).unwrap_or(0);
                w.be32(1, slot(*from)).be32(2, slot(*into)).be32(3, length);
                w.nest(4, value_in(mask)).nest(5, value_in(xor))
            }
            Self::Or { from, with, into } => {
                w.be32(1, slot(*from)).be32(2, slot(*into)).be32(3, 4).be32(6, BITWISE_OR).be32(8, slot(*with))
            }
            Self::Lookup { set, key, inverted } => w.text(1, set).be32(2, slot(*key)).be32(5, u32::from(*inverted)),
            Self::Map { set, key, into } => w.text(1, set).be32(2, slot(*key)).be32(3, slot(*into)),
            Self::VerdictMap { set, key } => w.text(1, set).be32(2, slot(*key)).be32(3, 0),
            Self::Immediate(into, value) => w.be32(1, slot(*into)).nest(2, value_in(value)),
            Self::Verdict(verdict) => w.be32(1, 0).nest(2, |w| write_verdict(w, verdict)),
            Self::Counter => w.be64(1, 0).be64(2, 0),
            Self::Log(log) => write_log(w, log),
            Self::Reject(Reject::TcpReset) => w.be32(1, 1),
            Self::Reject(Reject::Prohibited) => w.be32(1, 2).u8(2, 3),
            Self::Limit { rate, burst, over } => {
                w.be64(1, *rate).be64(2, 1).be32(3, *burst).be32(4, 0).be32(5, u32::from(*over))
            }
            Self::Random { modulus, into } => w.be32(1, slot(*into)).be32(2, *modulus).be32(3, 1).be32(4, 0),
            Self::NetworkOrder(register) => {
                w.be32(1, slot(*register)).be32(2, slot(*register)).be32(3, 1).be32(4, 4).be32(5, 4)
            }
            Self::DestinationType(into) => w.be32(1, slot(*into)).be32(2, 3).be32(3, 2),
        };
    }
}

/// The kernel's number of a four-byte register.
fn slot(register: u8) -> u32 {
    8 + u32::from(register)
}

pub(crate) fn value_in(value: &[u8]) -> impl FnOnce(&mut Writer) {
    move |w| {
        w.bytes(1, value);
    }
}

pub(crate) fn write_verdict(w: &mut Writer, verdict: &Verdict) {
    let (code, chain): (i32, Option<&str>) = match verdict {
        Verdict::Drop => (0, None),
        Verdict::Accept => (1, None),
        Verdict::Jump(chain) => (-3, Some(chain)),
        Verdict::Goto(chain) => (-4, Some(chain)),
        Verdict::Return => (-5, None),
    };
    w.nest(2, |w| {
        w.be32(1, code.cast_unsigned());
        if let Some(chain) = chain {
            w.text(2, chain);
        }
    });
}

fn write_log<'w>(w: &'w mut Writer, log: &Log) -> &'w mut Writer {
    w.be16(1, log.group).text(2, &log.prefix);
    if log.snaplen != 0 {
        w.be32(3, log.snaplen);
    }
    if log.threshold != 0 {
        w.be16(4, log.threshold);
    }
    w
}

/// Writes one expression as a name and its data, without the frame of a list.
pub(crate) fn write_expr(w: &mut Writer, expr: &Expr) {
    w.text(1, expr.name()).nest(2, |w| expr.write_data(w));
}
