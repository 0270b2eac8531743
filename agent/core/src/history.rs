//! What the recent epochs stood for: the words' outcomes, the generations, and who was behind each address.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use wire::View;

use crate::outcome::{Numbering, Outcome};
use crate::ruleset::{Builtin, Word};

/// How many epochs are remembered; older words are read by the living numbers alone.
const REMEMBERED: usize = 64;

/// Who was behind each address.
pub(crate) type Identities = BTreeMap<IpAddr, String>;

/// What one epoch stood for.
#[derive(Clone, Debug)]
pub(crate) struct Era {
    /// Its number.
    pub(crate) epoch: u16,
    /// The first generation of its span.
    pub(crate) first: u64,
    /// The last generation of its span.
    pub(crate) last: u64,
    outcomes: BTreeMap<u32, Arc<Outcome>>,
    identities: Arc<Identities>,
}

impl Era {
    /// Who was behind an address; `None` for outside and unknown ones.
    pub(crate) fn identity(&self, address: IpAddr) -> Option<String> {
        self.identities.get(&address).cloned()
    }
}

/// The recent epochs, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    eras: VecDeque<Era>,
}

impl History {
    /// An epoch begins.
    pub(crate) fn begin(&mut self, epoch: u16, view: Option<&View>, outcomes: BTreeMap<u32, Arc<Outcome>>) {
        let generation = view.map_or(0, |view| view.generation);
        let identities = self.shared(view.map(identities).unwrap_or_default());
        if self.eras.len() == REMEMBERED {
            self.eras.pop_front();
        }
        self.eras.push_back(Era { epoch, first: generation, last: generation, outcomes, identities });
    }

    /// The newest epoch stands for a later generation too.
    pub(crate) fn extend(&mut self, view: &View) {
        let identities = self.shared(identities(view));
        if let Some(era) = self.eras.back_mut() {
            era.last = era.last.max(view.generation);
            era.identities = identities;
        }
    }

    /// The newest epoch was refused by the kernel.
    pub(crate) fn forget_newest(&mut self) {
        self.eras.pop_back();
    }

    /// The epoch with this number, or the newest one for 0 and for numbers that are forgotten.
    pub(crate) fn era(&self, epoch: u16) -> Option<&Era> {
        self.eras.iter().rev().find(|era| era.epoch == epoch).or(self.eras.back())
    }

    /// What a word of an epoch stands for (semantics 18).
    pub(crate) fn outcome(&self, epoch: u16, word: Word, living: &Numbering) -> Option<Outcome> {
        let number = word.number();
        let era = self.eras.iter().rev().find(|era| era.epoch == epoch);
        let remembered =
            era.and_then(|era| era.outcomes.get(&number)).map(|one| &**one).or_else(|| living.outcome(number));
        remembered.cloned()
    }

    /// Identities equal to the newest epoch's are kept once.
    fn shared(&self, identities: Identities) -> Arc<Identities> {
        match self.eras.back() {
            Some(era) if *era.identities == identities => era.identities.clone(),
            Some(_) | None => Arc::new(identities),
        }
    }
}

/// The built-in outcome that a number below the first free one stands for.
pub(crate) fn fixed(word: Word) -> Option<Builtin> {
    Builtin::ALL.into_iter().find(|fixed| fixed.word().number() == word.number())
}

/// Who is behind each address by a view.
pub(crate) fn identities(view: &View) -> Identities {
    let own = view.addresses.iter().map(|address| (*address, view.vm.clone()));
    let of_peer =
        |peer: &wire::Peer| peer.addresses.iter().map(|address| (*address, peer.vm.clone())).collect::<Vec<_>>();
    own.chain(view.peers.iter().flat_map(of_peer)).collect()
}
