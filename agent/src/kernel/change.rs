//! From a ruleset to transactions: what differs from what the kernel holds, and the epoch.
//!
//! What changes exact entries alone, and fits one batch, is one transaction, made in the sets in force. Maps of ranges that change,
//! and exact maps of which more changes than a batch can carry, are filled anew beside them; one last batch turns the rules to
//! these, and changes all else: never a part of it. Each batch fits the send buffer that an ordinary user gets.
//!
//! A map of ranges is filled while nobody looks into it, in transactions before the one that turns the rules: within one
//! transaction the kernel turns to the new rules and elements first, and lets a map of ranges find the new ones last (measured
//! on 6.18: some packets in a hundred changes found nothing, and got the default).
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent_core::{Ruleset, Word};
use nft::{Batch, Element, Error, read_counters};

use super::apply::Kernel;
use super::contents::maps;
use super::egress;
use super::living::{self, Former, Means};
use super::maps::{Difference, Entry, InForce, Map, difference};
use super::rules::table;
use super::skeleton::{self, COUNTERS};

/// The most bytes of a batch: by default the kernel lets an ordinary user send 416 KiB at once.
const MOST_BYTES: usize = 400_000;
/// No less than an entry's bytes: the two elements of a range of IPv6 addresses.
const ENTRY_BYTES: usize = 80;
/// No less than a counter's bytes, removed and added again, with the longest comment.
const COUNTER_BYTES: usize = 320;

/// A change under way.
pub(super) struct Change<'a> {
    pub(super) ruleset: &'a Ruleset,
    /// The ruleset that stands, where that is known.
    previous: Option<&'a Ruleset>,
    /// Whether chains and rules are to be laid again.
    anew: bool,
    pub(super) maps: Vec<(Map, Difference)>,
    /// The maps whose other sets are to be filled and turned to.
    fresh: BTreeSet<&'static str>,
    pub(super) counters: Vec<Counters>,
    /// The rules to be replaced, where they are.
    former: Former,
}

/// What changes among the counters of a direction. A word that stays keeps its counter.
pub(super) struct Counters {
    pub(super) set: &'static str,
    /// Words of the past, and those that come with another comment.
    pub(super) retired: Vec<Element>,
    renamed: Vec<Element>,
    pub(super) come: Vec<Element>,
}

impl Counters {
    fn of(set: &'static str, new: &BTreeMap<Word, Arc<str>>, held: &BTreeMap<Word, Arc<str>>) -> Self {
        let key = |word: &Word| Element::key(word.0.to_ne_bytes());
        let (gone, come) = difference(held.iter(), new.iter());
        let (renamed, retired): (Vec<_>, Vec<_>) = gone.into_iter().partition(|(word, _)| new.contains_key(word));
        Self {
            set,
            retired: retired.iter().map(|(word, _)| key(word)).collect(),
            renamed: renamed.iter().map(|(word, _)| key(word)).collect(),
            come: come.iter().map(|(word, comment)| key(word).comment(comment)).collect(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.retired.len() + self.come.len()
    }
}

impl Change<'_> {
    /// The maps that are changed in place, with what changes.
    fn in_place(&self) -> impl Iterator<Item = &(Map, Difference)> {
        self.maps.iter().filter(|(map, _)| !self.fresh.contains(map.name))
    }

    /// Changes maps in place.
    fn put(&self, batch: &mut Batch, in_force: &InForce) {
        for (map, Difference { gone, come }) in self.in_place() {
            map.delete(batch, in_force.bank(map.name), gone);
            map.add(batch, in_force.bank(map.name), come);
        }
    }

    /// No less than the bytes of what changes in place.
    fn entry_bytes(&self) -> usize {
        self.in_place().map(|(_, difference)| difference.len()).sum::<usize>() * ENTRY_BYTES
    }

    /// Whether it is one transaction.
    fn is_one(&self, room: usize) -> bool {
        let counters: usize = self.counters.iter().map(Counters::len).sum();
        self.fresh.is_empty() && self.entry_bytes() + counters * COUNTER_BYTES <= room
    }

    /// Leaves in place what one batch can carry.
    fn fit(&mut self, room: usize) {
        while self.entry_bytes() > room {
            let largest = self.in_place().max_by_key(|(_, difference)| difference.len()).map(|(map, _)| map.name);
            self.fresh.extend(largest);
        }
    }
}

impl Kernel {
    /// Makes the kernel hold this ruleset; when this returns, it holds for every next packet, and before that nothing of it
    /// does. `previous` is what this or an earlier call gave; without it, what the kernel holds is read, and the chains are
    /// laid again, which also undoes what others changed.
    ///
    /// # Errors
    /// When the kernel refuses; then everything is as before. When it then holds something else, which others' doing alone
    /// can explain.
    pub fn apply(&mut self, ruleset: &Ruleset, previous: Option<&Ruleset>) -> Result<(), Error> {
        let mut change = self.change(ruleset, previous)?;
        let mut batch = Batch::new();
        self.head(&mut batch, &change, &self.in_force);
        // What a batch has room for beside what every change needs.
        let room = self.most_bytes()?.saturating_sub(batch.size());
        if change.is_one(room) {
            self.change_in_place(batch, &change)?;
            self.own.clone_from(&ruleset.own);
        } else {
            change.fit(room);
            self.turn(&change)?;
            self.own.clone_from(&ruleset.own);
            self.leave(&change)?;
        }
        self.verify(&change)?;
        self.weigh(ruleset, previous)
    }

