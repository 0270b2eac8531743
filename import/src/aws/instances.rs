//! Instances.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use policy::yaml::{Fields, Node};

use super::groups::id_of;
use crate::blocks::address;
use crate::source::{Document, Place};
use crate::yaml::{given, list, part, required, some, text};

/// States in which an instance has no network, and will have none again.
const GONE: [&str; 2] = ["shutting-down", "terminated"];
/// What no VM can be called.
const TAKEN: [&str; 2] = ["center", "default"];

/// An instance.
pub(super) struct Instance {
    pub(super) id: String,
    /// Its tag `Name`.
    tag: Option<String>,
    /// The state of one that is gone.
    pub(super) gone: Option<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) place: Place,
}

/// What instances are called: by their tags, where these are unlike each other.
pub(super) fn names(instances: &[Instance]) -> Vec<String> {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for name in instances.iter().flat_map(|instance| [instance.by_tag(), Some(instance.id.clone())]).flatten() {
        *count.entry(name).or_default() += 1;
    }
    let alone = |name: &String| count.get(name) == Some(&1);
    instances.iter().map(|one| one.by_tag().filter(alone).unwrap_or_else(|| one.id.clone())).collect()
}

impl Instance {
    /// Its tag as a name: in lower case, with `-` for what a name may not hold.
    fn by_tag(&self) -> Option<String> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_');
        let plain = |c: char| if word(c) { c } else { '-' };
        let name: String = self.tag.as_ref()?.to_ascii_lowercase().chars().map(plain).collect();
        let name = name.trim_matches(['-', '.', '_']).to_owned();
        (!name.is_empty() && !TAKEN.contains(&name.as_str())).then_some(name)
    }
}

/// Reads an instance.
pub(super) fn read(node: &Node, document: &mut Document) -> Option<Instance> {
    let before = document.problems.count();
    let fields = some(node, "an instance", document)?;
    let required = required(&fields, "InstanceId", document)?;
    let id = text(&fields, "InstanceId", document)?.to_owned();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !id.starts_with(|c: char| c.is_ascii_lowercase()) || !id.chars().all(word) || id.len() > 100 {
        document.wrong(required.span, format!("`{id}` is no id of an instance, such as i-0a1b2c3d"));
        return None;
    }
    let state = part(&fields, "State", document).and_then(|state| text(&state, "Name", document));
    let gone = state.filter(|state| GONE.contains(state)).map(str::to_owned);
    let (tag, place) = (tag(&fields, document), document.place(required.span));
    let mut instance = Instance { id, tag, gone, groups: BTreeSet::new(), addresses: Vec::new(), place };
    if instance.gone.is_some() {
        return Some(instance);
    }
    instance.groups = groups(&fields, "SecurityGroups", document);
    instance.bound(&fields, "PrivateIpAddress", document);
    for item in list(&fields, "NetworkInterfaces", document) {
        instance.interface(item, document);
    }
    (document.problems.count() == before).then_some(instance)
}

fn tag(fields: &Fields<'_>, document: &mut Document) -> Option<String> {
    let tags =
        list(fields, "Tags", document).iter().filter_map(|item| some(item, "a tag", document)).collect::<Vec<_>>();
    let name = tags
        .into_iter()
        .find(|tag| given(tag, "Key").and_then(Node::as_text).is_some_and(|key| key.as_str() == "Name"));
    text(&name?, "Value", document).map(str::to_owned)
}

fn groups(fields: &Fields<'_>, key: &str, document: &mut Document) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    for item in list(fields, key, document) {
        let Some(group) = some(item, "a security group", document) else { continue };
        let Some(id) = required(&group, "GroupId", document) else { continue };
        groups.extend(id_of(id, document));
    }
    groups
}

impl Instance {
    /// The addresses of an interface. A VM is matched as a whole, so its interfaces must be in the same groups.
    fn interface(&mut self, node: &Node, document: &mut Document) {
        let Some(fields) = some(node, "a network interface", document) else { return };
        if given(&fields, "Groups").is_some() && groups(&fields, "Groups", document) != self.groups {
            let message = format!("an interface of {} is in other security groups than the instance", self.id);
            let help = "a VM is matched as a whole: leave out the instance, or give its interfaces the same groups";
            document.advise(super::first(&fields), message, help);
        }
        for key in ["Ipv4Prefixes", "Ipv6Prefixes"] {
            if let Some(item) = list(&fields, key, document).first() {
                let message = format!("{} has whole ranges of addresses, which cannot be carried", self.id);
                document.advise(item.span, message, "a VM has single addresses: leave the instance out");
            }
        }
        self.bound(&fields, "PrivateIpAddress", document);
        for (key, of_item) in [("PrivateIpAddresses", "PrivateIpAddress"), ("Ipv6Addresses", "Ipv6Address")] {
            let items = list(&fields, key, document).iter();
            let items: Vec<Fields<'_>> = items.filter_map(|item| some(item, "an address", document)).collect();
            items.iter().for_each(|item| self.bound(item, of_item, document));
        }
    }

    fn bound(&mut self, fields: &Fields<'_>, key: &str, document: &mut Document) {
        let Some(node) = given(fields, key) else { return };
        match text(fields, key, document).map(address) {
            Some(Ok(address)) if self.addresses.contains(&address) => {}
            Some(Ok(address)) => self.addresses.push(address),
            Some(Err(why)) => document.wrong(node.span, why),
            None => {}
        }
    }
}
