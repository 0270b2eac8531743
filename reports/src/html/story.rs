//! The story of a finding: what it means, what was expected where, what was observed instead, and the evidence.

use super::markup::Markup;
use crate::causes::Cause;
use crate::event::{Finding, FindingKind, Side};
use crate::run::{Scenario, Step};
use crate::words::count;

/// How many flows of one cause are listed, and how many lines of its evidence.
const MOST_FLOWS: usize = 100;
const MOST_LINES: usize = 200;

pub(super) fn write(out: &mut Markup, place: &str, (scenario, step): (&Scenario, Option<&Step>), cause: &Cause<'_>) {
    let first = cause.first;
    out.within("article", &[("id", place)], |article| {
        article.within("h4", &[], |title| {
            title.within("span", &[("class", "bad")], |kind| {
                kind.constant("✗ ").text(first.kind.as_str());
            });
            title.constant(" ").text(&cause.about());
        });
        article.element("p", &[], first.kind.meaning());
        facts(article, scenario, step, first);
        if cause.times() > 1 {
            flows(article, cause);
        }
        evidence(article, &first.detail);
    });
}

fn facts(article: &mut Markup, scenario: &Scenario, step: Option<&Step>, finding: &Finding) {
    article.within("dl", &[], |list| {
        list.constant("<dt>the scenario says<dd>");
        if !finding.claim().is_empty() {
            list.element("code", &[], finding.claim()).constant(" ");
        }
        list.constant("at ").element("code", &[], &format!("{}:{}", scenario.id.file, finding.line));
        verdict(list, "<dt>expected<dd>", finding.expected.as_ref(), true);
        // What the policy reads is not what became of a packet.
        match finding.kind == FindingKind::Disagreement {
            true => verdict(list, "<dt>the policy says<dd>", finding.observed.as_ref(), false),
            false => verdict(list, "<dt>observed<dd>", finding.observed.as_ref(), true),
        }
        if let Some(generation) = step.map(|step| step.generation_of(finding)).filter(|generation| *generation > 0) {
            list.constant("<dt>policy<dd>").text(&format!("generation {generation}"));
        }
    });
}

/// A side of the comparison, and what became of the traffic by it where it was tried.
fn verdict(list: &mut Markup, term: &'static str, side: Option<&Side>, tried: bool) {
    let Some(side) = side else { return };
    list.constant(term).element("strong", &[], &side.phrase());
    if tried {
        list.text(&format!(" ({})", side.verdict.meaning()));
    }
}

/// The flows that have the cause in common.
fn flows(article: &mut Markup, cause: &Cause<'_>) {
    let phrase = |side: &Option<Side>| side.as_ref().map_or_else(|| "–".to_owned(), Side::phrase);
    article.within("details", &[], |details| {
        details.element("summary", &[], &format!("The same of {}", count(cause.times(), "flow")));
        details.constant("<div class=scroll tabindex=0>\n<table class=list>\n<tr><th scope=col>flow<th scope=col>expected<th scope=col>observed\n");
        for finding in cause.all.iter().take(MOST_FLOWS) {
            details.constant("<tr><td>").text(&finding.flow_and_family());
            details.constant("<td>").text(&phrase(&finding.expected));
            details.constant("<td>").text(&phrase(&finding.observed)).constant("\n");
        }
        details.constant("</table>\n</div>\n");
        left_out(details, cause.times().saturating_sub(MOST_FLOWS), "flow");
    });
}

/// The evidence: what each witness says, and what stands around it.
fn evidence(article: &mut Markup, detail: &str) {
    if detail.is_empty() {
        return;
    }
    article.constant("<h5>Evidence</h5>\n<ul class=evidence>\n");
    for line in detail.lines().take(MOST_LINES) {
        match witness(line) {
            Some((who, says)) => article.within("li", &[("class", "witness")], |item| {
                item.element("b", &[], who).constant(" ").element("span", &[], says);
            }),
            None => article.element("li", &[], line.trim()),
        };
    }
    article.constant("</ul>\n");
    left_out(article, detail.lines().count().saturating_sub(MOST_LINES), "line");
}

fn left_out(out: &mut Markup, number: usize, noun: &str) {
    if number > 0 {
        out.element("p", &[], &format!("… and {} more, left out for length.", count(number, noun)));
    }
}

/// A line of the evidence that names its witness: indented, and its word set off by two blanks or more.
fn witness(line: &str) -> Option<(&str, &str)> {
    let (who, says) = line.strip_prefix("  ")?.split_once("  ")?;
    (!who.is_empty() && !who.contains(' ')).then_some((who, says.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_named_in_front() {
        let rows = [
            ("  client       silence", Some(("client", "silence"))),
            ("  destination  acked 2; no record", Some(("destination", "acked 2; no record"))),
            ("it should be intercepted,  and was not", None),
            ("    table inet eastwest", None),
            ("  one blank", None),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(witness(line), expected, "{line:?}");
        }
    }
}
