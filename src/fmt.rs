//! `eastwest fmt`: policies and scenarios in their canonical form.

use std::io::Read;
use std::path::{Path, PathBuf};

use policy::{Bundle, FormatError, Source};

use crate::ending::{Ending, Failure, Outcome};
use crate::given;
use crate::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  eastwest fmt policy.yaml
  eastwest fmt --check policies/*.yaml scenarios/*.yaml      in CI: exit code 1 where one is not in its form
  eastwest fmt - < policy.yaml                               to standard output

Comments and order stay, and so does what the file says. A file with mistakes is left as it is.")]
pub(crate) struct FmtArgs {
    /// Policy or scenario files; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing: only say which files are not in their canonical form, and where
    #[arg(long)]
    pub(crate) check: bool,
}

/// How many lines of a file are shown that are not in its form.
const SHOWN: usize = 5;

pub(crate) fn fmt(args: &FmtArgs) -> Outcome {
    let (mut changed, mut mistakes) = (0_usize, Vec::new());
    for path in args.files.iter().flat_map(|path| given::tiers(path)) {
        match one(&path, args.check) {
            Ok(different) => changed += usize::from(different),
            Err(Failure::Mistakes(errors)) => mistakes.extend(errors),
            Err(failure) => return Err(failure),
        }
    }
    if !mistakes.is_empty() {
        return Err(Failure::Mistakes(mistakes));
    }
    Ok(if args.check && changed > 0 { Ending::Findings } else { Ending::AsExpected })
}

/// Whether a file was, or would be, changed.
fn one(path: &Path, check: bool) -> Result<bool, Failure> {
    let piped = path.as_os_str() == "-";
    let name = if piped { "standard input".to_owned() } else { path.display().to_string() };
    let text = if piped { standard_input()? } else { given::text(path)? };
    if !text.lines().any(|line| line.trim_start_matches(['{', ' ']).starts_with("eastwest:")) {
        let forms = "its first key is `eastwest: policy/v1` or `eastwest: scenario/v1`";
        return Err(Failure::Input(format!("format {name}: it is neither a policy nor a scenario: {forms}")));
    }
    let formatted = policy::format(&bundle(&name, &text)?).map_err(failure)?;
    let differs = formatted != text;
    match (check, piped) {
        (true, _) if differs => output::say(&hint(&name, &text, &formatted)),
        (true, _) => {}
        (false, true) => output::say(&formatted),
        (false, false) if differs => {
            std::fs::write(path, &formatted).map_err(|error| Failure::Input(format!("write {name}: {error}")))?;
            output::say(&format!("{name}: formatted\n"));
        }
        (false, false) => {}
    }
    Ok(differs)
}

/// A policy with what it includes, or a file of another kind alone.
fn bundle(name: &str, text: &str) -> Result<Bundle, Failure> {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    let says = text.lines().find_map(|line| line.strip_prefix("eastwest:"));
    if says.is_none_or(|version| version.trim() != policy::VERSION) {
        return Ok(Bundle::from(source));
    }
    let mut open = |file: &str| std::fs::read_to_string(file).map_err(|error| error.to_string());
    Ok(Bundle::load(vec![source], &mut open)?)
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map(|_| text).map_err(|error| Failure::Input(format!("read standard input: {error}")))
}

fn failure(error: FormatError) -> Failure {
    match error {
        FormatError::Mistakes(errors) => Failure::from(errors),
        FormatError::Fault(fault) => Failure::Fault(fault),
    }
}

/// The first lines that differ, as they are and as they should be.
fn hint(name: &str, text: &str, formatted: &str) -> String {
    let mut told = format!("{name}: not in its canonical form; `eastwest fmt {name}` writes it so\n");
    let (mut old, mut new) = (text.split('\n'), formatted.split('\n'));
    let (mut number, mut shown) = (0, 0);
    loop {
        number += 1;
        match (old.next(), new.next()) {
            (None, None) => return told,
            (one, other) if one == other => {}
            (one, other) if shown < SHOWN => {
                shown += 1;
                one.iter().for_each(|line| told.push_str(&format!("  {number} - {}\n", line.escape_debug())));
                other.iter().for_each(|line| told.push_str(&format!("  {number} + {}\n", line.escape_debug())));
            }
            (_, _) => return told + "  …\n",
        }
    }
}
