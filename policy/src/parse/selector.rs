//! The text form of selectors: `finance & app = db | office` (semantics 2).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;

use super::lex::{Placed, Token, tokens};
use crate::{Name, Selector, TextError};

/// The words that a group cannot be named.
pub const RESERVED: [&str; 6] = ["any", "vms", "outside", "not", "in", "has"];
/// How many levels a selector may nest.
pub(super) const DEEPEST: usize = 64;
/// How many terms a selector may have, those of its groups counted.
const LARGEST: usize = 5_000;

/// What a word that stands alone is.
pub(super) enum Found {
    /// A group.
    Group(Selector),
    /// A group whose own definition is wrong, which is reported there.
    Broken,
    /// No group; or one that may not be used here.
    Wrong(String, Option<String>),
}

/// Reads a selector; `groups` are those that it may name.
///
/// # Errors
/// All that is wrong with it, in order.
pub fn parse_selector(text: &str, groups: &BTreeMap<Name, Selector>) -> Result<Selector, Vec<TextError>> {
    let names: Vec<&str> = groups.keys().map(Name::as_str).collect();
    read(text, &mut |word| match groups.get(word) {
        Some(selector) => Found::Group(selector.clone()),
        None => no_group(word, &names),
    })
}

/// What to say of a word that is no group.
pub(super) fn no_group(word: &str, names: &[&str]) -> Found {
    if word.parse::<IpNet>().is_ok() || word.parse::<IpAddr>().is_ok() {
        let help = "name it in `groups:`, such as `office: [10.9.0.0/16]`, and use the name here";
        return Found::Wrong(format!("the address `{word}` may not stand in a selector"), Some(help.to_owned()));
    }
    let help =
        match (crate::nearest(word, names.iter().copied().chain(["any", "vms", "outside"])), word.split_once(':')) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some((key, value))) => format!("a label is written `{key} = {value}`"),
            (None, None) => "a label is written `key = value`; groups stand in `groups:`".to_owned(),
        };
    Found::Wrong(format!("there is no group `{word}`"), Some(help))
}

/// Reads a selector, asking for what a word that stands alone means.
pub(super) fn read(text: &str, lookup: &mut dyn FnMut(&str) -> Found) -> Result<Selector, Vec<TextError>> {
    let tokens = tokens(text).map_err(|error| vec![error])?;
    let mut reader = Reader { tokens, at: 0, end: text.len(), depth: 0, size: 0, lookup, errors: Vec::new() };
    let selector = reader.whole();
    match selector {
        Ok(selector) if reader.errors.is_empty() => Ok(selector),
        Ok(_) => Err(reader.errors),
        Err(error) => {
            reader.errors.push(error);
            Err(reader.errors)
        }
    }
}

/// Whether outside addresses stand in it by a group of addresses.
fn holds_addresses(selector: &Selector) -> bool {
    match selector {
        Selector::Addresses(_) => true,
        Selector::Not(inner) => holds_addresses(inner),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().any(holds_addresses),
        Selector::Any | Selector::Vms | Selector::Outside => false,
        Selector::Has(_) | Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => false,
    }
}

/// How many terms a selector has, and how deep it nests.
fn extent(selector: &Selector) -> (usize, usize) {
    match selector {
        Selector::Not(inner) => {
            let (size, depth) = extent(inner);
            (size + 1, depth + 1)
        }
        Selector::And(parts) | Selector::Or(parts) => {
            parts.iter().map(extent).fold((1, 1), |(size, depth), part| (size + part.0, depth.max(part.1 + 1)))
        }
        Selector::In(_, values) => (1 + values.len(), 1),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => (1, 1),
        Selector::Has(_) | Selector::Equals(..) | Selector::Differs(..) => (1, 1),
    }
}

type Read<T> = Result<T, TextError>;

struct Reader<'t, 'l> {
    tokens: Vec<Placed<'t>>,
    at: usize,
    end: usize,
    depth: usize,
    size: usize,
    lookup: &'l mut dyn FnMut(&str) -> Found,
    errors: Vec<TextError>,
}

