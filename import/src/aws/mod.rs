//! AWS: security groups and the instances that they stand before.
//!
//! A group's rules only allow; what none allows is denied, at both ends. A rule about a range also means the instances whose addresses
//! lie in it.

mod groups;
mod instances;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use policy::yaml::{Fields, Node};
use policy::{Family, Span};

use self::groups::Group;
use self::instances::Instance;
use crate::blocks::Owners;
use crate::emit::{Scenario, Tier};
use crate::source::{Complaints, Document};
use crate::world::{Entry, Vm, World};
use crate::yaml::{filled, list, some};
use crate::{Imported, Options, Outcome, Source};

const ABOUT: [&str; 4] = [
    "Imported from AWS. A VM is an instance, called by its tag `Name` or else by its id; it has a label for each of its security groups,",
    "and `in:block-N` where its address lies in a range of the rules.",
    "What groups let in is judged at the destination, what they let out at the source; a flow needs both.",
    "`elsewhere` and `in-block-N` are addresses of no instance, so that rules about ranges can be asked.",
];

/// All that the files hold.
#[derive(Default)]
struct Account {
    groups: BTreeMap<String, Group>,
    instances: Vec<Instance>,
}

/// The label of the members of a group.
fn member(group: &str) -> String {
    format!("sg/{group}")
}

/// Makes a scenario of what `describe-security-groups` and `describe-instances` say.
///
/// # Errors
/// All that is wrong, and all that cannot be carried; nothing where there is no file.
pub fn security_groups(sources: &[Source], options: Options) -> Outcome {
    let mut complaints = Complaints::new(sources);
    let mut account = Account::default();
    for (mut document, root) in complaints.documents() {
        read(&root, &mut document, &mut account);
        complaints.absorb(document);
    }
    let vms = account.vms(options.family, &mut complaints);
    account.check(&vms, &mut complaints);
    let mut world = World { vms, blocks: Vec::new(), complaints: &mut complaints };
    let entries: Vec<Entry> = account.groups.into_values().flat_map(|group| group.entries).collect();
    let tiers = [Tier { name: "security-groups", rules: world.rules(entries) }];
    let World { vms, blocks, .. } = world;
    if vms.is_empty() || !complaints.is_empty() {
        return Err(complaints.into_errors());
    }
    let name = "imported from AWS";
    let scenario = Scenario { name, about: &ABOUT, vms: &vms, blocks: &blocks, tiers: &tiers, default: "deny" };
    Ok(Imported { scenario: scenario.text(options), notes: complaints.notes })
}

fn read(node: &Node, document: &mut Document, account: &mut Account) {
    let Some(fields) = some(node, "what `aws ec2 describe-…` says", document) else { return };
    if let Some(node) = filled(&fields, "NextToken") {
        let help = "take all of it: without --max-items and --max-results, `aws` turns the pages itself";
        document.advise(node.span, "there is more than this file holds", help);
    }
    for item in list(&fields, "SecurityGroups", document) {
        if let Some(group) = groups::read(item, document)
            && let Some(group) = account.groups.insert(group.id.clone(), group)
        {
            document.wrong(item.span, format!("the security group {} stands here a second time", group.id));
        }
    }
    for item in list(&fields, "Reservations", document) {
        let Some(reservation) = some(item, "a reservation", document) else { continue };
        for item in list(&reservation, "Instances", document) {
            let Some(instance) = instances::read(item, document) else { continue };
            if account.instances.iter().any(|other| other.id == instance.id) {
                document.wrong(item.span, format!("the instance {} stands here a second time", instance.id));
            } else {
                account.instances.push(instance);
            }
        }
    }
    if fields.get("SecurityGroups").is_none() && fields.get("Reservations").is_none() {
        let help = "the files come from `aws ec2 describe-security-groups` and `aws ec2 describe-instances`";
        document.advise(first(&fields), "there are neither security groups nor instances here", help);
    }
}

/// The begin of a mapping: a report need not underline all of it.
fn first(fields: &Fields<'_>) -> Span {
    fields.entries().first().map_or(fields.span(), |entry| entry.key.span())
}

impl Account {
    /// The instances as VMs, in the order of their names.
    fn vms(&self, family: Option<Family>, complaints: &mut Complaints<'_>) -> Vec<Vm> {
        let names = instances::names(&self.instances);
        let mut owners = Owners::default();
        let mut vms: BTreeMap<String, Vm> = BTreeMap::new();
        for (instance, name) in self.instances.iter().zip(names) {
            if let Some(state) = &instance.gone {
                complaints.note(format!("left out: the instance {}, which is {state}", instance.id));
                continue;
            }
            let wanted = |address: &IpAddr| family.is_none_or(|family| Family::of(*address) == family);
            let addresses: Vec<IpAddr> = instance.addresses.iter().copied().filter(wanted).collect();
            if addresses.is_empty() {
                let message = format!("the instance {} has no address", instance.id);
                complaints.wrong(instance.place, message, "leave it out, or import the other family");
            }
            if let Some((address, other)) = owners.give(&addresses, &instance.id) {
                let message = format!("the instance {} has the address {address} of {other}", instance.id);
                complaints.wrong(instance.place, message, "import each network (VPC) by itself");
            }
            let labels = instance.groups.iter().map(|group| (member(group), "member".to_owned())).collect();
            vms.insert(name.clone(), Vm { name, labels, addresses, serves: Vec::new(), unclear: BTreeSet::new() });
        }
        vms.into_values().collect()
    }

    /// Every group that is spoken of must be there: otherwise nobody knows what it lets through.
    fn check(&self, vms: &[Vm], complaints: &mut Complaints<'_>) {
        if vms.is_empty() && complaints.is_empty() {
            let help = "give the instances too: aws ec2 describe-instances";
            complaints.wrong(complaints.beginning(), "there is no instance in these files", help);
        }
        let running = self.instances.iter().filter(|instance| instance.gone.is_none());
        let of_instances = running.flat_map(|one| one.groups.iter().map(move |group| (group, one.place)));
        let of_rules = self.groups.values().flat_map(|group| &group.speaks_of).map(|(group, place)| (group, *place));
        let mut told = BTreeSet::new();
        for (group, place) in of_instances.chain(of_rules).filter(|(group, _)| !self.groups.contains_key(*group)) {
            if told.insert(group) {
                let message = format!("the security group {group} is spoken of, and is not here");
                complaints.wrong(place, message, "give it too: aws ec2 describe-security-groups");
            }
        }
    }
}
