//! What an inventory may not hold.

use std::collections::BTreeMap;
use std::net::IpAddr;

use policy::Name;
use wire::InventoryFile;

/// Every fault of an inventory, one text each; none where it may be applied.
pub(crate) fn faults(file: &InventoryFile) -> Vec<String> {
    let mut faults = Vec::new();
    let mut owners: BTreeMap<IpAddr, &Name> = BTreeMap::new();
    let listed = file.vms.iter().flat_map(|(name, vm)| vm.addresses.iter().map(move |address| (name, vm, *address)));
    for (name, vm, address) in listed {
        if let Some(other) = owners.insert(address, name) {
            faults.push(match other == name {
                true => format!("vm `{name}` lists the address {address} twice"),
                false => format!("the address {address} is given to both `{other}` and `{name}`"),
            });
        }
        if let Some(kind) = unusable(address) {
            faults.push(format!("vm `{name}` has {address}, which is {kind} and names no VM"));
        }
        let allowed = vm.allowed.is_empty() || vm.allowed.iter().any(|prefix| prefix.contains(&address));
        if !allowed {
            faults.push(format!("vm `{name}` has {address}, which lies outside its allowed prefixes"));
        }
    }
    faults
}

/// Why an address cannot name a VM.
pub(super) fn unusable(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    [
        (link_local, "link-local"),
        (mapped, "IPv4-mapped"),
        (address.is_multicast(), "multicast"),
        (address.is_loopback(), "loopback"),
        (address.is_unspecified(), "unspecified"),
    ]
    .into_iter()
    .find_map(|(is, kind)| is.then_some(kind))
}
