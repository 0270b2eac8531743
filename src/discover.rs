//! Which scenarios a command line means: files, folders of them, standard input, and a filter over all.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness::plan::{Visits, plan};
use harness::scenario::{LoadError, Scenario, Variant, beside, parse_trial};
use policy::{Problems, Timestamp, yaml};

use crate::ending::Failure;
use crate::given;

/// How the text of a scenario begins.
const HEAD: &str = "eastwest: scenario/v1";
/// The deepest folder that is looked into, below the one that was named.
const DEEPEST: usize = 32;

/// A scenario that was found, or one of the trials that its axes make of it.
#[derive(Debug)]
pub(crate) struct Found {
    /// The file; `-` for standard input.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: Arc<str>,
    /// What it says.
    pub(crate) scenario: Scenario,
    /// Which of the file's trials it is.
    pub(crate) variant: Variant,
    /// In which order its states are visited.
    pub(crate) visits: Visits,
    /// It was asked for: its file was named, or a folder whose scenarios are all slow.
    pub(crate) asked_for: bool,
}

impl Found {
    /// Reads one of a file's trials.
    fn read(path: &Path, text: &Arc<str>, variant: Variant) -> Result<Self, Failure> {
        let parsed = parse_trial(&path.display().to_string(), text, variant, &mut beside(path));
        let scenario = parsed.map_err(|errors| failure(LoadError::Wrong(errors)))?;
        let (path, text, visits) = (path.to_owned(), Arc::clone(text), Visits::Written);
        Ok(Self { path, text, scenario, variant, visits, asked_for: false })
    }

    /// Every trial of a file.
    fn trials(path: &Path, text: &Arc<str>) -> Result<Vec<Self>, Failure> {
        let written = Self::read(path, text, Variant::default())?;
        let variants = written.scenario.axes.variants();
        if variants == [Variant::default()] {
            return Ok(vec![written]);
        }
        variants.into_iter().map(|variant| Self::read(path, text, variant)).collect()
    }

    /// Has its states visited in an order, which its name tells from then on; one in which nothing can be ordered
    /// otherwise than it is written stays as it is.
    pub(crate) fn visit(&mut self, visits: Visits) {
        let other = (visits != Visits::Written).then(|| plan(&self.scenario, Timestamp::UNIX_EPOCH));
        if other.and_then(|steps| visits.arrange(&steps)).is_some() {
            self.visits = visits;
            self.scenario.name += &format!(" [{visits}]");
        }
    }

    /// What runners of tests call it: no other scenario is called so, and it is one line.
    pub(crate) fn listed(&self) -> String {
        format!("{}::{}", self.scenario.file, self.scenario.name).replace(char::is_control, " ")
    }

    /// Why it is left out, if it is. `slow`, `soak`: such are wanted as well.
    pub(crate) fn left_out(&self, slow: bool, soak: bool) -> Option<&'static str> {
        match (self.scenario.slow && !slow && !soak, self.scenario.soak && !soak) {
            _ if self.asked_for => None,
            (_, true) => Some("it is a soak: `--soak` runs it, and so does naming its file"),
            (true, false) => Some("it is slow: `--slow` runs it, and so does naming its file"),
            (false, false) => None,
        }
    }
}

/// Every scenario of the paths that the filter lets through, in the order of the paths, those of a folder sorted.
pub(crate) fn discover(paths: &[PathBuf], filter: Option<&str>) -> Result<Vec<Found>, Failure> {
    let sources = paths.iter().map(|path| Source::of(path)).collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<Found> = Vec::new();
    let mut mistakes = Vec::new();
    let mut seen = HashSet::new();
    // A file that is meant twice is run once.
    for (path, text) in sources.iter().flat_map(|source| &source.files).filter(|(path, _)| seen.insert(path)) {
        match Found::trials(path, &text.as_str().into()) {
            Ok(trials) => found.extend(trials),
            Err(Failure::Mistakes(files)) => mistakes.extend(files),
            Err(other) => return Err(other),
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes));
    }
    ask(&sources, &mut found);
    if let Some(filter) = filter {
        found.retain(|found| matches(filter, &found.scenario.name) || matches(filter, &found.scenario.file));
        if found.is_empty() {
            return Err(Failure::Input(format!("find a scenario whose name or file matches `{filter}`")));
        }
    }
    Ok(found)
}

/// The one scenario of the paths that is listed so. It is asked for.
pub(crate) fn exactly(paths: &[PathBuf], listed: &str) -> Result<Vec<Found>, Failure> {
    let mut found = discover(paths, None)?;
    found.retain(|found| found.listed() == listed);
    found.iter_mut().for_each(|found| found.asked_for = true);
    match found.len() {
        1 => Ok(found),
        0 => Err(Failure::Input(format!("find `{listed}`: `eastwest list --format terse` says what there is"))),
        many => Err(Failure::Input(format!("tell {many} scenarios apart that are called `{listed}`"))),
    }
}

/// Marks what is asked for: the files that were named, and those of a folder that holds slow scenarios alone.
fn ask(sources: &[Source], found: &mut [Found]) {
    let slow: HashSet<PathBuf> = found
        .iter()
        .filter(|found| found.scenario.slow || found.scenario.soak)
        .map(|found| found.path.clone())
        .collect();
    let meant = |source: &&Source| !source.is_folder || source.files.iter().all(|(path, _)| slow.contains(path));
    let asked: HashSet<&PathBuf> =
        sources.iter().filter(meant).flat_map(|source| &source.files).map(|(path, _)| path).collect();
    found.iter_mut().for_each(|found| found.asked_for = asked.contains(&found.path));
}

