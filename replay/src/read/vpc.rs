//! AWS VPC flow logs: the default format of version 2, and custom formats of versions 2 to 5 by their header line.

use std::net::IpAddr;

use policy::Flow;

use crate::account::{Account, Note, Wrong};
use crate::seen::{Recorded, Seen, service};
use crate::text::{address, number, port, words};

/// The fields that matter, with their names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Source,
    Destination,
    /// The packet's own source, where an appliance between stands in `srcaddr`.
    TrueSource,
    TrueDestination,
    SourcePort,
    DestinationPort,
    Protocol,
    Packets,
    Start,
    Action,
    Status,
    Flags,
}

const FIELDS: [(&str, Field); 12] = [
    ("srcaddr", Field::Source),
    ("dstaddr", Field::Destination),
    ("pkt-srcaddr", Field::TrueSource),
    ("pkt-dstaddr", Field::TrueDestination),
    ("srcport", Field::SourcePort),
    ("dstport", Field::DestinationPort),
    ("protocol", Field::Protocol),
    ("packets", Field::Packets),
    ("start", Field::Start),
    ("action", Field::Action),
    ("log-status", Field::Status),
    ("tcp-flags", Field::Flags),
];
/// The fields of version 2 where no header says others.
const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
/// The most columns of a custom format.
const MOST_COLUMNS: usize = 128;
/// Ports from here on are given to clients.
const EPHEMERAL: u16 = 32_768;
/// The bits of `tcp-flags`.
const SYN: u64 = 2;
const ACK: u64 = 16;

/// Which columns hold what.
pub(super) struct Vpc {
    columns: Vec<Option<Field>>,
}

/// One line, field by field.
type Row<'a> = [Option<&'a [u8]>; FIELDS.len()];

impl Vpc {
    /// The columns of the default format.
    pub(super) fn new() -> Self {
        Self { columns: columns(DEFAULT.as_bytes()) }
    }

    pub(super) fn line(&mut self, line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
        match self.row(line, account) {
            // The names of fields are no addresses: what is read is not a header.
            Err(_) if is_header(line) => self.header(line).map(|()| None),
            other => other,
        }
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let found = columns(line);
        if found.len() > MOST_COLUMNS {
            return Err(Wrong::Whole("a header of too many columns"));
        }
        self.columns = found;
        Ok(())
    }

    fn row(&self, line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
        let mut row: Row<'_> = [None; FIELDS.len()];
        let (mut start, mut count) = (0, 0);
        for (at, byte) in line.iter().enumerate() {
            if *byte > b' ' {
                continue;
            }
            if at > start {
                self.put(&mut row, count, line.get(start..at));
                count += 1;
            }
            start = at + 1;
        }
        if line.len() > start {
            self.put(&mut row, count, line.get(start..));
            count += 1;
        }
        if count < self.columns.len() {
            return Err(Wrong::Whole("fewer fields than the format has"));
        }
        match get(&row, Field::Status) {
            Some(b"NODATA") => account.note(Note::NoData),
            Some(b"SKIPDATA") => account.note(Note::SkipData),
            Some(_) | None => return seen(&row, account),
        }
        Ok(None)
    }
}

impl Vpc {
    /// Keeps the word of a column that matters.
    #[inline]
    fn put<'a>(&self, row: &mut Row<'a>, column: usize, word: Option<&'a [u8]>) {
        let field = self.columns.get(column).copied().flatten();
        if let Some(place) = field.and_then(|field| row.get_mut(field as usize)) {
            *place = word.filter(|word| *word != b"-");
        }
    }
}

/// Whether a line names the fields.
pub(super) fn is_header(line: &[u8]) -> bool {
    words(line).any(|word| word == b"srcaddr" || word == b"pkt-srcaddr")
}

/// Whether a line is one of the default format.
pub(super) fn is_default(line: &[u8]) -> bool {
    let fields: Vec<&[u8]> = words(line).take(15).collect();
    let ends = matches!(fields.last(), Some(&b"OK" | &b"NODATA" | &b"SKIPDATA"));
    fields.len() == 14 && ends && fields.first().is_some_and(|version| number(version).is_some())
}

