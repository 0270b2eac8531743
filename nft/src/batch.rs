//! A batch of changes that the kernel takes whole or not at all.
use std::fmt::Write as _;

use nix::errno::Errno;

use crate::attr::Writer;
use crate::error::{Error, Refusal};
use crate::expr::{Expr, write_expr};
use crate::message::{Head, Messages, write};
use crate::numbers::{
    BATCH_BEGIN, BATCH_END, DEL_CHAIN, DEL_ELEMENT, DEL_RULE, DEL_SET, DEL_TABLE, NEW_CHAIN, NEW_ELEMENT, NEW_RULE,
    NEW_SET, NEW_TABLE, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, NLMSG_ERROR, SUBSYS_TABLES,
};
use crate::sets::{Element, SetSpec, comment_data};
use crate::socket::Socket;

/// An attribute's length has 16 bits; a list of elements stays well below.
const LIST_BYTES: usize = 48 << 10;

/// The packets that a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet = 1,
    /// Frames of one device.
    Netdev = 5,
    /// Frames of bridges.
    Bridge = 7,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
}

impl Table {
    /// Names a table.
    #[must_use]
    pub fn new(family: Family, name: &str) -> Self {
        Self { family, name: name.to_owned() }
    }
}

/// Where a base chain hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookPoint {
    /// Packets for this machine (inet, bridge).
    Input,
    /// Packets passed on (inet, bridge).
    Forward,
    /// Packets of this machine (inet, bridge).
    Output,
    /// Before routing (inet, bridge).
    Prerouting,
    /// Frames that arrive at the device (netdev).
    Ingress(String),
    /// Frames that leave by the device (netdev).
    Egress(String),
    /// Frames that leave by any device, also by one that comes later (netdev; Linux 6.16 and later).
    EgressAll,
}

/// What happens to a packet that no rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It goes on.
    Accept,
    /// It is dropped.
    Drop,
}

/// A base chain's hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where.
    pub point: HookPoint,
    /// In which order among others.
    pub priority: i32,
    /// What happens at the end.
    pub policy: Policy,
}

impl Hook {
    fn write(&self, w: &mut Writer) {
        let number = match &self.point {
            HookPoint::Prerouting | HookPoint::Ingress(_) => 0,
            HookPoint::Input | HookPoint::Egress(_) | HookPoint::EgressAll => 1,
            HookPoint::Forward => 2,
            HookPoint::Output => 3,
        };
        w.nest(4, |w| {
            w.be32(1, number).be32(2, self.priority.cast_unsigned());
            match &self.point {
                HookPoint::Ingress(device) | HookPoint::Egress(device) => w.text(3, device),
                // A list of devices; the one in it is a prefix, with which every name begins.
                HookPoint::EgressAll => w.nest(4, |w| {
                    w.text(2, "");
                }),
                HookPoint::Prerouting | HookPoint::Input | HookPoint::Forward | HookPoint::Output => w,
            };
        });
        w.be32(5, u32::from(self.policy == Policy::Accept)).text(7, "filter");
    }
}

/// What one message of a batch does.
#[derive(Debug, Clone, Copy)]
struct Change<'a> {
    kind: u16,
    flags: u16,
    verb: &'a str,
    object: &'a str,
}

impl<'a> Change<'a> {
    fn new(kind: u16, flags: u16, verb: &'a str, object: &'a str) -> Self {
        Self { kind, flags, verb, object }
    }
}

fn write_rule(w: &mut Writer, rule: &[Expr]) {
    for expr in rule {
        w.nest(1, |w| write_expr(w, expr));
    }
}

/// Writes elements until the list is long enough for one message.
fn write_some<'e>(w: &mut Writer, rest: &mut impl Iterator<Item = &'e Element>) {
    let limit = w.0.len() + LIST_BYTES;
    while w.0.len() < limit {
        let Some(element) = rest.next() else { return };
        element.write(w);
    }
}

