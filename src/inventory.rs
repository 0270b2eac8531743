//! Who there is, for the commands that judge by the oracle: from a file, or from what the command line says itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use harness::state::State;
use policy::{Family, Inventory, Key, Name, Selector, Vm, did_you_mean, parse_selector};

use crate::discover;
use crate::ending::Failure;

/// The VMs and the outside endpoints that a command knows of.
#[derive(Debug, Default)]
pub(crate) struct Known {
    state: Option<State>,
    /// The inventory, with VMs that the command line made up.
    pub(crate) inventory: Inventory,
}

impl Known {
    /// What a scenario, or a file with a `topology:` alone, says; nothing without a file.
    pub(crate) fn from_file(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let state = State::initial(&discover::inventory(path)?);
        Ok(Self { inventory: state.inventory(), state: Some(state) })
    }

    /// The addresses of an endpoint of the command line: a name, an address, or labels of a VM made up for it.
    pub(crate) fn endpoint(&mut self, text: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if let Some(name) = self.state.iter().flat_map(State::endpoints).find(|name| name.as_str() == text) {
            return Ok(self.state.as_ref().map(|state| state.addresses(name).to_vec()).unwrap_or_default());
        }
        if text.parse::<Name>().is_err() {
            return self.made_up(text);
        }
        let Some(state) = &self.state else {
            let ways = "give --inventory FILE, or an address, or labels such as dept=hr,app=web";
            return Err(Failure::Input(format!("look up `{text}` without an inventory: {ways}")));
        };
        let names: Vec<&str> = state.endpoints().map(Name::as_str).collect();
        let help = did_you_mean(text, &names).map(|help| format!(": {help}")).unwrap_or_default();
        Err(Failure::Input(format!("find `{text}` in the inventory{help}")))
    }

    /// A VM with these labels, new in the inventory, with an address of each family.
    fn made_up(&mut self, text: &str) -> Result<Vec<IpAddr>, Failure> {
        let mut vm = Vm { managed: true, labels: labels(text)?, ..Vm::default() };
        vm.addresses = [Family::V4, Family::V6].into_iter().filter_map(|family| self.free_address(family)).collect();
        let addresses = vm.addresses.clone();
        let name = text.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let name = format!("vm-{}-{name}", self.inventory.vms.len());
        let name: Name = name.parse().map_err(|error| Failure::Input(format!("read `{text}` as labels: {error}")))?;
        self.inventory.vms.insert(name, vm);
        Ok(addresses)
    }

    fn free_address(&self, family: Family) -> Option<IpAddr> {
        let address = |last: u16| match family {
            Family::V4 => IpAddr::from(Ipv4Addr::from(0x0a62_0000 | u32::from(last))),
            Family::V6 => IpAddr::from(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, last)),
        };
        (1..u16::MAX).map(address).find(|&address| self.inventory.owner(address).is_none())
    }
}

/// Labels such as `dept=hr,app=web`, or a selector that says as much: `dept = hr & app = web`.
fn labels(text: &str) -> Result<BTreeMap<Key, String>, Failure> {
    let mut labels = BTreeMap::new();
    let is_selector = parse_selector(text, &BTreeMap::new()).is_ok();
    for part in text.split(',').filter(|_| !is_selector).chain(is_selector.then_some(text)) {
        let selector = parse_selector(part, &BTreeMap::new()).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Failure::Input(format!("read `{text}` as labels, such as dept=hr,app=web: {}", errors.join("; ")))
        })?;
        let all = if let Selector::And(all) = &selector { all } else { std::slice::from_ref(&selector) };
        for one in all {
            let Selector::Equals(key, value) = one else {
                let message =
                    "one flow has one source and one destination: write all labels of a VM, such as dept=hr,app=web";
                return Err(Failure::Input(format!(
                    "take `{text}` for an endpoint: {message} (`reach` takes selectors)"
                )));
            };
            if labels.insert(key.clone(), value.clone()).is_some_and(|other| other != *value) {
                return Err(Failure::Input(format!("take `{text}` for a VM: it has two values for the label `{key}`")));
            }
        }
    }
    Ok(labels)
}

/// The pairs of addresses of two endpoints, one for each family that they have in common, IPv4 first.
pub(crate) fn pairs(source: &[IpAddr], destination: &[IpAddr]) -> Vec<(Family, IpAddr, IpAddr)> {
    let first = |addresses: &[IpAddr], family| addresses.iter().copied().find(|&address| Family::of(address) == family);
    let pair = |family| Some((family, first(source, family)?, first(destination, family)?));
    [Family::V4, Family::V6].into_iter().filter_map(pair).collect()
}
