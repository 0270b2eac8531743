//! The `tests:` of a policy: `"dept = hr -> app = db tcp/5432: reject by hr-reads-no-ledgers at source"`.

use super::rule::Context;
use super::selector::RESERVED;
use super::{INTERCEPTORS, VERDICTS};
use crate::yaml::{self, Fields, Node, Text};
use crate::{Claim, Name, Problem, Problems, TextError, Verdict, Who, did_you_mean};

const SHAPE: &str = "write `FROM -> TO SERVICE: VERDICT`, such as `dept = hr -> app = db tcp/5432: reject`";

/// Reads all claims.
pub(super) fn claims(
    fields: &Fields<'_>,
    source: &str,
    context: &Context<'_>,
    file: &str,
    problems: &mut Problems,
) -> Vec<Claim> {
    let items = fields.get("tests").and_then(|node| yaml::items(node, "a list of claims", problems));
    let read = |node: &Node| {
        let text = yaml::line(source, node, "a claim", problems)?;
        claim(&text, context, problems).map(|claim| Claim {
            file: file.to_owned(),
            line: context.line(node.span),
            ..claim
        })
    };
    items.unwrap_or_default().iter().filter_map(read).collect()
}

fn claim(text: &Text, context: &Context<'_>, problems: &mut Problems) -> Option<Claim> {
    let whole = text.as_str();
    let parts = whole.split_once("->").and_then(|(from, rest)| {
        let (ends, verdict) = rest.rsplit_once(": ").or_else(|| rest.rsplit_once(':'))?;
        let (to, services) = ends.trim_end().rsplit_once(' ')?;
        Some((from, to, services, verdict))
    });
    let Some((from, to, services, verdict)) = parts else {
        problems.report(Problem::new(text.span(), "this is no claim about flows").help(SHAPE));
        return None;
    };
    let place = |part: &str| part.as_ptr() as usize - whole.as_ptr() as usize;
    let part = |part: &str| {
        let trimmed = part.trim();
        let start = place(part) + (part.len() - part.trim_start().len());
        text.part(start..start + trimmed.len())
    };
    let before = problems.count();
    let (from, to) = (part(from).and_then(|text| who(&text, context, problems)), part(to));
    let to = to.and_then(|text| who(&text, context, problems));
    let services = part(services).and_then(|text| context.services.service(&text, problems));
    let (verdict, rule, end) = verdict_of(&part(verdict)?, problems)?;
    let claim = Claim {
        from: from?,
        to: to?,
        services: services?,
        verdict,
        rule,
        end,
        text: whole.to_owned(),
        file: String::new(),
        line: 0,
    };
    (problems.count() == before).then_some(claim)
}

/// A selector; a word that is no group is the name of a VM.
fn who(text: &Text, context: &Context<'_>, problems: &mut Problems) -> Option<Who> {
    let word = text.as_str();
    let name = word.parse::<Name>().ok().filter(|_| !RESERVED.contains(&word) && !context.groups.knows(word));
    match name {
        Some(name) => Some(Who::Vm(name)),
        None => context.groups.text(text, problems).map(Who::Those),
    }
}

/// `reject [by RULE] [at END]`.
fn verdict_of(text: &Text, problems: &mut Problems) -> Option<(Verdict, Option<String>, Option<crate::End>)> {
    let mut words = text.as_str().split_whitespace();
    let wrong = |message: String, problems: &mut Problems| {
        problems.report(Problem::within(text, TextError::new(0..text.as_str().len(), message).help(SHAPE)));
    };
    let word = words.next().unwrap_or_default();
    let Some((_, verdict)) = VERDICTS.iter().find(|(known, _)| *known == word) else {
        let known: Vec<&str> = VERDICTS.iter().map(|(known, _)| *known).collect();
        let help = did_you_mean(word, &known).map(|help| format!(" ({help})")).unwrap_or_default();
        wrong(format!("`{word}` is no verdict{help}"), problems);
        return None;
    };
    let (mut rule, mut end) = (None, None);
    while let Some(word) = words.next() {
        match (word, words.next()) {
            ("by", Some(name)) => rule = Some(name.to_owned()),
            ("at", Some(name)) if INTERCEPTORS.iter().any(|(known, _)| *known == name) => {
                end = INTERCEPTORS.iter().find(|(known, _)| *known == name).map(|(_, end)| *end);
            }
            _ => {
                wrong(
                    format!("`{word}` is not understood behind a verdict: `by RULE`, `at source`, `at destination`"),
                    problems,
                );
                return None;
            }
        }
    }
    Some((*verdict, rule, end))
}
