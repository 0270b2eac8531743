//! A flow in words, to show what is meant.

use std::collections::BTreeMap;

use super::world::{Meeting, World};
use crate::classify::{Bits, Cell};
use crate::{Family, Key, Name};

impl World<'_> {
    /// `hr-1 -> fin-db tcp/5432`; without an inventory `dept=hr -> app=db tcp/5432`.
    pub(super) fn flow(&self, meeting: &Meeting<'_>, services: &Bits) -> String {
        self.flow_between(meeting, services, [None, None])
    }

    /// The same between VMs that are named.
    pub(super) fn flow_between(&self, meeting: &Meeting<'_>, services: &Bits, named: [Option<&Name>; 2]) -> String {
        let Meeting { source, destination, .. } = meeting;
        let service = self.example(services);
        let family = [Family::V4, Family::V6].into_iter().find(|family| {
            source.towards(destination, *family).is_some() && service.is_none_or(|service| service.exists_in(*family))
        });
        // Two of one cell are two VMs.
        let other = |vms: &[Name], not: Option<&Name>| vms.iter().find(|vm| Some(*vm) != not).cloned();
        let from = named[0].cloned().or_else(|| other(&source.vms, named[1]));
        let to = named[1].cloned().or_else(|| other(&destination.vms, from.as_ref()));
        let [from, to] = [(source, from), (destination, to)].map(|(cell, vm)| self.end(cell, vm, family));
        let service = service.map(|service| format!(" {service}")).unwrap_or_default();
        format!("{from} -> {to}{service}")
    }

    fn end(&self, cell: &Cell, vm: Option<Name>, family: Option<Family>) -> String {
        if let Some(vm) = vm {
            return match self.inventory.vms.get(&vm) {
                Some(kind) if !self.named => labels(&kind.labels),
                Some(_) | None => vm.to_string(),
            };
        }
        let address = family.and_then(|family| cell.address(family)).map(|address| address.to_string());
        let group = cell.outside.as_ref().and_then(|outside| outside.groups.first());
        match (group, address) {
            (Some(group), Some(address)) => format!("{group} ({address})"),
            (None, Some(address)) => address,
            (_, None) => "outside".to_owned(),
        }
    }
}

/// `dept=hr,app=db`
fn labels(labels: &BTreeMap<Key, String>) -> String {
    if labels.is_empty() {
        return "a VM without labels".to_owned();
    }
    let all: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    all.join(",")
}
