//! From a ruleset to one transaction: what differs from what the kernel holds, and the epoch.
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use agent_core::{Class, IpRange, Ruleset, Service, Word};
use nft::{Batch, Counted, CtKey, Direction, Element, Error, Socket, read_counters};

use super::egress::{self, Senders};
use super::rules::{CLASSED, CUT, EPOCH, EPOCH_SHIFT, EXPECTED, FOUND, Rule, TCP, TRANSLATED, table};
use super::skeleton::{self, LIVING, Side};

/// Elements of one map, by their keys.
type Elements = BTreeMap<Vec<u8>, Element>;

/// The tables of one network namespace.
#[derive(Debug)]
pub struct Kernel {
    socket: Socket,
    /// What marks a packet as judged.
    stamp: u32,
    senders: Senders,
    /// Why the kernel does not look at what leaves; `None` where it does.
    unguarded: Option<String>,
}

impl Kernel {
    /// Opens the calling thread's network namespace and lays the chains. Where they stand with a policy, it stays in
    /// force; where nothing stands, everything but loopback and neighbours is dropped until the first ruleset. `stamp`
    /// marks what was judged: a number that nobody else in this namespace knows, the same for as long as the chains stand.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open(stamp: u32) -> Result<Self, Error> {
        let mut socket = Socket::open()?;
        let mut batch = Batch::new();
        skeleton::lay(&mut batch, stamp);
        let mut guarded = batch.clone();
        egress::lay(&mut guarded, stamp);
        let unguarded = guarded.commit(&mut socket).err().map(|error| error.to_string());
        if unguarded.is_some() {
            batch.commit(&mut socket)?;
        }
        Ok(Self { socket, stamp, senders: Senders::here(), unguarded })
    }

    /// Why packets that were not judged can leave; `None` where they cannot.
    #[must_use]
    pub fn unguarded(&self) -> Option<&str> {
        self.unguarded.as_deref()
    }

    /// Looks at the calling thread's interfaces again: frames may leave with their link addresses.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn look(&mut self) -> Result<(), Error> {
        let senders = Senders::here();
        if senders == self.senders || self.unguarded.is_some() {
            return Ok(());
        }
        let mut batch = Batch::new();
        egress::senders(&mut batch, &senders);
        batch.commit(&mut self.socket)?;
        self.senders = senders;
        Ok(())
    }

    /// Makes the kernel hold this ruleset, in one transaction; when this returns, it holds for every next packet.
    /// `previous` is what this or an earlier call gave; without it all is read or written anew, and the chains are laid
    /// again, which also undoes what others changed.
    ///
    /// # Errors
    /// When the kernel refuses; then everything is as before.
    pub fn apply(&mut self, ruleset: &Ruleset, previous: Option<&Ruleset>) -> Result<(), Error> {
        let mut batch = Batch::new();
        if previous.is_none() {
            skeleton::lay(&mut batch, self.stamp);
        }
        if self.unguarded.is_none() {
            egress::apply(&mut batch, ruleset, previous.is_none().then_some((self.stamp, &self.senders)));
        }
        living_chains(&mut batch, ruleset);
        exact_maps(&mut batch, ruleset, previous);
        range_maps(&mut batch, ruleset, previous);
        for (set, new, old) in [
            ("outcomes_in", &ruleset.outcomes_in, previous.map(|old| &old.outcomes_in)),
            ("outcomes_out", &ruleset.outcomes_out, previous.map(|old| &old.outcomes_out)),
        ] {
            let held = match old {
                Some(old) => old.iter().map(|(word, comment)| (*word, comment.clone())).collect(),
                None => self.held(set)?,
            };
            outcomes(&mut batch, set, new, &held);
        }
        batch.commit(&mut self.socket)
    }

    /// Lays anew all that is in force, and removes what others put into our tables. Counters go on where they stand.
    ///
    /// # Errors
    /// When the kernel refuses even to begin from nothing.
    pub fn repair(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        if let Err(error) = self.apply(ruleset, None).and_then(|()| self.remove_strangers()) {
            tracing::warn!("cannot repair the tables, and begin from nothing: {error}");
            self.remove_tables()?;
            self.apply(ruleset, None)?;
        }
        Ok(())
    }

    /// Removes chains and sets that are none of ours.
    fn remove_strangers(&mut self) -> Result<(), Error> {
        let mut batch = Batch::new();
        for (table, chains, sets) in [skeleton::names(), egress::names()] {
            let is_strange = |all: &[String], name: &String| !all.contains(name);
            let strange: Vec<String> = self.socket.chains(&table)?.into_iter().map(|chain| chain.name).collect();
            let strange: Vec<String> = strange.into_iter().filter(|name| is_strange(&chains, name)).collect();
            // Strangers may jump into one another.
            for chain in &strange {
                batch.flush_chain(&table, chain);
            }
            for chain in &strange {
                batch.delete_chain(&table, chain);
            }
            for set in self.socket.sets(&table)?.iter().filter(|set| is_strange(&sets, &set.name)) {
                batch.delete_set(&table, &set.name);
            }
        }
        batch.commit(&mut self.socket)
    }

    /// Removes our tables, also where somebody made one of them unusable.
    fn remove_tables(&mut self) -> Result<(), Error> {
        for table in [table(), egress::devices()] {
            let mut batch = Batch::new();
            batch.add_table(&table).delete_table(&table);
            batch.commit(&mut self.socket)?;
        }
        Ok(())
    }

    fn held(&mut self, set: &str) -> Result<BTreeMap<Word, String>, Error> {
        match read_counters(&mut self.socket, &table(), set) {
            Ok(all) => Ok(all.into_iter().map(|one| (Word(one.key), one.comment)).collect()),
            Err(error) if error.is_absent() => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// The counters of inbound and outbound outcomes.
    ///
    /// # Errors
    /// When the listing fails.
    pub fn counters(&mut self) -> Result<[Vec<Counted>; 2], Error> {
        let inbound = read_counters(&mut self.socket, &table(), "outcomes_in")?;
        Ok([inbound, read_counters(&mut self.socket, &table(), "outcomes_out")?])
    }

    /// The number of the kernel's ruleset in this namespace: it rises with every change, ours or another's.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn generation(&mut self) -> Result<u32, Error> {
        self.socket.generation()
    }

    pub(crate) fn socket(&mut self) -> &mut Socket {
        &mut self.socket
    }
}

