//! `eastwest check`: the mistakes of a policy, and what an inventory shows to be idle in it.

use std::path::{Path, PathBuf};

use policy::{Bundle, Inventory, Policy, Selector, Source};
use serde::Serialize;

use crate::args::{CheckArgs, Format};
use crate::ending::{Ending, Failure, Outcome};
use crate::inventory::Known;
use crate::output;

#[derive(Serialize)]
struct Object {
    rules: usize,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Warning {
    /// The rule's line; groups are known by their names.
    line: Option<usize>,
    text: String,
}

/// The policy of a file, or of several in an order, divided by commas.
pub(crate) fn read_policy(path: &Path) -> Result<Policy, Failure> {
    Ok(read_bundle(path)?.policy()?)
}

/// The files of a policy, with what they include.
pub(crate) fn read_bundle(path: &Path) -> Result<Bundle, Failure> {
    let source = |path: &Path| Ok(Source { name: path.display().to_string(), text: read_text(path)? });
    let tiers = tiers(path).iter().map(|path| source(path)).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Bundle::load(tiers, &mut |name| std::fs::read_to_string(name).map_err(|error| error.to_string()))?)
}

/// The files that a policy on the command line names: `emergency.yaml,baseline.yaml`.
pub(crate) fn tiers(path: &Path) -> Vec<PathBuf> {
    match path.to_str() {
        Some(text) if text.contains(',') && !path.exists() => text.split(',').map(PathBuf::from).collect(),
        Some(_) | None => vec![path.to_owned()],
    }
}

pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("read {}: {error}", path.display())))
}

pub(crate) fn check(args: &CheckArgs) -> Outcome {
    let policy = read_policy(&args.policy)?;
    let warnings = match &args.inventory {
        None => Vec::new(),
        Some(file) => warnings(&policy, &Known::from_file(Some(file))?.inventory),
    };
    let ending = if warnings.is_empty() { Ending::AsExpected } else { Ending::Findings };
    let object = Object { rules: policy.rules.len(), warnings };
    match args.format {
        Format::Human => output::say(&human(&object, &args.policy.display().to_string())),
        Format::Json => output::say_json(&object)?,
    }
    Ok(ending)
}

fn human(object: &Object, file: &str) -> String {
    let Object { rules, warnings } = object;
    let mut text = String::new();
    for Warning { line, text: warning } in warnings {
        let place = line.map(|line| format!(":{line}")).unwrap_or_default();
        text.push_str(&format!("{file}{place}: {warning}\n"));
    }
    let rules = if *rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") };
    let warnings = match warnings.len() {
        0 => "nothing to say".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    text.push_str(&format!("{file}: {rules}, {warnings}\n"));
    text
}

fn warnings(policy: &Policy, inventory: &Inventory) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (name, selector) in &policy.groups {
        if matches_nobody(selector, inventory) {
            warnings.push(Warning { line: None, text: format!("group `{name}` matches no VM") });
        }
        warnings.extend(bound_inside(selector, inventory).into_iter().map(|text| Warning { line: None, text }));
    }
    for rule in &policy.rules {
        for (side, selector) in [("from", &rule.from), ("to", &rule.to)] {
            if matches_nobody(selector, inventory) {
                let text = format!("`{side}` of rule `{}` matches no VM", rule.name);
                warnings.push(Warning { line: Some(rule.line), text });
            }
        }
        if let Some(key) =
            rule.within.as_ref().filter(|key| !inventory.vms.values().any(|vm| vm.labels.contains_key(*key)))
        {
            let text = format!("`within` of rule `{}`: no VM carries the label `{key}`", rule.name);
            warnings.push(Warning { line: Some(rule.line), text });
        }
    }
    warnings
}

/// Whether a selector is about VMs, and there is none that it matches.
fn matches_nobody(selector: &Selector, inventory: &Inventory) -> bool {
    !reaches_outside(selector) && oracle::members(selector, inventory).is_empty()
}

/// Whether a selector matches outside addresses, too.
fn reaches_outside(selector: &Selector) -> bool {
    match selector {
        Selector::Any | Selector::Outside | Selector::Addresses(_) => true,
        Selector::Or(parts) => parts.iter().any(reaches_outside),
        Selector::Vms
        | Selector::Has(_)
        | Selector::Equals(..)
        | Selector::Differs(..)
        | Selector::In(..)
        | Selector::Not(_)
        | Selector::And(_) => false,
    }
}

/// VMs with an address inside an address group: they match by their labels alone, so the group does not mean them.
fn bound_inside(selector: &Selector, inventory: &Inventory) -> Vec<String> {
    let Selector::Addresses(group) = selector else { return Vec::new() };
    let inside = |address| {
        let longest = |networks: &[policy::IpNet]| {
            networks.iter().filter(|network| network.contains(&address)).map(policy::IpNet::prefix_len).max()
        };
        longest(&group.includes) > longest(&group.excludes)
    };
    let vms = inventory.vms.iter().filter(|(_, vm)| vm.addresses.iter().any(|&address| inside(address)));
    vms.map(|(vm, _)| format!("group `{}` does not mean VM `{vm}`, whose address lies in it", group.name)).collect()
}
