//! The words in which the chains are written: conditions and actions, each a few expressions.
use agent_core::{Builtin, Word};
use nft::{CtKey, Direction, Expr, Family, Header, Log, MetaKey, Reject, Table, Test, Verdict};

/// The NFLOG group.
pub const GROUP: u16 = 98;
/// The UDP port of barrier sentinels.
pub const BARRIER_PORT: u16 = 64998;

/// Bit 31 of the scratch mark: an outcome was found.
pub(crate) const FOUND: u32 = 1 << 31;
/// Bit 30 of the scratch mark: a class was found.
pub(crate) const CLASSED: u32 = 1 << 30;
/// Bit 31 of the connection mark: the flow was cut.
pub(crate) const CUT: u32 = 1 << 31;
/// The connection mark's epoch.
pub(crate) const EPOCH: u32 = 0x7ff0_0000;
pub(crate) const EPOCH_SHIFT: u32 = 20;
pub(super) const ACTION: u32 = 3 << 18;
pub(crate) const ALLOW: u32 = 2 << 18;
pub(crate) const REJECT: u32 = 1 << 18;
pub(crate) const RECORD: u32 = 1 << 17;

/// The registers behind those of class and service: the place; the service before its look-up; an address of four.
pub(super) const PLACE: u8 = 2;
pub(super) const SERVICE: u8 = 3;
pub(super) const ADDRESS: u8 = 4;

/// The place of the machine's own addresses.
pub(crate) const OWN: u32 = 0;

pub(crate) const INVALID: u32 = 1;
pub(crate) const RELATED: u32 = 4;
pub(crate) const NEW: u32 = 8;
pub(crate) const UNTRACKED: u32 = 64;
/// Status bits of flows that a helper expected, and of translated ones.
pub(crate) const EXPECTED: u32 = 1;
pub(crate) const TRANSLATED: u32 = 0x30;

pub(crate) const ICMP: u8 = 1;
pub(crate) const IGMP: u8 = 2;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const IPV4: u8 = 2;
pub(crate) const IPV6: u8 = 10;

/// The agent's table.
#[must_use]
pub fn table() -> Table {
    Table::new(Family::Inet, "eastwest")
}

/// A rule under construction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule(pub(crate) Vec<Expr>);

impl Rule {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(super) fn with(mut self, exprs: impl IntoIterator<Item = Expr>) -> Self {
        self.0.extend(exprs);
        self
    }

    /// The packet's transport protocol.
    pub(crate) fn transport(self, protocol: u8) -> Self {
        self.with([Expr::Meta(MetaKey::Transport, 0), Expr::equal(0, [protocol])])
    }

    /// The packet's family.
    pub(crate) fn family(self, family: u8) -> Self {
        self.with([Expr::Meta(MetaKey::Family, 0), Expr::equal(0, [family])])
    }

    /// The interface's hardware type.
    pub(crate) fn device(self, key: MetaKey, kind: u16) -> Self {
        self.with([Expr::Meta(key, 0), Expr::equal(0, kind.to_ne_bytes())])
    }

    /// Any other.
    pub(crate) fn other_device(self, key: MetaKey, kind: u16) -> Self {
        self.with([Expr::Meta(key, 0), Expr::Cmp(0, Test::NotEqual, kind.to_ne_bytes().to_vec())])
    }

    /// Bytes of the packet.
    pub(crate) fn bytes(self, base: Header, offset: u32, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(0);
        self.with([Expr::Payload { base, offset, length, into: 0 }, Expr::equal(0, value)])
    }

    /// The first byte of the transport header, which in ICMP is the type.
    pub(crate) fn icmp_type(self, types: std::ops::RangeInclusive<u8>) -> Self {
        self.with([
            Expr::Payload { base: Header::Transport, offset: 0, length: 1, into: 0 },
            Expr::Range(0, true, vec![*types.start()], vec![*types.end()]),
        ])
    }

