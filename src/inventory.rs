//! Who there is, for the commands that judge by the oracle: from a file, or from what the command line says itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use harness::state::State;
use policy::{Family, Inventory, Name, Vm, did_you_mean};

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
        if text.contains('=') {
            return self.made_up(text);
        }
        let Some(state) = &self.state else {
            let ways = "give --inventory FILE, or an address, or labels such as dept=hr,app=web";
            return Err(Failure::Input(format!("look up `{text}` without an inventory: {ways}")));
        };
        match state.endpoints().find(|name| name.as_str() == text) {
            Some(name) => Ok(state.addresses(name).to_vec()),
            None => {
                let names: Vec<&str> = state.endpoints().map(Name::as_str).collect();
                let help = did_you_mean(text, &names).map(|help| format!(": {help}")).unwrap_or_default();
                Err(Failure::Input(format!("find `{text}` in the inventory{help}")))
            }
        }
    }

    /// A VM with these labels, new in the inventory, with an address of each family.
    fn made_up(&mut self, text: &str) -> Result<Vec<IpAddr>, Failure> {
        let mut vm = Vm { managed: true, ..Vm::default() };
        for label in text.split(',') {
            match label.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    vm.labels.insert(key.trim().to_owned(), value.trim().to_owned());
                }
                Some(_) | None => {
                    return Err(Failure::Input(format!(
                        "read `{label}` as a label: write key=value, divided by commas"
                    )));
                }
            }
        }
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

/// The pairs of addresses of two endpoints, one for each family that they have in common, IPv4 first.
pub(crate) fn pairs(source: &[IpAddr], destination: &[IpAddr]) -> Vec<(Family, IpAddr, IpAddr)> {
    let first = |addresses: &[IpAddr], family| addresses.iter().copied().find(|&address| Family::of(address) == family);
    let pair = |family| Some((family, first(source, family)?, first(destination, family)?));
    [Family::V4, Family::V6].into_iter().filter_map(pair).collect()
}
