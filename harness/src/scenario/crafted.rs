//! Crafted packets: what stands behind `raw:`, such as `syn 1-1000` or `udp 53, spoofed source 10.98.0.9`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use policy::{Family, TextError};

/// A kind of crafted packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crafted {
    /// What it is.
    pub shape: Shape,
    /// The source address, where it is not the sender's own.
    pub spoofed: Option<IpAddr>,
    /// The transport's checksum is wrong.
    pub bad_checksum: bool,
    /// It is sent in fragments.
    pub fragments: Option<Fragments>,
    /// The IPv6 extension headers before the transport's, in order.
    pub headers: Vec<Extension>,
    /// The session that it quotes.
    pub about: Option<String>,
}

/// What a crafted packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// TCP segments that open connections, one a port.
    Syn(Ports),
    /// TCP segments from the middle of connections that there never were, one a port.
    MidStream(Ports),
    /// Datagrams, one a port.
    Udp(Ports),
    /// An ARP answer by which the sender claims this address.
    Arp(Ipv4Addr),
    /// A neighbour advertisement by which the sender claims this address.
    Neighbour(Ipv6Addr),
    /// An ICMP error.
    Error(IcmpError),
}

/// An ICMP error, of whichever family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// There is a better way.
    Redirect,
    /// The port cannot be reached.
    Unreachable,
    /// The packet does not fit (fragmentation needed).
    TooBig {
        /// What would fit; the least that the family has, where nothing is said.
        mtu: Option<u16>,
    },
}

/// An IPv6 extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Options for each hop.
    HopByHop,
    /// A way that is gone through already.
    Routing,
    /// Options for the destination.
    Destination,
    /// A fragment that is the whole.
    Fragment,
}

/// A range of ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last, not before the first.
    pub last: u16,
}

/// How a packet is cut into fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragments {
    /// The first is too short to hold the whole of the transport's header.
    TinyFirst,
    /// The first is never sent.
    LaterOnly,
    /// The second covers a part of the first.
    Overlapping,
}

const KINDS: [&str; 8] = ["syn", "mid-stream", "udp", "arp", "na", "redirect", "unreachable", "too-big"];
const ERRORS: [(&str, IcmpError); 3] = [
    ("redirect", IcmpError::Redirect),
    ("unreachable", IcmpError::Unreachable),
    ("too-big", IcmpError::TooBig { mtu: None }),
];
/// What an error quotes that quotes no session.
const NOTHING: &str = "nothing";
/// The least that fits everywhere, of each family.
pub(crate) const LEAST: (u16, u16) = (576, 1_280);
const HEADERS: [(&str, Extension); 4] = [
    ("hop-by-hop options", Extension::HopByHop),
    ("routing header", Extension::Routing),
    ("destination options", Extension::Destination),
    ("fragment header", Extension::Fragment),
];