    /// An IPv4 packet of a frame that is no fragment.
    pub(crate) fn whole(self) -> Self {
        self.with([
            Expr::Payload { base: Header::Link, offset: 20, length: 2, into: 0 },
            Expr::Bitwise { from: 0, into: 0, mask: vec![0x3f, 0xff], xor: vec![0; 2] },
            Expr::equal(0, [0; 2]),
        ])
    }

    /// A TCP reset.
    pub(crate) fn reset(self) -> Self {
        self.transport(TCP).with([
            Expr::Payload { base: Header::Transport, offset: 13, length: 1, into: 0 },
            Expr::Bitwise { from: 0, into: 0, mask: vec![4], xor: vec![0] },
            Expr::Cmp(0, Test::NotEqual, vec![0]),
        ])
    }

    /// A TCP segment that opens a connection: of its flags SYN, ACK, RST and FIN it has the first alone.
    pub(crate) fn opening(self) -> Self {
        self.transport(TCP).with([
            Expr::Payload { base: Header::Transport, offset: 13, length: 1, into: 0 },
            Expr::Bitwise { from: 0, into: 0, mask: vec![0x17], xor: vec![0] },
            Expr::equal(0, [2]),
        ])
    }

    /// An IPv4 packet to a multicast group.
    pub(crate) fn toward_group4(self) -> Self {
        self.with([
            Expr::Payload { base: Header::Network, offset: 16, length: 1, into: 0 },
            Expr::Bitwise { from: 0, into: 0, mask: vec![0xf0], xor: vec![0] },
            Expr::equal(0, [0xe0]),
        ])
    }

    /// A packet that a process sends, by whatever socket; not one that the kernel makes.
    pub(crate) fn of_process(self) -> Self {
        self.with([Expr::Meta(MetaKey::SocketUser, 0)])
    }

    /// A packet that has a device of this kind: of departure on its way out alone, of arrival when it comes in.
    pub(crate) fn has(self, index: MetaKey) -> Self {
        self.with([Expr::Meta(index, 0), Expr::word(0, Test::NotEqual, 0)])
    }

    /// Any of the bits of a four-byte connection tracking key.
    pub(crate) fn ct_any(self, key: CtKey, bits: u32) -> Self {
        self.with([Expr::Ct(key, None, 0), Expr::bits(0, 0, bits, 0), Expr::word(0, Test::NotEqual, 0)])
    }

    /// Some bits of a four-byte connection tracking key, exactly.
    pub(crate) fn ct_bits(self, key: CtKey, mask: u32, value: u32) -> Self {
        self.with([Expr::Ct(key, None, 0), Expr::bits(0, 0, mask, 0), Expr::word(0, Test::Equal, value)])
    }

    /// A packet without this mark.
    pub(crate) fn unmarked(self, mark: u32) -> Self {
        self.with([Expr::Meta(MetaKey::Mark, 0), Expr::word(0, Test::NotEqual, mark)])
    }

    /// A flow that no ruleset has judged.
    pub(crate) fn unjudged(self) -> Self {
        self.with([Expr::Ct(CtKey::Mark, None, 0), Expr::word(0, Test::Equal, 0)])
    }

    /// A flow that was judged and not cut.
    pub(crate) fn living(self) -> Self {
        self.with([Expr::Ct(CtKey::Mark, None, 0), Expr::word(0, Test::NotEqual, 0)]).ct_bits(CtKey::Mark, CUT, 0)
    }

    /// The packet's direction in its flow.
    pub(crate) fn direction(self, direction: Direction) -> Self {
        self.with([Expr::Ct(CtKey::Direction, None, 0), Expr::equal(0, [direction as u8])])
    }

    /// The transport protocol of the flow's original tuple, which an ICMP error shares with its flow.
    pub(crate) fn protocol(self, protocol: u8) -> Self {
        self.with([Expr::Ct(CtKey::Protocol, Some(Direction::Original), 0), Expr::equal(0, [protocol])])
    }

    /// None of these protocols in the original tuple.
    pub(crate) fn other_protocol(self, named: &[u8]) -> Self {
        let tests = named.iter().map(|protocol| Expr::Cmp(0, Test::NotEqual, vec![*protocol]));
        self.with([Expr::Ct(CtKey::Protocol, Some(Direction::Original), 0)]).with(tests)
    }

