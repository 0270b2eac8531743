//! What the kernel holds: chains, rules, sets, elements and their counters.
use crate::attr::{Attr, Attrs, Writer};
use crate::batch::{Family, Table};
use crate::error::Error;
use crate::message::{Head, Message};
use crate::numbers::{
    ELEMENT_END, GET_CHAIN, GET_ELEMENT, GET_GENERATION, GET_RULE, GET_SET, GET_TABLE, NLM_F_ACK, SUBSYS_TABLES,
};
use crate::sets::Element;
use crate::socket::Socket;

/// How many elements are asked for at once: the kernel answers each in a buffer of pages, and a reader without privileges has
/// room for few of these.
const AT_ONCE: usize = 16;

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainInfo {
    /// Its name.
    pub name: String,
    /// The hook's number and priority, of a base chain.
    pub hook: Option<(u32, i32)>,
    /// 0 drop, 1 accept; of a base chain.
    pub policy: Option<u32>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its chain.
    pub chain: String,
    /// The kernel's number for it.
    pub handle: u64,
    /// The names of its expressions.
    pub expressions: Vec<String>,
    /// The sets and maps that it looks things up in.
    pub sets: Vec<String>,
    /// Its comment.
    pub comment: String,
    /// Packets and bytes of its first counter.
    pub counter: Option<(u64, u64)>,
}

/// A set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetInfo {
    /// Its name.
    pub name: String,
    /// The kernel's flags.
    pub flags: u32,
    /// The bytes of a key.
    pub key_bytes: u32,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementInfo {
    /// Its key.
    pub key: Vec<u8>,
    /// The last key, of a range in a concatenation.
    pub key_end: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Whether it only ends a range.
    pub end: bool,
    /// Its comment.
    pub comment: String,
    /// Packets and bytes, where it counts.
    pub counter: Option<(u64, u64)>,
}

/// An element of a set of marks with counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The mark.
    pub key: u32,
    /// The comment.
    pub comment: String,
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Reads the counters of a set whose keys are marks.
///
/// # Errors
/// When the set is not there or the listing fails.
pub fn read_counters(socket: &mut Socket, table: &Table, set: &str) -> Result<Vec<Counted>, Error> {
    let elements = socket.elements(table, set)?;
    Ok(elements.into_iter().filter_map(counted).collect())
}

fn counted(element: ElementInfo) -> Option<Counted> {
    let key = u32::from_ne_bytes(element.key.get(..4)?.try_into().ok()?);
    let (packets, bytes) = element.counter.unwrap_or_default();
    Some(Counted { key, comment: element.comment, packets, bytes })
}

impl Socket {
    /// The number of the kernel's ruleset in this namespace; every change raises it.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn generation(&mut self) -> Result<u32, Error> {
        let mut found = None;
        let head = head(GET_GENERATION, 0);
        self.request(
            Head { flags: NLM_F_ACK, ..head },
            |_| {},
            |message| {
                found = message.attrs().find(1).and_then(Attr::be32).or(found);
            },
        )?;
        found.ok_or(Error::Malformed("no generation in it"))
    }

    /// The names of all tables of a family.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn tables(&mut self, family: Family) -> Result<Vec<String>, Error> {
        self.dump(
            head(GET_TABLE, family as u8),
            |_| {},
            |message, found| {
                found.extend(message.attrs().find(1).map(Attr::text));
            },
        )
    }

    /// The table's chains.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn chains(&mut self, table: &Table) -> Result<Vec<ChainInfo>, Error> {
        let all = self.dump(head(GET_CHAIN, table.family as u8), |_| {}, parse_chain)?;
        Ok(all.into_iter().filter(|(of, _)| *of == table.name).map(|(_, chain)| chain).collect())
    }

    /// The table's rules, in order.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn rules(&mut self, table: &Table) -> Result<Vec<RuleInfo>, Error> {
        let of = |w: &mut Writer| {
            w.text(1, &table.name);
        };
        self.dump(head(GET_RULE, table.family as u8), of, parse_rule)
    }

    /// The kernel's numbers for a chain's rules, in order.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn handles(&mut self, table: &Table, chain: &str) -> Result<Vec<u64>, Error> {
        let of = |w: &mut Writer| {
            w.text(1, &table.name).text(2, chain);
        };
        self.dump(head(GET_RULE, table.family as u8), of, |message, found| {
            found.extend(message.attrs().find(3).and_then(Attr::be64));
        })
    }

    /// The table's named sets and maps.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn sets(&mut self, table: &Table) -> Result<Vec<SetInfo>, Error> {
        let of = |w: &mut Writer| {
            w.text(1, &table.name);
        };
        self.dump(head(GET_SET, table.family as u8), of, parse_set)
    }

    /// A set's elements.
    ///
    /// # Errors
    /// When the set is not there or the listing fails.
    pub fn elements(&mut self, table: &Table, set: &str) -> Result<Vec<ElementInfo>, Error> {
        self.elements_as(table, set, |element| element)
    }

    /// Those of a set's elements that have these keys, which are exact; none where one of them is not there.
    ///
    /// # Errors
    /// When the request fails for another reason.
    pub fn elements_at(
        &mut self,
        table: &Table,
        set: &str,
        keys: &[Element],
    ) -> Result<Option<Vec<ElementInfo>>, Error> {
        let mut found = Vec::new();
        for part in keys.chunks(AT_ONCE) {
            let of = |w: &mut Writer| {
                w.text(1, &table.name).text(2, set).nest(3, |w| part.iter().for_each(|key| key.write(w)));
            };
            let head = head(GET_ELEMENT, table.family as u8);
            match self.request(Head { flags: NLM_F_ACK, ..head }, of, |one| found.extend(parse_elements(one))) {
                Ok(()) => {}
                Err(error) if error.is_absent() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(found))
    }

    /// A set's elements, each turned into something smaller as it is read.
    ///
    /// # Errors
    /// When the set is not there or the listing fails.
    pub fn elements_as<T>(
        &mut self,
        table: &Table,
        set: &str,
        turn: impl Fn(ElementInfo) -> T,
    ) -> Result<Vec<T>, Error> {
        let of = |w: &mut Writer| {
            w.text(1, &table.name).text(2, set);
        };
        self.dump(head(GET_ELEMENT, table.family as u8), of, |message, found| {
            found.extend(parse_elements(message).map(&turn));
        })
    }
}

