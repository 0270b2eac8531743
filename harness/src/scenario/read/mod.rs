//! Reading a scenario's text: everything that is wrong is told at once, each thing at its place.

pub(crate) mod agent;
mod axes;
mod bulk;
mod csv;
mod doing;
pub(crate) mod exec;
mod flow;
mod generated;
pub(crate) mod hostile;
pub(crate) mod keys;
mod known;
pub(crate) mod lines;
mod links;
pub(crate) mod local;
mod matrix;
mod policies;
mod sized;
pub(crate) mod speaks;
mod steps;
mod tiers;
pub(crate) mod topology;
mod traffic;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use policy::yaml::{self, Fields, Node};
use policy::{Errors, Problem, Problems, Span, line_and_column};

pub(crate) use self::steps::Fold;
use self::topology::Pool;
use super::{PolicyText, Scenario, Step, Variant, soon};
use crate::plan;
use crate::state::State;

/// The milliseconds that a heartbeat may have.
const HEARTBEATS: RangeInclusive<u64> = 50..=60_000;
/// Keys that the language has and this build does not.
const LATER: [&str; 1] = ["include"];

/// All that is wrong in a scenario and in the policies that it names; at least one file.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ScenarioErrors(Vec<Errors>);

impl ScenarioErrors {
    /// The errors of each file, the scenario's own first.
    #[must_use]
    pub fn files(&self) -> &[Errors] {
        &self.0
    }
}

impl From<Errors> for ScenarioErrors {
    fn from(errors: Errors) -> Self {
        Self(vec![errors])
    }
}

impl fmt::Display for ScenarioErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&files.join("; "))
    }
}

/// Why a scenario cannot be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {0}: {1}")]
    Io(String, std::io::Error),
    /// What it says is wrong.
    #[error(transparent)]
    Wrong(#[from] ScenarioErrors),
}

/// Reads a scenario from a file; policies are looked for beside it.
///
/// # Errors
/// When the file cannot be read, or what it or a policy that it names says is wrong.
pub fn load(path: &Path) -> Result<Scenario, LoadError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| LoadError::Io(shown.clone(), error))?;
    Ok(parse(&shown, &text, &mut beside(path))?)
}

/// Reads files that a scenario names, relative to its own.
pub fn beside(path: &Path) -> impl FnMut(&str) -> Result<String, String> {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    move |name| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string())
}