    /// A value of the original tuple.
    pub(crate) fn original(self, key: CtKey, value: &[u8]) -> Self {
        self.with([Expr::Ct(key, Some(Direction::Original), 0), Expr::equal(0, value)])
    }

    /// Some bits of the scratch mark, exactly.
    pub(crate) fn mark_bits(self, mask: u32, value: u32) -> Self {
        let masked = (mask != u32::MAX).then(|| Expr::bits(0, 0, mask, 0));
        self.with([Expr::Meta(MetaKey::Mark, 0)]).with(masked).with([Expr::word(0, Test::Equal, value)])
    }

    /// An action in the scratch mark.
    pub(crate) fn action(self, action: u32) -> Self {
        self.mark_bits(ACTION, action)
    }

    /// Writes the scratch mark.
    pub(crate) fn set_mark(self, value: u32) -> Self {
        self.with([Expr::Immediate(0, value.to_ne_bytes().to_vec()), Expr::SetMeta(MetaKey::Mark, 0)])
    }

    /// Writes a built-in's word into the scratch mark, and adds the epoch.
    pub(crate) fn set_builtin(self, builtin: Builtin) -> Self {
        self.set_mark(builtin.word().0).jump("stamp")
    }

    /// Looks a value of the original tuple up, and writes what is found into the scratch mark.
    pub(crate) fn classify(self, key: CtKey, map: &str) -> Self {
        self.with([
            Expr::Ct(key, Some(Direction::Original), 0),
            Expr::Map { set: map.to_owned(), key: 0, into: 0 },
            Expr::SetMeta(MetaKey::Mark, 0),
        ])
    }

    /// Looks the original destination up, and keeps its place where `judge` and `unless_judged` look for it.
    pub(crate) fn place(self, key: CtKey, map: &str) -> Self {
        self.with([
            Expr::Ct(key, Some(Direction::Original), ADDRESS),
            Expr::Map { set: map.to_owned(), key: ADDRESS, into: PLACE },
        ])
    }

    /// Writes the outcome of a place for which nothing passes into the scratch mark.
    pub(crate) fn unless_judged(self) -> Self {
        self.with([
            Expr::bits(PLACE, 0, FOUND, 0),
            Expr::word(0, Test::NotEqual, 0),
            Expr::SetMeta(MetaKey::Mark, PLACE),
        ])
    }

    /// Looks the service up, then the class in the scratch mark together with it, and with the place where the map's key has
    /// that; writes the outcome there.
    pub(crate) fn judge(self, key: CtKey, services: &str, pairs: &str) -> Self {
        self.with([
            Expr::Ct(key, Some(Direction::Original), SERVICE),
            Expr::Map { set: services.to_owned(), key: SERVICE, into: 1 },
            Expr::Meta(MetaKey::Mark, 0),
            Expr::Map { set: pairs.to_owned(), key: 0, into: 0 },
            Expr::SetMeta(MetaKey::Mark, 0),
        ])
    }

    /// An epoch that is not in force.
    pub(crate) fn unless_in_force(self, epoch: u16, set: &str) -> Self {
        self.with([
            Expr::Immediate(0, u32::from(epoch).to_ne_bytes().to_vec()),
            Expr::Lookup { set: set.to_owned(), key: 0, inverted: true },
        ])
    }

    /// All of another rule behind it.
    pub(crate) fn and(self, other: Self) -> Self {
        self.with(other.0)
    }

    /// A map that has this value for a key.
    pub(crate) fn says(self, map: &str, key: u32, value: u32) -> Self {
        self.with([
            Expr::Immediate(0, key.to_ne_bytes().to_vec()),
            Expr::Map { set: map.to_owned(), key: 0, into: 0 },
            Expr::word(0, Test::Equal, value),
        ])
    }

