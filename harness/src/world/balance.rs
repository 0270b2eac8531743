//! The accounts: what each kernel counted of a rule, by the harness' own reading, is what the center was told of it; and of
//! each life of an agent every record is there.

use super::World;
use super::throughout::managed;
use crate::witness::account::LAST_RESORT;

/// How often the accounts are looked at: each time because something more was told.
const MOST_LOOKS: usize = 1_000;

impl World {
    /// Waits until the accounts balance, and gives what differs. They are looked at once more behind barriers: what is
    /// told twice shows.
    pub(super) fn balance(&mut self) -> Result<Vec<String>, String> {
        let mut behind_barriers = false;
        for _ in 0..MOST_LOOKS {
            let differences = self.differences();
            if differences.is_empty() && behind_barriers {
                return Ok(differences);
            }
            if differences.is_empty() {
                self.raise_barriers(&mut managed(&self.state, &self.account))?;
                behind_barriers = true;
                continue;
            }
            let heard = self.account.heard();
            if !self.await_word(LAST_RESORT, |account| account.heard() > heard) {
                return Ok(differences);
            }
        }
        Ok(self.differences())
    }

    /// Where a kernel counted otherwise than its agent told, in words; of those that can tell.
    fn differences(&mut self) -> Vec<String> {
        let state = std::sync::Arc::clone(&self.state);
        let vms = state.vms.keys().filter(|vm| state.is_managed(vm) && state.is_connected(vm)).map(ToString::to_string);
        let hole =
            |(vm, count, highest)| format!("`{vm}` told {count} records, and numbered the last of them {highest}");
        let mut all: Vec<String> = self.account.holes().map(hole).collect();
        for vm in vms {
            match self.counters.of(&self.lab, &vm) {
                Some(counts) => all.extend(self.account.differences(&vm, &counts)),
                None => all.push(format!("the counters of `{vm}` could not be read")),
            }
        }
        all
    }
}