/// One scenario from a file or from standard input, as it is written.
pub(crate) fn one(path: &Path) -> Result<Found, Failure> {
    Found::read(path, &text_of(path)?.into(), Variant::default())
}

/// Every trial of one scenario from a file or from standard input.
pub(crate) fn trials(path: &Path) -> Result<Vec<Found>, Failure> {
    Found::trials(path, &text_of(path)?.into())
}

/// A scenario, or a file with a `topology:` alone, as an inventory.
pub(crate) fn inventory(path: &Path) -> Result<Scenario, Failure> {
    topology(path).map(|found| found.scenario)
}

/// The same, so that its topology can be raised.
pub(crate) fn topology(path: &Path) -> Result<Found, Failure> {
    let mut text = text_of(path)?;
    if !text.lines().any(|line| line.starts_with("eastwest:")) {
        // At the end, so that mistakes keep their lines.
        let mut problems = Problems::default();
        let _tree = yaml::tree(&text, &mut problems);
        problems.into_errors(&path.display().to_string(), &text).map_or(Ok(()), |errors| Err(Failure::from(errors)))?;
        text.push_str(&format!("\n{HEAD}\n"));
    }
    Found::read(path, &text.into(), Variant::default())
}

/// Whether a file is a scenario.
pub(crate) fn is_scenario(path: &Path) -> bool {
    // What is no file, such as a pipe, can be read but once.
    path.is_file() && std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.starts_with(HEAD)))
}

/// The scenario that a file is, if it is one.
pub(crate) fn scenario(path: &Path) -> Result<Option<Scenario>, Failure> {
    is_scenario(path).then(|| inventory(path)).transpose()
}

fn failure(error: LoadError) -> Failure {
    match error {
        LoadError::Io(file, error) => Failure::Input(format!("read {file}: {error}")),
        LoadError::Wrong(errors) => Failure::Mistakes(errors.files().to_vec()),
    }
}

/// What one path of the command line means.
struct Source {
    is_folder: bool,
    /// Each file with its text.
    files: Vec<(PathBuf, String)>,
}

impl Source {
    fn of(path: &Path) -> Result<Self, Failure> {
        let is_folder = path.is_dir();
        let files = if is_folder { texts_of_folder(path)? } else { vec![(path.to_owned(), text_of(path)?)] };
        Ok(Self { is_folder, files })
    }
}

fn texts_of_folder(folder: &Path) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut texts = Vec::new();
    for file in yaml_files(folder)? {
        let text = text_of(&file)?;
        if begins(&text) {
            texts.push((file, text));
        }
    }
    if texts.is_empty() {
        let folder = folder.display();
        return Err(Failure::Input(format!("find a scenario in {folder}: no `*.yaml` in it begins with `{HEAD}`")));
    }
    Ok(texts)
}

pub(crate) fn text_of(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| Failure::Input(format!("read standard input: {error}")));
    }
    given::text(path)
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let wrong = |folder: &Path, error: std::io::Error| Failure::Input(format!("read {}: {error}", folder.display()));
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| wrong(&folder, error))? {
            let path = entry.map_err(|error| wrong(&folder, error))?.path();
            if path.is_dir() && depth < DEEPEST {
                folders.push((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether the first line that is no comment says that this is a scenario.
fn begins(text: &str) -> bool {
    let lines = text.lines().map(str::trim_end);
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with('#') && *line != "---");
    first.and_then(|line| line.strip_prefix(HEAD)).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Whether a text holds the expression, or matches it where it has `*` or `?`.
fn matches(expression: &str, text: &str) -> bool {
    if !expression.contains(['*', '?']) {
        return text.contains(expression);
    }
    let (expression, text): (Vec<char>, Vec<char>) = (expression.chars().collect(), text.chars().collect());
    let (mut at, mut star, mut here) = (0, None, 0);
    while here < text.len() {
        match expression.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[here] => {
                at += 1;
                here += 1;
            }
            Some(_) | None => {
                let Some((before, reached)) = star else { return false };
                star = Some((before, reached + 1));
                at = before + 1;
                here = reached + 1;
            }
        }
    }
    expression[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::{begins, matches};

    #[test]
    fn a_filter_is_a_part_or_a_glob() {
        let rows = [
            ("move", "a vm may move", true),
            ("Move", "a vm may move", false),
            ("move*", "a vm may move", false),
            ("*move", "a vm may move", true),
            ("a*m*e", "a vm may move", true),
            ("a?vm*", "a vm may move", true),
            ("a??vm*", "a vm may move", false),
            ("*", "", true),
            ("?", "", false),
            ("scenarios/*.yaml", "scenarios/deep/x.yaml", true),
            ("*ab", "aab", true),
            ("*ab", "aaba", false),
        ];
        for (expression, text, expected) in rows {
            assert_eq!(matches(expression, text), expected, "{expression} on {text}");
        }
    }

    #[test]
    fn a_scenario_is_known_by_its_first_line() {
        let rows = [
            ("eastwest: scenario/v1\nname: a\n", true),
            ("# why\n\n---\neastwest: scenario/v1 # so\n", true),
            ("eastwest: scenario/v10\n", false),
            ("eastwest: policy/v1\n", false),
            ("name: a\neastwest: scenario/v1\n", false),
            ("", false),
        ];
        for (text, expected) in rows {
            assert_eq!(begins(text), expected, "{text:?}");
        }
    }
}
