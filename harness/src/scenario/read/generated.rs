//! Generated names: `web-[1..50]` stands for fifty VMs.

use policy::TextError;

/// The most names that one key stands for.
const MOST: u32 = 1000;

/// The names that a key stands for: itself, or as many as its range has numbers.
pub(super) fn names(key: &str) -> Result<Vec<String>, TextError> {
    let Some((head, rest)) = key.split_once('[') else { return Ok(vec![key.to_owned()]) };
    let range = rest.split_once(']').and_then(|(range, tail)| Some((range.split_once("..")?, tail)));
    let wrong = |message: String| Err(TextError::new(head.len()..key.len(), message).help("such as `web-[1..50]`"));
    let Some(((first, last), tail)) = range.filter(|(_, tail)| !tail.contains('[')) else {
        return wrong("this is no range of numbers".to_owned());
    };
    match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) if first <= last && last - first < MOST => {
            Ok((first..=last).map(|number| format!("{head}{number}{tail}")).collect())
        }
        (Ok(first), Ok(last)) => wrong(format!("{first} to {last} is no range of 1 to {MOST} numbers")),
        (Err(_), _) | (_, Err(_)) => wrong("this is no range of numbers".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_stands_for_its_numbers_and_everything_else_is_told() {
        let rows: [(&str, Option<&[&str]>); 10] = [
            ("web", Some(&["web"])),
            ("web-[1..3]", Some(&["web-1", "web-2", "web-3"])),
            ("w[9..10]-x", Some(&["w9-x", "w10-x"])),
            ("w[7..7]", Some(&["w7"])),
            ("w[3..1]", None),
            ("w[1..1001]", None),
            ("w[1-3]", None),
            ("w[1..3", None),
            ("w[a..b]", None),
            ("w[1..2][1..2]", None),
        ];
        for (key, wanted) in rows {
            let found = names(key).ok();
            let wanted = wanted.map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(found, wanted, "{key}");
        }
    }
}
