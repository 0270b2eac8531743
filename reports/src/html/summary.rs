//! The head of the page: how the run ended, its figures, and what to do next.

use super::markup::Markup;
use crate::run::{Conclusion, Run, Totals};

pub(super) fn write(page: &mut Markup, run: &Run) {
    let conclusion = run.conclusion();
    let (class, glyph) = match conclusion {
        Conclusion::AsExpected => ("good", "✓ "),
        Conclusion::Findings => ("bad", "✗ "),
        Conclusion::Interrupted => ("bad", "⚠ "),
    };
    page.constant("<header>\n");
    page.within("h1", &[], |title| {
        title.constant("eastwest ").within("span", &[("class", class)], |badge| {
            badge.constant(glyph).text(headline(conclusion));
        });
    });
    page.element("p", &[("class", "lead")], &format!("{}.", run.outcomes()));
    figures(page, run);
    page.element("p", &[], exit(conclusion));
    next(page, run);
    page.constant("</header>\n");
}

fn headline(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::AsExpected => "all as expected",
        Conclusion::Findings => "not as expected",
        Conclusion::Interrupted => "interrupted",
    }
}

fn exit(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::AsExpected => "The command ended with exit code 0: all was as expected.",
        Conclusion::Findings => "The command ended with exit code 1: something was not as expected.",
        Conclusion::Interrupted => {
            "The command ended with exit code 130: the run did not end by itself. What it saw until then is here."
        }
    }
}

fn figures(page: &mut Markup, run: &Run) {
    let Totals { cells, findings, again, by_clock, .. } = run.totals();
    let seconds = run.seconds.map_or_else(|| "not told".to_owned(), |seconds| format!("{seconds:.3} s"));
    let mut rows = vec![("flows probed", cells.to_string()), ("findings", findings.to_string()), ("took", seconds)];
    if run.model {
        rows.push(("by", "the oracle alone, without packets".to_owned()));
    } else {
        rows.extend([("seed", run.seed.to_string()), ("scenarios at once", run.jobs.to_string())]);
        rows.extend([("settled again", expected_zero(again)), ("ended by a clock", expected_zero(by_clock))]);
    }
    page.within("dl", &[("class", "figures")], |list| {
        for (term, value) in rows {
            list.within("div", &[], |pair| {
                pair.element("dt", &[], term).element("dd", &[], &value);
            });
        }
    });
    if again + by_clock > 0 {
        page.constant(
            "<p>Settled again: probes that were undecided at first, and were sent once more. Ended by a clock: waits that no \
             evidence ended. Neither makes a verdict less certain, but 0 is expected of both, and a busy machine is the usual \
             cause.</p>\n",
        );
    }
}

fn expected_zero(number: u64) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number} ⚠ (0 is expected)") }
}

/// The command that repeats what was not as expected.
fn next(page: &mut Markup, run: &Run) {
    let mut files: Vec<&str> =
        run.scenarios.iter().filter(|one| one.outcome().is_failure()).map(|one| one.id.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    if files.is_empty() {
        return;
    }
    let how = if run.model { "--model".to_owned() } else { format!("--seed {}", run.seed) };
    let files: Vec<String> = files.into_iter().map(quoted).collect();
    page.constant("<p>What to do next: read the findings below, mend the policy, the scenario or the agent, and repeat what failed:</p>\n");
    page.within("pre", &[("tabindex", "0")], |code| {
        code.element("code", &[], &format!("eastwest run {} {how}", files.join(" ")));
    });
    page.constant(
        "\n<p>All from the folder in which the run was started. <code>eastwest rerun DIR --failed</code> with this report's folder for DIR repeats \
         the same; its folder <code>evidence</code>, of runs on packets, has frames, logs and rulesets. What is wrong with a policy itself says <code>eastwest \
         check FILE</code>; why a flow meets its verdict before the first step, <code>eastwest why FILE SOURCE DESTINATION SERVICE</code>.</p>\n",
    );
}

/// A word of a shell.
fn quoted(text: &str) -> String {
    let text = if text.starts_with('-') && text != "-" { &format!("./{text}") } else { text };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_word_of_the_command() {
        let rows = [
            ("a/b-c.yaml", "a/b-c.yaml"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("$(x)", "'$(x)'"),
            ("-", "-"),
            ("-a", "./-a"),
            ("", "''"),
        ];
        for (text, expected) in rows {
            assert_eq!(quoted(text), expected);
        }
    }
}
