//! Which scenarios a command line means: files, folders of them, standard input, and a filter over all.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use harness::scenario::{LoadError, Scenario, parse};

use crate::check::read_text;
use crate::ending::Failure;

/// How the text of a scenario begins.
const HEAD: &str = "eastwest: scenario/v1";
/// The deepest folder that is looked into, below the one that was named.
const DEEPEST: usize = 32;

/// A scenario that was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The file; `-` for standard input.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
    /// What it says.
    pub(crate) scenario: Scenario,
    /// It was found in a folder and not named itself.
    pub(crate) by_folder: bool,
}

impl Found {
    /// Why it is left out, if it is.
    pub(crate) fn left_out(&self) -> Option<&'static str> {
        (self.by_folder && self.scenario.slow).then_some("it is slow: name its file to run it")
    }
}

/// Every scenario of the paths that the filter lets through, in the order of the paths, those of a folder sorted.
pub(crate) fn discover(paths: &[PathBuf], filter: Option<&str>) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    let mut mistakes = Vec::new();
    for (path, text, by_folder) in texts(paths)? {
        match read(&path, &text) {
            Ok(scenario) => found.push(Found { path, text, scenario, by_folder }),
            Err(Failure::Mistakes(files)) => mistakes.extend(files),
            Err(other) => return Err(other),
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes));
    }
    if let Some(filter) = filter {
        found.retain(|found| matches(filter, &found.scenario.name) || matches(filter, &found.scenario.file));
        if found.is_empty() {
            return Err(Failure::Input(format!("find a scenario whose name or file matches `{filter}`")));
        }
    }
    Ok(found)
}

/// One scenario from a file or from standard input.
pub(crate) fn one(path: &Path) -> Result<Found, Failure> {
    let text = text_of(path)?;
    let scenario = read(path, &text)?;
    Ok(Found { path: path.to_owned(), text, scenario, by_folder: false })
}

/// A scenario, or a file with a `topology:` alone, as an inventory.
pub(crate) fn inventory(path: &Path) -> Result<Scenario, Failure> {
    let mut text = text_of(path)?;
    if !text.lines().any(|line| line.starts_with("eastwest:")) {
        // At the end, so that mistakes keep their lines.
        text.push_str(&format!("\n{HEAD}\n"));
    }
    read(path, &text)
}

fn read(path: &Path, text: &str) -> Result<Scenario, Failure> {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut open = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|error| error.to_string());
    parse(&path.display().to_string(), text, &mut open).map_err(|errors| failure(LoadError::Wrong(errors)))
}

fn failure(error: LoadError) -> Failure {
    match error {
        LoadError::Io(file, error) => Failure::Input(format!("read {file}: {error}")),
        LoadError::Wrong(errors) => Failure::Mistakes(errors.files().to_vec()),
    }
}

fn texts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String, bool)>, Failure> {
    let mut texts = Vec::new();
    for path in paths {
        if path.is_dir() {
            texts.extend(texts_of_folder(path)?);
        } else {
            texts.push((path.clone(), text_of(path)?, false));
        }
    }
    // A file that is meant twice is run once, and counts as named if it was.
    let named: Vec<PathBuf> =
        texts.iter().filter(|(.., by_folder)| !by_folder).map(|(path, ..)| path.clone()).collect();
    let mut seen = HashSet::new();
    texts.retain(|(path, ..)| seen.insert(path.clone()));
    texts.iter_mut().for_each(|(path, _, by_folder)| *by_folder &= !named.contains(path));
    Ok(texts)
}

fn texts_of_folder(folder: &Path) -> Result<Vec<(PathBuf, String, bool)>, Failure> {
    let mut texts = Vec::new();
    for file in yaml_files(folder)? {
        let text = text_of(&file)?;
        if begins(&text) {
            texts.push((file, text, true));
        }
    }
    if texts.is_empty() {
        let folder = folder.display();
        return Err(Failure::Input(format!("find a scenario in {folder}: no `*.yaml` in it begins with `{HEAD}`")));
    }
    Ok(texts)
}

fn text_of(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| Failure::Input(format!("read standard input: {error}")));
    }
    read_text(path)
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