    /// Writes a direction's default into the scratch mark, from the map of defaults.
    pub(crate) fn default_of(self, side: u32, defaults: &str) -> Self {
        self.with([
            Expr::Immediate(0, side.to_ne_bytes().to_vec()),
            Expr::Map { set: defaults.to_owned(), key: 0, into: 0 },
            Expr::SetMeta(MetaKey::Mark, 0),
        ])
    }

    /// Counts the outcome in the scratch mark.
    pub(crate) fn count(self, set: &str) -> Self {
        self.with([
            Expr::Meta(MetaKey::Mark, 0),
            Expr::bits(0, 0, Word::MASK, 0),
            Expr::Lookup { set: set.to_owned(), key: 0, inverted: false },
        ])
    }

    /// Counts a built-in outcome; leaves the scratch mark alone.
    pub(crate) fn count_builtin(self, builtin: Builtin, set: &str) -> Self {
        self.with([
            Expr::Immediate(0, builtin.word().0.to_ne_bytes().to_vec()),
            Expr::Lookup { set: set.to_owned(), key: 0, inverted: false },
        ])
    }

    pub(crate) fn limit(self, rate: u64, over: bool) -> Self {
        let burst = u32::try_from(rate.saturating_mul(2)).unwrap_or(u32::MAX);
        self.with([Expr::Limit { rate, burst, over }])
    }

    pub(crate) fn log(self, prefix: &str) -> Self {
        self.with([log(prefix, 0)])
    }

    /// A message that the kernel hands over at once, with all that it had gathered.
    pub(crate) fn log_at_once(self, prefix: &str) -> Self {
        self.with([log(prefix, 1)])
    }

    /// Logs what had admitted the flow and what forbids it, and sets the cut bit, all in one packet's turn.
    pub(crate) fn cut(self) -> Self {
        self.with([
            Expr::Meta(MetaKey::Mark, 1),
            Expr::Ct(CtKey::Mark, None, 0),
            Expr::SetMeta(MetaKey::Mark, 0),
            log("was", 0),
            Expr::SetMeta(MetaKey::Mark, 1),
            log("cut", 0),
            Expr::bits(1, 1, !CUT, CUT),
            Expr::SetCtMark(1),
        ])
    }

    /// Writes the scratch mark into the connection mark.
    pub(crate) fn keep(self) -> Self {
        self.with([Expr::Meta(MetaKey::Mark, 0), Expr::SetCtMark(0)])
    }

    /// Replaces all but the outcome in the scratch mark by the epoch.
    pub(crate) fn stamp(self, epoch: u16) -> Self {
        let epoch = u32::from(epoch) << EPOCH_SHIFT;
        self.with([Expr::Meta(MetaKey::Mark, 0), Expr::bits(0, 0, Word::MASK, epoch), Expr::SetMeta(MetaKey::Mark, 0)])
    }

    /// Counts the packet by its sender, where the set has that.
    pub(crate) fn weigh(self, six: bool, set: &str) -> Self {
        let (offset, length) = if six { (8, 16) } else { (12, 4) };
        self.with([
            Expr::Payload { base: Header::Network, offset, length, into: 0 },
            Expr::Lookup { set: set.to_owned(), key: 0, inverted: false },
        ])
    }

    pub(crate) fn counter(self) -> Self {
        self.with([Expr::Counter])
    }

    pub(crate) fn jump(self, chain: &str) -> Self {
        self.with([Expr::jump(chain)])
    }

    pub(crate) fn goto(self, chain: &str) -> Self {
        self.with([Expr::goto(chain)])
    }

    pub(crate) fn back(self) -> Self {
        self.with([Expr::Verdict(Verdict::Return)])
    }

    pub(crate) fn accept(self) -> Self {
        self.with([Expr::Verdict(Verdict::Accept)])
    }

    pub(crate) fn drop(self) -> Self {
        self.with([Expr::Verdict(Verdict::Drop)])
    }

    pub(crate) fn answer(self, how: Reject) -> Self {
        self.with([Expr::Reject(how)])
    }
}

fn log(prefix: &str, threshold: u16) -> Expr {
    Expr::Log(Log { group: GROUP, prefix: prefix.to_owned(), snaplen: 128, threshold })
}
