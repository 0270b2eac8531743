//! One rule.

use std::sync::Arc;

use super::groups::Groups;
use super::lex::bare;
use super::services::Named;
use crate::yaml::{Entry, Fields, Node, Style};
use crate::{Action, At, Key, Mode, Problem, Problems, Rule, Selector, Tier, Timestamp, did_you_mean, yaml};

/// The actions of a rule.
pub const ACTIONS: [(&str, Action); 4] =
    [("allow", Action::Allow), ("deny", Action::Deny), ("reject", Action::Reject), ("pass", Action::Pass)];
/// The keys of a rule.
pub const KNOWN: [&str; 13] =
    ["name", "allow", "deny", "reject", "pass", "from", "to", "within", "at", "log", "mode", "until", "note"];

/// Whether rules act.
pub const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("monitor", Mode::Monitor)];
/// The ends at which a rule exists.
pub const ENDS: [(&str, At); 3] = [("source", At::Source), ("destination", At::Destination), ("both", At::Both)];

/// What the rules of a policy refer to.
pub(super) struct Context<'a> {
    /// Where the lines of the source end.
    pub(super) newlines: &'a [usize],
    pub(super) services: &'a Named,
    pub(super) groups: &'a Groups,
    pub(super) tier: Option<&'a Arc<Tier>>,
}

impl Context<'_> {
    /// The line on which something begins, from 1.
    pub(super) fn line(&self, span: crate::Span) -> usize {
        self.newlines.partition_point(|newline| *newline < span.start) + 1
    }
}

/// Reads a rule; `None` if any of it is wrong.
pub(super) fn read(node: &Node, context: &Context<'_>, problems: &mut Problems) -> Option<Rule> {
    let before = problems.count();
    let fields = Fields::of(node, "a rule", &KNOWN, problems)?;
    let name = fields
        .require("name", problems)
        .and_then(|node| yaml::text(node, "a name", problems))
        .and_then(|text| yaml::name(text, "a rule", problems));
    let action = action(&fields, problems);
    let services = action.and_then(|(_, entry)| context.services.services(&entry.value, problems));
    let mut end = |key| match fields.get(key) {
        Some(node) => context.groups.selector(node, problems),
        None => Some(Selector::Any),
    };
    let (from, to) = (end("from"), end("to"));
    let rule = Rule {
        tier: context.tier.cloned(),
        name: name?,
        action: action?.0,
        services: services?,
        from: from?,
        to: to?,
        within: fields.get("within").and_then(|node| within(node, problems)),
        at: fields.get("at").and_then(|node| at(node, problems)).unwrap_or_default(),
        log: fields.get("log").and_then(|node| yaml::flag(node, problems)).unwrap_or_default(),
        mode: fields.get("mode").and_then(|node| mode(node, problems)).unwrap_or_default(),
        until: fields.get("until").and_then(|node| until(node, problems)),
        note: fields
            .get("note")
            .and_then(|node| yaml::text(node, "a text", problems))
            .map(|text| text.as_str().to_owned()),
        line: context.line(node.span),
    };
    (problems.count() == before).then_some(rule)
}

/// The one action of a rule.
fn action<'n>(fields: &Fields<'n>, problems: &mut Problems) -> Option<(Action, &'n Entry)> {
    let mut found: Option<(Action, &Entry)> = None;
    for entry in fields.entries() {
        let Some((_, action)) = ACTIONS.iter().find(|(word, _)| *word == entry.key.as_str()) else { continue };
        match found {
            None => found = Some((*action, entry)),
            Some((_, first)) => {
                let problem = Problem::new(entry.key.span(), "a rule has one action, this is another");
                problems.report(problem.also(first.key.span(), "the first").help("write a rule for each"));
            }
        }
    }
    let misspelt = fields.entries().iter().any(|entry| {
        !KNOWN.contains(&entry.key.as_str())
            && did_you_mean(entry.key.as_str(), &["allow", "deny", "reject", "pass"])
                .is_some_and(|help| help.starts_with("did"))
    });
    if found.is_none() && !misspelt {
        let first = fields.entries().first().map_or(fields.span(), |entry| entry.key.span());
        let problem = Problem::new(first, "this rule does nothing: it needs `allow`, `deny`, `reject` or `pass`");
        problems.report(problem.help("the action's value is its services, such as `allow: tcp/443` or `deny: any`"));
    }
    found
}

/// `mode: enforce | monitor`
pub(super) fn mode(node: &Node, problems: &mut Problems) -> Option<Mode> {
    yaml::word(node, &MODES, problems)
}

fn at(node: &Node, problems: &mut Problems) -> Option<At> {
    yaml::word(node, &ENDS, problems)
}

/// The key of a label: bare, or quoted by YAML or as in a selector.
fn within(node: &Node, problems: &mut Problems) -> Option<Key> {
    let text = yaml::text(node, "one key of a label", problems)?;
    let written = text.as_str();
    let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = inner.unwrap_or(written);
    if key.is_empty()
        || key.contains('"')
        || (inner.is_none() && text.style() == Style::Plain && !written.chars().all(bare))
    {
        let problem = Problem::new(text.span(), format!("`{written}` is not one key of a label"));
        problems.report(
            problem.help("`within` takes a key, such as `within: dept`; quote it if it holds other characters"),
        );
        return None;
    }
    Some(key.to_owned())
}

fn until(node: &Node, problems: &mut Problems) -> Option<Timestamp> {
    let text = yaml::text(node, "an instant", problems)?;
    let found = text.as_str().parse().ok();
    if found.is_none() {
        let problem =
            Problem::new(text.span(), format!("`{}` is not an instant with date, time and zone", text.as_str()));
        problems.report(problem.help("write RFC 3339, such as 2027-01-31T18:00:00Z"));
    }
    found
}
