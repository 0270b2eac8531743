//! What the signs and the words of the page mean.

use std::collections::BTreeSet;

use super::markup::Markup;
use crate::event::{FindingKind, Word};
use crate::run::Run;

const WORDS: [Word; 7] =
    [Word::Allow, Word::Deny, Word::Reject, Word::Cut, Word::Refused, Word::Unreachable, Word::Unproven];

pub(super) fn write(page: &mut Markup, run: &Run) {
    page.constant("<section id=signs>\n<h2>What the signs mean</h2>\n<p>In truth tables, rows speak to columns. A cell that is as expected shows one \
        sign; one that is not shows what was expected, an arrow, what was observed, and a word for the difference, which leads to its \
        story.</p>\n");
    page.within("dl", &[], |list| {
        for word in WORDS {
            list.constant("<dt>").element("code", &[], word.glyph());
            list.text(&format!(" {word}")).constant("<dd>").text(word.meaning());
        }
    });
    let findings = run.scenarios.iter().flat_map(|scenario| scenario.all_findings());
    let kinds: BTreeSet<FindingKind> = findings.map(|finding| finding.kind).collect();
    if !kinds.is_empty() {
        page.constant("<h3>The findings of this run</h3>\n");
        page.within("dl", &[], |list| {
            for kind in kinds {
                list.constant("<dt>✗ ").text(kind.as_str()).constant("<dd>").text(kind.meaning());
            }
        });
    }
    page.constant("</section>\n");
}
