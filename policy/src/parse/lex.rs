//! The tokens of a selector.

use std::ops::Range;

use crate::TextError;

/// A token with its place.
pub(crate) type Placed<'t> = (Token<'t>, Range<usize>);

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// A bare word: a key, a value, a keyword or a group.
    Word(&'t str),
    /// A key or a value in double quotes.
    Quoted(&'t str),
    /// `=`
    Equals,
    /// `!=`
    Differs,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `&`
    And,
    /// `|`
    Or,
}

/// Whether a character may stand in a bare word.
pub(crate) fn bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | ':' | '-')
}

/// Cuts a selector into tokens.
pub(crate) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, TextError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = token(&text[at..], first).map_err(|(length, message, help)| TextError {
            range: at..at + length,
            message,
            help: Some(help.to_owned()),
        })?;
        tokens.push((token, at..at + length));
        at += length;
    }
    Ok(tokens)
}

type Wrong = (usize, String, &'static str);

fn token(rest: &str, first: char) -> Result<(Token<'_>, usize), Wrong> {
    let simple = |token| Ok((token, 1));
    match first {
        '(' => simple(Token::Open),
        ')' => simple(Token::Close),
        ',' => simple(Token::Comma),
        '&' if rest.starts_with("&&") => Err((2, "`&&` is written `&`".to_owned(), "`&` is and, `|` is or")),
        '&' => simple(Token::And),
        '|' if rest.starts_with("||") => Err((2, "`||` is written `|`".to_owned(), "`&` is and, `|` is or")),
        '|' => simple(Token::Or),
        '=' if rest.starts_with("==") => {
            Err((2, "`==` is written `=`".to_owned(), "a label is compared with `=` or `!=`"))
        }
        '=' => simple(Token::Equals),
        '!' if rest.starts_with("!=") => Ok((Token::Differs, 2)),
        '!' => Err((1, "`!` alone is no selector".to_owned(), "write `not`")),
        '"' => match rest[1..].find('"') {
            Some(end) => Ok((Token::Quoted(&rest[1..=end]), end + 2)),
            None => Err((rest.len(), "these quotes do not end".to_owned(), "close them with `\"`")),
        },
        c if bare(c) => {
            let end = rest.find(|c| !bare(c)).unwrap_or(rest.len());
            Ok((Token::Word(&rest[..end]), end))
        }
        '*' => Err((1, "a selector takes no globs".to_owned(), "name labels or groups, such as `dept = hr`")),
        c => Err((
            c.len_utf8(),
            format!("`{c}` may not stand bare in a selector"),
            "put the key or value in double quotes",
        )),
    }
}
