//! What `conntrack -L` writes, plain or with `-o extended`, and `/proc/net/nf_conntrack`: the first tuple is the
//! original direction.

use policy::Flow;

use crate::account::{Account, Note, Wrong};
use crate::seen::{Seen, is_answer, service};
use crate::text::{address, number, port, words};

pub(super) fn line(line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
    // The program's own last line, where both of its outputs were kept.
    if line.starts_with(b"conntrack v") {
        return Ok(None);
    }
    let mut all = words(line).peekable();
    if all.next_if(|word| matches!(*word, b"ipv4" | b"ipv6")).is_some() {
        let _ = all.next();
    }
    let _name = all.next();
    let protocol = all.next().and_then(number).and_then(|number| u8::try_from(number).ok());
    let protocol = protocol.ok_or(Wrong::Whole("the line does not begin with a protocol and its number"))?;
    let (mut source, mut destination, mut asked, mut packets) = (None, None, None, None);
    for word in all {
        let mut halves = word.splitn(2, |byte| *byte == b'=');
        let (Some(key), Some(value)) = (halves.next(), halves.next()) else { continue };
        match key {
            // The second tuple is the reply's.
            b"src" if source.is_some() => break,
            b"src" => source = Some(address(value).ok_or(Wrong::Field("src", "an address"))?),
            b"dst" => destination = Some(address(value).ok_or(Wrong::Field("dst", "an address"))?),
            b"dport" => asked = Some(port(value).ok_or(Wrong::Field("dport", "a port"))?),
            b"type" => asked = Some(port(value).ok_or(Wrong::Field("type", "a number"))?),
            b"packets" => packets = Some(number(value).ok_or(Wrong::Field("packets", "a number"))?),
            _ => {}
        }
    }
    let source = source.ok_or(Wrong::Missing("src="))?;
    let destination = destination.ok_or(Wrong::Missing("dst="))?;
    super::same_family(source, destination)?;
    let asked = match (protocol, asked) {
        (6 | 17, None) => return Err(Wrong::Missing("dport=")),
        (1 | 58, None) => return Err(Wrong::Missing("type=")),
        (_, asked) => asked.unwrap_or_default(),
    };
    let service = service(protocol, asked, destination).ok_or(super::NO_SUCH_ICMP)?;
    if is_answer(service) {
        account.note(Note::Answer);
        return Ok(None);
    }
    Ok(Some(Seen { count: packets.unwrap_or(1).max(1), ..Seen::new(Flow { source, destination, service }) }))
}
