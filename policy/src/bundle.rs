//! The files of a policy: tiers in an order, and what they include; as one text where they travel together.

use crate::parse::{document, included};
use crate::yaml::{self, Fields, Node, Value};
use crate::{Errors, Policy, Problem, Problems, Span, parse};

/// What the first key of several files in one text says.
const VERSION: &str = "bundle/v1";
/// How many files a policy may have, those included counted.
const MOST: usize = 64;

/// One file of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, which errors and explanations tell.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// All files of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The tiers, in their order; at least one.
    pub tiers: Vec<Source>,
    /// What they include.
    pub included: Vec<Source>,
}

impl From<Source> for Bundle {
    fn from(source: Source) -> Self {
        Self { tiers: vec![source], included: Vec::new() }
    }
}

impl Bundle {
    /// A policy's files in their order, with what they include. `open` gives a file's text; what a file includes is looked
    /// for beside it.
    ///
    /// # Errors
    /// Includes that cannot be opened, each at its place.
    pub fn load(tiers: Vec<Source>, open: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<Self, Errors> {
        let mut bundle = match tiers.as_slice() {
            [only] => Self::read(&only.name, &only.text)?,
            _ => Self { tiers, included: Vec::new() },
        };
        let mut wrong: Option<Errors> = None;
        for tier in bundle.tiers.clone() {
            wrong = Errors::joined(wrong, bundle.include(&tier, open));
        }
        wrong.map_or(Ok(bundle), Err)
    }

    /// Opens what a file includes; what cannot be opened comes back.
    fn include(&mut self, tier: &Source, open: &mut dyn FnMut(&str) -> Result<String, String>) -> Option<Errors> {
        let mut problems = Problems::default();
        for (span, name) in includes(&tier.name, &tier.text) {
            if self.included.iter().any(|known| known.name == name) {
                continue;
            }
            match open(&name) {
                Ok(text) => self.included.push(Source { name, text }),
                Err(why) => {
                    let problem = Problem::new(span, format!("cannot read the file `{name}`: {why}"));
                    problems.report(problem.help("included files are looked for beside the file that names them"));
                }
            }
        }
        problems.into_errors(&tier.name, &tier.text)
    }

    /// The files of a text that was published: one policy as it stands, or several that [`Bundle::text`] put together.
    ///
    /// # Errors
    /// Such a text that does not name its files.
    pub fn read(name: &str, text: &str) -> Result<Self, Errors> {
        let single = || Self::from(Source { name: name.to_owned(), text: text.to_owned() });
        if !text.trim_start().starts_with(&format!("eastwest: {VERSION}")) {
            return Ok(single());
        }
        let mut problems = Problems::default();
        let found = yaml::tree(text, &mut problems).and_then(|root| unpacked(&root, &mut problems));
        match (problems.into_errors(name, text), found) {
            (Some(errors), _) => Err(errors),
            (None, found) => Ok(found.unwrap_or_else(single)),
        }
    }

    /// All files as one text; a single file without includes as it stands.
    #[must_use]
    pub fn text(&self) -> String {
        if let ([only], []) = (self.tiers.as_slice(), self.included.as_slice()) {
            return only.text.clone();
        }
        let names: Vec<String> = self.tiers.iter().map(|source| quoted(&source.name)).collect();
        let mut text = format!("eastwest: {VERSION}\ntiers: [{}]\nfiles:\n", names.join(", "));
        for source in self.tiers.iter().chain(&self.included) {
            text.push_str(&format!("  {}: {}", quoted(&source.name), block(&source.text)));
        }
        text
    }

    /// The policy that the files make.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn policy(&self) -> Result<Policy, Errors> {
        let (mut whole, mut wrong): (Option<Policy>, Option<Errors>) = (None, None);
        let count = self.tiers.len();
        for (place, Source { name, text }) in self.tiers.iter().enumerate() {
            let mut problems = Problems::default();
            let setting = document::Setting { file: name, place, count, bundle: self };
            let part = yaml::tree(text, &mut problems).and_then(|root| {
                parse::versioned(&root, &mut problems);
                document::read(&root, text, &setting, &mut problems)
            });
            let same = |part: &Policy| whole.as_ref().is_some_and(|whole| shares_a_tier(whole, part));
            if part.as_ref().is_some_and(same) {
                let problem = Problem::new(Span::default(), "another tier has the name of this one");
                problems.report(problem.help("write `tier: NAME` at its top"));
            }
            wrong = Errors::joined(wrong, problems.into_errors(name, text));
            whole = match (whole, part) {
                (Some(whole), Some(part)) => Some(document::joined(whole, part)),
                (whole, part) => part.or(whole),
            };
        }
        for Source { name, text } in &self.included {
            wrong = Errors::joined(wrong, included::mistakes(name, text));
        }
        let nothing = || Errors::single("policy", "", Problem::new(Span::default(), "not a policy"));
        match wrong {
            Some(errors) => Err(errors),
            None => whole.ok_or_else(nothing),
        }
    }

