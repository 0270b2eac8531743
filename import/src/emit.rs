//! The text of a scenario.

use std::fmt::Write;
use std::net::IpAddr;

use policy::{At, IpNet, Selector, ServiceMatch};

use crate::Options;
use crate::blocks::Block;
use crate::outside::endpoints;
use crate::world::{Rule, Vm, group};

/// The networks from which the lab gives addresses.
const POOL: [&str; 2] = ["10.98.0.0/16", "fd98::/48"];

/// Rules that stand together.
pub(crate) struct Tier {
    pub(crate) name: &'static str,
    pub(crate) rules: Vec<Rule>,
}

/// What a scenario says.
pub(crate) struct Scenario<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// Whom VMs stand for: lines of its first comment.
    pub(crate) about: &'a [&'a str],
    pub(crate) vms: &'a [Vm],
    pub(crate) blocks: &'a [Block],
    /// At least one.
    pub(crate) tiers: &'a [Tier],
    pub(crate) default: &'a str,
}

impl Scenario<'_> {
    /// The text of it.
    pub(crate) fn text(&self, options: Options) -> String {
        let mut out = String::new();
        let about: String = self.about.iter().map(|line| format!("# {line}\n")).collect();
        let hosts: Vec<String> = (1..=options.hosts.max(1)).map(|number| format!("host-{number}")).collect();
        let example = match self.vms {
            [one, other, ..] => format!(", such as\n#   - {} -> {} tcp/80: allow", one.name, other.name),
            [_] | [] => ".".to_owned(),
        };
        let _ = writeln!(out, "{about}{HINT}{example}");
        let _ = writeln!(out, "eastwest: scenario/v1\nname: {}\ntopology:\n  hosts: [{}]", self.name, hosts.join(", "));
        self.managed(&mut out);
        out.push_str("  vms:\n");
        self.vms.iter().zip(hosts.iter().cycle()).for_each(|(vm, host)| one(&mut out, vm, host));
        self.outside(&mut out, hosts.first().map_or("host-1", String::as_str));
        out.push_str("policy:\n");
        for (index, tier) in self.tiers.iter().enumerate() {
            let (mut text, is_last) = (String::new(), index + 1 == self.tiers.len());
            if self.tiers.len() == 1 {
                self.tier(&mut out, tier, "  ", is_last);
            } else {
                self.tier(&mut text, tier, "    ", is_last);
                let _ = write!(out, "  - {}", text.trim_start());
            }
        }
        out.push_str(STEPS);
        out
    }

    /// Exactly the addresses of VMs: in others' eyes an address that is nobody's is like any other outside.
    fn managed(&self, out: &mut String) {
        let addresses = self.vms.iter().flat_map(|vm| vm.addresses.iter().copied()).map(IpNet::from).collect();
        let mut networks: Vec<String> =
            IpNet::aggregate(&addresses).iter().map(|net| quoted(&net.to_string())).collect();
        if networks.is_empty() {
            return;
        }
        if self.vms.iter().any(|vm| vm.addresses.is_empty()) {
            networks.extend(POOL.iter().map(|net| quoted(net)));
        }
        let _ = writeln!(out, "  managed: [{}]", networks.join(", "));
    }

    fn outside(&self, out: &mut String, host: &str) {
        let endpoints = endpoints(self.blocks, self.vms);
        if !endpoints.is_empty() {
            out.push_str("  outside:\n");
        }
        for outside in endpoints {
            let addresses = addresses(&outside.addresses);
            let _ = writeln!(out, "    {}: {{host: {host}, addresses: [{addresses}]}}", outside.name);
        }
    }

    fn tier(&self, out: &mut String, tier: &Tier, indent: &str, last: bool) {
        let head =
            if self.tiers.len() == 1 { "eastwest: policy/v1".to_owned() } else { format!("tier: {}", tier.name) };
        let _ = writeln!(out, "{indent}{head}");
        let selectors = || tier.rules.iter().flat_map(|rule| [&rule.from, &rule.to]);
        let groups: Vec<_> = self.blocks.iter().enumerate().filter_map(|(index, block)| group(index, block)).collect();
        let used = groups.iter().filter(|group| selectors().any(|selector| names(selector, group.name.as_str())));
        for (index, group) in used.enumerate() {
            if index == 0 {
                let _ = writeln!(out, "{indent}groups:");
            }
            let includes = group.includes.iter().map(|net| quoted(&net.to_string()));
            let excludes = group.excludes.iter().map(|net| quoted(&format!("not {net}")));
            let ranges: Vec<String> = includes.chain(excludes).collect();
            let _ = writeln!(out, "{indent}  {}: [{}]", group.name, ranges.join(", "));
        }
        let none = if tier.rules.is_empty() { " []" } else { "" };
        let _ = writeln!(out, "{indent}rules:{none}");
        tier.rules.iter().for_each(|rule| one_rule(out, rule, indent));
        if last {
            let _ = writeln!(out, "{indent}default: {}", self.default);
        }
    }
}

