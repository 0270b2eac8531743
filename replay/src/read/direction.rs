//! Which end began a flow, from its packets: a table of flows of fixed size.

use std::net::IpAddr;

use policy::{Flow, FlowService};

use super::packet::Headers;
use crate::account::{Account, Note};
use crate::seen::is_answer;
use crate::table::mix;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// How many flows are known at once.
const MOST: usize = 1 << 18;
/// Among so many the least recently seen makes room.
const WAYS: usize = 8;

/// A flow's two ends, the lesser first, and its protocol. Of ICMP the ends are not ordered, for each side's requests
/// are a flow of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    first: (IpAddr, u16),
    second: (IpAddr, u16),
    /// The protocol, and of ICMP the type.
    kind: (u8, u8),
}

#[derive(Clone, Copy)]
struct Known {
    ends: Ends,
    /// Whether the first end began it.
    by_first: bool,
    /// Whether a packet said that it is over.
    over: bool,
    /// When it was last seen, counted in packets.
    seen: u64,
}

/// The flows whose direction is known.
pub(super) struct Directions {
    known: Vec<Option<Known>>,
    packets: u64,
}

impl Directions {
    pub(super) fn new() -> Self {
        Self { known: vec![None; MOST], packets: 0 }
    }

    /// The flow that a packet begins; nothing for a packet of a flow that was told.
    pub(super) fn flow(&mut self, headers: &Headers, account: &mut Account) -> Option<Flow> {
        if is_answer(headers.service) {
            account.note(Note::Answer);
            return None;
        }
        self.packets += 1;
        let (ends, forward) = Ends::of(headers);
        let begins = headers.flags & (SYN | ACK) == SYN;
        let answers = headers.flags & (SYN | ACK) == SYN | ACK;
        // Who answers a SYN did not send it.
        let by_first = forward != answers;
        let over = headers.flags & (FIN | RST) != 0;
        let place = self.place(&ends, account);
        let held = self.known.get_mut(place)?;
        if let Some(known) = held.as_mut().filter(|known| known.ends == ends) {
            known.seen = self.packets;
            let anew = begins && (known.over || known.by_first != by_first);
            if !anew {
                known.over |= over;
                account.note(Note::Further);
                return None;
            }
        } else if matches!(headers.service, FlowService::Tcp(_)) && !begins && !answers {
            account.note(Note::ByFirstPacket);
        }
        *held = Some(Known { ends, by_first, over, seen: self.packets });
        Some(directed(headers, !answers))
    }

    /// Where these ends stand, or are to stand.
    fn place(&self, ends: &Ends, account: &mut Account) -> usize {
        let start = (ends.spread() as usize % (MOST / WAYS)) * WAYS;
        let ways = self.known.get(start..start + WAYS).unwrap_or_default();
        let mut chosen = (u64::MAX, 0);
        for (way, held) in ways.iter().enumerate() {
            match held {
                Some(known) if known.ends == *ends => return start + way,
                Some(known) if known.seen < chosen.0 => chosen = (known.seen, way),
                Some(_) => {}
                None => {
                    chosen = (0, way);
                    break;
                }
            }
        }
        if chosen.0 > 0 {
            account.note(Note::Evicted);
        }
        start + chosen.1
    }
}

impl Ends {
    /// The ends of a packet, and whether it goes from the first to the second.
    fn of(headers: &Headers) -> (Self, bool) {
        let source = (headers.source, headers.ports.0);
        let destination = (headers.destination, headers.ports.1);
        let (of_icmp, icmp) = match headers.service {
            FlowService::Icmp(kind) | FlowService::Icmpv6(kind) => (kind, true),
            FlowService::Tcp(_) | FlowService::Udp(_) | FlowService::Proto(_) => (0, false),
        };
        let kind = (headers.service.protocol().number(), of_icmp);
        let forward = icmp || source <= destination;
        let (first, second) = if forward { (source, destination) } else { (destination, source) };
        (Self { first, second, kind }, forward)
    }

    fn spread(&self) -> u64 {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u64::from(u32::from(address)),
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                mix(bits as u64, (bits >> 64) as u64)
            }
        };
        let ports = u64::from(self.first.1) << 32 | u64::from(self.second.1) << 8 | u64::from(self.kind.0);
        mix(mix(bits(self.first.0), bits(self.second.0)), ports)
    }
}

/// A packet's flow, in its own direction or turned around.
fn directed(headers: &Headers, as_sent: bool) -> Flow {
    let Headers { source, destination, service, ports, flags: _ } = *headers;
    if as_sent {
        return Flow { source, destination, service };
    }
    let service = match service {
        FlowService::Tcp(_) => FlowService::Tcp(ports.0),
        FlowService::Udp(_) => FlowService::Udp(ports.0),
        other @ (FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_)) => other,
    };
    Flow { source: destination, destination: source, service }
}
