//! Reading back what was changed: the kernel must hold what came, and nothing of what went.
use std::collections::BTreeMap;
use std::sync::Arc;

use agent_core::Word;
use nft::{Element, Error, Socket};

use super::apply::Kernel;
use super::change::{Change, Counters};
use super::maps::{Bank, Difference, Map};
use super::rules::table;

/// How many keys are asked for one by one. Where more changed, all is listed: the kernel walks the whole set for that.
const FEW: usize = 128;

impl Kernel {
    /// Reads back what was changed, where that can be read in a short time.
    pub(super) fn verify(&mut self, change: &Change<'_>) -> Result<(), Error> {
        for (map, difference) in &change.maps {
            if !is_held(&mut self.socket, map, self.in_force.bank(map.name), difference)? {
                return Err(Error::Unheld(map.name.to_owned()));
            }
        }
        let wanted = [&change.ruleset.outcomes_in, &change.ruleset.outcomes_out];
        for (counters, wanted) in change.counters.iter().zip(wanted) {
            if !self.is_counted(counters, wanted)? {
                return Err(Error::Unheld(counters.set.to_owned()));
            }
        }
        Ok(())
    }

    /// Whether words that came are counted under their comments, and those of the past not any more.
    fn is_counted(&mut self, counters: &Counters, wanted: &BTreeMap<Word, Arc<str>>) -> Result<bool, Error> {
        let Counters { set, retired, come, .. } = counters;
        if counters.len() > FEW {
            return Ok(self.words(set)? == *wanted);
        }
        let came = self.socket.elements_at(&table(), set, come)?.is_some_and(|all| {
            let named = all.into_iter().map(|one| Element::key(one.key).comment(&one.comment));
            named.eq(come.iter().cloned())
        });
        Ok(came && are_gone(&mut self.socket, set, retired)?)
    }
}

/// Whether a map's set in a bank holds what came, and nothing of what went.
fn is_held(socket: &mut Socket, map: &Map, bank: Bank, difference: &Difference) -> Result<bool, Error> {
    if map.is_of_ranges() || difference.len() > FEW {
        return Ok(difference.len() == 0 || map.is_large() || map.held(socket, bank)? == map.entries);
    }
    let (set, Difference { gone, come }) = (bank.name(map.name), difference);
    let came = socket.elements_at(&table(), &set, &map.keys(come))?;
    let came = came.is_some_and(|all| all.iter().map(|one| map.entry(one)).eq(come.iter().copied()));
    // What only has another value now is among what came.
    let gone: Vec<_> = gone.iter().filter(|one| !come.iter().any(|other| one.is_at(other))).copied().collect();
    Ok(came && are_gone(socket, &set, &map.keys(&gone))?)
}

fn are_gone(socket: &mut Socket, set: &str, keys: &[Element]) -> Result<bool, Error> {
    for key in keys {
        if socket.elements_at(&table(), set, std::slice::from_ref(key))?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}
