//! What the kernel shall hold for one virtual machine: pure data, ordered and comparable.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The highest epoch; 0 means "never judged".
pub const MAX_EPOCH: u16 = 2047;

/// Peers that no rule tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u32);

/// Ports or types that no rule tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(pub u32);

/// What the rules know of the address for which a flow reaches this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// This machine's own, or no rule tells it from that.
    Own,
    /// No VM's, and told from others by rules: multicast, broadcast, or an outside address.
    Other(u32),
    /// One for which nothing passes, from whomever it comes.
    Denied(Word),
}

/// A 20-bit outcome: bits 18–19 the action, bit 17 "tell of the allow", bits 0–16 the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(pub u32);

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Dropped in silence.
    Deny,
    /// Dropped, and answered.
    Reject,
    /// Passed.
    Allow,
}

impl Word {
    /// The bits of the number.
    pub const NUMBER: u32 = 0x1_ffff;
    /// The bit that asks the kernel to tell of an allowed flow.
    pub const RECORD: u32 = 1 << 17;
    /// The bits of the whole word.
    pub const MASK: u32 = 0xf_ffff;

    /// Puts a word together; a number beyond 17 bits loses its upper bits.
    #[must_use]
    pub const fn new(action: Action, record: bool, number: u32) -> Self {
        let action = match action {
            Action::Deny => 0,
            Action::Reject => 1 << 18,
            Action::Allow => 2 << 18,
        };
        let record = if record { Self::RECORD } else { 0 };
        Self(action | record | (number & Self::NUMBER))
    }

    /// The action; `None` for the pattern that no word has.
    #[must_use]
    pub const fn action(self) -> Option<Action> {
        match (self.0 >> 18) & 3 {
            0 => Some(Action::Deny),
            1 => Some(Action::Reject),
            2 => Some(Action::Allow),
            _ => None,
        }
    }

    /// Whether the kernel tells of an allowed flow's first packet.
    #[must_use]
    pub const fn records(self) -> bool {
        self.0 & Self::RECORD != 0
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 & Self::NUMBER
    }
}

/// Outcomes that the datapath's fixed parts give; their numbers are the same in every ruleset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// A packet of no known flow.
    Invalid,
    /// A barrier's sentinel.
    Barrier,
    /// The agent's own channel.
    Center,
    /// A translated flow.
    Nat,
    /// A packet that this machine would forward.
    Forwarded,
    /// A frame that leaves with a sender that is not this machine's.
    Spoofed,
    /// A packet that leaves without having been judged.
    Bypass,
    /// A packet of a DHCP client, or to one.
    Address,
    /// A DHCP client's frame to all servers: counted apart, in a table of its own.
    Asked,
}

impl Builtin {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::Barrier,
        Self::Center,
        Self::Nat,
        Self::Forwarded,
        Self::Spoofed,
        Self::Bypass,
        Self::Address,
        Self::Asked,
    ];
    /// The first number that is free for rules.
    pub const FIRST_FREE: u32 = 16;

    /// The word that counters and logs carry.
    #[must_use]
    pub const fn word(self) -> Word {
        match self {
            Self::Invalid => Word::new(Action::Deny, false, 1),
            Self::Barrier => Word::new(Action::Deny, false, 2),
            Self::Center => Word::new(Action::Allow, false, 3),
            Self::Nat => Word::new(Action::Deny, false, 4),
            Self::Forwarded => Word::new(Action::Deny, false, 5),
            Self::Spoofed => Word::new(Action::Deny, false, 6),
            Self::Bypass => Word::new(Action::Deny, false, 7),
            Self::Address => Word::new(Action::Allow, false, 8),
            Self::Asked => Word::new(Action::Allow, false, 9),
        }
    }

    /// The rule's name.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Invalid => "eastwest/invalid",
            Self::Barrier => "eastwest/barrier",
            Self::Center => "eastwest/center",
            Self::Nat => "eastwest/nat",
            Self::Forwarded => "eastwest/forwarded",
            Self::Spoofed => "eastwest/spoofed",
            Self::Bypass => "eastwest/bypass",
            Self::Address | Self::Asked => "eastwest/address",
        }
    }
}

