//! The text form of services: `any`, `tcp/443`, `tcp/8000-8100`, `icmp/echo-request`, `proto/47`, a name.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::{FlowService, Name, ServiceMatch, Services, TextError, did_you_mean, icmp};

/// The words that a service cannot be named, for they begin a service's text.
pub const RESERVED: [&str; 6] = ["any", "tcp", "udp", "icmp", "icmpv6", "proto"];

/// Reads one service without names: `any`, `tcp`, `udp/53`, `tcp/8000-8100`, `icmpv6/echo-request`, `proto/47`.
///
/// # Errors
/// The place of what is no service.
pub fn parse_service(text: &str) -> Result<ServiceMatch, TextError> {
    if text.contains(',') {
        return Err(unknown(text, &[]));
    }
    let (protocol, detail) = match text.split_once('/') {
        Some((protocol, detail)) => (protocol, Some(detail)),
        None => (text, None),
    };
    let place = protocol.len() + 1..text.len();
    match (protocol, detail) {
        ("any", None) => Ok(ServiceMatch::Any),
        ("tcp" | "udp", None) => Ok(ServiceMatch::Ports { tcp: protocol == "tcp", first: 0, last: u16::MAX }),
        ("tcp" | "udp", Some(detail)) => ports(protocol == "tcp", detail, place),
        ("icmp", None) => Ok(ServiceMatch::Icmp(None)),
        ("icmpv6", None) => Ok(ServiceMatch::Icmpv6(None)),
        ("icmp", Some(detail)) => Ok(ServiceMatch::Icmp(Some(icmp_type(false, detail, place)?))),
        ("icmpv6", Some(detail)) => Ok(ServiceMatch::Icmpv6(Some(icmp_type(true, detail, place)?))),
        ("proto", Some(detail)) => proto(detail, place),
        ("proto", None) => Err(TextError::new(0..text.len(), "`proto` needs a number").help("such as `proto/47`")),
        _ => Err(unknown(text, &[])),
    }
}

/// Reads a comma-separated list of services and names of services, as on a command line.
///
/// # Errors
/// The place of the first that is no service.
pub fn parse_services(text: &str, named: &BTreeMap<Name, Services>) -> Result<Services, TextError> {
    let mut services = Services::new();
    let mut start = 0;
    for item in text.split(',') {
        let trimmed = item.trim();
        let offset = start + item.len() - item.trim_start().len();
        match named.get(trimmed) {
            Some(found) => services.extend(found),
            None => services.push(parse_service(trimmed).map_err(|error| shift(error, trimmed, offset, named))?),
        }
        start += item.len() + 1;
    }
    Ok(services)
}

fn shift(error: TextError, item: &str, offset: usize, named: &BTreeMap<Name, Services>) -> TextError {
    let error = if is_name(item) { unknown(item, &named.keys().map(Name::as_str).collect::<Vec<_>>()) } else { error };
    TextError { range: error.range.start + offset..error.range.end + offset, ..error }
}

/// Whether a text can only be meant as the name of a service.
pub(super) fn is_name(item: &str) -> bool {
    !item.contains('/') && !RESERVED.contains(&item)
}

/// The error of a text that is neither a service nor one of the names.
pub(super) fn unknown(text: &str, names: &[&str]) -> TextError {
    let protocol = text.split('/').next().unwrap_or_default();
    let error = TextError::new(0..text.len(), format!("there is no service `{text}`"));
    if text.is_empty() {
        return error.help("write such as `tcp/443`, or `any`");
    }
    if text.contains(',') {
        return error.help("several services are a list: [tcp/80, tcp/443]");
    }
    if text.contains('/') {
        let known = ["tcp", "udp", "icmp", "icmpv6", "proto"];
        let error = TextError::new(0..protocol.len(), format!("there is no protocol `{protocol}`"));
        return match did_you_mean(protocol, &known) {
            Some(help) => error.help(help),
            None => error,
        };
    }
    let known: Vec<&str> = RESERVED.iter().copied().chain(names.iter().copied()).collect();
    match crate::nearest(text, known) {
        Some(word) => error.help(format!("did you mean `{word}`?")),
        None => error.help("write such as `tcp/443`, or a name of `services:`"),
    }
}

/// A decimal number without sign.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn port(text: &str, at: usize) -> Result<u16, TextError> {
    let wrong = || TextError::new(at..at + text.len(), format!("`{text}` is no port: a port is 0 to 65535"));
    digits(text).ok_or_else(wrong)
}

