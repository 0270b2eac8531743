//! Totals of what the kernel drops before any rule sees it (semantics 20), from its counters of this network namespace.

use std::fs;

/// Counts since the network namespace was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Packets that were never put together from their fragments.
    pub(crate) fragments: u64,
    /// Packets that found no room in the connection table.
    pub(crate) refused: u64,
}

impl Totals {
    /// Reads the kernel's counters; one that this kernel does not have counts nothing.
    pub(crate) fn read() -> Self {
        let text = |name: &str| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
        let fragments = pairs(&text("snmp"), "Ip:", "ReasmFails") + single(&text("snmp6"), "Ip6ReasmFails");
        Self { fragments, refused: columns(&text("stat/nf_conntrack"), "drop") }
    }

    /// By how much the counts rose since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            fragments: self.fragments.saturating_sub(before.fragments),
            refused: self.refused.saturating_sub(before.refused),
        }
    }
}

/// A value of two lines, of which the first has the names: `Ip: Forwarding … ReasmFails`, `Ip: 2 … 0`.
fn pairs(text: &str, head: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter(|line| line.starts_with(head));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let place = names.split_whitespace().position(|one| one == name);
    place.and_then(|place| values.split_whitespace().nth(place)?.parse().ok()).unwrap_or(0)
}

/// A value on a line of its own behind its name.
fn single(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or(0)
}

/// The sum of a column of hexadecimal numbers, one line a processor.
fn columns(text: &str, name: &str) -> u64 {
    let mut lines = text.lines();
    let place = lines.next().and_then(|names| names.split_whitespace().position(|one| one == name));
    let value = |line: &str| u64::from_str_radix(line.split_whitespace().nth(place?)?, 16).ok();
    lines.filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_names() {
        let snmp = "Ip: A ReasmFails B\nIp: 1 7 3\nTcp: A ReasmFails\nTcp: 1 9\n";
        for (found, expected) in [
            (pairs(snmp, "Ip:", "ReasmFails"), 7),
            (pairs(snmp, "Ip:", "ReasmFail"), 0),
            (pairs("Ip: A\n", "Ip:", "A"), 0),
            (single("Ip6ReasmOKs   3\nIp6ReasmFails   \t4\n", "Ip6ReasmFails"), 4),
            (single("", "Ip6ReasmFails"), 0),
            (columns("entries  drop early_drop\n00000001 0000000a 01\n2 10 1\n", "drop"), 26),
            (columns("entries\n1\n", "drop"), 0),
        ] {
            assert_eq!(found, expected);
        }
    }
}
