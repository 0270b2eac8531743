//! What the rules of other tables do to what ours rely on: marks, and addresses.
use crate::attr::{Attr, Attrs};
use crate::batch::Table;
use crate::error::Error;
use crate::message::Message;
use crate::numbers::GET_RULE;
use crate::read::{head, text_of};
use crate::socket::Socket;
use crate::watch::family_name;

/// How many are told of at most.
const MOST: usize = 64;
/// `NFT_CT_MARK` and `NFT_META_MARK`.
const MARK: u32 = 3;
/// `NFT_PAYLOAD_NETWORK_HEADER` and `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// What a table's rules do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meddling {
    /// They write the connection mark.
    ConnectionMark,
    /// They write the packet mark.
    PacketMark,
    /// They translate addresses or ports.
    Translation,
    /// They write addresses or ports into packets, past connection tracking.
    Rewriting,
}

impl Socket {
    /// What the rules of all tables but these do, each table and deed once; a table as `ip nat`.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn others(&mut self, own: &[Table]) -> Result<Vec<(String, Meddling)>, Error> {
        let mut found = self.dump(head(GET_RULE, 0), |_| {}, |message, found| note(own, message, found))?;
        found.sort();
        Ok(found)
    }
}

fn note(own: &[Table], message: Message<'_>, found: &mut Vec<(String, Meddling)>) {
    let attrs = message.attrs();
    let (family, name) = (message.body.first().copied().unwrap_or(0), text_of(attrs, 1));
    if own.iter().any(|table| table.family as u8 == family && table.name == name) {
        return;
    }
    let table = format!("{} {name}", family_name(family));
    for expression in attrs.find(4).into_iter().flat_map(Attr::inside) {
        let new = meddling(expression.inside()).map(|deed| (table.clone(), deed));
        found.extend(new.filter(|new| found.len() < MOST && !found.contains(new)));
    }
}

fn meddling(expression: Attrs<'_>) -> Option<Meddling> {
    let name = text_of(expression, 1);
    let data = expression.find(2).map(Attr::inside)?;
    let number = |kind| data.find(kind).and_then(Attr::be32);
    match name.as_str() {
        // Only what has a source register writes.
        "ct" if number(2) == Some(MARK) && number(4).is_some() => Some(Meddling::ConnectionMark),
        "meta" if number(2) == Some(MARK) && number(3).is_some() => Some(Meddling::PacketMark),
        "nat" | "masq" | "redir" | "tproxy" => Some(Meddling::Translation),
        "payload" if number(5).is_some() && is_end(number(2), number(3), number(4)) => Some(Meddling::Rewriting),
        // What iptables writes by nf_tables.
        "target" => match text_of(data, 1).as_str() {
            "CONNMARK" => Some(Meddling::ConnectionMark),
            "MARK" => Some(Meddling::PacketMark),
            "SNAT" | "DNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP" | "TPROXY" => Some(Meddling::Translation),
            _ => None,
        },
        _ => None,
    }
}

/// Whether bytes of a packet, by header, offset and length, are of its addresses or ports.
fn is_end(base: Option<u32>, offset: Option<u32>, length: Option<u32>) -> bool {
    match (base, offset) {
        // Of IPv4 the addresses stand behind the twelfth byte, of IPv6 behind the eighth, where IPv4 has its time to live.
        (Some(NETWORK), Some(offset)) => {
            offset >= 12 || offset >= 8 && length.is_some_and(|length| offset + length > 12)
        }
        (Some(TRANSPORT), Some(offset)) => offset < 4,
        _ => false,
    }
}