    fn change_in_place(&mut self, mut batch: Batch, change: &Change<'_>) -> Result<(), Error> {
        change.put(&mut batch, &self.in_force);
        for Counters { set, retired, renamed, come } in &change.counters {
            batch.delete_elements(&table(), set, retired).delete_elements(&table(), set, renamed);
            batch.add_elements(&table(), set, come);
        }
        self.commit(&batch)
    }

    /// A kernel that looks at what leaves can all that is laid besides.
    fn means(&self) -> Means {
        Means { stamp: self.stamp, is_recent: self.unguarded().is_none() }
    }

    fn most_bytes(&self) -> Result<usize, Error> {
        Ok(self.socket.send_limit()?.min(MOST_BYTES))
    }

    fn change<'a>(&mut self, ruleset: &'a Ruleset, previous: Option<&'a Ruleset>) -> Result<Change<'a>, Error> {
        self.find_banks()?;
        let wanted = maps(ruleset, previous);
        let unread = previous.is_none() && wanted.iter().any(Map::is_large);
        let held = match previous {
            Some(previous) => maps(previous, Some(ruleset)).into_iter().map(|map| map.entries).collect(),
            None if unread => vec![Vec::new(); wanted.len()],
            None => wanted
                .iter()
                .map(|map| map.held(&mut self.socket, self.in_force.bank(map.name)))
                .collect::<Result<Vec<_>, _>>()?,
        };
        let differing = |(map, held): (Map, Vec<Entry>)| {
            let difference = map.difference(&held);
            (map, difference)
        };
        let differing: Vec<(Map, Difference)> = wanted.into_iter().zip(held).map(differing).collect();
        let is_fresh = |(map, difference): &&(Map, Difference)| unread || map.is_of_ranges() && difference.len() > 0;
        let fresh = differing.iter().filter(is_fresh).map(|(map, _)| map.name).collect();
        let mut counters = Vec::new();
        for (set, new, old) in [
            (COUNTERS[0], &ruleset.outcomes_in, previous.map(|previous| &previous.outcomes_in)),
            (COUNTERS[1], &ruleset.outcomes_out, previous.map(|previous| &previous.outcomes_out)),
        ] {
            counters.push(match old {
                Some(old) => Counters::of(set, new, old),
                None => Counters::of(set, new, &self.words(set)?),
            });
        }
        let means = self.means();
        let former =
            previous.map(|previous| living::former(&mut self.socket, previous, ruleset, &self.in_force, means));
        let former = former.transpose()?.unwrap_or_default();
        Ok(Change { ruleset, previous, anew: previous.is_none(), maps: differing, fresh, counters, former })
    }

    /// Finds which sets the rules look into, where that was left open. The kernel's word counts for that alone: else others could
    /// have us fill anew what is in force.
    fn find_banks(&mut self) -> Result<(), Error> {
        if let Some(next) = &self.turning {
            if skeleton::in_force(&mut self.socket)? == *next {
                self.in_force.clone_from(next);
            }
            self.turning = None;
        }
        Ok(())
    }

