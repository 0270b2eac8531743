//! Sets and maps, and their elements.
use std::net::IpAddr;

use crate::attr::Writer;
use crate::expr::{Expr, Verdict, value_in, write_expr, write_verdict};
use crate::numbers::{ELEMENT_END, SET_CONCAT, SET_EXPR, SET_INTERVAL, SET_MAP, VERDICT_DATA};

/// The longest comment that the kernel keeps with an element.
const COMMENT_BYTES: usize = 250;

/// The type of a key or a value; the kernel looks at the length alone, the program `nft` at the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A 32-bit mark, in host order.
    Mark,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A transport protocol: 1 byte.
    Protocol,
    /// A port: 2 bytes.
    Port,
    /// A link address: 6 bytes.
    Mac,
    /// A name of an interface or of a kind of interfaces: 16 bytes.
    Name,
}

impl Type {
    fn number(self) -> u32 {
        match self {
            Self::Mark => 19,
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Mac => 9,
            Self::Name => 41,
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Mark | Self::Ipv4 => 4,
            Self::Ipv6 | Self::Name => 16,
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Mac => 6,
        }
    }

    /// 1 is the host's order, 2 the network's.
    fn order(self) -> u32 {
        match self {
            Self::Mark | Self::Name => 1,
            Self::Ipv4 | Self::Ipv6 | Self::Protocol | Self::Port | Self::Mac => 2,
        }
    }
}

/// What a set holds beside its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// Nothing.
    Plain,
    /// A counter in each element.
    Counted,
    /// A value.
    Map(Type),
    /// A verdict.
    Verdicts,
}

/// A set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSpec {
    /// Its name.
    pub name: String,
    /// Its key; more than one is a concatenation, each part filled up to four bytes.
    pub key: Vec<Type>,
    /// What it holds.
    pub kind: SetKind,
    /// Whether its elements are ranges.
    pub interval: bool,
    /// The most elements; where that is said, the kernel finds exact keys faster.
    pub size: Option<u32>,
}

impl SetSpec {
    /// A set of exact keys.
    #[must_use]
    pub fn plain(name: &str, key: Type) -> Self {
        Self { name: name.to_owned(), key: vec![key], kind: SetKind::Plain, interval: false, size: None }
    }

    /// With room for so many elements.
    #[must_use]
    pub fn sized(mut self, most: u32) -> Self {
        self.size = Some(most);
        self
    }

    /// A map of exact keys.
    #[must_use]
    pub fn map(name: &str, key: &[Type], value: Type) -> Self {
        Self { name: name.to_owned(), key: key.to_vec(), kind: SetKind::Map(value), interval: false, size: None }
    }

    /// A map of ranges.
    #[must_use]
    pub fn ranges(name: &str, key: Type, value: Type) -> Self {
        Self { name: name.to_owned(), key: vec![key], kind: SetKind::Map(value), interval: true, size: None }
    }

    /// A set whose elements count.
    #[must_use]
    pub fn counted(name: &str, key: Type) -> Self {
        Self { name: name.to_owned(), key: vec![key], kind: SetKind::Counted, interval: false, size: None }
    }

    pub(crate) fn write(&self, w: &mut Writer, id: u32) {
        w.text(2, &self.name).be32(3, self.flags());
        let key = self.key.iter().fold(0, |all, part| (all << 6) | part.number());
        w.be32(4, key).be32(5, self.key_bytes());
        let order = match self.kind {
            SetKind::Map(value) => {
                w.be32(6, value.number()).be32(7, u32::try_from(value.bytes()).unwrap_or(0));
                Some(value.order())
            }
            SetKind::Verdicts => {
                w.be32(6, VERDICT_DATA).be32(7, 0);
                None
            }
            SetKind::Plain | SetKind::Counted => None,
        };
        w.be32(10, id);
        let is_concatenated = self.key.len() > 1 && self.interval;
        if is_concatenated || self.size.is_some() {
            w.nest(9, |w| self.write_description(w, is_concatenated));
        }
        w.bytes(13, &self.userdata(order));
        if self.kind == SetKind::Counted {
            w.nest(17, |w| write_expr(w, &Expr::Counter));
        }
    }

