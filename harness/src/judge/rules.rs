//! The rules that findings name, as the policy in force has them: what is wrong is to be understood from a report alone.

use std::collections::{BTreeMap, BTreeSet};

use policy::Rule;
use reports::event::Finding;

use super::detail::row;
use crate::scenario::PolicyText;

/// So much of a rule is shown at most.
const MOST: usize = 1_000;

/// Adds to the evidence of findings what each rule says that is expected or was observed, and where it stands.
pub(super) fn cite(policy: Option<&PolicyText>, findings: &mut [Finding]) {
    let Some(PolicyText { source, policy, .. }) = policy else { return };
    let named = |finding: &Finding| -> BTreeSet<String> {
        let sides = [&finding.expected, &finding.observed].into_iter().flatten();
        sides.filter_map(|side| side.rule.clone()).collect()
    };
    let all: BTreeSet<String> = findings.iter().flat_map(named).collect();
    if all.is_empty() {
        return;
    }
    let rules = policy.rules.iter().map(|rule| (rule.full_name(), rule)).filter(|(name, _)| all.contains(name));
    let said: BTreeMap<String, String> = rules.map(|(name, rule)| (name, said(rule, source))).collect();
    for finding in findings {
        for said in named(finding).iter().filter_map(|name| said.get(name)) {
            finding.detail += said;
        }
    }
}

fn said(rule: &Rule, source: &str) -> String {
    let file = rule.tier.as_ref().map_or(source, |tier| &tier.file);
    let mut text = rule.text();
    if let Some((at, _)) = text.char_indices().nth(MOST) {
        text.truncate(at);
        text.push('…');
    }
    format!("\n{}", row("rule", format!("{text} at {file}:{}", rule.line)))
}