    /// A file that another includes.
    pub(crate) fn included_by(&self, file: &str, name: &str) -> Option<&Source> {
        let name = beside(file, name);
        self.included.iter().find(|source| source.name == name)
    }
}

fn shares_a_tier(whole: &Policy, part: &Policy) -> bool {
    let named = |policy: &Policy| policy.tiers.iter().filter_map(|tier| tier.name.clone()).collect::<Vec<_>>();
    named(part).iter().any(|name| named(whole).contains(name))
}

/// The name of a file that stands beside another.
fn beside(file: &str, name: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) if !name.starts_with('/') => format!("{folder}/{name}"),
        Some(_) | None => name.to_owned(),
    }
}

/// What a file says that it includes, with the places; what is wrong with it is told when it is read.
fn includes(file: &str, text: &str) -> Vec<(Span, String)> {
    let mut quiet = Problems::default();
    let Some(root) = yaml::tree(text, &mut quiet) else { return Vec::new() };
    let listed = Fields::of(&root, "a policy", &[], &mut quiet).and_then(|fields| fields.get("include"));
    let items = listed.map(yaml::one_or_many).unwrap_or_default();
    items.iter().filter_map(Node::as_text).map(|text| (text.span(), beside(file, text.as_str()))).take(MOST).collect()
}

fn unpacked(root: &Node, problems: &mut Problems) -> Option<Bundle> {
    let fields = Fields::of(root, "a bundle", &["eastwest", "tiers", "files"], problems)?;
    let tiers = fields.require("tiers", problems).and_then(|node| yaml::items(node, "a list of files", problems))?;
    let files = fields.require("files", problems).and_then(|node| yaml::pairs(node, "files", problems))?;
    let mut bundle = Bundle { tiers: Vec::new(), included: Vec::new() };
    let source = |name: &str| {
        let entry = files.iter().find(|entry| entry.key.as_str() == name)?;
        let Value::Scalar(text) = &entry.value.value else { return None };
        Some(Source { name: name.to_owned(), text: text.as_str().to_owned() })
    };
    for item in tiers {
        let name = yaml::text(item, "the name of a file", problems)?;
        match source(name.as_str()) {
            Some(found) => bundle.tiers.push(found),
            None => problems.report(Problem::new(name.span(), format!("there is no file `{}`", name.as_str()))),
        }
    }
    let others = files.iter().filter(|entry| !bundle.tiers.iter().any(|tier| tier.name == entry.key.as_str()));
    bundle.included = others.filter_map(|entry| source(entry.key.as_str())).collect();
    if bundle.tiers.is_empty() {
        problems.report(Problem::new(root.span, "a bundle has at least one tier"));
    }
    (!bundle.tiers.is_empty()).then_some(bundle)
}

/// A text in double quotes, as JSON has it, which is YAML too.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            letter if letter.is_ascii_graphic() || letter == ' ' => out.push(letter),
            letter => {
                let mut units = [0; 2];
                letter.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
    out.push('"');
    out
}

/// A text as a block that people can read, where YAML gives it back as it was.
fn block(text: &str) -> String {
    let plain = |letter: char| letter == '\n' || letter == '\t' || letter == ' ' || letter.is_alphanumeric();
    let plain = |letter: char| plain(letter) || letter.is_ascii_graphic() || matches!(letter, '–' | '—' | '…' | '’');
    if !text.ends_with('\n') || text.trim().is_empty() || !text.chars().all(plain) {
        return format!("{}\n", quoted(text));
    }
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") };
    format!("|2+\n{}", text.lines().map(line).collect::<String>())
}
