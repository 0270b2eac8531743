//! What the authors of a policy claim of it, held against the inventory before it is published.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::check::{Checked, Warning, failed_claims};
use policy::{Inventory, Mode, Policy, Timestamp, Vm};
use wire::InventoryFile;

/// Each claim of a policy that fails, with a flow; and why some could not be looked at.
pub(crate) fn failed(policy: &Policy, file: &InventoryFile, now: Timestamp) -> (Vec<String>, Vec<String>) {
    let Checked { warnings, left_out, .. } = failed_claims(policy, &inventory(file), now);
    let told = |Warning { about, text, .. }: &Warning| {
        let line = about.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{line}`{}` fails: {text}", about.name)
    };
    (warnings.iter().map(told).collect(), left_out)
}

/// The VMs as claims mean them: which addresses one has at the moment, a policy does not ask.
fn inventory(file: &InventoryFile) -> Inventory {
    let vms = file.vms.iter().zip(0_u32..).map(|((name, vm), number)| {
        let v4 = IpAddr::from(Ipv4Addr::from(0xf0ea_0000 + number));
        let v6 = IpAddr::from(Ipv6Addr::from((0xfd5e_a57e_u128 << 96) + u128::from(number) + 1));
        let (labels, managed) = (vm.labels.clone(), vm.managed);
        let addresses = vec![v4, v6];
        (name.clone(), Vm { labels, addresses, managed, quarantined: false, dhcp: vm.dhcp, mode: Mode::Enforce })
    });
    Inventory { managed: Vec::new(), vms: vms.collect() }
}
