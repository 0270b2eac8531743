//! Zeek's conn.log: tab-separated with its header, and as JSON.

use policy::Flow;

use crate::account::{Account, Note, Wrong};
use crate::json::Members;
use crate::seen::{Seen, is_answer, service};
use crate::text::{address, port, seconds};

/// The fields that matter.
const FIELDS: [&str; 8] = ["ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "history", "ip_proto"];
/// The most columns of a log.
const MOST_COLUMNS: usize = 256;

/// One connection, field by field, in the order of [`FIELDS`].
type Row<'a> = [Option<&'a [u8]>; FIELDS.len()];

/// What the header has said so far.
pub(super) struct Zeek {
    separator: u8,
    unset: Vec<u8>,
    columns: Vec<Option<usize>>,
}

impl Zeek {
    pub(super) fn new() -> Self {
        Self { separator: b'\t', unset: b"-".to_vec(), columns: Vec::new() }
    }

    /// A line of a tab-separated log.
    pub(super) fn line(&mut self, line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
        if line.first() == Some(&b'#') {
            return self.header(line).map(|()| None);
        }
        if self.columns.is_empty() {
            return Err(Wrong::Whole("a line before the line `#fields`"));
        }
        let mut row: Row<'_> = [None; FIELDS.len()];
        let mut count = 0;
        for (text, column) in line.split(|byte| *byte == self.separator).zip(&self.columns) {
            count += 1;
            if let Some(place) = column.and_then(|column| row.get_mut(column)) {
                *place = Some(text).filter(|text| *text != self.unset.as_slice());
            }
        }
        if count < self.columns.len() {
            return Err(Wrong::Whole("fewer fields than `#fields` names"));
        }
        seen(&row, account)
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Wrong> {
        if let Some(text) = line.strip_prefix(b"#separator ") {
            self.separator = separator(text).ok_or(Wrong::Field("#separator", "one character such as \\x09"))?;
            return Ok(());
        }
        let mut parts = line.split(|byte| *byte == self.separator);
        match parts.next() {
            Some(b"#fields") => {
                let place = |name: &[u8]| FIELDS.iter().position(|field| field.as_bytes() == name);
                self.columns = parts.take(MOST_COLUMNS).map(place).collect();
            }
            Some(b"#unset_field") => self.unset = parts.next().unwrap_or_default().to_vec(),
            Some(b"#path") if parts.next() != Some(b"conn") => {
                return Err(Wrong::Field("#path", "conn: of Zeek's logs, conn.log holds flows"));
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}

/// A line of a log in JSON.
pub(super) fn json(line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
    let mut row: Row<'_> = [None; FIELDS.len()];
    for member in Members::of(line) {
        let (key, value) = member?;
        let column = FIELDS.iter().position(|field| field.as_bytes() == key);
        if let Some(place) = column.and_then(|column| row.get_mut(column)) {
            *place = Some(value.plain());
        }
    }
    seen(&row, account)
}

/// `\x09`, or the character itself.
fn separator(text: &[u8]) -> Option<u8> {
    match text {
        [one] => Some(*one),
        [b'\\', b'x', hex @ ..] => u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok(),
        _ => None,
    }
}

fn seen(row: &Row<'_>, account: &mut Account) -> Result<Option<Seen>, Wrong> {
    let [when, source, source_port, destination, destination_port, proto, history, number] = *row;
    let wanted = |text: Option<_>, name| text.ok_or(Wrong::Missing(name));
    let source = address(wanted(source, "id.orig_h")?).ok_or(Wrong::Field("id.orig_h", "an address"))?;
    let destination = address(wanted(destination, "id.resp_h")?).ok_or(Wrong::Field("id.resp_h", "an address"))?;
    super::same_family(source, destination)?;
    let number = number.and_then(super::protocol);
    let protocol = match (wanted(proto, "proto")?, number) {
        (b"icmp", _) if destination.is_ipv6() => 58,
        (b"unknown_transport", Some(number)) => number,
        (name, _) => super::protocol(name).ok_or(Wrong::Field("proto", "a protocol that is known"))?,
    };
    let icmp = matches!(protocol, 1 | 58);
    let (asked, name) = if icmp { (source_port, "id.orig_p") } else { (destination_port, "id.resp_p") };
    let asked = port(wanted(asked, name)?).ok_or(Wrong::Field(name, "a port"))?;
    let service = service(protocol, asked, destination).ok_or(super::NO_SUCH_ICMP)?;
    if is_answer(service) {
        account.note(Note::Answer);
        return Ok(None);
    }
    if history.is_some_and(|history| history.contains(&b'^')) {
        account.note(Note::Turned);
    }
    Ok(Some(Seen { when: when.and_then(seconds), ..Seen::new(Flow { source, destination, service }) }))
}