fn columns(header: &[u8]) -> Vec<Option<Field>> {
    let field = |word: &[u8]| FIELDS.iter().find(|(name, _)| name.as_bytes() == word).map(|(_, field)| *field);
    words(header).take(MOST_COLUMNS + 1).map(field).collect()
}

fn get<'a>(row: &Row<'a>, field: Field) -> Option<&'a [u8]> {
    row.get(field as usize).copied().flatten()
}

fn seen(row: &Row<'_>, account: &mut Account) -> Result<Option<Seen>, Wrong> {
    let source = end(row, [(Field::TrueSource, "pkt-srcaddr"), (Field::Source, "srcaddr")])?;
    let destination = end(row, [(Field::TrueDestination, "pkt-dstaddr"), (Field::Destination, "dstaddr")])?;
    super::same_family(source, destination)?;
    let protocol = get(row, Field::Protocol).ok_or(Wrong::Missing("protocol"))?;
    let protocol = number(protocol).and_then(|number| u8::try_from(number).ok());
    let protocol = protocol.ok_or(Wrong::Field("protocol", "a protocol's number"))?;
    if matches!(protocol, 1 | 58) {
        account.note(Note::NoType);
        return Ok(None);
    }
    let ports = if matches!(protocol, 6 | 17) { ports(row)? } else { (0, 0) };
    if is_reply(row, protocol, ports, account)? {
        account.note(Note::Reply);
        return Ok(None);
    }
    let service = service(protocol, ports.1, destination).ok_or(super::NO_SUCH_ICMP)?;
    let packets = numbered(row, Field::Packets, "packets")?.unwrap_or(1);
    let start = numbered(row, Field::Start, "start")?;
    let action = match get(row, Field::Action) {
        None => None,
        Some(b"ACCEPT") => Some(Recorded::Allowed),
        Some(b"REJECT") => Some(Recorded::Intercepted),
        Some(_) => return Err(Wrong::Field("action", "ACCEPT or REJECT")),
    };
    let when = start.and_then(|start| i64::try_from(start).ok()?.checked_mul(1000));
    Ok(Some(Seen { flow: Flow { source, destination, service }, when, count: packets.max(1), action }))
}

/// The first of two fields that holds an address.
fn end(row: &Row<'_>, fields: [(Field, &'static str); 2]) -> Result<IpAddr, Wrong> {
    let [_, (_, usual)] = fields;
    let found = fields.into_iter().find_map(|(field, name)| Some((get(row, field)?, name)));
    let (text, name) = found.ok_or(Wrong::Missing(usual))?;
    address(text).ok_or(Wrong::Field(name, "an address"))
}

fn numbered(row: &Row<'_>, field: Field, name: &'static str) -> Result<Option<u64>, Wrong> {
    get(row, field).map(|text| number(text).ok_or(Wrong::Field(name, "a number"))).transpose()
}

fn ports(row: &Row<'_>) -> Result<(u16, u16), Wrong> {
    let one = |field, name| {
        let text = get(row, field).ok_or(Wrong::Missing(name))?;
        port(text).ok_or(Wrong::Field(name, "a port"))
    };
    Ok((one(Field::SourcePort, "srcport")?, one(Field::DestinationPort, "dstport")?))
}

/// Whether an entry holds the replies of a flow: by TCP's flags where they tell it, else by the ports.
fn is_reply(row: &Row<'_>, protocol: u8, ports: (u16, u16), account: &mut Account) -> Result<bool, Wrong> {
    if !matches!(protocol, 6 | 17) {
        return Ok(false);
    }
    let flags = if protocol == 6 { numbered(row, Field::Flags, "tcp-flags")? } else { None };
    if let Some(flags) = flags.filter(|flags| flags & SYN != 0) {
        return Ok(flags & ACK != 0);
    }
    account.note(Note::ByPorts);
    Ok(answers(ports))
}

/// The end with a client's port began it; where both or neither have one, the end with the higher port.
fn answers((source, destination): (u16, u16)) -> bool {
    match (source >= EPHEMERAL, destination >= EPHEMERAL) {
        (true, false) => false,
        (false, true) => true,
        (true, true) | (false, false) => source < destination,
    }
}
