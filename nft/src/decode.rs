//! Every decoder by itself, for bytes that no kernel sent.

use crate::batch::Table;
use crate::message::Messages;
use crate::watch::Foreign;
use crate::{conntrack, log, read, watch};

/// Decodes a datagram as each reader would, whatever it is; gives the packets that a log reader would find in it.
///
/// No bytes make it fail: what cannot be read is left out.
#[must_use]
pub fn datagram(bytes: &[u8], tables: &[Table]) -> Vec<crate::LogPacket> {
    let (mut chains, mut rules, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    let mut foreign = Foreign::default();
    let mut packets = Vec::new();
    for message in Messages(bytes) {
        read::parse_chain(message, &mut chains);
        read::parse_rule(message, &mut rules);
        read::parse_set(message, &mut sets);
        read::parse_elements(message).for_each(drop);
        watch::note(tables, message, &mut foreign);
        let _ = (conntrack::parse(message), message.code(), message.words());
        packets.push(log::parse(message));
    }
    packets
}
