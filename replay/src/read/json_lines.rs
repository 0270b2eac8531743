//! Flows as JSON lines: our own plain form, and what `eastwest center events --format json` writes.

use std::net::IpAddr;

use policy::Timestamp;

use crate::account::{Account, Note, Wrong};
use crate::json::{Members, NoObject, Value};
use crate::seen::{Recorded, Seen, is_answer, service};
use crate::text::{address, number, port, words};

impl From<NoObject> for Wrong {
    fn from(_: NoObject) -> Self {
        Self::Whole("not one whole JSON object")
    }
}

/// What both forms say, as far as it was met.
#[derive(Default)]
struct Parts {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    protocol: Option<u8>,
    port: Option<u16>,
    kind: Option<u16>,
    count: Option<u64>,
    when: Option<i64>,
    action: Option<Recorded>,
}

impl Parts {
    fn seen(self) -> Result<Seen, Wrong> {
        let source = self.source.ok_or(Wrong::Missing("source"))?;
        let destination = self.destination.ok_or(Wrong::Missing("destination"))?;
        let protocol = self.protocol.ok_or(Wrong::Missing("protocol"))?;
        super::same_family(source, destination)?;
        let asked = match protocol {
            1 | 58 => self.kind.ok_or(Wrong::Missing("type"))?,
            6 | 17 => self.port.ok_or(Wrong::Missing("port"))?,
            _ => self.port.unwrap_or_default(),
        };
        let service = service(protocol, asked, destination).ok_or(super::NO_SUCH_ICMP)?;
        let seen = Seen::new(policy::Flow { source, destination, service });
        Ok(Seen { when: self.when, count: self.count.unwrap_or(1).max(1), action: self.action, ..seen })
    }
}

/// A line of our own form: `{"source": "10.0.0.1", "destination": "10.0.0.2", "protocol": "tcp", "port": 443}`.
pub(super) fn own(line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
    let mut parts = Parts::default();
    for member in Members::of(line) {
        let (key, value) = member?;
        match key {
            b"source" => parts.source = Some(addressed(value, "source")?),
            b"destination" => parts.destination = Some(addressed(value, "destination")?),
            b"protocol" => parts.protocol = Some(protocol(value)?),
            b"port" => parts.port = Some(port(value.plain()).ok_or(Wrong::Field("port", "a port"))?),
            b"type" => parts.kind = Some(small(value, "type")?),
            b"count" => parts.count = Some(counted(value, "count")?),
            b"when" => parts.when = Some(instant(value)?),
            b"verdict" => parts.action = Some(verdict(value)?),
            _ => {}
        }
    }
    let seen = parts.seen()?;
    Ok(told(seen, account))
}

/// A line of the center's records, as they are listed or followed.
pub(super) fn center(line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
    for member in Members::of(line) {
        let (key, value) = member?;
        match (key, value) {
            (b"record", Value::Object(record)) => return self::record(record, account),
            (b"event", event) if event.plain() != b"record" => {
                account.note(Note::NoFlow);
                return Ok(None);
            }
            _ => {}
        }
    }
    record(line, account)
}

fn record(text: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
    let mut parts = Parts::default();
    let (mut kind, mut detail): (&[u8], &[u8]) = (&[], &[]);
    for member in Members::of(text) {
        let (key, value) = member?;
        match key {
            b"kind" => kind = value.plain(),
            b"source" => parts.source = Some(end(value, "source")?.0),
            b"destination" => {
                let (address, port) = end(value, "destination")?;
                (parts.destination, parts.port) = (Some(address), Some(port));
            }
            b"protocol" => parts.protocol = Some(protocol(value)?),
            b"icmp_type" => parts.kind = Some(small(value, "icmp_type")?),
            b"packets" => parts.count = Some(counted(value, "packets")?),
            b"verdict" => parts.action = Some(verdict(value)?),
            b"detail" => detail = value.plain(),
            _ => {}
        }
    }
    match kind {
        b"allow" | b"deny" | b"cut" => {}
        b"aggregated" => match storm(detail, parts.protocol) {
            Some(port) => parts.port = Some(port),
            None => {
                account.note(Note::Storm);
                return Ok(None);
            }
        },
        b"" => return Err(Wrong::Missing("kind")),
        _ => {
            account.note(Note::NoFlow);
            return Ok(None);
        }
    }
    Ok(told(parts.seen()?, account))
}