/// An inclusive range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpRange {
    /// The first address.
    pub start: IpAddr,
    /// The last address, of the same family.
    pub end: IpAddr,
}

/// What the kernel shall hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruleset {
    /// 1..=[`MAX_EPOCH`].
    pub epoch: u16,
    /// The center: TCP from this machine to here, and its replies, pass.
    pub center: Option<SocketAddr>,
    /// Whether DHCP clients of this machine may ask, and be answered.
    pub dhcp: bool,
    /// This machine's own addresses.
    pub own: Vec<IpAddr>,
    /// Exact peers.
    pub peers: BTreeMap<IpAddr, Class>,
    /// All other addresses: total per family, disjoint, sorted.
    pub networks: Vec<(IpRange, Class)>,
    /// The addresses for which flows reach this machine: total per family, disjoint, sorted.
    pub places: Vec<(IpRange, Place)>,
    /// TCP ports: total, disjoint, sorted.
    pub tcp: Vec<(RangeInclusive<u16>, Service)>,
    /// UDP ports: total, disjoint, sorted.
    pub udp: Vec<(RangeInclusive<u16>, Service)>,
    /// ICMP types: total, disjoint, sorted.
    pub icmp: Vec<(RangeInclusive<u8>, Service)>,
    /// `ICMPv6` types: total, disjoint, sorted.
    pub icmpv6: Vec<(RangeInclusive<u8>, Service)>,
    /// All other protocols, by number: total, disjoint, sorted.
    pub protocols: Vec<(RangeInclusive<u8>, Service)>,
    /// Flows towards this machine: only what differs from the default.
    pub inbound: BTreeMap<(Class, Service), Word>,
    /// Flows that reach this machine for another place: only what differs from the default, or from the place's word.
    pub elsewhere: BTreeMap<(Place, Class, Service), Word>,
    /// Flows from this machine: only what differs from the default.
    pub outbound: BTreeMap<(Class, Service), Word>,
    /// The outcome of inbound flows that `inbound` does not hold.
    pub default_in: Word,
    /// The outcome of outbound flows that `outbound` does not hold.
    pub default_out: Word,
    /// Every inbound word that a packet may bear while an epoch lives, with `VERDICT RULE`; built-ins included.
    pub outcomes_in: BTreeMap<Word, Arc<str>>,
    /// Every outbound word, likewise.
    pub outcomes_out: BTreeMap<Word, Arc<str>>,
    /// The senders whose bytes towards this machine are counted.
    pub weighed: BTreeSet<IpAddr>,
}

impl Ruleset {
    /// Whether it asks of the kernel just what another does, but for the epoch and the names of past words.
    #[must_use]
    pub fn judges_as(&self, other: &Self) -> bool {
        let Self {
            epoch: _,
            center,
            dhcp,
            own,
            peers,
            networks,
            places,
            tcp,
            udp,
            icmp,
            icmpv6,
            protocols,
            inbound,
            elsewhere,
            outbound,
            default_in,
            default_out,
            outcomes_in: _,
            outcomes_out: _,
            weighed,
        } = self;
        *center == other.center
            && *dhcp == other.dhcp
            && *own == other.own
            && *peers == other.peers
            && *networks == other.networks
            && *places == other.places
            && *tcp == other.tcp
            && *udp == other.udp
            && *icmp == other.icmp
            && *icmpv6 == other.icmpv6
            && *protocols == other.protocols
            && *inbound == other.inbound
            && *elsewhere == other.elsewhere
            && *outbound == other.outbound
            && *default_in == other.default_in
            && *default_out == other.default_out
            && *weighed == other.weighed
    }
}
