//! The canonical spacing of selectors and claims.

use crate::parse::{Token, tokens};

/// A selector with one space between its words, none inside of parentheses; `None` if it is no selector.
pub(super) fn selector(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut before = None;
    for (token, range) in tokens(text).ok()? {
        let close = matches!(token, Token::Close | Token::Comma);
        if !close && !matches!(before, None | Some(Token::Open)) {
            out.push(' ');
        }
        out.push_str(&text[range]);
        before = Some(token);
    }
    (!out.is_empty()).then_some(out)
}

/// `FROM -> TO SERVICE: VERDICT`; `None` if it is no claim.
pub(super) fn claim(text: &str) -> Option<String> {
    let (from, rest) = text.split_once("->")?;
    let (ends, verdict) = rest.rsplit_once(": ").or_else(|| rest.rsplit_once(':'))?;
    let (to, service) = ends.trim_end().rsplit_once(' ')?;
    let verdict: Vec<&str> = verdict.split_whitespace().collect();
    Some(format!("{} -> {} {service}: {}", selector(from)?, selector(to)?, verdict.join(" ")))
}
