//! A difference in words: for a terminal, and in Markdown for the comment of a merge request.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::{Difference, Example, Kind, Labelled, Party, Row};
use crate::classify::addresses::number;
use crate::classify::{Outside, ServiceRange};
use crate::{Family, IpNet, Name, Ruling, Would};

/// How many parties, services or ranges of one row are named; the rest is counted.
const NAMED: usize = 6;
/// How many rows a comment shows; the rest is counted.
const SHOWN: usize = 100;
const KINDS: [Kind; 6] =
    [Kind::NewlyAllowed, Kind::NewlyIntercepted, Kind::OtherAction, Kind::OtherRule, Kind::OtherEnd, Kind::OtherWould];

impl Difference {
    /// How many flows change, by kinds: `12 flows newly allowed, 3 by another rule`.
    #[must_use]
    pub fn summary(&self) -> String {
        let flows = |kind: Kind| self.rows.iter().filter(|row| row.kind == kind).map(|row| row.count).sum::<u64>();
        let told = KINDS.into_iter().map(|kind| (kind, flows(kind))).filter(|(_, flows)| *flows > 0);
        let parts: Vec<String> = told.map(|(kind, count)| format!("{} {kind}", flows_text(count))).collect();
        if parts.is_empty() { "no flow changes its verdict or its rule".to_owned() } else { parts.join(", ") }
    }

    /// All rows, for a terminal.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let Row { kind, old, new, count, .. } = row;
            let _ = writeln!(text, "{kind}: {} -> {}", parties(&row.sources), parties(&row.destinations));
            let _ = writeln!(text, "  {}", services(&row.services));
            let _ = writeln!(text, "  before: {}", said(old));
            let _ = writeln!(text, "  after:  {}", said(new));
            let _ = writeln!(text, "  {}, such as {}\n", flows_text(*count), self.example(&row.example));
        }
        text + &self.summary() + "\n"
    }

    /// A table of the gravest rows, for a comment, whose length is bounded.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("**{}**\n", self.summary());
        if self.rows.is_empty() {
            return text;
        }
        text.push_str(
            "\n| | from | to | services | before | after | flows | such as |\n|---|---|---|---|---|---|---:|---|\n",
        );
        for row in self.rows.iter().take(SHOWN) {
            let Row { kind, old, new, count, .. } = row;
            let cells = [
                kind.to_string(),
                parties(&row.sources),
                parties(&row.destinations),
                services(&row.services),
                said(old),
                said(new),
                count.to_string(),
                self.example(&row.example),
            ];
            let cells = cells.map(|cell| escaped(&cell));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        let rest = self.rows.get(SHOWN..).unwrap_or_default();
        if !rest.is_empty() {
            let flows = flows_text(rest.iter().map(|row| row.count).sum());
            let _ = writeln!(text, "\n{} more rows, of {flows}, are left out: `--format json` has all.", rest.len());
        }
        text
    }

    /// One flow, in words that `eastwest why` takes.
    fn example(&self, example: &Example) -> String {
        let from = self.who(example.from.as_ref(), example.source);
        let to = self.who(example.to.as_ref(), example.destination);
        format!("{from} -> {to} {}", example.service)
    }

    fn who(&self, name: Option<&Name>, address: IpAddr) -> String {
        let Some(name) = name else { return address.to_string() };
        let Some(vm) = self.inventory.vms.get(name).filter(|_| self.made_up) else { return name.to_string() };
        let labels: Vec<String> = vm.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if labels.is_empty() { "a VM without labels".to_owned() } else { labels.join(",") }
    }
}

fn flows_text(count: u64) -> String {
    if count == 1 { "1 flow".to_owned() } else { format!("{count} flows") }
}

/// The first of some things, and how many more there are.
fn some<T: fmt::Display>(all: &[T]) -> String {
    let mut named: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
    if all.len() > NAMED {
        named.push(format!("{} more", all.len() - NAMED));
    }
    named.join(", ")
}

fn parties(all: &[Party]) -> String {
    some(all)
}

fn services(all: &[ServiceRange]) -> String {
    let words: Vec<String> = all.iter().map(ToString::to_string).collect();
    if words == ["tcp", "udp", "icmp", "icmpv6", "proto"] { "any".to_owned() } else { some(&words) }
}

fn said(ruling: &Ruling) -> String {
    let by = |rule: Option<&String>| rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
    let at = |end: Option<crate::End>| end.map(|end| format!(" at {end}")).unwrap_or_default();
    let Ruling { verdict, rule, end, would } = ruling;
    let would = would
        .as_ref()
        .map(|Would { verdict, rule, end }| format!(", would {verdict}{}{}", by(rule.as_ref()), at(*end)));
    format!("{verdict}{}{}{}", by(rule.as_ref()), at(*end), would.unwrap_or_default())
}

/// A cell of a table.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '<' | '>' | '`' | '[' | ']' | '\\' | '#' | '@' => out.extend(['\\', letter]),
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm(name) => name.fmt(f),
            Self::Labelled(labelled) => labelled.fmt(f),
            Self::Outside(outside) => f.pad(&told(outside)),
        }
    }
}

impl fmt::Display for Labelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}", self.selector)?;
        self.same.iter().try_for_each(|key| write!(f, "; the source's own {key}"))?;
        self.differing.iter().try_for_each(|key| write!(f, "; another {key} than the source's"))?;
        f.write_str(")")
    }
}

/// Outside addresses: by their groups if there are any, and by their range if there is one.
fn told(outside: &Outside) -> String {
    let kind = if outside.groupcast { "multicast" } else { "outside" };
    let groups: Vec<&str> = outside.groups.iter().map(Name::as_str).collect();
    let name = if groups.is_empty() { kind.to_owned() } else { groups.join("+") };
    match outside.ranges.as_slice() {
        [(first, last)] => format!("{name} {}", range(*first, *last)),
        _ => format!("{name} {}", outside.family),
    }
}

/// A range of addresses, as a prefix if it is one.
fn range(first: IpAddr, last: IpAddr) -> String {
    let bits = if Family::of(first) == Family::V4 { 32 } else { 128 };
    let size = number(last) - number(first);
    let below = (size.count_ones(), size.wrapping_add(1).is_power_of_two() || size == u128::MAX);
    let prefix = u8::try_from(bits - below.0.min(bits)).ok().filter(|_| below.1);
    let net = prefix.and_then(|length| IpNet::new(first, length).ok()).filter(|net| net.network() == first);
    match net {
        Some(_) if first == last => first.to_string(),
        Some(net) => net.to_string(),
        None => format!("{first}-{last}"),
    }
}