/// Reads a scenario from its text. `file` is how it is named; `open` gives the text of a policy file that it names.
///
/// # Errors
/// All that is wrong, in every file.
pub fn parse(
    file: &str,
    text: &str,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Scenario, ScenarioErrors> {
    parse_trial(file, text, Variant::default(), open)
}

/// The same for one of the trials that its axes make of a scenario, which bears the trial in its name.
///
/// # Errors
/// All that is wrong, in every file.
pub fn parse_trial(
    file: &str,
    text: &str,
    variant: Variant,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Scenario, ScenarioErrors> {
    read(file, text, open, |reader| {
        reader.variant = variant;
        Some(reader.scenario()?.0)
    })
}

/// The same, for a world that further steps are to be done to: with what there is before the first of its own.
pub(crate) fn parse_living(
    file: &str,
    text: &str,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(Scenario, Fold), ScenarioErrors> {
    read(file, text, open, |reader| reader.scenario())
}

/// Reads further steps, one or a list of them, as they would stand behind those that a fold knows.
pub(crate) fn parse_steps(
    fold: &mut Fold,
    (file, text): (&str, &str),
    open: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Vec<Step>, ScenarioErrors> {
    read(file, text, open, |reader| {
        let root = yaml::tree(reader.text, &mut reader.problems)?;
        Some(reader.step_or_steps(&root, fold))
    })
}

/// Reads a text; gives what it says, or all that is wrong with it and with the files that it names.
fn read<T>(
    file: &str,
    text: &str,
    open: &mut dyn FnMut(&str) -> Result<String, String>,
    what: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Result<T, ScenarioErrors> {
    let placed = soon::placed(text);
    let text = placed.as_str();
    let mut reader = Reader {
        file,
        text,
        open,
        variant: Variant::default(),
        dealt: 0,
        notes: BTreeMap::new(),
        problems: Problems::default(),
        foreign: Vec::new(),
        policies: BTreeMap::new(),
    };
    let found = what(&mut reader);
    let Reader { problems, foreign, variant, .. } = reader;
    // Only what is wrong in the trial is told of it: the file as it is written is read before.
    let shown = if variant == Variant::default() { file.to_owned() } else { format!("{file} [{variant}]") };
    let mut files: Vec<Errors> = problems.into_errors(&shown, text).into_iter().collect();
    files.extend(foreign);
    match found {
        Some(found) if files.is_empty() => Ok(found),
        _ if files.is_empty() => Err(ScenarioErrors(unread(file, text).into_iter().collect())),
        _ => Err(ScenarioErrors(files)),
    }
}

/// No scenario and no reason: said all the same.
fn unread(file: &str, text: &str) -> Option<Errors> {
    let mut problems = Problems::default();
    problems.report(Problem::new(Span::default(), "this is no scenario"));
    problems.into_errors(file, text)
}

/// What a reader holds while it goes through the text.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    open: &'a mut dyn FnMut(&str) -> Result<String, String>,
    /// Which of the scenario's trials is read.
    variant: Variant,
    /// How many VMs have been dealt over the hosts.
    dealt: usize,
    problems: Problems,
    /// What is known of cells of the step's matrices, by the notes' numbers.
    notes: BTreeMap<String, known::Note>,
    /// Errors in policy files.
    foreign: Vec<Errors>,
    /// The policies that were read, by where they stand.
    policies: BTreeMap<usize, Arc<PolicyText>>,
}

impl Reader<'_> {
    fn scenario(&mut self) -> Option<(Scenario, Fold)> {
        let root = yaml::tree(self.text, &mut self.problems)?;
        if self.is_policy(&root) {
            return None;
        }
        let fields = self.fields(&root, "a scenario", &keys::SCENARIO, &LATER)?;
        self.version(&fields);
        let stem = Path::new(self.file).file_stem().map_or(self.file, |stem| stem.to_str().unwrap_or(self.file));
        let name = fields.get("name").and_then(|node| yaml::text(node, "a name", &mut self.problems));
        let mut pool = Pool::default();
        let topology = fields.require("topology", &mut self.problems);
        let topology = topology.and_then(|node| self.topology(node, &mut pool));
        let policy = fields.get("policy").and_then(|node| self.policy(node));
        let topology = topology?;
        let axes = fields.get("axes").and_then(|node| self.axes(node, &topology.hosts)).unwrap_or_default();
        let name = name.map_or(stem, |name| name.as_str());
        let mut scenario = Scenario {
            name: if self.variant == Variant::default() {
                name.to_owned()
            } else {
                format!("{name} [{}]", self.variant)
            },
            file: self.file.to_owned(),
            source: Arc::from(self.text),
            slow: self.flag(&fields, "slow"),
            soak: self.flag(&fields, "soak"),
            exclusive: self.flag(&fields, "exclusive"),
            heartbeat: fields.get("heartbeat").and_then(|node| self.heartbeat(node)),
            axes,
            topology,
            policy,
            steps: Vec::new(),
        };
        let fold = Fold::new(State::initial(&scenario), pool);
        if let Some(steps) = fields.get("steps") {
            scenario.steps = self.steps(steps, &mut fold.clone());
            plan::check(&scenario, &mut self.problems);
        }
        Some((scenario, fold))
    }

    /// Tells of a policy where a scenario is asked for; then nothing else is worth telling.
    fn is_policy(&mut self, root: &Node) -> bool {
        let fields = Fields::of(root, "a scenario", &[], &mut Problems::default());
        let version = fields.and_then(|fields| fields.get("eastwest")).and_then(Node::as_text);
        let Some(text) = version.filter(|text| text.as_str() == "policy/v1") else { return false };
        let problem = Problem::new(text.span(), "this is a policy, and a scenario is asked for");
        let help =
            format!("write a scenario that says `policy: {}`: who there is, and what must come of it", self.file);
        self.problems.report(problem.help(help));
        true
    }

    fn version(&mut self, fields: &Fields<'_>) {
        let Some(node) = fields.require("eastwest", &mut self.problems) else { return };
        let Some(text) = yaml::text(node, "`scenario/v1`", &mut self.problems) else { return };
        match text.as_str() {
            "scenario/v1" => {}
            other => {
                let problem = Problem::new(text.span(), format!("`{other}` is no format of scenarios"));
                self.problems.report(problem.help("write `eastwest: scenario/v1`"));
            }
        }
    }

    /// The fields of a mapping; keys of the language that this build does not have are told as such.
    fn fields<'n>(&mut self, node: &'n Node, what: &'n str, known: &[&str], later: &[&str]) -> Option<Fields<'n>> {
        let all: Vec<&str> = known.iter().chain(later).copied().collect();
        let entries = yaml::pairs(node, what, &mut self.problems)?;
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let key = entry.key.as_str();
            match later.contains(&key) {
                true => self.not_yet(entry.key.span(), key),
                false => {
                    let problem = Problem::new(entry.key.span(), format!("{what} has no key `{key}`"));
                    self.problems.report(problem.maybe_help(policy::did_you_mean(key, known)));
                }
            }
        }
        Fields::of(node, what, &[&all[..], &written(entries)].concat(), &mut self.problems)
    }

    fn flag(&mut self, fields: &Fields<'_>, key: &str) -> bool {
        fields.get(key).and_then(|node| yaml::flag(node, &mut self.problems)).unwrap_or(false)
    }

    fn heartbeat(&mut self, node: &Node) -> Option<Duration> {
        let text = yaml::text(node, "a time such as 500ms", &mut self.problems)?;
        let millis = text.as_str().strip_suffix("ms").and_then(|number| number.parse().ok());
        let found = millis.filter(|millis| HEARTBEATS.contains(millis)).map(Duration::from_millis);
        if found.is_none() {
            let problem = Problem::new(text.span(), format!("`{}` is no heartbeat", text.as_str()));
            let (least, most) = (HEARTBEATS.start(), HEARTBEATS.end());
            self.problems.report(problem.help(format!("a whole number of milliseconds from {least}ms to {most}ms")));
        }
        found
    }

    fn wrong(&mut self, span: Span, message: impl Into<String>) {
        self.problems.report(Problem::new(span, message));
    }

    fn not_yet(&mut self, span: Span, what: &str) {
        let problem = Problem::new(span, format!("not yet: `{what}`"));
        self.problems.report(problem.help("the language has it, this build does not"));
    }

    fn line(&self, span: Span) -> usize {
        line_and_column(self.text, span.start).0
    }
}

fn written(entries: &[yaml::Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}
