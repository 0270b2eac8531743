//! `until: +3s` in a scenario's policy: so many seconds behind the publication. The plan is made by stand-ins, instants of
//! a far future that tell how many seconds were meant; what is published has the real ones.

use std::time::Duration;

use policy::{Action, Policy, Timestamp};

/// What is written before the seconds.
const WRITTEN: &str = "until: +";
/// What a stand-in begins with …
const STAND_IN: &str = "until: 2999-12-31T";
/// … and the instant of its zero.
const ZERO: i64 = 32_503_593_600;
/// The most seconds: a stand-in is of one day.
const MOST: u64 = 86_399;

/// The text with stand-ins.
pub(crate) fn placed(text: &str) -> String {
    let mut parts = text.split(WRITTEN);
    let mut placed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        match (number.parse::<u64>(), rest.strip_prefix('s')) {
            (Ok(seconds), Some(rest)) if seconds <= MOST => {
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                placed += &format!("{STAND_IN}{hours:02}:{minutes:02}:{:02}Z{rest}", seconds % 60);
            }
            (Ok(_) | Err(_), _) => placed += &format!("{WRITTEN}{part}"),
        }
    }
    placed
}

/// The text as it is published at an instant.
pub(crate) fn published(text: &str, at: Timestamp) -> String {
    let mut parts = text.split(STAND_IN);
    let mut made = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `00:00:03Z` and what follows.
        let (clock, rest) = part.split_at_checked(9).unwrap_or((part, ""));
        let meant = format!("2999-12-31T{clock}").parse().ok().and_then(after);
        let real = meant.and_then(|meant| at.checked_add(meant).ok());
        made += &real.map_or(format!("{STAND_IN}{part}"), |real| format!("until: {real}{rest}"));
    }
    made
}

/// How long behind the publication a stand-in is; `None` for every other instant.
pub(crate) fn after(until: Timestamp) -> Option<Duration> {
    u64::try_from(until.as_second() - ZERO).ok().filter(|seconds| *seconds <= MOST).map(Duration::from_secs)
}

/// The first end of a policy's rules behind an instant of stand-ins, as seconds behind its publication.
pub(crate) fn next(policy: &Policy, now: Option<Timestamp>) -> Option<Duration> {
    let ends = policy.rules.iter().filter_map(|rule| rule.until);
    ends.filter(|until| now.is_none_or(|now| *until > now)).filter_map(after).min()
}

/// What an agent that does not know what time it is makes of a policy (semantics 14).
pub(crate) fn timeless(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.rules.retain(|rule| rule.until.is_none() || matches!(rule.action, Action::Deny | Action::Reject));
    policy.rules.iter_mut().for_each(|rule| rule.until = None);
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_published_as_the_instant_that_was_meant() {
        let at: Timestamp = "2026-11-26T23:59:58Z".parse().unwrap();
        let rows = [
            ("{until: +3s, log: true}", "{until: 2026-11-27T00:00:01Z, log: true}"),
            ("until: +3600s\nuntil: +0s", "until: 2026-11-27T00:59:58Z\nuntil: 2026-11-26T23:59:58Z"),
            ("until: 2027-01-01T00:00:00Z", "until: 2027-01-01T00:00:00Z"),
            ("until: +3", "until: +3"),
            ("until: +99999s", "until: +99999s"),
        ];
        for (text, real) in rows {
            assert_eq!(published(&placed(text), at), real);
        }
    }
}
