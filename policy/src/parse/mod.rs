//! The text form of a policy, `policy/v1`: all mistakes at once, each at its place.

mod claim;
mod define;
pub(crate) mod detect;
pub(crate) mod document;
mod groups;
pub(crate) mod included;
mod lex;
mod outage;
pub(crate) mod rule;
pub(crate) mod selector;
pub(crate) mod service;
mod services;
mod uses;

pub(crate) use lex::{Token, bare, tokens};
pub use selector::parse_selector;
pub use service::{parse_service, parse_services};
pub use uses::unused;

use crate::yaml::{self, Fields, Node};
use crate::{Bundle, End, Errors, Policy, Problem, Problems, Source, Verdict};

/// What the first key of a policy file says.
pub const VERSION: &str = "policy/v1";

/// The keys of a policy.
pub const KNOWN: [&str; 12] = [
    "eastwest", "tier", "owns", "include", "services", "groups", "rules", "default", "outage", "mode", "detect",
    "tests",
];
/// What a flow gets that no rule matches; and what a claim says of one.
pub const VERDICTS: [(&str, Verdict); 3] =
    [("allow", Verdict::Allow), ("deny", Verdict::Deny), ("reject", Verdict::Reject)];
/// Where a claim says that a flow is intercepted.
const INTERCEPTORS: [(&str, End); 2] = [("source", End::Source), ("destination", End::Destination)];

/// Reads a policy file, or the files of one that were put together ([`Bundle::text`]); `source_name` is what the errors
/// call it.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn parse(source_name: &str, text: &str) -> Result<Policy, Errors> {
    Bundle::read(source_name, text)?.policy()
}

/// Reads a policy that stands in another file (a scenario); it need not name its version. `source` is that file's text.
pub fn parse_node(root: &Node, source: &str, problems: &mut Problems) -> Option<Policy> {
    let alone = Bundle::from(Source { name: String::new(), text: String::new() });
    let setting = document::Setting { file: "", place: 0, count: 1, bundle: &alone };
    document::read(root, source, &setting, problems)
}

/// A policy file names its version.
pub(crate) fn versioned(root: &Node, problems: &mut Problems) {
    if let Some(fields) = Fields::of(root, "a policy", &[], &mut Problems::default()) {
        let _ = fields.require("eastwest", problems);
    }
}

fn version(node: &Node, problems: &mut Problems) {
    let Some(text) = yaml::text(node, VERSION, problems) else { return };
    if text.as_str() != VERSION {
        let problem =
            Problem::new(text.span(), format!("this file says `{}`, a policy says `{VERSION}`", text.as_str()));
        problems.report(problem);
    }
}

fn default(node: &Node, problems: &mut Problems) -> Option<Verdict> {
    if let Some(text) = node.as_text().filter(|text| text.as_str() == "pass") {
        let problem = Problem::new(text.span(), "behind the last tier there is nothing to pass a flow to");
        problems.report(problem.help("the default is `allow`, `deny` or `reject`"));
        return None;
    }
    yaml::word(node, &VERDICTS, problems)
}
