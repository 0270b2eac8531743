//! Small changes of a rule's services.

use crate::{ServiceMatch, Services};

/// Each with what it is, in words.
pub(super) fn changes(services: &Services) -> Vec<(String, Services)> {
    let mut all = Vec::new();
    for (place, item) in services.iter().enumerate() {
        let mut with = |change: String, other: Option<ServiceMatch>| {
            let mut changed = services.clone();
            match other {
                Some(other) => changed[place] = other,
                None => drop(changed.remove(place)),
            }
            all.push((change, changed));
        };
        if services.len() > 1 {
            with(format!("`{item}` is gone"), None);
        }
        for other in neighbours(*item) {
            with(format!("`{item}` is `{other}`"), Some(other));
        }
    }
    all
}

/// What is a little more than an item, or beside it.
fn neighbours(item: ServiceMatch) -> Vec<ServiceMatch> {
    match item {
        ServiceMatch::Any => Vec::new(),
        ServiceMatch::Ports { tcp, first, last } => {
            let before = first.checked_sub(1).filter(|first| *first > 0);
            let before = before.map(|first| ServiceMatch::Ports { tcp, first, last });
            let behind = last.checked_add(1).map(|last| ServiceMatch::Ports { tcp, first, last });
            let other = ServiceMatch::Ports { tcp: !tcp, first, last };
            before.into_iter().chain(behind).chain([other]).collect()
        }
        ServiceMatch::Icmp(Some(_)) => vec![ServiceMatch::Icmp(None)],
        ServiceMatch::Icmpv6(Some(_)) => vec![ServiceMatch::Icmpv6(None)],
        ServiceMatch::Icmp(None) => vec![ServiceMatch::Icmpv6(None)],
        ServiceMatch::Icmpv6(None) => vec![ServiceMatch::Icmp(None)],
        ServiceMatch::Proto(number) => {
            let next = number.wrapping_add(1);
            if matches!(next, 0 | 1 | 6 | 17 | 58) { Vec::new() } else { vec![ServiceMatch::Proto(next)] }
        }
    }
}
