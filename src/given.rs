//! The policies that commands are given: files in an order, or a scenario for the policy with which it begins.

use std::path::{Path, PathBuf};

use harness::scenario::PolicyText;
use policy::{Bundle, Policy, Source};

use crate::discover;
use crate::ending::Failure;

/// The policy of a file, or of several in an order, divided by commas.
pub(crate) fn policy(path: &Path) -> Result<Policy, Failure> {
    Ok(bundle(path)?.policy()?)
}

/// The files of a policy, with what they include.
pub(crate) fn bundle(path: &Path) -> Result<Bundle, Failure> {
    if let Some(scenario) = discover::scenario(path)? {
        let written = scenario.policy.ok_or_else(|| {
            Failure::Input(format!("find a policy in the scenario {}: it has no `policy:`", path.display()))
        })?;
        return beginning(path, &written);
    }
    if tiers(path).iter().any(|tier| tier.as_os_str().is_empty()) {
        return Err(Failure::Input(format!("find a file on both sides of each comma of `{}`", path.display())));
    }
    let source = |path: &Path| Ok(Source { name: path.display().to_string(), text: text(path)? });
    let tiers = tiers(path).iter().map(|path| source(path)).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Bundle::load(tiers, &mut |name| std::fs::read_to_string(name).map_err(|error| error.to_string()))?)
}

/// The policy with which a scenario begins; each of its rules stands in the line in which it is written.
fn beginning(path: &Path, written: &PolicyText) -> Result<Bundle, Failure> {
    let PolicyText { source, text, policy } = written;
    let is_within = path.display().to_string() == *source;
    let read = |text: &str| Ok::<_, Failure>(Bundle::read(source, text)?);
    let bundle = read(text)?;
    let line = |policy: &Policy| policy.rules.first().map_or(0, |rule| rule.line);
    match line(policy).checked_sub(line(&bundle.policy()?)) {
        Some(above) if is_within => read(&("\n".repeat(above) + text)),
        Some(_) | None => Ok(bundle),
    }
}

/// Where a command looks for VMs: in the file that it was given, or in the scenario whose policy it is about.
pub(crate) fn inventory<'p>(given: Option<&'p Path>, policy: &'p Path) -> Option<&'p Path> {
    given.or_else(|| Some(policy).filter(|path| discover::is_scenario(path)))
}

/// The files that a policy on the command line names: `emergency.yaml,baseline.yaml`.
pub(crate) fn tiers(path: &Path) -> Vec<PathBuf> {
    match path.to_str() {
        Some(text) if text.contains(',') && !path.exists() => text.split(',').map(PathBuf::from).collect(),
        Some(_) | None => vec![path.to_owned()],
    }
}

pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("read {}: {error}", path.display())))
}