/// The port of a storm that is about a single one: `…, ports 443`.
fn storm(detail: &[u8], protocol: Option<u8>) -> Option<u16> {
    let mut last = words(detail).collect::<Vec<_>>().into_iter().rev();
    let (ports, word) = (last.next()?, last.next()?);
    (word == b"ports" && matches!(protocol, Some(6 | 17))).then(|| port(ports)).flatten()
}

fn told(seen: Seen, account: &mut Account) -> Option<Seen> {
    if is_answer(seen.flow.service) {
        account.note(Note::Answer);
        return None;
    }
    Some(seen)
}

/// One end of a record: `{"vm": "a", "address": "10.0.0.1", "port": 443}`.
fn end(value: Value<'_>, field: &'static str) -> Result<(IpAddr, u16), Wrong> {
    let Value::Object(text) = value else { return Err(Wrong::Field(field, "an end of a record")) };
    let (mut found, mut asked) = (None, 0);
    for member in Members::of(text) {
        match member? {
            (b"address", value) => found = Some(addressed(value, field)?),
            (b"port", value) => asked = port(value.plain()).ok_or(Wrong::Field("port", "a port"))?,
            _ => {}
        }
    }
    Ok((found.ok_or(Wrong::Missing("address"))?, asked))
}

fn addressed(value: Value<'_>, field: &'static str) -> Result<IpAddr, Wrong> {
    address(value.plain()).ok_or(Wrong::Field(field, "an address"))
}

fn counted(value: Value<'_>, field: &'static str) -> Result<u64, Wrong> {
    number(value.plain()).ok_or(Wrong::Field(field, "a number"))
}

fn small(value: Value<'_>, field: &'static str) -> Result<u16, Wrong> {
    let kind = number(value.plain()).filter(|&kind| kind <= 255);
    kind.and_then(|kind| kind.try_into().ok()).ok_or(Wrong::Field(field, "0 to 255"))
}

/// `"tcp"`, `6`, `{"other": 47}`.
fn protocol(value: Value<'_>) -> Result<u8, Wrong> {
    let wrong = Wrong::Field("protocol", "tcp, udp, icmp, icmpv6 or a protocol's number");
    if let Value::Object(text) = value {
        let (_, inner) = Members::of(text).next().ok_or(wrong)??;
        return number(inner.plain()).and_then(|number| number.try_into().ok()).ok_or(wrong);
    }
    super::protocol(value.plain()).ok_or(wrong)
}

fn verdict(value: Value<'_>) -> Result<Recorded, Wrong> {
    match value.plain() {
        b"allow" => Ok(Recorded::Allowed),
        b"deny" | b"reject" => Ok(Recorded::Intercepted),
        _ => Err(Wrong::Field("verdict", "allow, deny or reject")),
    }
}

/// Milliseconds since the Unix epoch, or an instant such as `2026-11-24T12:00:00Z`.
fn instant(value: Value<'_>) -> Result<i64, Wrong> {
    let wrong = Wrong::Field("when", "milliseconds since 1970 or an instant such as 2026-11-24T12:00:00Z");
    match value {
        Value::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|_| wrong)?;
            text.parse().map(Timestamp::as_millisecond).map_err(|_| wrong)
        }
        Value::Bare(text) => number(text).and_then(|millis| millis.try_into().ok()).ok_or(wrong),
        Value::Object(_) | Value::Array(_) => Err(wrong),
    }
}