impl<'t> Reader<'t, '_> {
    fn whole(&mut self) -> Read<Selector> {
        let selector = self.either()?;
        if self.at < self.tokens.len() {
            return Err(self.stray());
        }
        if extent(&selector).1 > DEEPEST {
            return Err(TextError::new(0..self.end, format!("nested deeper than {DEEPEST} levels")));
        }
        Ok(selector)
    }

    /// `a | b | c`
    fn either(&mut self) -> Read<Selector> {
        let mut parts = vec![self.both()?];
        while self.take(Token::Or) {
            parts.push(self.both()?);
        }
        Ok(joined(parts, Selector::Or))
    }

    /// `a & b & c`
    fn both(&mut self) -> Read<Selector> {
        let mut parts = vec![self.placed()?];
        while self.take(Token::And) {
            parts.push(self.placed()?);
        }
        if parts.len() > 1 {
            for (part, place) in &parts {
                self.refuse_addresses("&", part, place);
            }
        }
        Ok(joined(parts.into_iter().map(|(part, _)| part).collect(), Selector::And))
    }

    fn placed(&mut self) -> Read<(Selector, Range<usize>)> {
        let start = self.here().start;
        let selector = self.single()?;
        let end = self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(start, |(_, range)| range.end);
        Ok((selector, start..end))
    }

    fn refuse_addresses(&mut self, operator: &str, part: &Selector, place: &Range<usize>) {
        if holds_addresses(part) {
            let message = format!(
                "`{operator}` may not stand over a group of addresses: no label expression matches an outside address"
            );
            let help = "join with `|`, or put exceptions into the group: [10.9.0.0/16, not 10.9.3.0/24]";
            self.errors.push(TextError::new(place.clone(), message).help(help));
        }
    }

    /// `not e`, `(e)`, `has key`, `key = value` or a group.
    fn single(&mut self) -> Read<Selector> {
        self.size += 1;
        if self.size > LARGEST {
            return Err(TextError::new(self.here(), format!("more than {LARGEST} terms, those of groups counted")));
        }
        let compared = matches!(self.peek(1), Some(Token::Equals | Token::Differs));
        match self.peek(0) {
            Some(Token::Open) => {
                self.at += 1;
                self.nested(Self::parenthesis)
            }
            Some(Token::Word("not")) if !compared => {
                self.at += 1;
                let (inner, place) = self.nested(Self::placed)?;
                self.refuse_addresses("not", &inner, &place);
                Ok(Selector::Not(Box::new(inner)))
            }
            Some(Token::Word("has")) if !compared => {
                self.at += 1;
                Ok(Selector::Has(self.key("a key after `has`")?))
            }
            Some(Token::Word(_) | Token::Quoted(_)) => self.comparison(),
            _ => Err(self.expected("a selector")),
        }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TextError::new(self.here(), format!("nested deeper than {DEEPEST} levels")));
        }
        let found = inner(self);
        self.depth -= 1;
        found
    }

    fn parenthesis(&mut self) -> Read<Selector> {
        let inner = self.either()?;
        if self.take(Token::Close) { Ok(inner) } else { Err(self.expected("`)`")) }
    }

    fn comparison(&mut self) -> Read<Selector> {
        match self.peek(1) {
            Some(Token::Equals) => {
                let key = self.key("a key")?;
                self.at += 1;
                Ok(Selector::Equals(key, self.value()?))
            }
            Some(Token::Differs) => {
                let key = self.key("a key")?;
                self.at += 1;
                Ok(Selector::Differs(key, self.value()?))
            }
            Some(Token::Word("in")) => {
                let key = self.key("a key")?;
                self.at += 1;
                Ok(Selector::In(key, self.values()?))
            }
            _ => self.alone(),
        }
    }

    /// A word that is compared with nothing: a keyword or a group.
    fn alone(&mut self) -> Read<Selector> {
        let place = self.here();
        let word = match self.peek(0) {
            Some(Token::Word(word)) => word,
            _ => {
                return Err(TextError::new(place, "a quoted text alone is no selector")
                    .help("write `key = value`, or a bare name"));
            }
        };
        self.at += 1;
        match word {
            "any" => return Ok(Selector::Any),
            "vms" => return Ok(Selector::Vms),
            "outside" => return Ok(Selector::Outside),
            "in" => return Err(TextError::new(place, "`in` needs a key before it").help("write `key in (a, b)`")),
            _ => {}
        }
        match (self.lookup)(word) {
            Found::Group(selector) => {
                self.size += extent(&selector).0;
                Ok(selector)
            }
            Found::Broken => Ok(Selector::Vms),
            Found::Wrong(message, help) => {
                self.errors.push(TextError { range: place, message, help });
                Ok(Selector::Vms)
            }
        }
    }

    fn key(&mut self, what: &str) -> Read<String> {
        let place = self.here();
        let key = self.text(what)?;
        if key.is_empty() { Err(TextError::new(place, "a key may not be empty")) } else { Ok(key) }
    }

    fn value(&mut self) -> Read<String> {
        self.text("a value")
    }

    fn text(&mut self, what: &str) -> Read<String> {
        match self.peek(0) {
            Some(Token::Word(text) | Token::Quoted(text)) => {
                self.at += 1;
                Ok(text.to_owned())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// `(a, b, c)`
    fn values(&mut self) -> Read<Vec<String>> {
        if !self.take(Token::Open) {
            return Err(self.expected("`(` and the values after `in`"));
        }
        let mut values = vec![self.value()?];
        while self.take(Token::Comma) {
            values.push(self.value()?);
        }
        self.size += values.len();
        if self.take(Token::Close) { Ok(values) } else { Err(self.expected("`,` or `)`")) }
    }

    fn peek(&self, ahead: usize) -> Option<Token<'t>> {
        self.tokens.get(self.at + ahead).map(|(token, _)| *token)
    }

    fn take(&mut self, wanted: Token<'_>) -> bool {
        let found = self.peek(0) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// The place of the next token, or of the end.
    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.end..self.end, |(_, range)| range.clone())
    }

    fn expected(&self, what: &str) -> TextError {
        let found = if self.at < self.tokens.len() { "something else stands here" } else { "the selector ends here" };
        TextError::new(self.here(), format!("expected {what}, but {found}"))
    }

    /// A token after the end of a selector.
    fn stray(&self) -> TextError {
        let error = TextError::new(self.here(), "the selector ends before this");
        match self.peek(0) {
            Some(Token::Word("and")) => error.help("`and` is written `&`"),
            Some(Token::Word("or")) => error.help("`or` is written `|`"),
            Some(Token::Comma) => error.help("join selectors with `|`"),
            Some(Token::Word(_) | Token::Quoted(_)) => {
                error.help("put a key or value that holds spaces in double quotes; join with `&` or `|`")
            }
            _ => error,
        }
    }
}

fn joined(mut parts: Vec<Selector>, join: impl FnOnce(Vec<Selector>) -> Selector) -> Selector {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}
