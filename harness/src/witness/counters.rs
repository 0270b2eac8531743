//! The kernel's witness: the agent's counters, read past the agent by the harness itself.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use lab::{Lab, Station};
use nft::{Family, Socket, Table, read_counters};
use wire::Direction;

/// What the outcomes of one VM have counted: by direction and comment (`deny no-telnet`).
pub(crate) type Counts = BTreeMap<(Direction, String), u64>;

/// Where the agent's tables count.
const SETS: [(Family, Direction, &str); 3] = [
    (Family::Inet, Direction::In, "outcomes_in"),
    (Family::Inet, Direction::Out, "outcomes_out"),
    (Family::Netdev, Direction::Out, "outcomes_egress"),
];

/// A socket into each VM's namespace.
#[derive(Debug, Default)]
pub(crate) struct Counters(BTreeMap<String, Socket>);

impl Counters {
    /// A VM's counters; `None` where they could not be read, which is told.
    pub(crate) fn of(&mut self, lab: &Lab, vm: &str) -> Option<Counts> {
        let counts = lab.station(vm).map_err(|error| error.to_string()).and_then(|station| self.read(station));
        counts.map_err(|error| tracing::warn!(vm, error, "counters could not be read")).ok()
    }

    /// Reads a VM's counters.
    fn read(&mut self, station: &Station) -> Result<Counts, String> {
        let socket = match self.0.entry(station.name().to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let socket = station.enter(Socket::open).map_err(|error| error.to_string())?;
                place.insert(socket.map_err(|error| error.to_string())?)
            }
        };
        let mut counts = Counts::new();
        for (family, direction, set) in SETS {
            let counted = match read_counters(socket, &Table::new(family, "eastwest"), set) {
                // A kernel that cannot look at what leaves by any device has no such table.
                Err(error) if error.is_absent() && family == Family::Netdev => Vec::new(),
                other => other.map_err(|error| error.to_string())?,
            };
            for counted in counted {
                *counts.entry((direction, outcome(&counted.comment).to_owned())).or_default() += counted.packets;
            }
        }
        Ok(counts)
    }

    /// Forgets a station that is gone.
    pub(crate) fn close(&mut self, station: &str) {
        self.0.remove(station);
    }
}

/// `VERDICT RULE` of a comment, without what monitor rules would have decided.
fn outcome(comment: &str) -> &str {
    comment.split(" would ").next().unwrap_or(comment)
}

/// By how much counters rose. One that fell was made anew, and counts from nothing.
pub(crate) fn risen(before: &Counts, after: &Counts) -> Counts {
    let rise = |(key, now): (&(Direction, String), &u64)| {
        let then = before.get(key).copied().unwrap_or(0);
        (key.clone(), if *now >= then { now - then } else { *now })
    };
    after.iter().map(rise).filter(|(_, rise)| *rise > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_is_what_came_on_top() {
        let counts = |rows: &[(&str, u64)]| -> Counts {
            rows.iter().map(|(comment, n)| ((Direction::In, (*comment).to_owned()), *n)).collect()
        };
        let before = counts(&[("deny a", 3), ("allow b", 5), ("deny gone", 9), ("reject new", 7)]);
        let after = counts(&[("deny a", 4), ("allow b", 5), ("deny fresh", 2), ("reject new", 1)]);
        assert_eq!(risen(&before, &after), counts(&[("deny a", 1), ("deny fresh", 2), ("reject new", 1)]));
    }
}
