//! What DHCP clients of this machine say and are told, where the inventory lets them (`eastwest/address`).
//!
//! A client asks from its own port at a server's, which answers from there (RFC 2131 4.1, RFC 8415 7.2). By a socket it
//! renews its lease; an IPv4 client that has no address yet, or whose server is silent, asks all by a frame of its own.
use agent_core::{Builtin, Ruleset};
use nft::{CtKey, Header};

use super::egress;
use super::rules::{IPV4, IPV6, NEW, Rule, TRANSLATED, UDP};
use super::skeleton::{LOG_RATE, Side};

/// Ports of clients and servers, by family.
const PORTS: [(u8, u16, u16); 2] = [(IPV4, 68, 67), (IPV6, 546, 547)];

/// The rules of a direction that tell these packets from others; none where they are judged like others.
pub(super) fn rules(ruleset: &Ruleset, side: Side) -> Vec<Rule> {
    let asked = |(family, client, server)| {
        let ports = match side {
            Side::In => ports(server, client),
            Side::Out => ports(client, server),
        };
        let packet = Rule::new().family(family).transport(UDP).bytes(Header::Transport, 0, &ports);
        packet.ct_bits(CtKey::Status, TRANSLATED, 0).goto(&side.name("address"))
    };
    PORTS.into_iter().filter(|_| ruleset.dhcp).map(asked).collect()
}

/// The chain that lets them pass: a flow that such a packet opens is told of.
pub(super) fn passed(side: Side) -> Vec<Rule> {
    let first = || Rule::new().ct_any(CtKey::State, NEW);
    vec![
        first().set_builtin(Builtin::Address),
        first().count(&side.outcomes()),
        first().limit(LOG_RATE, false).log("allow"),
        side.pass(Rule::new()),
    ]
}

/// A frame by which a client asks every server there is, from its own address or from none. What is whole, and has no
/// options, has its ports at their place.
pub(super) fn broadcast() -> Rule {
    let [(_, client, server), _] = PORTS;
    egress::ethertype(egress::IPV4)
        .bytes(Header::Link, 14, &[0x45])
        .bytes(Header::Link, 23, &[UDP])
        .whole()
        .bytes(Header::Link, 30, &[0xff; 4])
        .bytes(Header::Link, 34, &ports(client, server))
}

fn ports(source: u16, destination: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (source.to_be_bytes(), destination.to_be_bytes());
    [a, b, c, d]
}
