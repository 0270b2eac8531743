//! The accounts: what each kernel counted of a rule, by the harness' own reading, is what the center was told of it; and of
//! each life of an agent every record is there.

use std::collections::BTreeMap;

use policy::Builtin;
use wire::Direction;

use super::World;
use super::throughout::managed;
use crate::witness::account::LAST_RESORT;

/// How often the accounts are looked at: each time because something more was told.
const MOST_LOOKS: usize = 1_000;
/// What agents do not tell of.
const UNTOLD: [Builtin; 3] = [Builtin::Barrier, Builtin::Center, Builtin::Neighbours];

impl World {
    /// Waits until the accounts balance, and gives what differs. They are looked at once more behind barriers: what is
    /// told twice shows.
    pub(super) fn balance(&mut self) -> Result<Vec<String>, String> {
        let mut behind_barriers = false;
        for _ in 0..MOST_LOOKS {
            let differences = self.differences();
            match (differences.is_empty(), behind_barriers) {
                (true, true) => return Ok(differences),
                (true, false) => {
                    self.raise_barriers(&mut managed(&self.state, &self.account))?;
                    behind_barriers = true;
                }
                (false, _) => {
                    let heard = self.account.heard();
                    if !self.await_word(LAST_RESORT, |account| account.heard() > heard) {
                        return Ok(differences);
                    }
                }
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
            let Some(counts) = self.counters.of(&self.lab, &vm) else {
                all.push(format!("the counters of `{vm}` could not be read"));
                continue;
            };
            let mut counted: BTreeMap<(Direction, &str), u64> = BTreeMap::new();
            for ((direction, comment), packets) in &counts {
                let rule = comment.split_once(' ').map_or("", |(_, rule)| rule);
                *counted.entry((*direction, rule)).or_default() += packets;
            }
            counted.retain(|(_, rule), _| !UNTOLD.iter().any(|builtin| builtin.name() == *rule));
            for ((direction, rule), packets) in counted {
                let told = self.account.told_of(&vm, direction, rule);
                if told != packets {
                    all.push(format!(
                        "`{vm}` {direction:?} {rule}: the kernel counted {packets}, and {told} were told"
                    ));
                }
            }
        }
        all
    }
}
