//! Findings of expectations that are known to fail (semantics 42): they are set apart, until their day is over.

use policy::Timestamp;
use reports::event::{Finding, FindingKind};
use reports::known::{Known, Tag};

use super::rules;
use super::step::bare;
use crate::plan::PlannedStep;
use crate::scenario::{Expectation, KnownFailure};

/// Sets what is known apart from what is not. A mark whose expectation has no finding is a finding itself.
#[must_use]
pub fn set_apart(step: &PlannedStep, mut findings: Vec<Finding>, now: Timestamp) -> (Vec<Finding>, Vec<Known>) {
    let mended: Vec<Finding> = step
        .marked
        .iter()
        .filter(|expectation| !findings.iter().any(|finding| is_of(expectation, finding)))
        .filter_map(|expectation| mended(step, expectation))
        .collect();
    findings.extend(mended);
    excuse(step, findings, now)
}

/// The same where not everything was tried, so that no finding proves nothing.
#[must_use]
pub fn excuse(step: &PlannedStep, mut findings: Vec<Finding>, now: Timestamp) -> (Vec<Finding>, Vec<Known>) {
    rules::cite(step.state.policy.as_deref(), &mut findings);
    let (mut plain, mut known) = (Vec::new(), Vec::new());
    for mut finding in findings {
        let expectation = step.marked.iter().find(|expectation| is_of(expectation, &finding));
        let failure = expectation.and_then(|expectation| {
            bear(&mut finding, &expectation.mark.tag);
            expectation.mark.known.as_ref().filter(|_| tells_of_what_is_tested(&finding))
        });
        match failure {
            Some(KnownFailure { ticket, until, ends }) if now <= *ends => {
                known.push(Known { ticket: ticket.clone(), until: until.clone(), finding });
                continue;
            }
            Some(KnownFailure { ticket, until, .. }) => {
                finding.detail += &format!("\nit was known as {ticket} until {until}, and that time is over");
            }
            None => {}
        }
        plain.push(finding);
    }
    (plain, known)
}

fn is_of(expectation: &Expectation, finding: &Finding) -> bool {
    finding.line == expectation.line && finding.expectation == expectation.text
}

/// What was not tried, or could not be, is never the failure that is known; nor is that it has ended.
fn tells_of_what_is_tested(finding: &Finding) -> bool {
    let is_mended = finding.detail.starts_with(MENDED);
    !matches!(finding.kind, FindingKind::NotRun | FindingKind::HarnessError) && !is_mended
}

/// How it begins that a mark is to go.
const MENDED: &str = "what is known as ";

fn mended(step: &PlannedStep, expectation: &Expectation) -> Option<Finding> {
    let KnownFailure { ticket, .. } = expectation.mark.known.as_ref()?;
    let why = format!("{MENDED}{ticket} fails no more: take the mark away");
    let (line, expectation) = (expectation.line, expectation.text.clone());
    Some(Finding { line, expectation, ..bare(step, FindingKind::Unmet, why) })
}

/// Has a finding say which expectation it is of, and whose.
fn bear(finding: &mut Finding, tag: &Tag) {
    let words = tag.to_string();
    if !words.is_empty() {
        finding.detail += &format!("\nthe expectation is {words}");
        finding.tag = Some(tag.clone());
    }
}