const HINT: &str = "\
# Nothing is claimed yet beyond what the policy itself says: pairs that no expectation names are held to it. `eastwest reach` shows
# who can speak to whom; write what must be so under `expect`";

const STEPS: &str = "\
steps:
  - name: as it was imported
    expect:
      - generation acked by all
";

fn one(out: &mut String, vm: &Vm, host: &str) {
    let _ = writeln!(out, "    {}:\n      host: {host}", scalar(&vm.name));
    if !vm.addresses.is_empty() {
        let _ = writeln!(out, "      addresses: [{}]", addresses(&vm.addresses));
    }
    if !vm.serves.is_empty() {
        let serves: Vec<String> = vm.serves.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "      serves: [{}]", serves.join(", "));
    }
    if !vm.labels.is_empty() {
        out.push_str("      labels:\n");
    }
    for (key, value) in &vm.labels {
        let _ = writeln!(out, "        {}: {}", scalar(key), scalar(value));
    }
}

fn one_rule(out: &mut String, rule: &Rule, indent: &str) {
    let services: Vec<String> = rule.services.iter().map(ServiceMatch::to_string).collect();
    let services = match services.as_slice() {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let _ = writeln!(out, "{indent}  - name: {}\n{indent}    {}: {services}", scalar(&rule.name), rule.action);
    for (key, selector) in
        [("from", &rule.from), ("to", &rule.to)].into_iter().filter(|(_, one)| **one != Selector::Any)
    {
        let _ = writeln!(out, "{indent}    {key}: {}", expression(&selector.to_string()));
    }
    match rule.at {
        At::Source => out.push_str(&format!("{indent}    at: source\n")),
        At::Destination => out.push_str(&format!("{indent}    at: destination\n")),
        At::Both => {}
    }
    if let Some(note) = &rule.note {
        let _ = writeln!(out, "{indent}    note: {}", scalar(note));
    }
}

fn addresses(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(|address| quoted(&address.to_string())).collect();
    texts.join(", ")
}

/// In double quotes where it holds what flow lists read otherwise.
fn quoted(text: &str) -> String {
    if text.contains(':') { format!("\"{text}\"") } else { text.to_owned() }
}

/// Whether a selector names a group.
fn names(selector: &Selector, group: &str) -> bool {
    match selector {
        Selector::Addresses(found) => found.name.as_str() == group,
        Selector::Not(inner) => names(inner, group),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().any(|part| names(part, group)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Has(_) => false,
        Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => false,
    }
}

/// A selector: what it may hold means nothing to YAML but at its begin.
fn expression(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '(');
    if plain { text.to_owned() } else { format!("'{text}'") }
}

/// A text that every reader of YAML takes for a text.
fn scalar(text: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | ':');
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(word) && !text.ends_with(':');
    let other = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    if plain && !other.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