    fn flags(&self) -> u32 {
        let kind = match self.kind {
            SetKind::Plain => 0,
            SetKind::Counted => SET_EXPR,
            SetKind::Map(_) | SetKind::Verdicts => SET_MAP,
        };
        let interval = if self.interval { SET_INTERVAL } else { 0 };
        let concat = if self.key.len() > 1 && self.interval { SET_CONCAT } else { 0 };
        kind | interval | concat
    }

    fn key_bytes(&self) -> u32 {
        let bytes = match self.key.as_slice() {
            [one] => one.bytes(),
            parts => parts.iter().map(|part| part.bytes().next_multiple_of(4)).sum(),
        };
        u32::try_from(bytes).unwrap_or(0)
    }

    fn write_description(&self, w: &mut Writer, is_concatenated: bool) {
        if let Some(most) = self.size {
            w.be32(1, most);
        }
        if is_concatenated {
            w.nest(2, |w| self.key.iter().for_each(|part| write_part(w, *part)));
        }
    }

    /// What `nft` wants to know for its listing: the byte order of keys and values.
    fn userdata(&self, value: Option<u32>) -> Vec<u8> {
        let key = if let [one] = self.key.as_slice() { one.order() } else { 0 };
        let mut out = vec![0, 4];
        out.extend_from_slice(&key.to_ne_bytes());
        if let Some(value) = value {
            out.extend_from_slice(&[1, 4]);
            out.extend_from_slice(&value.to_ne_bytes());
        }
        out
    }
}

fn write_part(w: &mut Writer, part: Type) {
    w.nest(1, |w| {
        w.be32(1, u32::try_from(part.bytes()).unwrap_or(0));
    });
}

/// An element, as it is given to the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    pub(crate) key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    verdict: Option<Verdict>,
    comment: Option<String>,
    end: bool,
}

impl Element {
    /// A key, in the bytes that the kernel compares.
    #[must_use]
    pub fn key(key: impl Into<Vec<u8>>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    /// An address as key.
    #[must_use]
    pub fn address(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::key(ip.octets()),
            IpAddr::V6(ip) => Self::key(ip.octets()),
        }
    }

    /// With a value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// With a verdict.
    #[must_use]
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// With a comment; what is longer than the kernel keeps is cut off.
    #[must_use]
    pub fn comment(mut self, comment: &str) -> Self {
        self.comment = Some(comment.chars().take_while(within(COMMENT_BYTES)).collect());
        self
    }

    /// The inclusive range of a concatenation.
    #[must_use]
    pub fn up_to(mut self, last: impl Into<Vec<u8>>) -> Self {
        self.key_end = Some(last.into());
        self
    }

    /// The elements that stand for an inclusive range in an interval set or map.
    #[must_use]
    pub fn range(first: &[u8], last: &[u8], value: Option<&[u8]>) -> Vec<Self> {
        let start = Self { key: first.to_vec(), value: value.map(<[u8]>::to_vec), ..Self::default() };
        match successor(last) {
            Some(key) => vec![start, Self { key, end: true, ..Self::default() }],
            None => vec![start],
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        w.nest(1, |w| {
            if self.end {
                w.be32(3, ELEMENT_END);
            }
            w.nest(1, value_in(&self.key));
            if let Some(last) = &self.key_end {
                w.nest(10, value_in(last));
            }
            if let Some(value) = &self.value {
                w.nest(2, value_in(value));
            }
            if let Some(verdict) = &self.verdict {
                w.nest(2, |w| write_verdict(w, verdict));
            }
            if let Some(comment) = &self.comment {
                w.bytes(6, &comment_data(comment));
            }
        });
    }
}

/// A comment as the program `nft` stores it.
pub(crate) fn comment_data(comment: &str) -> Vec<u8> {
    let mut out = vec![0, u8::try_from(comment.len() + 1).unwrap_or(u8::MAX)];
    out.extend_from_slice(comment.as_bytes());
    out.push(0);
    out
}

fn within(limit: usize) -> impl FnMut(&char) -> bool {
    let mut used = 0;
    move |c| {
        used += c.len_utf8();
        used <= limit
    }
}

/// The number after this one, in as many bytes; `None` after the last.
fn successor(last: &[u8]) -> Option<Vec<u8>> {
    let mut next = last.to_vec();
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(next);
        }
    }
    None
}
