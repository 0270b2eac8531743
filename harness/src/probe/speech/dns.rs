//! DNS (RFC 1035) over UDP: the number is the first label of the name that is asked for, and comes back as a TXT record.

use simple_dns::rdata::{RData, TXT};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE};

use super::Turn;

/// The zone of the names (RFC 6762, appendix G: for private use).
const ZONE: &str = "probe.internal";

pub(super) fn question(id: u64) -> Result<Vec<u8>, String> {
    let failed = |error: simple_dns::SimpleDnsError| format!("make a DNS query: {error}");
    let name = format!("{id}.{ZONE}");
    // The query's own number is of 16 bits: the name tells one probe from another.
    let mut packet = Packet::new_query((id & 0xffff) as u16);
    let name = Name::new(&name).map_err(failed)?;
    packet.questions.push(Question::new(name, QTYPE::TYPE(TYPE::TXT), QCLASS::CLASS(CLASS::IN), false));
    packet.build_bytes_vec().map_err(failed)
}

pub(super) fn answering(heard: &[u8]) -> Turn {
    reply(heard).unwrap_or(Turn { taken: heard.len(), ..Turn::default() })
}

fn reply(heard: &[u8]) -> Option<Turn> {
    let query = Packet::parse(heard).ok().filter(|query| !query.has_flags(PacketFlag::RESPONSE))?;
    let [question] = query.questions.as_slice() else { return None };
    let name = question.qname.to_string();
    let number: u64 = name.strip_suffix(ZONE)?.strip_suffix('.')?.parse().ok()?;
    let text = number.to_string();
    let mut packet = Packet::new_reply(query.id());
    let data = RData::TXT(TXT::new().with_string(&text).ok()?);
    packet.answers.push(ResourceRecord::new(question.qname.clone(), CLASS::IN, 0, data));
    packet.questions.push(question.clone());
    let say = packet.build_bytes_vec().ok()?;
    Some(Turn { say, number: Some(number), taken: heard.len() })
}

pub(super) fn answer(heard: &[u8]) -> Turn {
    let number = Packet::parse(heard).ok().filter(|reply| reply.has_flags(PacketFlag::RESPONSE)).and_then(|reply| {
        let RData::TXT(text) = &reply.answers.first()?.rdata else { return None };
        String::try_from(text.clone()).ok()?.parse().ok()
    });
    Turn { number, taken: heard.len(), ..Turn::default() }
}
