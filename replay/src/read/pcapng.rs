//! The framing of pcapng: blocks, of which sections, interfaces and packets matter.

use std::io::BufRead;

use super::capture::{Bytes, LARGEST, Order, Packet, Stop};
use super::packet::Link;

/// The most interfaces of a section.
const MOST_INTERFACES: usize = 4096;
/// The largest block that is read whole: a packet with its header and options.
const LARGEST_BLOCK: u32 = LARGEST as u32 + 65_536;

const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// The option of an interface that says its unit of time.
const TIME_UNIT: u16 = 9;
const MICROSECONDS: u64 = 1_000_000;

/// An interface of a section.
#[derive(Clone, Copy)]
struct Interface {
    link: Option<Link>,
    /// How many units of its time are a second.
    per_second: u64,
    most: u32,
}

/// A capture in pcapng's form.
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Whether the type of the first section's header was read already, as the magic number.
    first: bool,
}

impl Pcapng {
    pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

    pub(super) fn new() -> Self {
        Self { order: Order { big: false }, interfaces: Vec::new(), first: true }
    }

    pub(super) fn packet(&mut self, bytes: &mut Bytes<'_, impl BufRead>, block: &mut Vec<u8>) -> Result<Packet, Stop> {
        loop {
            let mut kind = Self::MAGIC;
            if !std::mem::take(&mut self.first) {
                bytes.fill(&mut kind)?;
            }
            if kind == Self::MAGIC {
                self.section(bytes)?;
                continue;
            }
            let mut length = [0; 4];
            bytes.rest(&mut length)?;
            let (kind, length) = (self.order.u32(&kind, 0), self.order.u32(&length, 0));
            let body = length.checked_sub(12).filter(|body| body % 4 == 0).ok_or_else(|| odd(length))?;
            if !matches!(kind, INTERFACE | OLD_PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
                bytes.skip(u64::from(body) + 4)?;
                continue;
            }
            if length > LARGEST_BLOCK {
                return Err(odd(length));
            }
            bytes.into(block, body as usize)?;
            bytes.skip(4)?;
            if kind == INTERFACE {
                self.interface(block)?;
            } else if let Some(packet) = self.of_block(kind, block) {
                return Ok(packet);
            } else {
                return Err(Stop::Broken("a packet without its interface, or longer than its block".to_owned()));
            }
        }
    }

    /// A section's header, behind its type: from here on its order of bytes, and interfaces of its own.
    fn section(&mut self, bytes: &mut Bytes<'_, impl BufRead>) -> Result<(), Stop> {
        let mut head = [0; 8];
        bytes.rest(&mut head)?;
        self.order.big = match head.get(4..) {
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => true,
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => false,
            Some(_) | None => return Err(Stop::Broken("a section without its mark of the order of bytes".to_owned())),
        };
        let length = self.order.u32(&head, 0);
        let _ = std::mem::take(&mut self.interfaces);
        bytes.skip(u64::from(length.checked_sub(12).filter(|rest| *rest >= 16).ok_or_else(|| odd(length))?))
    }

    fn interface(&mut self, block: &[u8]) -> Result<(), Stop> {
        if self.interfaces.len() >= MOST_INTERFACES {
            return Err(Stop::Broken(format!("more than {MOST_INTERFACES} interfaces")));
        }
        let link = Link::of(self.order.u16(block, 0), self.order);
        let (most, per_second) = (self.order.u32(block, 4), self.per_second(block));
        self.interfaces.push(Interface { link, per_second, most });
        Ok(())
    }

    /// How many units of time a second has, as an interface's options say; microseconds unless they do.
    fn per_second(&self, block: &[u8]) -> u64 {
        let mut at = 8;
        while at + 4 <= block.len() {
            match (self.order.u16(block, at), usize::from(self.order.u16(block, at + 2))) {
                (0, _) => break,
                (TIME_UNIT, _) => return units(block.get(at + 4).copied().unwrap_or(6)).unwrap_or(MICROSECONDS),
                (_, length) => at += 4 + length.next_multiple_of(4),
            }
        }
        MICROSECONDS
    }

    /// The packet of a block; the block is left with the packet's bytes alone.
    fn of_block(&self, kind: u32, block: &mut Vec<u8>) -> Option<Packet> {
        let order = self.order;
        let (interface, start, length) = match kind {
            ENHANCED_PACKET => (order.u32(block, 0), 20, order.u32(block, 12) as usize),
            OLD_PACKET => (u32::from(order.u16(block, 0)), 20, order.u32(block, 12) as usize),
            _ => (0, 4, order.u32(block, 0) as usize),
        };
        let interface = *self.interfaces.get(interface as usize)?;
        let length = if kind == SIMPLE_PACKET {
            let most = if interface.most == 0 { usize::MAX } else { interface.most as usize };
            length.min(most).min(block.len().checked_sub(start)?)
        } else {
            length
        };
        if length > LARGEST || start + length > block.len() {
            return None;
        }
        let units = (u64::from(order.u32(block, 4)) << 32) | u64::from(order.u32(block, 8));
        let millis = u128::from(units) * 1000 / u128::from(interface.per_second);
        let when = if kind == SIMPLE_PACKET { None } else { i64::try_from(millis).ok() };
        block.truncate(start + length);
        block.drain(..start);
        Some(Packet { link: interface.link, when })
    }
}

/// A negative power of ten, or of two if the highest bit is set.
fn units(unit: u8) -> Option<u64> {
    let base: u64 = if unit & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(u32::from(unit & 0x7f))
}

fn odd(length: u32) -> Stop {
    Stop::Broken(format!("a block of {length} bytes"))
}
