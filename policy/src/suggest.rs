//! "Did you mean": the nearest of the known words.

/// The known word nearest to a wrong one, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = |word: &str| strsim::damerau_levenshtein(&wrong.to_lowercase(), word);
    let allowed = (wrong.chars().count() / 3).clamp(1, 3);
    if wrong.len() > 100 {
        return None;
    }
    known.into_iter().map(|word| (far(word), word)).filter(|(far, _)| *far <= allowed).min().map(|(_, word)| word)
}

/// The advice "did you mean `x`?", or else the list of what there is.
#[must_use]
pub fn did_you_mean(wrong: &str, known: &[&str]) -> Option<String> {
    match nearest(wrong, known.iter().copied()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None if known.is_empty() || known.len() > 20 => None,
        None => Some(format!("there {} {}", if known.len() == 1 { "is only" } else { "are" }, list(known))),
    }
}

/// `a`, `b` and `c`.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}
