//! `outage: keep-last | closed | lease DURATION`

use crate::yaml::{self, Node, Text};
use crate::{Outage, Problem, Problems};

/// The shortest lease: an agent hears its center every two seconds, and a few of these words may be late.
const SHORTEST: u32 = 10;
/// The longest lease, a year: whoever wants a longer one means `keep-last`.
const LONGEST: u32 = 366 * 86_400;
/// The units of a duration, in seconds.
const UNITS: [(char, u32); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];

pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<Outage> {
    let text = yaml::text(node, "one of `keep-last`, `closed` and `lease DURATION`", problems)?;
    let mut words = text.as_str().split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    match (first, second, words.next()) {
        ("keep-last", None, None) => Some(Outage::KeepLast),
        ("closed", None, None) => Some(Outage::Closed),
        ("lease", Some(duration), None) => lease(text, duration, problems),
        ("lease", None, None) => refuse(text, "`lease` needs a duration", Some(EXAMPLE.to_owned()), problems),
        (_, _, _) => {
            let meant = crate::nearest(first, ["keep-last", "closed", "lease"]);
            let help =
                meant.map(|word| format!("did you mean `{}`?", if word == "lease" { "lease 10m" } else { word }));
            let what = format!("`{}` is none of `keep-last`, `closed` and `lease DURATION`", text.as_str());
            refuse(text, &what, help, problems)
        }
    }
}

const EXAMPLE: &str = "write a whole number and its unit (s, m, h, d), such as `lease 10m`";

fn lease(text: &Text, duration: &str, problems: &mut Problems) -> Option<Outage> {
    let Some(seconds) = seconds(duration) else {
        return refuse(text, &format!("`{duration}` is not a duration"), Some(EXAMPLE.to_owned()), problems);
    };
    match u32::try_from(seconds) {
        Ok(seconds) if (SHORTEST..=LONGEST).contains(&seconds) => Some(Outage::Lease(seconds)),
        Ok(seconds) if seconds < SHORTEST => {
            let help = "an agent hears its center every two seconds: the shortest lease is 10s; or write `closed`";
            refuse(text, &format!("a lease of {duration} is too short"), Some(help.to_owned()), problems)
        }
        Ok(_) | Err(_) => {
            let help = "the longest lease is 366d; or write `keep-last`";
            refuse(text, &format!("a lease of {duration} is too long"), Some(help.to_owned()), problems)
        }
    }
}

/// A number of digits alone with its unit. What is too large for any lease is still a duration.
fn seconds(duration: &str) -> Option<u64> {
    let (unit, number) = UNITS.iter().find_map(|(unit, length)| Some((*length, duration.strip_suffix(*unit)?)))?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(u64::from(unit)))
}

fn refuse(text: &Text, what: &str, help: Option<String>, problems: &mut Problems) -> Option<Outage> {
    problems.report(Problem::new(text.span(), what).maybe_help(help));
    None
}
