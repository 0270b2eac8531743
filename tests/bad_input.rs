//! What is said of wrong files, as a page of the book: docs/bad-input.md is written from the tests' own bad files.
//!
//! `EASTWEST_BLESS=1 cargo test --release --test bad_input` writes the page anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "docs/bad-input.md";
const HEAD: &str = "\
# What is said of wrong files

Written by `tests/bad_input.rs` from files under `policy/tests/bad` and `harness/tests/bad`; do not edit it by hand. Everything that is wrong
in a file is told at once, each thing at its place; the exit code is 2, and nothing is run.
";

/// Folders of bad files, and the command that reads them.
const FOLDERS: [(&str, &str, &str); 2] =
    [("Policies", "policy/tests/bad", "check"), ("Scenarios", "harness/tests/bad", "list")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn bad_files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut files: Vec<PathBuf> = entries.map(|name| Path::new(folder).join(name)).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

/// What the command says of a file, which it must refuse.
fn said(command: &str, file: &Path) -> String {
    let mut eastwest = Command::new(env!("CARGO_BIN_EXE_eastwest"));
    let output = eastwest.current_dir(root()).arg(command).arg(file).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{}: {said}", file.display());
    assert!(said.contains("error: "), "{}: {said}", file.display());
    said.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut count = 0;
    for (title, folder, command) in FOLDERS {
        write!(page, "\n## {title}\n\n| file | what is said |\n|---|---|\n").unwrap();
        let files: Vec<(String, String)> = bad_files(folder)
            .iter()
            .map(|file| (file.file_stem().unwrap().to_string_lossy().into_owned(), said(command, file)))
            .collect();
        count += files.len();
        for (name, said) in &files {
            let errors = said.lines().filter_map(|line| line.strip_prefix("error: "));
            let cell: Vec<String> = errors.map(|error| error.replace('|', "\\|")).collect();
            writeln!(page, "| [{name}](#{}-{name}) | {} |", title.to_lowercase(), cell.join("<br>")).unwrap();
        }
        for (name, said) in &files {
            let kind = title.to_lowercase();
            write!(page, "\n### {kind} {name}\n\n````text\n{said}\n````\n").unwrap();
        }
    }
    assert!(count >= 25, "only {count} bad files");
    page
}

#[test]
fn the_page_shows_what_is_said_of_wrong_files() {
    let page = page();
    let path = root().join(PAGE);
    if std::env::var_os("EASTWEST_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differing = written.lines().zip(page.lines()).find(|(a, b)| a != b);
    assert!(written == page, "{PAGE} is out of date, at {differing:?}: EASTWEST_BLESS=1 writes it anew");
}
