//! Words of a line with their places, and the flow at its head: `SRC -> DST SVC, SVC`.

use std::ops::Range;

use policy::yaml::Text;
use policy::{Family, FlowService, Problem, TextError};

use super::super::{Choice, Glob};
use super::Reader;

/// The words of a short text, each with its place; a comma is a word of its own.
pub(super) struct Words<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

/// A word and where it stands.
pub(super) type Word<'t> = (&'t str, Range<usize>);

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t str, range: Range<usize>) -> Self {
        Self { text, at: range.start, end: range.end }
    }

    pub(super) fn peek(&self) -> Option<Word<'t>> {
        let rest = self.text.get(self.at..self.end)?;
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = self.text.get(start..self.end)?;
        let length = match rest.starts_with(',') {
            true => 1,
            false => rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len()),
        };
        (length > 0).then(|| (&rest[..length], start..start + length))
    }

    pub(super) fn next(&mut self) -> Option<Word<'t>> {
        let word = self.peek()?;
        self.at = word.1.end;
        Some(word)
    }

    /// Takes the next word if it is this one.
    pub(super) fn eat(&mut self, wanted: &str) -> bool {
        let found = self.peek().filter(|(word, _)| *word == wanted);
        if let Some((_, range)) = &found {
            self.at = range.end;
        }
        found.is_some()
    }

    /// Where the next word would stand.
    pub(super) fn here(&self) -> Range<usize> {
        self.peek().map_or(self.end..self.end, |(_, range)| range)
    }

    /// The next word, which must be there.
    pub(super) fn want(&mut self, what: &str) -> Result<Word<'t>, TextError> {
        self.next().ok_or_else(|| TextError::new(self.end..self.end, format!("expected {what} here")))
    }
}

/// `SRC -> DST SVC, SVC [v4|v6]`.
pub(super) struct Head {
    pub(super) source: Glob,
    pub(super) destination: Glob,
    pub(super) services: Vec<Choice>,
    /// In this family alone.
    pub(super) family: Option<Family>,
}

/// Reads the flow at the head of a line.
pub(super) fn head(text: &str, range: Range<usize>) -> Result<Head, TextError> {
    let mut words = Words::of(text, range);
    let source = endpoint(&mut words, "a source")?;
    let (arrow, place) = words.want("`->`")?;
    if arrow != "->" {
        let help = "a side is one name, or a pattern such as `web-*`, and blanks stand around `->`";
        return Err(TextError::new(place, format!("expected `->`, found `{arrow}`")).help(help));
    }
    let destination = endpoint(&mut words, "a destination")?;
    let mut services = Vec::new();
    loop {
        let (word, place) = words.want("a service, such as `tcp/443` or `any`")?;
        services.push(choice(word, &place)?);
        if !words.eat(",") {
            break;
        }
    }
    let family = if words.eat("v4") { Some(Family::V4) } else { words.eat("v6").then_some(Family::V6) };
    match words.next() {
        None => Ok(Head { source, destination, services, family }),
        Some((word, place)) => {
            Err(TextError::new(place, format!("`{word}` is too much here")).help("services are separated by commas"))
        }
    }
}

fn endpoint(words: &mut Words<'_>, what: &str) -> Result<Glob, TextError> {
    let (word, place) = words.want(&format!("{what} (an endpoint's name)"))?;
    if word == "->" || word == "," {
        return Err(TextError::new(place, format!("expected {what}, found `{word}`")));
    }
    Ok(Glob::new(word))
}

/// A service of an expectation.
pub(super) fn choice(word: &str, place: &Range<usize>) -> Result<Choice, TextError> {
    match word {
        "any" => Ok(Choice::Any),
        _ => service(word, place).map(Choice::One),
    }
}

/// One service that a probe can ask for.
pub(super) fn service(word: &str, place: &Range<usize>) -> Result<FlowService, TextError> {
    let shift =
        |error: TextError| TextError { range: place.start + error.range.start..place.start + error.range.end, ..error };
    let service: FlowService = word.parse().map_err(shift)?;
    let later = match service {
        FlowService::Tcp(0) | FlowService::Udp(0) => Some("port 0"),
        FlowService::Tcp(_) | FlowService::Udp(_) | FlowService::Icmp(8) | FlowService::Icmpv6(128) => None,
        FlowService::Icmp(_) | FlowService::Icmpv6(_) => Some("probes of other ICMP types than echo-request"),
        FlowService::Proto(_) => Some("probes of other protocols than TCP, UDP and ICMP"),
    };
    match later {
        Some(what) => Err(TextError::new(place.clone(), format!("not yet: {what}"))),
        None => Ok(service),
    }
}

impl Reader<'_> {
    /// What was read of a text, or its error reported.
    pub(super) fn taken<T>(&mut self, text: &Text, result: Result<T, TextError>) -> Option<T> {
        result.map_err(|error| self.problems.report(Problem::within(text, error))).ok()
    }
}
