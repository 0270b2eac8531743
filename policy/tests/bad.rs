//! Wrong policy files, and what is said of each: `tests/bad/NAME.yaml` gets the text of `tests/bad/NAME.txt`.
//!
//! After a change that is meant, `BLESS=1 cargo test -p policy --test bad` writes the texts anew; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the cases are files")]

use std::fs;
use std::path::{Path, PathBuf};

use policy::{parse, render_plain};

/// All cases, by name.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

/// What is said of a case.
fn said(case: &Path) -> String {
    let name = case.file_name().unwrap().to_string_lossy();
    match parse(&name, &fs::read_to_string(case).unwrap()) {
        Ok(policy) => panic!("{name} is read as {policy:#?}"),
        Err(errors) => render_plain(&errors),
    }
}

#[test]
fn each_wrong_file_gets_its_message() {
    let cases = cases();
    assert!(cases.len() >= 15, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let expected = case.with_extension("txt");
        let said = said(&case);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}\n{said}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
