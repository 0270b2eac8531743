//! Files that cannot be imported, and what is said of each: `tests/bad/KIND/NAME.yaml` gets the text of `NAME.txt` beside it.
//!
//! After a change that is meant, `BLESS=1 cargo test -p import --test bad` writes the texts anew; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::fs;
use std::path::{Path, PathBuf};

use import::{Options, Outcome, Source};
use policy::render_plain;

type Importer = fn(&[Source], Options) -> Outcome;
const KINDS: [(&str, Importer, usize); 2] =
    [("kubernetes", import::kubernetes, 20), ("aws", import::security_groups, 10)];

/// All cases of a kind, by name.
fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad").join(kind);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

/// What is said of a case.
fn said(case: &Path, importer: Importer) -> String {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let source = Source { name: name.clone(), text: fs::read_to_string(case).unwrap() };
    match importer(&[source], Options::default()) {
        Ok(imported) => panic!("{name} is imported as {}", imported.scenario),
        Err(files) => files.iter().map(render_plain).collect(),
    }
}

#[test]
fn each_wrong_file_gets_its_message() {
    let mut wrong = Vec::new();
    for (kind, importer, least) in KINDS {
        let cases = cases(kind);
        assert!(cases.len() >= least, "{} cases of {kind}", cases.len());
        for case in cases {
            let expected = case.with_extension("txt");
            let said = said(&case, importer);
            if std::env::var_os("BLESS").is_some() {
                fs::write(&expected, &said).unwrap();
            } else if fs::read_to_string(&expected).unwrap_or_default() != said {
                wrong.push(format!("{}\n{said}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_at_all_is_an_error() {
    for (kind, importer, _) in KINDS {
        assert!(importer(&[], Options::default()).is_err(), "{kind}");
    }
}

/// The texts of a folder of cases that are right.
fn texts(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// A text with one of its lines left out, one said twice, and one cut in its middle.
fn broken(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut broken = Vec::new();
    for (at, line) in lines.iter().enumerate().step_by(3) {
        let (before, after) = (lines[..at].concat(), lines[at + 1..].concat());
        let middle = (0..=line.len() / 2).rev().find(|end| line.is_char_boundary(*end)).unwrap();
        broken.push(format!("{before}{after}"));
        broken.push(format!("{before}{line}{line}{after}"));
        broken.push(format!("{before}{}", &line[..middle]));
        broken.push(format!("{before}{}\n{after}", &line[..middle]));
    }
    broken
}

#[test]
fn broken_files_are_told_of_or_imported() {
    let (mut wrong, mut right) = (0, 0);
    for (kind, importer, _) in KINDS {
        let names = |text: &String| Source { name: "broken.yaml".to_owned(), text: text.clone() };
        for text in texts(kind).iter().flat_map(|text| broken(text)) {
            match importer(&[names(&text)], Options::default()) {
                Ok(imported) => right += usize::from(imported.scenario.contains("\nsteps:\n")),
                Err(files) => {
                    wrong += usize::from(!files.is_empty() && files.iter().all(|file| file.problems().len() > 0))
                }
            }
        }
    }
    assert!(wrong > 500 && right > 100, "{wrong} wrong, {right} right");
}
