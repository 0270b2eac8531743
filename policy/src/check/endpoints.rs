//! Groups and detectors that mean nobody of an inventory, and groups that seem to mean VMs and do not.

use std::net::IpAddr;

use super::{Kind, Place, Warning};
use crate::{AddressGroup, Detector, End, Inventory, IpNet, Policy, Selector, Tier, Vm};

/// What is doubtful of a policy's groups and detectors.
pub(super) fn warnings(policy: &Policy, inventory: &Inventory) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (name, selector) in &policy.groups {
        let about = || Place { name: name.to_string(), file: None, line: None };
        if nobody(selector, inventory) {
            warnings.push(warning(
                Kind::NeverMatching,
                about(),
                "this group matches no VM of the inventory".to_owned(),
            ));
        }
        let Selector::Addresses(group) = selector else { continue };
        let seated = inventory.vms.iter().filter_map(|(vm, Vm { addresses, .. })| {
            let address = addresses.iter().find(|address| holds(group, **address))?;
            Some(format!("this group holds {address} of the VM {vm}, but a VM matches by its labels alone"))
        });
        warnings.extend(seated.map(|text| warning(Kind::NotByAddress, about(), text)));
    }
    warnings.extend(policy.detect.iter().filter_map(|detector| detects_nothing(detector, inventory)));
    warnings
}

fn warning(kind: Kind, about: Place, text: String) -> Warning {
    Warning { kind, about, other: None, flow: None, text }
}

fn detects_nothing(detector: &Detector, inventory: &Inventory) -> Option<Warning> {
    let Detector { tier, name, from, to, line, .. } = detector;
    let end = [(End::Source, from), (End::Destination, to)].into_iter().find(|(_, end)| nobody(end, inventory))?.0;
    let key = if end == End::Source { "from" } else { "to" };
    let file = tier.as_ref().map(|tier| tier.file.clone());
    let about = Place { name: Tier::full_name(tier.as_deref(), name), file, line: Some(*line) };
    Some(warning(Kind::NeverMatching, about, format!("its `{key}` matches no VM of the inventory")))
}

/// Whether a selector is about VMs alone, and there is none that it matches.
pub(super) fn nobody(selector: &Selector, inventory: &Inventory) -> bool {
    !selector.may_be_outside() && !inventory.vms.values().any(|vm| selector.matches(&vm.labels))
}

/// The longest prefix that holds an address decides (semantics 2).
fn holds(group: &AddressGroup, address: IpAddr) -> bool {
    let longest = |nets: &[IpNet]| nets.iter().filter(|net| net.contains(&address)).map(IpNet::prefix_len).max();
    longest(&group.includes) > longest(&group.excludes)
}
