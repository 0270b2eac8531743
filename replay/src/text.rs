//! Addresses and numbers from bytes, and lines of bounded length, without an allocation for each.

use std::io::{BufRead, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest line that is read, in bytes.
pub const LONGEST_LINE: usize = 64 * 1024;
/// The longest text of an address.
const LONGEST_ADDRESS: usize = 45;

/// A decimal number without sign.
#[inline]
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// A number of sixteen bits, such as a port.
#[inline]
pub(crate) fn port(text: &[u8]) -> Option<u16> {
    number(text)?.try_into().ok()
}

/// An address of either family.
pub(crate) fn address(text: &[u8]) -> Option<IpAddr> {
    if let Some(found) = v4(text) {
        return Some(IpAddr::V4(found));
    }
    if text.len() > LONGEST_ADDRESS || !text.contains(&b':') {
        return None;
    }
    let found: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(IpAddr::V6(found))
}

/// Four numbers below 256 without leading zeros, divided by dots.
fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut octet, mut digits, mut dots) = (0_u32, 0_u32, 0, 0);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            if digits > 0 && octet == 0 {
                return None;
            }
            octet = octet * 10 + u32::from(digit);
            digits += 1;
        } else if *byte == b'.' && digits > 0 && dots < 3 {
            bits = bits << 8 | octet;
            (octet, digits, dots) = (0, 0, dots + 1);
        } else {
            return None;
        }
        if octet > 255 {
            return None;
        }
    }
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from(bits << 8 | octet))
}

/// Seconds with a fraction (`1764237600.25`), as milliseconds.
pub(crate) fn seconds(text: &[u8]) -> Option<i64> {
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let whole = number(parts.next()?)?;
    let fraction = parts.next().unwrap_or_default();
    let digit = |at: usize| fraction.get(at).filter(|byte| byte.is_ascii_digit()).map_or(0, |byte| byte - b'0');
    let millis = (0..3).fold(0_u64, |sum, at| sum * 10 + u64::from(digit(at)));
    i64::try_from(whole).ok()?.checked_mul(1000)?.checked_add(i64::try_from(millis).ok()?)
}

/// The words of a line, at blanks.
pub(crate) fn words(line: &[u8]) -> Words<'_> {
    Words { rest: line }
}

/// See [`words`].
#[derive(Clone)]
pub(crate) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|byte| *byte > b' ')?;
        let rest = self.rest.get(start..)?;
        let end = rest.iter().position(|byte| *byte <= b' ').unwrap_or(rest.len());
        let (word, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        Some(word)
    }
}

/// What became of an attempt to read a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// It is there, without its end; so many bytes were read.
    Whole(usize),
    /// It is longer than [`LONGEST_LINE`]; its beginning is there, the rest was skipped.
    TooLong(u64),
    /// There is none any more.
    None,
}

/// Reads one line.
pub(crate) fn line(input: &mut impl BufRead, into: &mut Vec<u8>) -> std::io::Result<Line> {
    into.clear();
    let read = input.take(LONGEST_LINE as u64 + 1).read_until(b'\n', into)?;
    if read == 0 {
        return Ok(Line::None);
    }
    if into.last() == Some(&b'\n') {
        into.pop();
    } else if read > LONGEST_LINE {
        return Ok(Line::TooLong(read as u64 + skip_line(input)?));
    }
    if into.last() == Some(&b'\r') {
        into.pop();
    }
    Ok(Line::Whole(read))
}

/// Reads to the end of a line and keeps nothing of it.
fn skip_line(input: &mut impl BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let held = input.fill_buf()?;
        if held.is_empty() {
            return Ok(skipped);
        }
        let end = held.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(held.len(), |end| end + 1);
        input.consume(taken);
        skipped += taken as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, address, line, number, seconds};

    #[test]
    fn addresses_and_numbers_are_read_as_the_standard_library_reads_them() {
        for text in [
            "10.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
            "fd98::1",
            "::ffff:10.0.0.1",
            "fe80::1%2",
            "",
            "10.0.0",
            "10.0.0.256",
            "10.0.0.1.2",
            "10.0.0.1 ",
            "a",
            "1e1",
            ":",
            "0010.0.0.1",
        ] {
            assert_eq!(address(text.as_bytes()), text.parse().ok(), "{text:?}");
        }
        assert_eq!(number(b"9999999999999999999"), Some(9_999_999_999_999_999_999));
        assert_eq!(number(b"+1"), None);
        assert_eq!(seconds(b"1764237600.25"), Some(1_764_237_600_250));
        assert_eq!(seconds(b"1764237600"), Some(1_764_237_600_000));
    }

    #[test]
    fn a_line_has_a_longest() {
        let long = "x".repeat(super::LONGEST_LINE + 5);
        let text = format!("a\r\n\n{long}\nb");
        let (mut input, mut into) = (text.as_bytes(), Vec::new());
        let mut next = || {
            let found = line(&mut input, &mut into).unwrap();
            (found, into.len())
        };
        assert_eq!(next(), (Line::Whole(3), 1));
        assert_eq!(next(), (Line::Whole(1), 0));
        assert_eq!(next().0, Line::TooLong(super::LONGEST_LINE as u64 + 6));
        assert_eq!(next(), (Line::Whole(1), 1));
        assert_eq!(next(), (Line::None, 0));
    }
}
