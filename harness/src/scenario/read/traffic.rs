//! Reading `open`, `close` and `send`: sessions and streams.

use policy::yaml::{self, Node, Text, Value};
use policy::{Family, Name, Problem, TextError};

use super::super::{Action, Choice, Stream};
use super::Reader;
use super::doing::{Argument, Item};
use super::flow::{Head, Words, head};
use super::steps::Fold;

/// How often `send` may send.
const MOST: u32 = 10_000;

impl Reader<'_> {
    pub(super) fn open_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let Some(name) = &item.rest else {
            let problem = Problem::new(item.verb.span(), "a session needs a name");
            self.problems.report(problem.help("write `open NAME: SOURCE -> DESTINATION SERVICE`"));
            return None;
        };
        let taken =
            matches!(name.as_str(), "reported" | "agent" | "generation") || name.as_str().contains(char::is_whitespace);
        if taken {
            self.wrong(name.span(), format!("`{}` cannot be the name of a session", name.as_str()));
            return None;
        }
        let text = self.text_of(item, "a flow, such as `a -> b tcp/443`")?;
        let (stream, times) = self.stream(&text, fold)?;
        if times.is_some() {
            self.wrong(text.span(), "a session is opened once");
        }
        Some(Action::Open { name: name.as_str().to_owned(), stream })
    }

    /// The sessions that an item names: `close ledger`, `send a b`, `close: ledger`, `send: [a, b]`.
    pub(super) fn sessions_of(&mut self, item: &Item<'_>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if let Some(rest) = &item.rest {
            names.extend(rest.as_str().split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned));
        }
        match &item.value {
            Some(Argument::Node(node)) => {
                for node in yaml::one_or_many(node) {
                    names
                        .extend(yaml::text(node, "a session", &mut self.problems).map(|text| text.as_str().to_owned()));
                }
            }
            Some(Argument::Text(text)) => names.push(text.as_str().to_owned()),
            None => {}
        }
        if names.is_empty() {
            self.wrong(item.verb.span(), format!("`{}` needs the name of a session", item.verb.as_str()));
        }
        names
    }

    pub(super) fn send_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        if let Some(Argument::Node(node @ Node { value: Value::Mapping(entries), span })) = &item.value {
            match entries.first().map(|entry| entry.key.as_str()) {
                Some("raw") => return self.raw_item(node, fold),
                Some("flood") => return self.flood_item(node, fold),
                Some("bulk") => return self.bulk_item(node, fold),
                Some(_) | None => {}
            }
            let what = entries.first().map_or("send", |entry| entry.key.as_str());
            self.not_yet(*span, &format!("send {what}"));
            return None;
        }
        let value = item.value.as_ref().and_then(Argument::as_text);
        match value.filter(|text| text.as_str().contains("->")) {
            Some(text) => {
                let (stream, times) = self.stream(text, fold)?;
                Some(Action::Send { stream, times: times.unwrap_or(1) })
            }
            None => {
                let names = self.sessions_of(item);
                (!names.is_empty()).then_some(Action::SendOn { names })
            }
        }
    }

    /// `A -> B SVC [v4|v6] [n times]`.
    fn stream(&mut self, text: &Text, fold: &Fold) -> Option<(Stream, Option<u32>)> {
        let tail = tail(text.as_str());
        let read = head(text.as_str(), 0..tail);
        let Head { source, destination, services, .. } = self.taken(text, read)?;
        let read = suffix(text.as_str(), tail);
        let (family, times) = self.taken(text, read)?;
        let [Choice::One(service)] = services.as_slice() else {
            self.wrong(text.span(), "name one service here");
            return None;
        };
        let known: Vec<&str> = fold.state.endpoints().map(Name::as_str).collect();
        let mut one = |name: &str| {
            let start = text.as_str().find(name)?;
            let place = text.part(start..start + name.len())?;
            self.named(&place, "endpoint", &known)
        };
        let (source, destination) = (one(source.as_str()), one(destination.as_str()));
        let (source, destination) = (source?, destination?);
        if source == destination {
            self.wrong(text.span(), "an endpoint does not speak to itself");
            return None;
        }
        let common = fold.state.families(&source, &destination);
        let possible = |wanted: &Family| service.exists_in(*wanted) && family.is_none_or(|family| family == *wanted);
        let Some(family) = common.into_iter().find(possible) else {
            self.wrong(text.span(), format!("`{source}` and `{destination}` have no family in common for this"));
            return None;
        };
        Some((Stream { source, destination, service: *service, family }, times))
    }
}

/// Where the flow of a stream ends and its suffix begins.
fn tail(text: &str) -> usize {
    let mut words = Words::of(text, 0..text.len());
    let mut before: Option<(&str, std::ops::Range<usize>)> = None;
    while let Some((word, place)) = words.next() {
        match (word, before) {
            ("v4" | "v6", Some(_)) => return place.start,
            ("times" | "time", Some((_, number))) => return number.start,
            _ => before = Some((word, place)),
        }
    }
    text.len()
}

/// `[v4|v6] [n times]`.
fn suffix(text: &str, start: usize) -> Result<(Option<Family>, Option<u32>), TextError> {
    let mut words = Words::of(text, start..text.len());
    let (mut family, mut times) = (None, None);
    while let Some((word, place)) = words.next() {
        match word {
            "v4" => family = Some(Family::V4),
            "v6" => family = Some(Family::V6),
            "times" | "time" if times.is_some() => {}
            _ => match word.parse() {
                Ok(number) if (1..=MOST).contains(&number) => times = Some(number),
                Ok(_) | Err(_) => return Err(TextError::new(place, format!("expected a number from 1 to {MOST}"))),
            },
        }
    }
    Ok((family, times))
}