pub(crate) fn head(kind: u16, family: u8) -> Head {
    Head { kind: SUBSYS_TABLES << 8 | kind, flags: 0, sequence: 0, family, resource: 0 }
}

pub(crate) fn text_of(attrs: Attrs<'_>, kind: u16) -> String {
    attrs.find(kind).map(Attr::text).unwrap_or_default()
}

pub(crate) fn parse_chain(message: Message<'_>, found: &mut Vec<(String, ChainInfo)>) {
    let attrs = message.attrs();
    let number = |hook: Attr<'_>, kind| hook.inside().find(kind).and_then(Attr::be32);
    let hook = attrs.find(4).and_then(|hook| Some((number(hook, 1)?, number(hook, 2)?.cast_signed())));
    let chain = ChainInfo { name: text_of(attrs, 3), hook, policy: attrs.find(5).and_then(Attr::be32) };
    found.push((text_of(attrs, 1), chain));
}

pub(crate) fn parse_rule(message: Message<'_>, found: &mut Vec<RuleInfo>) {
    let attrs = message.attrs();
    let expressions = || attrs.find(4).into_iter().flat_map(Attr::inside);
    found.push(RuleInfo {
        chain: text_of(attrs, 2),
        handle: attrs.find(3).and_then(Attr::be64).unwrap_or(0),
        expressions: expressions().map(|expr| text_of(expr.inside(), 1)).collect(),
        sets: expressions().filter_map(looked_up).collect(),
        comment: attrs.find(7).map(comment).unwrap_or_default(),
        counter: expressions().find_map(counter),
    });
}

pub(crate) fn parse_set(message: Message<'_>, found: &mut Vec<SetInfo>) {
    let attrs = message.attrs();
    let number = |kind| attrs.find(kind).and_then(Attr::be32).unwrap_or(0);
    found.push(SetInfo { name: text_of(attrs, 2), flags: number(3), key_bytes: number(5) });
}

pub(crate) fn parse_elements(message: Message<'_>) -> impl Iterator<Item = ElementInfo> {
    let list = message.attrs().find(3).into_iter().flat_map(Attr::inside);
    list.map(|element| parse_element(element.inside()))
}

fn parse_element(attrs: Attrs<'_>) -> ElementInfo {
    let value = |kind| attrs.find(kind).and_then(|data| data.inside().find(1)).map(|value| value.value.to_vec());
    ElementInfo {
        key: value(1).unwrap_or_default(),
        key_end: value(10),
        value: value(2),
        end: attrs.find(3).and_then(Attr::be32).unwrap_or(0) & ELEMENT_END != 0,
        comment: attrs.find(6).map(comment).unwrap_or_default(),
        counter: attrs.find(7).and_then(counter),
    }
}

/// The set, if the expression is a look-up.
fn looked_up(expr: Attr<'_>) -> Option<String> {
    let inside = expr.inside();
    if text_of(inside, 1) != "lookup" {
        return None;
    }
    inside.find(2)?.inside().find(1).map(Attr::text)
}

/// The packets and bytes, if the expression is a counter.
fn counter(expr: Attr<'_>) -> Option<(u64, u64)> {
    let inside = expr.inside();
    if text_of(inside, 1) != "counter" {
        return None;
    }
    let data = inside.find(2)?.inside();
    Some((data.find(2)?.be64()?, data.find(1)?.be64()?))
}

/// The comment in what the program `nft` stores beside a rule or an element.
fn comment(userdata: Attr<'_>) -> String {
    let mut rest = userdata.value;
    while let [kind, length, tail @ ..] = rest {
        let (value, after) = tail.split_at(usize::from(*length).min(tail.len()));
        if *kind == 0 {
            let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
            return String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned();
        }
        rest = after;
    }
    String::new()
}
