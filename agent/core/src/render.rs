//! A program as text, for people and for golden tests.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::compile::Program;
use crate::ruleset::{Class, Place, Ruleset, Service, Word};

/// Renders a program: who is in which class, which services there are, and what each pair gets.
#[must_use]
pub fn render(program: &Program) -> String {
    let ruleset = &program.ruleset;
    let mut out = String::new();
    if let Some(center) = ruleset.center {
        line(&mut out, 0, format_args!("center {center}"));
    }
    if ruleset.dhcp {
        line(&mut out, 0, "dhcp");
    }
    line(&mut out, 0, format_args!("own {}", joined(&ruleset.own)));
    classes(&mut out, ruleset);
    places(&mut out, ruleset);
    services(&mut out, ruleset);
    direction(&mut out, "in", ruleset.default_in, &ruleset.inbound, &ruleset.outcomes_in);
    for ((place, class, service), word) in &ruleset.elsewhere {
        let (place, word) = (place_name(*place, ruleset), told(*word, &ruleset.outcomes_in));
        line(&mut out, 1, format_args!("for {place} class {} service {}: {word}", class.0, service.0));
    }
    direction(&mut out, "out", ruleset.default_out, &ruleset.outbound, &ruleset.outcomes_out);
    out
}

fn line(out: &mut String, indent: usize, text: impl Display) {
    let _infallible = writeln!(out, "{:indent$}{text}", "", indent = indent * 2);
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn classes(out: &mut String, ruleset: &Ruleset) {
    let mut members: BTreeMap<Class, Vec<String>> = BTreeMap::new();
    for (range, class) in &ruleset.networks {
        members.entry(*class).or_default().push(format!("{}-{}", range.start, range.end));
    }
    for (address, class) in &ruleset.peers {
        members.entry(*class).or_default().push(format!("peer {address}"));
    }
    for (class, members) in members {
        line(out, 0, format_args!("class {}", class.0));
        for member in members {
            line(out, 1, member);
        }
    }
}

fn places(out: &mut String, ruleset: &Ruleset) {
    for (range, place) in &ruleset.places {
        let place = place_name(*place, ruleset);
        line(out, 0, format_args!("for {}-{}: {place}", range.start, range.end));
    }
}

fn place_name(place: Place, ruleset: &Ruleset) -> String {
    match place {
        Place::Own => "own".to_owned(),
        Place::Other(number) => format!("place {number}"),
        Place::Denied(word) => told(word, &ruleset.outcomes_in),
    }
}

fn told(word: Word, outcomes: &BTreeMap<Word, Arc<str>>) -> String {
    let recorded = if word.records() { ", recorded" } else { "" };
    format!("{}{recorded}", outcomes.get(&word).map_or("?", |comment| &**comment))
}

fn services(out: &mut String, ruleset: &Ruleset) {
    let mut members: BTreeMap<Service, Vec<String>> = BTreeMap::new();
    list(&mut members, "tcp", &ruleset.tcp);
    list(&mut members, "udp", &ruleset.udp);
    list(&mut members, "icmp", &ruleset.icmp);
    list(&mut members, "icmpv6", &ruleset.icmpv6);
    list(&mut members, "proto", &ruleset.protocols);
    for (service, members) in members {
        line(out, 0, format_args!("service {}: {}", service.0, members.join(" ")));
    }
}

fn list<T: Display + PartialEq>(
    members: &mut BTreeMap<Service, Vec<String>>,
    name: &str,
    ranges: &[(RangeInclusive<T>, Service)],
) {
    for (range, service) in ranges {
        let text = if range.start() == range.end() {
            format!("{name}/{}", range.start())
        } else {
            format!("{name}/{}-{}", range.start(), range.end())
        };
        members.entry(*service).or_default().push(text);
    }
}

fn direction(
    out: &mut String,
    name: &str,
    default: Word,
    pairs: &BTreeMap<(Class, Service), Word>,
    outcomes: &BTreeMap<Word, Arc<str>>,
) {
    line(out, 0, format_args!("{name}: {}", told(default, outcomes)));
    for ((class, service), word) in pairs {
        line(out, 1, format_args!("class {} service {}: {}", class.0, service.0, told(*word, outcomes)));
    }
}
