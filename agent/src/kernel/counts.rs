//! The counters of all outcomes, as the core takes them.
use agent_core::{Count, Direction, Word};
use nft::{Error, Table, read_counters};

use super::apply::Kernel;
use super::egress::{self, devices};
use super::rules::table;

impl Kernel {
    /// All of them, in both directions; a look at what leaves counts with what leaves.
    ///
    /// # Errors
    /// When a listing fails for another reason than that the set is not there.
    pub fn counts(&mut self) -> Result<Vec<Count>, Error> {
        let mut all = Vec::new();
        for (table, set, direction) in [
            (table(), "outcomes_in", Direction::In),
            (table(), "outcomes_out", Direction::Out),
            (devices(), egress::OUTCOMES, Direction::Out),
        ] {
            all.extend(self.of(&table, set)?.into_iter().map(|(word, packets)| Count { direction, word, packets }));
        }
        Ok(all)
    }

    fn of(&mut self, table: &Table, set: &str) -> Result<Vec<(Word, u64)>, Error> {
        match read_counters(self.socket(), table, set) {
            Ok(all) => Ok(all.into_iter().map(|one| (Word(one.key), one.packets)).collect()),
            Err(error) if error.is_absent() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