/// The chains of one or two rules that carry the epoch, the defaults and the center.
fn living_chains(batch: &mut Batch, ruleset: &Ruleset) {
    let table = table();
    for chain in LIVING {
        batch.flush_chain(&table, chain);
    }
    let epoch = u32::from(ruleset.epoch) << EPOCH_SHIFT;
    let current = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, epoch);
    let cut = || Rule::new().ct_bits(CtKey::Mark, CUT | EPOCH, CUT | epoch);
    let mut add = |chain: &str, rule: Rule| {
        batch.add_rule(&table, chain, &rule.0);
    };
    for side in [Side::In, Side::Out] {
        let chain = side.name("epoch");
        add(&chain, side.pass(current().ct_bits(CtKey::Status, EXPECTED | TRANSLATED, 0)));
        add(&chain, cut().goto("late"));
    }
    add("steady", Rule::new().back_in_epoch(ruleset.epoch));
    add("steady", Rule::new().set_mark(0));
    add("stamp", Rule::new().stamp(ruleset.epoch));
    add("default_in", Rule::new().set_mark(ruleset.default_in.0 | FOUND));
    add("default_out", Rule::new().set_mark(ruleset.default_out.0 | FOUND));
    if let Some(center) = ruleset.center {
        add("center_out", center_rule(center, Side::Out));
        add("center_in", center_rule(center, Side::In));
    }
}

fn center_rule(center: SocketAddr, side: Side) -> Rule {
    let direction = match side {
        Side::Out => Direction::Original,
        Side::In => Direction::Reply,
    };
    let (port, channel) = (center.port().to_be_bytes(), side.name("channel"));
    let rule = Rule::new().protocol(TCP).original(CtKey::DestinationPort, &port).direction(direction);
    match center.ip() {
        IpAddr::V4(ip) => rule.original(CtKey::Destination4, &ip.octets()).goto(&channel),
        IpAddr::V6(ip) => rule.original(CtKey::Destination6, &ip.octets()).goto(&channel),
    }
}

fn exact_maps(batch: &mut Batch, new: &Ruleset, old: Option<&Ruleset>) {
    difference(batch, "living", &living(new), old.map(living).as_ref());
    difference(batch, "defaults", &defaults(new), old.map(defaults).as_ref());
    for (six, name) in [(false, "peers4"), (true, "peers6")] {
        difference(batch, name, &peers(new, six), old.map(|old| peers(old, six)).as_ref());
    }
    difference(batch, "inbound", &pairs(&new.inbound), old.map(|old| pairs(&old.inbound)).as_ref());
    difference(batch, "outbound", &pairs(&new.outbound), old.map(|old| pairs(&old.outbound)).as_ref());
}

/// The epoch whose maps these are.
fn living(ruleset: &Ruleset) -> Elements {
    let epoch = u32::from(ruleset.epoch).to_ne_bytes().to_vec();
    Elements::from([(epoch.clone(), Element::key(epoch.clone()).value(epoch))])
}

/// The default of each direction, for packets that are judged again.
fn defaults(ruleset: &Ruleset) -> Elements {
    let words = [(Side::In, ruleset.default_in), (Side::Out, ruleset.default_out)];
    let element = |(side, word): (Side, Word)| {
        let key = (side as u32).to_ne_bytes().to_vec();
        (key.clone(), Element::key(key).value((word.0 | FOUND).to_ne_bytes()))
    };
    words.map(element).into()
}

