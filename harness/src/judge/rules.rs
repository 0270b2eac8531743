//! The rules that findings name, as the policy in force has them: what is wrong is to be understood from a report alone.

use std::collections::BTreeSet;

use policy::Rule;
use reports::event::Finding;

use super::detail::row;
use crate::scenario::PolicyText;

/// Adds to the evidence of findings what each rule says that is expected or was observed, and where it stands.
pub(super) fn cite(policy: Option<&PolicyText>, findings: &mut [Finding]) {
    let Some(PolicyText { source, policy, .. }) = policy else { return };
    for finding in findings {
        let sides = [&finding.expected, &finding.observed].into_iter().flatten();
        let named: BTreeSet<&str> = sides.filter_map(|side| side.rule.as_deref()).collect();
        let is_named = |rule: &&Rule| named.contains(rule.full_name().as_str());
        let rules: Vec<&Rule> = match named.is_empty() {
            true => Vec::new(),
            false => policy.rules.iter().filter(is_named).collect(),
        };
        for rule in rules {
            let file = rule.tier.as_ref().map_or(source, |tier| &tier.file);
            finding.detail += &format!("\n{}", row("rule", format!("{} at {file}:{}", rule.text(), rule.line)));
        }
    }
}
