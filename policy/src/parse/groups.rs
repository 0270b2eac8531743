//! The `groups:` of a policy: selectors by name, and lists of outside addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use super::define::{Defined, Definitions, Step};
use super::selector::{self, Found, RESERVED};
use crate::yaml::{Entry, Node, Text, Value};
use crate::{AddressGroup, Name, Problem, Problems, Selector, TextError, yaml};

/// The groups that a policy names.
pub(super) type Groups = Defined<Selector>;

impl Groups {
    /// Reads all groups.
    pub(super) fn of(entries: &[Entry], shared: &BTreeMap<Name, Selector>, problems: &mut Problems) -> Self {
        let definitions = Definitions::of(entries, ("a group", &RESERVED), shared, problems);
        definitions.read(|name, definitions| drop(resolve(name, definitions, problems)))
    }

    /// Reads a selector of a rule.
    pub(super) fn selector(&self, node: &Node, problems: &mut Problems) -> Option<Selector> {
        if let Value::Sequence(items) = &node.value {
            let problem =
                Problem::new(items.first().map_or(node.span, |item| item.span), "a selector is a text, not a list");
            problems
                .report(problem.help("join with `|`, such as `finance | hr`; a list of addresses stands in `groups:`"));
            return None;
        }
        self.text(yaml::text(node, "a selector", problems)?, problems)
    }

    /// Reads a selector that is a part of a text.
    pub(super) fn text(&self, text: &Text, problems: &mut Problems) -> Option<Selector> {
        let read = selector::read(text.as_str(), &mut |word| match self.right.get(word) {
            Some(selector) => Found::Group(selector.clone()),
            None if self.is_wrong(word) => Found::Broken,
            None => selector::no_group(word, &self.right.keys().map(Name::as_str).collect::<Vec<_>>()),
        });
        told(read, text, problems)
    }
}

fn told(read: Result<Selector, Vec<TextError>>, text: &Text, problems: &mut Problems) -> Option<Selector> {
    match read {
        Ok(selector) => Some(selector),
        Err(errors) => {
            errors.into_iter().for_each(|error| problems.report(Problem::within(text, error)));
            None
        }
    }
}

fn resolve(word: &str, definitions: &mut Definitions<'_, Selector>, problems: &mut Problems) -> Found {
    let node = match definitions.enter(word) {
        Step::Unknown => {
            let names = definitions.names();
            return selector::no_group(word, &names.iter().map(Name::as_str).collect::<Vec<_>>());
        }
        Step::Refused(why) => return Found::Wrong(why, None),
        Step::Done(done) => return done.map_or(Found::Broken, Found::Group),
        Step::Read(node) => node,
    };
    let selector = match &node.value {
        Value::Sequence(items) => addresses(word, node, items, problems).map(|group| Selector::Addresses(group.into())),
        Value::Scalar(_) | Value::Mapping(_) => expression(node, definitions, problems),
    };
    definitions.leave(selector.clone());
    selector.map_or(Found::Broken, Found::Group)
}

fn expression(node: &Node, definitions: &mut Definitions<'_, Selector>, problems: &mut Problems) -> Option<Selector> {
    let text = yaml::text(node, "a selector, or a list of addresses", problems)?;
    if text.as_str().parse::<IpNet>().is_ok() || text.as_str().parse::<IpAddr>().is_ok() {
        let problem = Problem::new(text.span(), "a group of addresses is a list");
        problems.report(problem.help(format!("write [{}]", text.as_str())));
        return None;
    }
    let read = selector::read(text.as_str(), &mut |word| resolve(word, definitions, problems));
    told(read, text, problems)
}

fn addresses(name: &str, node: &Node, items: &[Node], problems: &mut Problems) -> Option<AddressGroup> {
    let before = problems.count();
    let mut includes: Vec<IpNet> = Vec::new();
    let mut excludes: Vec<IpNet> = Vec::new();
    let mut seen: BTreeMap<IpNet, bool> = BTreeMap::new();
    for item in items {
        let Some(text) = yaml::text(item, "an address or prefix", problems) else { continue };
        match exception(text)
            .map_or_else(|| prefix(text).map(|net| (net, false)), |part| prefix(&part).map(|net| (net, true)))
        {
            Err(problem) => problems.report(problem),
            Ok((net, out)) if *seen.entry(net).or_insert(out) != out => problems.report(contradiction(text)),
            Ok((net, true)) => excludes.push(net),
            Ok((net, false)) => includes.push(net),
        }
    }
    if includes.is_empty() && problems.count() == before {
        problems.report(
            Problem::new(node.span, "this group holds no address").help("list at least one prefix without `not`"),
        );
    }
    (problems.count() == before).then(|| Some(AddressGroup { name: name.parse().ok()?, includes, excludes }))?
}

fn contradiction(text: &Text) -> Problem {
    Problem::new(text.span(), "this prefix stands in the group both with and without `not`")
}

/// What follows the `not` of an exception.
fn exception(text: &Text) -> Option<Text> {
    let rest = text.as_str().strip_prefix("not")?;
    let trimmed = rest.trim_start();
    let start = text.as_str().len() - trimmed.len();
    (trimmed.len() < rest.len()).then(|| text.part(start..text.as_str().len()))?
}

fn prefix(text: &Text) -> Result<IpNet, Problem> {
    let written = text.as_str();
    let net = match (written.parse::<IpNet>(), written.parse::<IpAddr>()) {
        (Ok(net), _) => net,
        (Err(_), Ok(address)) => IpNet::from(address),
        (Err(_), Err(_)) => {
            let problem = Problem::new(text.span(), format!("`{written}` is no address or prefix"));
            return Err(
                problem.help("a list holds prefixes, such as 10.9.0.0/16, and exceptions, such as not 10.9.3.0/24")
            );
        }
    };
    if mapped(net) {
        return Err(
            Problem::new(text.span(), "an IPv4-mapped IPv6 prefix matches nothing").help("write the IPv4 prefix")
        );
    }
    if net.trunc() != net {
        let problem = Problem::new(text.span(), format!("`{written}` has bits set below its prefix"));
        return Err(problem.help(format!("write {}, or the one address without `/`", net.trunc())));
    }
    Ok(net)
}

/// Whether a prefix lies in ::ffff:0:0/96.
fn mapped(net: IpNet) -> bool {
    match net {
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.prefix_len() >= 96 && Ipv6Addr::to_ipv4_mapped(&net.addr()).is_some(),
    }
}