impl Crafted {
    /// Reads what is behind `raw:`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let mut parts = parts(text).into_iter();
        let whole = || TextError::new(0..text.len(), "expected a packet, such as `syn 1-1000` or `udp 53`");
        let (first, place) = parts.next().ok_or_else(whole)?;
        let (shape, about) = match error(first, &place)? {
            Some((error, about)) => (Shape::Error(error), Some(about).filter(|about| about != NOTHING)),
            None => (shape(first, &place)?, None),
        };
        let (headers, spoofed) = (Vec::new(), None);
        let mut crafted = Self { shape, spoofed, bad_checksum: false, fragments: None, headers, about };
        for (part, place) in parts {
            crafted.turn(part, &place)?;
        }
        Ok(crafted)
    }

    /// The family that it must have, if any.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        match self.shape {
            Shape::Arp(_) => Some(Family::V4),
            Shape::Neighbour(_) => Some(Family::V6),
            Shape::Error(IcmpError::TooBig { mtu: Some(mtu) }) if mtu < LEAST.1 => Some(Family::V4),
            Shape::Error(_) => None,
            Shape::Syn(_) | Shape::MidStream(_) | Shape::Udp(_) => {
                let six = (!self.headers.is_empty()).then_some(Family::V6);
                self.spoofed.map(Family::of).or(six)
            }
        }
    }

    /// Whether it is about neighbours.
    #[must_use]
    pub fn is_of_neighbours(&self) -> bool {
        matches!(self.shape, Shape::Arp(_) | Shape::Neighbour(_))
    }

    /// Its ports, if it has any.
    #[must_use]
    pub fn ports(&self) -> Option<Ports> {
        match self.shape {
            Shape::Syn(ports) | Shape::MidStream(ports) | Shape::Udp(ports) => Some(ports),
            Shape::Arp(_) | Shape::Neighbour(_) | Shape::Error(_) => None,
        }
    }

    /// How many packets there are of it, not counting fragments.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.ports().map_or(1, |ports| u32::from(ports.last - ports.first) + 1)
    }

    fn turn(&mut self, part: &str, place: &Range<usize>) -> Result<(), TextError> {
        let words: Vec<&str> = part.split_whitespace().collect();
        if self.ports().is_none() {
            return Err(TextError::new(place.clone(), "this packet is as it is: nothing can be said behind it"));
        }
        match words.as_slice() {
            ["spoofed", "source", address] => {
                let read = address.parse();
                let wrong = |_| TextError::new(place.clone(), format!("`{address}` is not an address"));
                self.spoofed = Some(read.map_err(wrong)?);
            }
            ["bad", "checksum"] => self.bad_checksum = true,
            ["fragments", "tiny", "first"] => self.fragments = Some(Fragments::TinyFirst),
            ["fragments", "later", "only"] => self.fragments = Some(Fragments::LaterOnly),
            ["fragments", "overlapping"] => self.fragments = Some(Fragments::Overlapping),
            _ => self.headers.push(header(&words, part, place)?),
        }
        Ok(())
    }
}

fn header(words: &[&str], part: &str, place: &Range<usize>) -> Result<Extension, TextError> {
    let found = HEADERS.iter().find(|(known, _)| known.split(' ').eq(words.iter().copied()));
    found.map(|(_, header)| *header).ok_or_else(|| {
        let error = TextError::new(place.clone(), format!("`{part}` is understood of no packet"));
        error.help(
            "possible are `spoofed source ADDRESS`, `bad checksum`, \
             `fragments tiny first`, `fragments later only`, `fragments overlapping`, and of IPv6 \
             `hop-by-hop options`, `routing header`, `destination options`, `fragment header`",
        )
    })
}

/// `redirect about SESSION`, `too-big 1400 about SESSION`.
fn error(text: &str, place: &Range<usize>) -> Result<Option<(IcmpError, String)>, TextError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (kind, about) = match words.as_slice() {
        ["too-big", mtu, "about", about] => {
            let read = mtu.parse().ok().filter(|mtu| *mtu >= LEAST.0);
            let wrong =
                || TextError::new(place.clone(), format!("`{mtu}` is no MTU: from {} to {}", LEAST.0, u16::MAX));
            return Ok(Some((IcmpError::TooBig { mtu: Some(read.ok_or_else(wrong)?) }, (*about).to_owned())));
        }
        [kind, "about", about] => (kind, about),
        _ => return Ok(None),
    };
    let found = ERRORS.iter().find(|(known, _)| known == kind);
    Ok(found.map(|(_, error)| (*error, (*about).to_owned())))
}

/// The parts between commas, each with its place.
fn parts(text: &str) -> Vec<(&str, Range<usize>)> {
    let mut at = 0;
    let mut parts = Vec::new();
    for part in text.split(',') {
        let start = at + part.len() - part.trim_start().len();
        let trimmed = part.trim();
        parts.push((trimmed, start..start + trimmed.len()));
        at += part.len() + 1;
    }
    parts
}

