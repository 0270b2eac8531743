//! `eastwest doctor`: whether this machine can raise a lab, each thing tried.

use lab::Check;

use crate::args::{DoctorArgs, Format};
use crate::ending::{Ending, Outcome};
use crate::output;

pub(crate) fn doctor(args: &DoctorArgs) -> Outcome {
    let checks = lab::doctor(&["jail"]);
    match args.format {
        Format::Human => checks.iter().for_each(|check| output::say(&lines(check))),
        Format::Json => output::say_json(&checks)?,
    }
    let well = checks.iter().all(|check| check.ok);
    Ok(if well { Ending::AsExpected } else { Ending::Lacking })
}

fn lines(check: &Check) -> String {
    let Check { name, ok, detail, remedy } = check;
    let word = if *ok { "ok" } else { "MISSING" };
    let remedy = if remedy.is_empty() { String::new() } else { format!("         what to do: {remedy}\n") };
    format!("{word:>7}  {name}: {detail}\n{remedy}")
}
