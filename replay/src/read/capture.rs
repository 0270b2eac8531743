//! Captured packets, of pcap and pcapng: each packet is decoded, and the first of a flow tells the flow.

use std::io::BufRead;

use super::ReadError;
use super::direction::Directions;
use super::packet::{Decoded, Link, decode};
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use crate::account::Account;
use crate::seen::Seen;

/// The largest packet that is read, as libpcap has it.
pub(super) const LARGEST: usize = 262_144;

/// One packet of a capture; its bytes stand in the buffer of who read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    /// What its first bytes are; `None` for a kind of link that is not known.
    pub(super) link: Option<Link>,
    /// When, in milliseconds since the Unix epoch.
    pub(super) when: Option<i64>,
}

/// Why a capture gives no further packet.
pub(super) enum Stop {
    /// It is over.
    End,
    /// It ends amid a packet: somebody stopped writing.
    CutOff,
    /// What follows makes no sense.
    Broken(String),
    /// The bytes do not come.
    Io(std::io::Error),
}

/// The framing of a capture.
enum Framing {
    Unknown,
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Framing {
    /// Tells the framing by its magic number.
    fn begin(bytes: &mut Bytes<'_, impl BufRead>) -> Result<Self, Stop> {
        let mut magic = [0; 4];
        bytes.fill(&mut magic)?;
        if magic == Pcapng::MAGIC {
            return Ok(Self::Pcapng(Pcapng::new()));
        }
        Pcap::begin(magic, bytes).map(Self::Pcap)
    }
}

/// Reads a capture.
pub(super) struct Capture {
    framing: Framing,
    buffer: Vec<u8>,
    directions: Directions,
    over: bool,
}

impl Capture {
    pub(super) fn new() -> Self {
        Self { framing: Framing::Unknown, buffer: Vec::new(), directions: Directions::new(), over: false }
    }

    pub(super) fn read(&mut self, input: &mut impl BufRead, account: &mut Account) -> Result<Option<Seen>, ReadError> {
        while !self.over {
            let seen = match self.packet(input, account) {
                Ok(packet) => {
                    account.entries += 1;
                    self.flow(packet, account)
                }
                Err(stop) => self.stop(stop, account)?,
            };
            if seen.is_some() {
                return Ok(seen);
            }
        }
        Ok(None)
    }

    /// Ends, or says why it cannot be read on.
    fn stop(&mut self, stop: Stop, account: &mut Account) -> Result<Option<Seen>, ReadError> {
        self.over = true;
        match stop {
            Stop::End => {}
            Stop::CutOff => {
                account.entries += 1;
                account.bad("the capture ends amid this packet", &[]);
            }
            Stop::Broken(why) => return Err(ReadError::Broken(why, account.entries)),
            Stop::Io(error) => return Err(error.into()),
        }
        Ok(None)
    }

    fn packet(&mut self, input: &mut impl BufRead, account: &mut Account) -> Result<Packet, Stop> {
        let Self { framing, buffer, .. } = self;
        let mut bytes = Bytes { input, read: &mut account.bytes };
        if matches!(framing, Framing::Unknown) {
            *framing = Framing::begin(&mut bytes)?;
        }
        match framing {
            Framing::Unknown => Err(Stop::End),
            Framing::Pcap(pcap) => pcap.packet(&mut bytes, buffer),
            Framing::Pcapng(pcapng) => pcapng.packet(&mut bytes, buffer),
        }
    }

    /// The flow that a packet begins.
    fn flow(&mut self, packet: Packet, account: &mut Account) -> Option<Seen> {
        let Some(link) = packet.link else {
            account.bad("a kind of link that is not read: Ethernet, raw IP, Linux cooked and loopback are", &[]);
            return None;
        };
        match decode(link, &self.buffer) {
            Decoded::Packet(headers) => {
                let flow = self.directions.flow(&headers, account)?;
                Some(Seen { when: packet.when, ..Seen::new(flow) })
            }
            Decoded::Noted(note) => {
                account.note(note);
                None
            }
            Decoded::Wrong(why) => {
                account.bad(why, &[]);
                None
            }
        }
    }
}

/// Bytes of a capture, counted.
pub(super) struct Bytes<'a, R> {
    input: &'a mut R,
    read: &'a mut u64,
}

impl<R: BufRead> Bytes<'_, R> {
    /// Fills a buffer; at the end of the capture nothing of it must be missing, or all of it.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Stop> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 => return Err(Stop::End),
                Ok(0) => return Err(Stop::CutOff),
                Ok(read) => {
                    filled += read;
                    *self.read += read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::Io(error)),
            }
        }
        Ok(())
    }

    /// The same for what must be there.
    pub(super) fn rest(&mut self, buffer: &mut [u8]) -> Result<(), Stop> {
        match self.fill(buffer) {
            Err(Stop::End) => Err(Stop::CutOff),
            other => other,
        }
    }

    /// Reads so many bytes into a buffer of its own length.
    pub(super) fn into(&mut self, buffer: &mut Vec<u8>, length: usize) -> Result<(), Stop> {
        buffer.clear();
        buffer.resize(length, 0);
        self.rest(buffer)
    }

    /// Passes over so many bytes.
    pub(super) fn skip(&mut self, mut length: u64) -> Result<(), Stop> {
        while length > 0 {
            let held = self.input.fill_buf().map_err(Stop::Io)?.len();
            if held == 0 {
                return Err(Stop::CutOff);
            }
            let taken = usize::try_from(length).map_or(held, |length| length.min(held));
            self.input.consume(taken);
            *self.read += taken as u64;
            length -= taken as u64;
        }
        Ok(())
    }
}

/// Which end of a number comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) big: bool,
}

impl Order {
    /// The number of sixteen bits at a place; 0 beyond the end.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let found = bytes.get(at..at + 2).and_then(|two| two.try_into().ok()).unwrap_or_default();
        if self.big { u16::from_be_bytes(found) } else { u16::from_le_bytes(found) }
    }

    /// The same of thirty-two bits.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let found = bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).unwrap_or_default();
        if self.big { u32::from_be_bytes(found) } else { u32::from_le_bytes(found) }
    }
}