fn shape(text: &str, place: &Range<usize>) -> Result<Shape, TextError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let address = |word: &str| TextError::new(place.clone(), format!("`{word}` is not an address of the family"));
    match words.as_slice() {
        ["syn", range] => Ok(Shape::Syn(ports(range, place)?)),
        ["mid-stream", range] => Ok(Shape::MidStream(ports(range, place)?)),
        ["udp", range] => Ok(Shape::Udp(ports(range, place)?)),
        ["arp", claimed] => claimed.parse().map(Shape::Arp).map_err(|_| address(claimed)),
        ["na", claimed] => claimed.parse().map(Shape::Neighbour).map_err(|_| address(claimed)),
        [kind, ..] if !KINDS.contains(kind) => {
            let error = TextError::new(place.clone(), format!("no packet is called `{kind}`"));
            Err(error.help(policy::did_you_mean(kind, &KINDS).unwrap_or_else(|| format!("known are {KINDS:?}"))))
        }
        _ => {
            let error = TextError::new(place.clone(), "expected a packet and what it is sent to or claims");
            Err(error.help("such as `syn 1-1000`, `udp 53`, `mid-stream 443`, `arp 10.98.0.9`, `na fd98::9`, `redirect about SESSION`"))
        }
    }
}

fn ports(text: &str, place: &Range<usize>) -> Result<Ports, TextError> {
    let wrong = || TextError::new(place.clone(), format!("`{text}` is neither a port nor a range of ports"));
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(wrong()) } else { Ok(Ports { first, last }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_read_as_they_are_written() {
        let of = |shape| Crafted {
            shape,
            spoofed: None,
            bad_checksum: false,
            fragments: None,
            headers: Vec::new(),
            about: None,
        };
        let headers = vec![Extension::HopByHop, Extension::Destination];
        let range = |first, last| Ports { first, last };
        let spoofed = Crafted { spoofed: Some("10.9.0.7".parse().unwrap()), ..of(Shape::Udp(range(53, 53))) };
        let rows = [
            ("syn 1-1000", of(Shape::Syn(range(1, 1000)))),
            ("udp 53", of(Shape::Udp(range(53, 53)))),
            ("mid-stream 443", of(Shape::MidStream(range(443, 443)))),
            ("arp 10.98.0.9", of(Shape::Arp("10.98.0.9".parse().unwrap()))),
            ("na fd98::9", of(Shape::Neighbour("fd98::9".parse().unwrap()))),
            ("udp 53, spoofed source 10.9.0.7", spoofed.clone()),
            ("udp 53 ,bad  checksum,spoofed source 10.9.0.7", Crafted { bad_checksum: true, ..spoofed }),
            (
                "syn 22, fragments tiny first",
                Crafted { fragments: Some(Fragments::TinyFirst), ..of(Shape::Syn(range(22, 22))) },
            ),
            (
                "udp 53, fragments later only",
                Crafted { fragments: Some(Fragments::LaterOnly), ..of(Shape::Udp(range(53, 53))) },
            ),
            ("too-big about nothing", of(Shape::Error(IcmpError::TooBig { mtu: None }))),
            ("too-big 1400 about nothing", of(Shape::Error(IcmpError::TooBig { mtu: Some(1400) }))),
            (
                "redirect about ledger",
                Crafted { about: Some("ledger".to_owned()), ..of(Shape::Error(IcmpError::Redirect)) },
            ),
            ("udp 53, hop-by-hop options, destination options", Crafted { headers, ..of(Shape::Udp(range(53, 53))) }),
            (
                "udp 53, fragments overlapping",
                Crafted { fragments: Some(Fragments::Overlapping), ..of(Shape::Udp(range(53, 53))) },
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(Crafted::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_packet_is_told_at_its_place() {
        let rows = [
            ("", 0..0),
            ("syn", 0..3),
            ("syn 0", 0..5),
            ("syn 9-1", 0..7),
            ("syn 1-70000", 0..11),
            ("sin 1", 0..5),
            ("arp fd98::9", 0..11),
            ("udp 53, fragments", 8..17),
            ("udp 53, spoofed source nobody", 8..29),
            ("arp 10.98.0.9, bad checksum", 15..27),
            ("redirect ledger", 0..15),
            ("too-big 1400 ledger", 0..19),
            ("too-big 575 about ledger", 0..24),
            ("too-big 65536 about ledger", 0..26),
            ("redirect 1400 about ledger", 0..26),
            ("udp 53, hop-by-hop", 8..18),
        ];
        for (text, place) in rows {
            let error = Crafted::parse(text).unwrap_err();
            assert_eq!(error.range, place, "{text}: {}", error.message);
        }
    }
}