    pub(super) fn words(&mut self, set: &str) -> Result<BTreeMap<Word, Arc<str>>, Error> {
        match read_counters(&mut self.socket, &table(), set) {
            Ok(all) => Ok(all.into_iter().map(|one| (Word(one.key), one.comment.into())).collect()),
            Err(error) if error.is_absent() => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// The rules, and what every change needs beside them.
    fn head(&self, batch: &mut Batch, change: &Change<'_>, in_force: &InForce) {
        if change.anew {
            self.lay(batch);
        }
        if self.unguarded().is_none() {
            egress::apply(batch, change.ruleset, change.previous, &self.senders);
        }
        living::lay(batch, change.ruleset, in_force, &change.former, self.means());
    }

    /// Fills the sets into which nobody looks, adds the counters of words that nobody bears yet, and turns the rules to both.
    fn turn(&mut self, change: &Change<'_>) -> Result<(), Error> {
        let next = self.in_force.turned(&change.fresh);
        let turned = self.fill(change, &next).and_then(|()| {
            let mut batch = Batch::new();
            self.head(&mut batch, change, &next);
            change.put(&mut batch, &next);
            self.commit(&batch)
        });
        // It may have been made although an error was told: its answer may be lost.
        self.turning = turned.is_err().then(|| next.clone());
        match turned {
            Ok(()) => self.in_force = next,
            Err(_) => match self.find_banks() {
                Ok(()) => self.leave_empty(&change.fresh),
                Err(error) => tracing::warn!("cannot read which sets are in force: {error}"),
            },
        }
        turned
    }

    /// Removes what nobody uses since the rules were turned: the entries of the former sets, and the counters of words that no
    /// packet bears. A packet under way that misses them is judged again.
    fn leave(&mut self, change: &Change<'_>) -> Result<(), Error> {
        self.leave_empty(&change.fresh);
        let mut batch = Batch::new();
        for counters in &change.counters {
            self.in_parts(&mut batch, &counters.retired, COUNTER_BYTES, |batch, part| {
                drop_in(batch.delete_elements(&table(), counters.set, part))
            })?;
        }
        self.commit(&batch)
    }

    /// A set is left as it is where it cannot be emptied: nobody looks into it, and the next to use it empties it first.
    fn leave_empty(&mut self, maps: &BTreeSet<&'static str>) {
        if let Err(error) = self.empty(maps.iter().copied()) {
            tracing::warn!("cannot empty maps that nobody uses: {error}");
        }
    }

    fn fill(&mut self, change: &Change<'_>, next: &InForce) -> Result<(), Error> {
        let mut batch = Batch::new();
        if change.anew {
            // Whatever others did is undone first.
            self.lay(&mut batch);
        }
        for (map, _) in change.maps.iter().filter(|(map, _)| change.fresh.contains(map.name)) {
            let bank = next.bank(map.name);
            batch.flush_set(&table(), &bank.name(map.name));
            self.in_parts(&mut batch, &map.entries, ENTRY_BYTES, |batch, part| map.add(batch, bank, part))?;
        }
        for Counters { set, renamed, come, .. } in &change.counters {
            let delete = |batch: &mut Batch, part: &[_]| drop_in(batch.delete_elements(&table(), set, part));
            let add = |batch: &mut Batch, part: &[_]| drop_in(batch.add_elements(&table(), set, part));
            self.in_parts(&mut batch, renamed, COUNTER_BYTES, delete)?;
            self.in_parts(&mut batch, come, COUNTER_BYTES, add)?;
        }
        self.commit(&batch)
    }

    /// Puts all into a batch, which is committed and begun anew wherever it can carry no more.
    pub(super) fn in_parts<T>(
        &mut self,
        batch: &mut Batch,
        mut all: &[T],
        bytes: usize,
        put: impl Fn(&mut Batch, &[T]),
    ) -> Result<(), Error> {
        let most = self.most_bytes()?;
        while !all.is_empty() {
            let room = most.saturating_sub(batch.size()) / bytes;
            if room == 0 && !batch.is_empty() {
                self.commit(batch)?;
                *batch = Batch::new();
                continue;
            }
            let (part, rest) = all.split_at(room.clamp(1, all.len()));
            put(batch, part);
            all = rest;
        }
        Ok(())
    }
}

/// The batch is at hand where it was given.
fn drop_in(_: &mut Batch) {}
