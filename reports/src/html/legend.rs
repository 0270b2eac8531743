//! What the signs and the words of the page mean.

use std::collections::BTreeSet;

use super::markup::Markup;
use crate::event::{FindingKind, Word};
use crate::run::Run;

const WORDS: [Word; 7] =
    [Word::Allow, Word::Deny, Word::Reject, Word::Cut, Word::Refused, Word::Unreachable, Word::Unproven];

const EVIDENCE: [(&str, &str); 8] = [
    (
        "client, listener",
        "the two sockets of the probe: the harness listens on every port that it asks for, whoever serves it",
    ),
    ("nonce", "a number that only this probe carries: who has it has seen this probe and no other"),
    ("taps", "the frames of the probe that were seen on the wires of its source and of its destination"),
    (
        "fence",
        "a frame behind the probe that no rule judges: when it is back, nothing of the probe is under way any more",
    ),
    ("source, destination", "what the agents at both ends have told, and what their kernels have counted"),
    (
        "acked",
        "the newest generation of the policy that the agent has said to be in force; the first publication may be 2",
    ),
    ("barrier", "a mark in the agent's reports: once it is through, all that happened before it has been told"),
    ("tcp/47001 and the like", "a port that the policy does not name: `any` asks for one as well"),
];

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
        page.constant("<h3>The words of evidence</h3>\n");
        page.within("dl", &[], |list| {
            for (word, meaning) in EVIDENCE {
                list.constant("<dt>").text(word).constant("<dd>").text(meaning);
            }
        });
    }
    page.constant("</section>\n");
}