fn peers(ruleset: &Ruleset, six: bool) -> Elements {
    let family = ruleset.peers.iter().filter(|(ip, _)| ip.is_ipv6() == six);
    family.map(|(ip, class)| (octets(*ip), Element::key(octets(*ip)).value(class_value(*class)))).collect()
}

fn pairs(of: &BTreeMap<(Class, Service), Word>) -> Elements {
    let element = |((class, service), word): (&(Class, Service), &Word)| {
        let mut key = class_value(*class).to_vec();
        key.extend_from_slice(&service.0.to_ne_bytes());
        (key.clone(), Element::key(key).value((word.0 | FOUND).to_ne_bytes()))
    };
    of.iter().map(element).collect()
}

/// Writes what differs; everything, when it is not known what the kernel holds.
fn difference(batch: &mut Batch, map: &str, new: &Elements, old: Option<&Elements>) {
    let table = table();
    let Some(old) = old else {
        let all: Vec<_> = new.values().cloned().collect();
        batch.flush_set(&table, map).add_elements(&table, map, &all);
        return;
    };
    let gone = old.iter().filter(|(key, element)| new.get(*key) != Some(*element));
    let gone: Vec<_> = gone.map(|(key, _)| Element::key(key.clone())).collect();
    let come: Vec<_> =
        new.iter().filter(|(key, element)| old.get(*key) != Some(*element)).map(|(_, e)| e.clone()).collect();
    batch.delete_elements(&table, map, &gone).add_elements(&table, map, &come);
}

fn range_maps(batch: &mut Batch, new: &Ruleset, old: Option<&Ruleset>) {
    let table = table();
    let before: Option<Vec<_>> = old.map(|old| ranges(old).into());
    for (place, (map, elements)) in ranges(new).into_iter().enumerate() {
        let same = before.as_ref().and_then(|all| all.get(place)).is_some_and(|(_, held)| *held == elements);
        if !same {
            batch.flush_set(&table, map).add_elements(&table, map, &elements);
        }
    }
}

fn ranges(of: &Ruleset) -> [(&'static str, Vec<Element>); 7] {
    [
        ("networks4", networks(of, false)),
        ("networks6", networks(of, true)),
        ("tcp", ports(&of.tcp)),
        ("udp", ports(&of.udp)),
        ("icmp", types(&of.icmp)),
        ("icmpv6", types(&of.icmpv6)),
        ("protocols", protocols(&of.protocols)),
    ]
}

fn networks(of: &Ruleset, six: bool) -> Vec<Element> {
    let family = of.networks.iter().filter(|(range, _)| range.start.is_ipv6() == six);
    let elements = |(IpRange { start, end }, class): &(IpRange, Class)| {
        Element::range(&octets(*start), &octets(*end), Some(&class_value(*class)))
    };
    family.flat_map(elements).collect()
}

fn ports(of: &[(RangeInclusive<u16>, Service)]) -> Vec<Element> {
    let elements = |(range, service): &(RangeInclusive<u16>, Service)| {
        Element::range(&range.start().to_be_bytes(), &range.end().to_be_bytes(), Some(&service.0.to_ne_bytes()))
    };
    of.iter().flat_map(elements).collect()
}

/// Connection tracking keeps type and code where other protocols keep the destination port.
fn types(of: &[(RangeInclusive<u8>, Service)]) -> Vec<Element> {
    let elements = |(range, service): &(RangeInclusive<u8>, Service)| {
        Element::range(&[*range.start(), 0], &[*range.end(), 255], Some(&service.0.to_ne_bytes()))
    };
    of.iter().flat_map(elements).collect()
}

fn protocols(of: &[(RangeInclusive<u8>, Service)]) -> Vec<Element> {
    let elements = |(range, service): &(RangeInclusive<u8>, Service)| {
        Element::range(&[*range.start()], &[*range.end()], Some(&service.0.to_ne_bytes()))
    };
    of.iter().flat_map(elements).collect()
}

/// Adds what is new and removes what is retired; a word that stays keeps its counter.
fn outcomes(batch: &mut Batch, set: &str, new: &BTreeMap<Word, String>, held: &BTreeMap<Word, String>) {
    let table = table();
    let key = |word: &Word| Element::key(word.0.to_ne_bytes());
    let gone: Vec<_> =
        held.iter().filter(|(word, comment)| new.get(word) != Some(comment)).map(|(w, _)| key(w)).collect();
    let come = new.iter().filter(|(word, comment)| held.get(word) != Some(comment));
    let come: Vec<_> = come.map(|(word, comment)| key(word).comment(comment)).collect();
    batch.delete_elements(&table, set, &gone).add_elements(&table, set, &come);
}

fn class_value(class: Class) -> [u8; 4] {
    (class.0 | CLASSED).to_ne_bytes()
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