/// Changes in order.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    body: Writer,
    /// One a message: the message's sequence number is its place here.
    operations: Vec<String>,
    last: usize,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Its bytes on the way to the kernel, with the frame.
    #[must_use]
    pub fn size(&self) -> usize {
        self.body.0.len() + 40
    }

    /// The bytes of its messages, without the frame, as they are before sequence numbers are given.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body.0
    }

    fn push(&mut self, table: &Table, change: Change<'_>, fill: impl FnOnce(&mut Writer)) {
        let Change { kind, flags, verb, object } = change;
        let mut operation = String::new();
        let family = match table.family {
            Family::Inet => "inet",
            Family::Netdev => "netdev",
            Family::Bridge => "bridge",
        };
        let _ = write!(operation, "{verb} {family} {}{}{object}", table.name, if object.is_empty() { "" } else { " " });
        let sequence = u32::try_from(self.operations.len()).unwrap_or(u32::MAX);
        self.operations.push(operation);
        self.last = self.body.0.len();
        let kind = SUBSYS_TABLES << 8 | kind;
        let head = Head { kind, flags, sequence, family: table.family as u8, resource: 0 };
        write(&mut self.body, head, |w| {
            w.text(1, &table.name);
            fill(w);
        });
    }

    /// Makes the table, if it is not there.
    pub fn add_table(&mut self, table: &Table) -> &mut Self {
        self.push(table, Change::new(NEW_TABLE, NLM_F_CREATE, "add table", ""), |_| {});
        self
    }

    /// Removes the table with all it holds; refused where there is none.
    pub fn delete_table(&mut self, table: &Table) -> &mut Self {
        self.push(table, Change::new(DEL_TABLE, 0, "delete table", ""), |_| {});
        self
    }

    /// Makes a chain, if it is not there.
    pub fn add_chain(&mut self, table: &Table, chain: &str) -> &mut Self {
        self.push(table, Change::new(NEW_CHAIN, NLM_F_CREATE, "add chain", chain), |w| {
            w.text(3, chain);
        });
        self
    }

    /// Makes a base chain, if it is not there.
    pub fn add_base_chain(&mut self, table: &Table, chain: &str, hook: &Hook) -> &mut Self {
        self.push(table, Change::new(NEW_CHAIN, NLM_F_CREATE, "add base chain", chain), |w| {
            w.text(3, chain);
            hook.write(w);
        });
        self
    }

    /// Removes an empty chain.
    pub fn delete_chain(&mut self, table: &Table, chain: &str) -> &mut Self {
        self.push(table, Change::new(DEL_CHAIN, 0, "delete chain", chain), |w| {
            w.text(3, chain);
        });
        self
    }

    /// Removes all rules of a chain.
    pub fn flush_chain(&mut self, table: &Table, chain: &str) -> &mut Self {
        self.push(table, Change::new(DEL_RULE, 0, "flush chain", chain), |w| {
            w.text(2, chain);
        });
        self
    }

    /// Adds a rule at the chain's end.
    pub fn add_rule(&mut self, table: &Table, chain: &str, rule: &[Expr]) -> &mut Self {
        self.add_named_rule(table, chain, rule, "")
    }

    /// Adds a rule with a comment at the chain's end.
    pub fn add_named_rule(&mut self, table: &Table, chain: &str, rule: &[Expr], comment: &str) -> &mut Self {
        self.push(table, Change::new(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, "add rule", chain), |w| {
            w.text(2, chain).nest(4, |w| write_rule(w, rule));
            if !comment.is_empty() {
                w.bytes(7, &comment_data(comment));
            }
        });
        self
    }

    /// Adds a rule before all others of the chain.
    pub fn insert_rule(&mut self, table: &Table, chain: &str, rule: &[Expr]) -> &mut Self {
        self.push(table, Change::new(NEW_RULE, NLM_F_CREATE, "insert rule", chain), |w| {
            w.text(2, chain).nest(4, |w| write_rule(w, rule));
        });
        self
    }

    /// Puts a rule where the one stands that the kernel knows by this handle.
    pub fn replace_rule(&mut self, table: &Table, chain: &str, handle: u64, rule: &[Expr]) -> &mut Self {
        self.push(table, Change::new(NEW_RULE, NLM_F_REPLACE, "replace rule", chain), |w| {
            w.text(2, chain).be64(3, handle).nest(4, |w| write_rule(w, rule));
        });
        self
    }

    /// Removes the rule that the kernel knows by this handle.
    pub fn delete_rule(&mut self, table: &Table, chain: &str, handle: u64) -> &mut Self {
        self.push(table, Change::new(DEL_RULE, 0, "delete rule", chain), |w| {
            w.text(2, chain).be64(3, handle);
        });
        self
    }

    /// Makes a set or map, if it is not there.
    pub fn add_set(&mut self, table: &Table, set: &SetSpec) -> &mut Self {
        let id = u32::try_from(self.operations.len()).unwrap_or(0) + 1;
        self.push(table, Change::new(NEW_SET, NLM_F_CREATE, "add set", &set.name), |w| set.write(w, id));
        self
    }

    /// Removes a set or map that no rule uses.
    pub fn delete_set(&mut self, table: &Table, set: &str) -> &mut Self {
        self.push(table, Change::new(DEL_SET, 0, "delete set", set), |w| {
            w.text(2, set);
        });
        self
    }

    /// Removes all elements.
    pub fn flush_set(&mut self, table: &Table, set: &str) -> &mut Self {
        self.push(table, Change::new(DEL_ELEMENT, 0, "flush set", set), |w| {
            w.text(2, set);
        });
        self
    }

    /// Adds elements; one that is there stays as it is.
    pub fn add_elements(&mut self, table: &Table, set: &str, elements: &[Element]) -> &mut Self {
        self.elements(table, Change::new(NEW_ELEMENT, NLM_F_CREATE, "add elements", set), elements)
    }

    /// Removes elements; refused where one is not there.
    pub fn delete_elements(&mut self, table: &Table, set: &str, elements: &[Element]) -> &mut Self {
        self.elements(table, Change::new(DEL_ELEMENT, 0, "delete elements", set), elements)
    }

    fn elements(&mut self, table: &Table, change: Change<'_>, all: &[Element]) -> &mut Self {
        let mut rest = all.iter().peekable();
        while rest.peek().is_some() {
            self.push(table, change, |w| {
                w.text(2, change.object).nest(3, |w| write_some(w, &mut rest));
            });
        }
        self
    }

    /// Gives the batch to the kernel.
    ///
    /// # Errors
    /// With every operation that the kernel refused; then nothing of the batch holds.
    pub fn commit(&self, socket: &mut Socket) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        socket.drain();
        let count = u32::try_from(self.operations.len()).unwrap_or(u32::MAX);
        let first = socket.take_sequences(count.saturating_add(2));
        let bytes = self.framed(first);
        let limit = socket.send_limit()?;
        if bytes.len() > limit {
            return Err(Error::TooLarge { size: bytes.len(), limit });
        }
        socket.send(&bytes)?;
        let refusals = self.replies(socket, first)?;
        if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
    }

    fn framed(&self, first: u32) -> Vec<u8> {
        let mut out = Writer::default();
        let mut head = Head { kind: BATCH_BEGIN, flags: 0, sequence: first, family: 0, resource: SUBSYS_TABLES };
        write(&mut out, head, |_| {});
        let body = out.0.len();
        out.0.extend_from_slice(&self.body.0);
        let mut at = body;
        for (place, message) in Messages(&self.body.0).enumerate() {
            let sequence = first.wrapping_add(1).wrapping_add(u32::try_from(place).unwrap_or(0));
            out.put(at + 8, &sequence.to_ne_bytes());
            if at - body == self.last {
                out.put(at + 6, &(message.flags | NLM_F_ACK).to_ne_bytes());
            }
            at += message.body.len() + 16;
        }
        head.kind = BATCH_END;
        head.sequence = first.wrapping_add(1).wrapping_add(u32::try_from(self.operations.len()).unwrap_or(0));
        write(&mut out, head, |_| {});
        out.0
    }

    /// Every operation that fails answers; the last one always does.
    fn replies(&self, socket: &mut Socket, first: u32) -> Result<Vec<Refusal>, Error> {
        let mut refusals = Vec::new();
        socket.answers(|message| {
            if message.kind != NLMSG_ERROR {
                return true;
            }
            let place = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
            if message.code() != 0 {
                let name = place.checked_sub(1).and_then(|place| self.operations.get(place));
                refusals.push(Refusal {
                    operation: name.map_or_else(|| "commit the batch".to_owned(), Clone::clone),
                    errno: Errno::from_raw(-message.code()),
                    message: message.words(),
                });
            }
            place != self.operations.len() && place != 0
        })?;
        Ok(refusals)
    }
}
