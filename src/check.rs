//! `eastwest check`: the mistakes of a policy, what is hardly meant in it, and the claims of its authors that do not hold.

use policy::Timestamp;
use policy::check::{Checked, Warning};
use serde::Serialize;

use crate::args::{CheckArgs, CheckFormat};
use crate::ending::{Ending, Outcome};
use crate::given;
use crate::inventory::Known;
use crate::output;

#[derive(Serialize)]
struct Object {
    rules: usize,
    claims: usize,
    warnings: Vec<Warning>,
    /// What could not be looked at, and why.
    left_out: Vec<String>,
}

pub(crate) fn check(args: &CheckArgs) -> Outcome {
    let bundle = given::bundle(&args.policy)?;
    let policy = bundle.policy()?;
    let inventory = given::inventory(args.inventory.as_deref(), &args.policy);
    let known = inventory.map(|file| Known::from_file(Some(file))).transpose()?;
    let now = args.at.unwrap_or_else(Timestamp::now);
    let Checked { mut warnings, left_out, too_much } =
        policy::check(&policy, known.as_ref().map(|known| &known.inventory), now);
    warnings.extend(policy::unused(&bundle));
    let file = args.policy.display().to_string();
    warnings.iter_mut().for_each(|warning| placed(warning, &file));
    // What was not looked at is no answer: the line that says so tells what to do.
    let ending = match (warnings.is_empty(), too_much) {
        (true, false) => Ending::AsExpected,
        (true, true) => Ending::WrongInput,
        (false, _) => Ending::Findings,
    };
    let object = Object { rules: policy.rules.len(), claims: policy.tests.len(), warnings, left_out };
    match args.format {
        CheckFormat::Human => output::say(&human(&object, &file)),
        CheckFormat::Json => output::say_json(&object)?,
        CheckFormat::Github => output::say(&github(&object)),
    }
    Ok(ending)
}

/// What names no file stands in the one that was asked about.
fn placed(warning: &mut Warning, file: &str) {
    for place in std::iter::once(&mut warning.about).chain(&mut warning.other) {
        place.file.get_or_insert_with(|| file.to_owned());
    }
}

fn human(object: &Object, file: &str) -> String {
    let Object { rules, claims, warnings, left_out } = object;
    let mut text = String::new();
    for Warning { kind, about, text: told, .. } in warnings {
        let place = about.line.map(|line| format!(":{line}")).unwrap_or_default();
        let file = about.file.as_deref().unwrap_or(file);
        text.push_str(&format!("{file}{place}: {}: {}: {told}\n", kind.word(), about.name));
    }
    left_out.iter().for_each(|why| text.push_str(&format!("{file}: left out: {why}\n")));
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let claims = if *claims == 0 { String::new() } else { format!("{}, ", counted(*claims, "claim")) };
    let warnings = if warnings.is_empty() { "nothing to say".to_owned() } else { counted(warnings.len(), "warning") };
    text.push_str(&format!("{file}: {}, {claims}{warnings}\n", counted(*rules, "rule")));
    text
}

/// A workflow command for each warning.
fn github(object: &Object) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let annotation = |Warning { kind, about, text, .. }: &Warning| {
        let file = property(about.file.as_deref().unwrap_or_default());
        let line = about.line.map(|line| format!(",line={line}")).unwrap_or_default();
        format!("::warning file={file}{line},title={}::{}\n", kind.word(), escaped(&format!("{}: {text}", about.name)))
    };
    let left_out = object.left_out.iter().map(|why| format!("::notice title=left out::{}\n", escaped(why)));
    object.warnings.iter().map(annotation).chain(left_out).collect()
}
