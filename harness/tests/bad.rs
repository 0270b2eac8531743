//! Wrong scenarios, and what is said of each: `tests/bad/NAME.yaml` gets the text of `tests/bad/NAME.txt`.
//!
//! After a change that is meant, `BLESS=1 cargo test -p harness --test bad` writes the texts anew; read the difference.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::fs;
use std::path::Path;

use harness::scenario::parse;
use policy::render_plain;

fn open(name: &str) -> Result<String, String> {
    match name {
        "broken.yaml" => Ok("eastwest: policy/v1\nrules: []\ndefalt: deny\n".to_owned()),
        "broken.csv" => Ok("->,a,b\na,.,x\nb,+\nc,y,.\n".to_owned()),
        _ => Err("no such file".to_owned()),
    }
}

#[test]
fn each_wrong_scenario_gets_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mut wrong = Vec::new();
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    assert!(files.len() >= 15);
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let said = match parse(&name, &text, &mut open) {
            Ok(_) => "accepted\n".to_owned(),
            Err(errors) => errors.files().iter().map(render_plain).collect::<Vec<_>>().join("\n"),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if said == "accepted\n" || fs::read_to_string(&golden).unwrap_or_default() != said {
            wrong.push(format!("{name}:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