fn ports(tcp: bool, detail: &str, place: Range<usize>) -> Result<ServiceMatch, TextError> {
    let Some((first, last)) = detail.split_once('-') else {
        let port = port(detail, place.start)?;
        return Ok(ServiceMatch::Ports { tcp, first: port, last: port });
    };
    let range = (port(first, place.start)?, port(last, place.start + first.len() + 1)?);
    if range.0 > range.1 {
        let error = TextError::new(place, format!("the range {detail} ends before it begins"));
        return Err(error.help(format!("write {}-{}", range.1, range.0)));
    }
    Ok(ServiceMatch::Ports { tcp, first: range.0, last: range.1 })
}

fn icmp_type(v6: bool, detail: &str, place: Range<usize>) -> Result<u8, TextError> {
    icmp::number(v6, detail).map_err(|(message, help)| TextError { range: place, message, help })
}

fn proto(detail: &str, place: Range<usize>) -> Result<ServiceMatch, TextError> {
    let number: u8 = digits(detail)
        .ok_or_else(|| TextError::new(place.clone(), format!("`{detail}` is no protocol: a protocol is 0 to 255")))?;
    let own = match number {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        58 => "icmpv6",
        _ => return Ok(ServiceMatch::Proto(number)),
    };
    Err(TextError::new(place, format!("protocol {number} has a word of its own")).help(format!("write `{own}`")))
}

impl FromStr for FlowService {
    type Err = TextError;

    /// Reads what one flow asks for: `tcp/443`, `icmp/echo-request`, `icmp/8`, `proto/47`; one port or type, no range.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let one =
            |what: &str| TextError::new(0..text.len(), format!("`{text}` is more than one service: name one {what}"));
        let known =
            parse_service(text).map_err(|error| match is_name(text) && did_you_mean(text, &RESERVED).is_none() {
                true => error.help("write such as `tcp/443`: names of `services:` are the policy's own"),
                false => error,
            });
        match known? {
            ServiceMatch::Ports { tcp: true, first, last } if first == last => Ok(Self::Tcp(first)),
            ServiceMatch::Ports { tcp: false, first, last } if first == last => Ok(Self::Udp(first)),
            ServiceMatch::Icmp(Some(kind)) => Ok(Self::Icmp(kind)),
            ServiceMatch::Icmpv6(Some(kind)) => Ok(Self::Icmpv6(kind)),
            ServiceMatch::Proto(number) => Ok(Self::Proto(number)),
            ServiceMatch::Ports { .. } => Err(one("port, such as `tcp/443`")),
            ServiceMatch::Icmp(None) | ServiceMatch::Icmpv6(None) => Err(one("type, such as `icmp/echo-request`")),
            ServiceMatch::Any => Err(one("protocol and port, such as `tcp/443`")),
        }
    }
}

impl fmt::Display for FlowService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&ServiceMatch::from(*self).to_string())
    }
}

impl From<FlowService> for ServiceMatch {
    fn from(service: FlowService) -> Self {
        match service {
            FlowService::Tcp(port) => Self::Ports { tcp: true, first: port, last: port },
            FlowService::Udp(port) => Self::Ports { tcp: false, first: port, last: port },
            FlowService::Icmp(kind) => Self::Icmp(Some(kind)),
            FlowService::Icmpv6(kind) => Self::Icmpv6(Some(kind)),
            FlowService::Proto(number) => Self::Proto(number),
        }
    }
}

impl fmt::Display for ServiceMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match *self {
            Self::Any => "any".to_owned(),
            Self::Ports { tcp, first, last } => ports_text(if tcp { "tcp" } else { "udp" }, first, last),
            Self::Icmp(kind) => icmp_text(false, kind),
            Self::Icmpv6(kind) => icmp_text(true, kind),
            Self::Proto(number) => format!("proto/{number}"),
        })
    }
}

fn ports_text(protocol: &str, first: u16, last: u16) -> String {
    match (first, last) {
        (0, u16::MAX) => protocol.to_owned(),
        (first, last) if first == last => format!("{protocol}/{first}"),
        (first, last) => format!("{protocol}/{first}-{last}"),
    }
}

fn icmp_text(v6: bool, kind: Option<u8>) -> String {
    let protocol = if v6 { "icmpv6" } else { "icmp" };
    match kind.map(|kind| (kind, icmp::name(v6, kind))) {
        None => protocol.to_owned(),
        Some((_, Some(name))) => format!("{protocol}/{name}"),
        Some((kind, None)) => format!("{protocol}/{kind}"),
    }
}
