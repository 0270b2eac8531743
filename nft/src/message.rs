//! Netlink messages: a header, the netfilter header, attributes.
use crate::attr::{Attrs, Writer};
use crate::numbers::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_REQUEST};

const HEADER: usize = 16;
const NETFILTER: usize = 4;

/// What stands in a message's headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    /// Subsystem << 8 | message.
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) family: u8,
    pub(crate) resource: u16,
}

/// Appends a message to the buffer.
pub(crate) fn write(into: &mut Writer, head: Head, fill: impl FnOnce(&mut Writer)) {
    let start = into.0.len();
    into.0.extend_from_slice(&[0; 4]);
    into.0.extend_from_slice(&head.kind.to_ne_bytes());
    into.0.extend_from_slice(&(head.flags | NLM_F_REQUEST).to_ne_bytes());
    into.0.extend_from_slice(&head.sequence.to_ne_bytes());
    into.0.extend_from_slice(&[0; 4]);
    into.0.extend_from_slice(&[head.family, 0]);
    into.0.extend_from_slice(&head.resource.to_be_bytes());
    fill(into);
    let length = u32::try_from(into.0.len() - start).unwrap_or(u32::MAX);
    into.put(start, &length.to_ne_bytes());
}

/// A message that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// The socket that asked for it, or that caused it.
    pub(crate) port: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes behind the netfilter header.
    pub(crate) fn attrs(self) -> Attrs<'a> {
        Attrs(self.body.get(NETFILTER..).unwrap_or_default())
    }

    /// The error code of an error or done message; 0 is an acknowledgement.
    pub(crate) fn code(self) -> i32 {
        self.body.get(..4).and_then(|four| four.try_into().ok()).map_or(0, i32::from_ne_bytes)
    }

    /// The kernel's words beside an error.
    pub(crate) fn words(self) -> Option<String> {
        if self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let inner = if self.flags & NLM_F_CAPPED == 0 { self.body.get(4..8)? } else { &[16, 0, 0, 0] };
        let length = usize::try_from(u32::from_ne_bytes(inner.try_into().ok()?)).ok()?;
        let from = if self.flags & NLM_F_CAPPED == 0 { 4 + length.next_multiple_of(4) } else { 4 + HEADER };
        Attrs(self.body.get(from..)?).find(1).map(crate::attr::Attr::text)
    }
}

/// The messages in a datagram.
pub(crate) struct Messages<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let word = |at: usize| Some(u32::from_ne_bytes(self.0.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_ne_bytes(self.0.get(at..at + 2)?.try_into().ok()?));
        let length = usize::try_from(word(0)?).ok()?;
        let (kind, flags, sequence, port) = (half(4)?, half(6)?, word(8)?, word(12)?);
        let body = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, flags, sequence, port, body })
    }
}
