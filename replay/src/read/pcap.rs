//! The framing of pcap: one header, then each packet behind a header of its own.

use std::io::BufRead;

use super::capture::{Bytes, LARGEST, Order, Packet, Stop};
use super::packet::Link;

/// A capture in pcap's form.
pub(super) struct Pcap {
    order: Order,
    /// What a second's fraction is divided by to be milliseconds.
    per_milli: u32,
    link: Option<Link>,
}

impl Pcap {
    /// Reads the header behind the magic number.
    pub(super) fn begin(magic: [u8; 4], bytes: &mut Bytes<'_, impl BufRead>) -> Result<Self, Stop> {
        let (big, per_milli) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, 1_000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, 1_000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, 1_000_000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, 1_000_000),
            _ => return Err(Stop::Broken("it begins like neither pcap nor pcapng".to_owned())),
        };
        let order = Order { big };
        let mut header = [0; 20];
        bytes.rest(&mut header)?;
        // Above the low sixteen bits stand flags.
        let link = Link::of((order.u32(&header, 16) & 0xffff) as u16, order);
        Ok(Self { order, per_milli, link })
    }

    pub(super) fn packet(&self, bytes: &mut Bytes<'_, impl BufRead>, buffer: &mut Vec<u8>) -> Result<Packet, Stop> {
        let mut header = [0; 16];
        bytes.fill(&mut header)?;
        let length = self.order.u32(&header, 8) as usize;
        if length > LARGEST {
            return Err(Stop::Broken(format!("a packet of {length} bytes, of which {LARGEST} are the most")));
        }
        bytes.into(buffer, length)?;
        let millis = i64::from(self.order.u32(&header, 4) / self.per_milli);
        Ok(Packet { link: self.link, when: Some(i64::from(self.order.u32(&header, 0)) * 1000 + millis) })
    }
}
