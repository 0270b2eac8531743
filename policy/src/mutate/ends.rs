//! Small changes of a selector.

use std::sync::Arc;

use ipnet::IpNet;

use super::Values;
use crate::{AddressGroup, Selector};

/// Each with what it is, in words.
pub(super) fn changes(selector: &Selector, values: &Values) -> Vec<(String, Selector)> {
    let mut all: Vec<(String, Selector)> =
        inside(selector, values).into_iter().map(|changed| (format!("`{selector}` is `{changed}`"), changed)).collect();
    all.extend(addresses(selector));
    if *selector != Selector::Any {
        all.push((format!("`{selector}` is `any`"), Selector::Any));
    }
    all
}

/// The selector with one of its terms changed.
fn inside(selector: &Selector, values: &Values) -> Vec<Selector> {
    match selector {
        Selector::Any => vec![Selector::Vms],
        Selector::Vms | Selector::Outside | Selector::Has(_) | Selector::Addresses(_) => Vec::new(),
        Selector::Equals(key, value) => {
            let others = values.get(key).into_iter().flatten().filter(|other| *other != value);
            let wrong = others.map(|other| Selector::Equals(key.clone(), other.clone()));
            wrong.take(1).chain([Selector::Differs(key.clone(), value.clone())]).collect()
        }
        Selector::Differs(key, value) => vec![Selector::Equals(key.clone(), value.clone())],
        Selector::In(key, listed) => {
            let without = |place: usize| {
                let mut fewer = listed.clone();
                fewer.remove(place);
                Selector::In(key.clone(), fewer)
            };
            if listed.len() > 1 { (0..listed.len()).map(without).collect() } else { Vec::new() }
        }
        Selector::Not(inner) => vec![(**inner).clone()],
        Selector::And(parts) => parted(parts, values, Selector::And),
        Selector::Or(parts) => parted(parts, values, Selector::Or),
    }
}

/// One part gone, or changed.
fn parted(parts: &[Selector], values: &Values, whole: fn(Vec<Selector>) -> Selector) -> Vec<Selector> {
    let mut all = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let mut fewer = parts.to_vec();
        fewer.remove(place);
        all.push(if fewer.len() == 1 { fewer.swap_remove(0) } else { whole(fewer) });
        for changed in inside(part, values) {
            let mut other = parts.to_vec();
            other[place] = changed;
            all.push(whole(other));
        }
    }
    all
}

/// A group of addresses with one prefix wider, or one exception fewer.
fn addresses(selector: &Selector) -> Vec<(String, Selector)> {
    let Selector::Addresses(group) = selector else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |change: String, group: AddressGroup| all.push((change, Selector::Addresses(Arc::new(group))));
    for (place, net) in group.includes.iter().enumerate() {
        let Some(wider) = net.supernet() else { continue };
        let mut changed = (**group).clone();
        changed.includes[place] = wider;
        add(format!("{net} in `{}` is {wider}", group.name), changed);
    }
    for (place, net) in group.excludes.iter().enumerate() {
        let mut changed = (**group).clone();
        changed.excludes.remove(place);
        add(format!("`not {net}` in `{}` is gone", group.name), changed);
    }
    all.retain(|(_, selector)| matches!(selector, Selector::Addresses(group) if sound(group)));
    all
}

/// Whether no prefix stands in a group both with and without `not`.
fn sound(group: &AddressGroup) -> bool {
    !group.includes.iter().any(|net: &IpNet| group.excludes.contains(net))
}
