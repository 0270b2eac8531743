//! A suggestion with its figures, and as the text of a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use policy::{FlowService, IpNet, Name};

use super::selectors::Classes;
use super::{Cell, Chosen, Rectangle, Side, Suggested, Suggestion, Wanted};
use crate::replay::Replay;
use crate::show::counted;

/// How many pairs that a rule would allow and that were not seen are shown.
const MOST_EXAMPLES: usize = 5;
/// The longest part of a rule's name that one side gives.
const LONGEST_PART: usize = 40;

type Rules = BTreeMap<Rectangle, BTreeSet<FlowService>>;

/// What the figures of rules are taken from.
struct Book<'a> {
    wanted: &'a Wanted,
    classes: &'a Classes,
    /// Every prefix outside that was seen.
    outside: BTreeSet<Side>,
    replay: &'a Replay<'a>,
}

pub(super) fn suggestion(wanted: &Wanted, rules: &Rules, classes: &Classes, replay: &Replay<'_>) -> Suggestion {
    let mut groups: BTreeMap<BTreeSet<IpNet>, String> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut suggested = Vec::new();
    let book = Book { wanted, classes, outside: every_outside(wanted), replay };
    for (rectangle, services) in rules {
        let from = written(&rectangle.from, &mut groups);
        let to = written(&rectangle.to, &mut groups);
        let name = unique(&format!("{}-to-{}", slug(&from), slug(&to)), &mut names);
        let Figures { flows, pairs, excess, examples } = book.figures(rectangle, services);
        let any_outside = [&rectangle.from, &rectangle.to].contains(&&Chosen::Outside);
        let services = services.iter().map(ToString::to_string).collect();
        suggested.push(Suggested { name, from, to, services, flows, pairs, excess, examples, any_outside });
    }
    suggested.sort_by(|a, b| b.flows.cmp(&a.flows).then_with(|| a.name.cmp(&b.name)));
    let mut suggestion = Suggestion {
        rules: suggested,
        groups: groups.into_iter().map(|(prefixes, name)| (name, prefixes.into_iter().collect())).collect(),
        intercepted: wanted.intercepted,
        hopeless: wanted.hopeless,
        elsewhere: wanted.elsewhere,
        uncovered: wanted.uncovered,
        excess: book.together(rules),
        text: String::new(),
    };
    suggestion.text = text(&suggestion);
    suggestion
}

/// Every prefix outside that was seen.
fn every_outside(wanted: &Wanted) -> BTreeSet<Side> {
    let ends = wanted.services.values().flat_map(BTreeMap::keys).flat_map(|(from, to)| [*from, *to]);
    ends.filter(|side| side.is_outside() && *side != Side::Others).collect()
}

/// What one rule covers, and what it allows beside.
#[derive(Default)]
struct Figures {
    flows: u64,
    pairs: u64,
    excess: u64,
    examples: Vec<String>,
}

impl Book<'_> {
    fn figures(&self, rectangle: &Rectangle, services: &BTreeSet<FlowService>) -> Figures {
        let mut figures = Figures::default();
        let sides = self.ends(rectangle);
        for service in services {
            let Some(cells) = self.wanted.services.get(service) else { continue };
            for ends in &sides {
                let cell = cells.get(ends);
                let seen = cell.map_or(0, |cell| cell.pairs.len() as u64);
                figures.pairs += seen;
                figures.flows += cell.map_or(0, |cell| cell.flows);
                let unseen = self.size(*ends) - seen.min(self.size(*ends));
                figures.excess += unseen;
                self.exemplify(&mut figures.examples, (*ends, unseen), cell, *service);
            }
            // Others outside are no side that can be counted; what they did is covered all the same.
            let others = cells.iter().filter(|((a, b), _)| *a == Side::Others || *b == Side::Others);
            for (_, cell) in others.filter(|(ends, _)| rectangle.holds(ends)) {
                figures.flows += cell.flows;
                figures.pairs += cell.pairs.len() as u64;
            }
        }
        figures
    }

    /// What all rules together allow that was not seen, each pair and service once.
    fn together(&self, rules: &Rules) -> u64 {
        let mut sum = 0;
        for (service, cells) in &self.wanted.services {
            let of_service = rules.iter().filter(|(_, services)| services.contains(service));
            let covered: BTreeSet<(Side, Side)> = of_service.flat_map(|(rectangle, _)| self.ends(rectangle)).collect();
            let seen = |ends| cells.get(ends).map_or(0, |cell| cell.pairs.len() as u64);
            sum += covered.iter().map(|ends| self.size(*ends) - seen(ends).min(self.size(*ends))).sum::<u64>();
        }
        sum
    }

    /// The pairs of sides that a rectangle holds, as far as they can be counted.
    fn ends(&self, rectangle: &Rectangle) -> Vec<(Side, Side)> {
        let (from, to) = (self.sides(&rectangle.from), self.sides(&rectangle.to));
        from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))).collect()
    }

    fn sides(&self, chosen: &Chosen) -> Vec<Side> {
        match chosen {
            Chosen::Vms(_, classes) => classes.iter().copied().map(Side::Class).collect(),
            Chosen::Group(prefixes) => prefixes.iter().copied().map(Side::Prefix).collect(),
            Chosen::Outside => self.outside.iter().copied().collect(),
        }
    }

    /// How many pairs of parties there are between two sides.
    fn size(&self, (from, to): (Side, Side)) -> u64 {
        let one = |side: Side| side.class().map_or(1, |class| self.classes.size(class));
        from.class().zip(to.class()).map_or(one(from) * one(to), |both| self.classes.pairs(both))
    }

    /// Adds examples of what is not seen between two sides, if there is any.
    fn exemplify(
        &self,
        examples: &mut Vec<String>,
        ((from, to), unseen): ((Side, Side), u64),
        cell: Option<&Cell>,
        service: FlowService,
    ) {
        if unseen == 0 || examples.len() >= MOST_EXAMPLES {
            return;
        }
        let name = |party| self.replay.parties.who(party).to_string();
        let pairs = cell.into_iter().flat_map(|cell| &cell.pairs);
        let seen: BTreeSet<(String, String)> = pairs.map(|(a, b)| (name(*a), name(*b))).collect();
        let (sources, destinations) = (self.parties(from), self.parties(to));
        let all = sources.iter().flat_map(|from| destinations.iter().map(move |to| (from.clone(), to.clone())));
        let strange = all.filter(|pair| pair.0 != pair.1 && !seen.contains(pair));
        let more = strange.take(MOST_EXAMPLES - examples.len()).map(|(from, to)| format!("{from} -> {to} {service}"));
        examples.extend(more);
    }

    fn parties(&self, side: Side) -> Vec<String> {
        match side {
            Side::Class(class) => self.classes.members(class).iter().map(Name::to_string).collect(),
            Side::Prefix(prefix) => vec![prefix.to_string()],
            Side::Others => Vec::new(),
        }
    }
}

/// A side as a selector is written; a group gets a name.
fn written(chosen: &Chosen, groups: &mut BTreeMap<BTreeSet<IpNet>, String>) -> String {
    match chosen {
        Chosen::Vms(text, _) => text.clone(),
        Chosen::Outside => "outside".to_owned(),
        Chosen::Group(prefixes) => {
            let next = format!("seen-{}", groups.len() + 1);
            groups.entry(prefixes.clone()).or_insert(next).clone()
        }
    }
}

/// A selector's text as part of a name: `app = web & env = prod` becomes `app-web-env-prod`.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let cut: String = slug.chars().take(LONGEST_PART).collect();
    let cut = cut.trim_end_matches('-');
    if cut.is_empty() { "some".to_owned() } else { cut.to_owned() }
}

fn unique(name: &str, names: &mut BTreeSet<String>) -> String {
    let numbered = |number: u32| if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
    let free = (1..).map(numbered).find(|name| !names.contains(name)).unwrap_or_default();
    names.insert(free.clone());
    free
}

/// The suggestion as a policy file.
fn text(suggestion: &Suggestion) -> String {
    let Suggestion { rules, groups, intercepted, hopeless, elsewhere, uncovered, excess, text: _ } = suggestion;
    let mut text = String::from(
        "# A suggestion from recorded traffic; read it before use. It allows what was seen, whether or not that was right,\n\
         # and knows nothing of what happens once a month. Nothing publishes it but you.\n",
    );
    let mut remark = |count: u64, words: &str, one: &str| {
        if count > 0 {
            let _ = writeln!(text, "# {words}: {}", counted(count, one));
        }
    };
    remark(*excess, "allowed, too, and not seen, as the rules say", "pair");
    remark(*intercepted, "left out, for they are recorded as intercepted", "flow");
    remark(*hopeless, "of unknown addresses, of quarantined VMs or link-local, which no rule can allow", "flow");
    remark(*elsewhere, "between two ends outside, where no agent judges", "flow");
    remark(*uncovered, "NOT covered, for there was no room for more pairs or rules", "flow");
    text.push_str("eastwest: policy/v1\n");
    if !groups.is_empty() {
        text.push_str("groups:\n");
    }
    for (name, prefixes) in groups {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
        let _ = writeln!(text, "  {name}: [{}]", prefixes.join(", "));
    }
    text.push_str(if rules.is_empty() { "rules: []\n" } else { "rules:\n" });
    rules.iter().for_each(|rule| one_rule(&mut text, rule));
    text.push_str("default: deny\n");
    text
}

fn one_rule(text: &mut String, rule: &Suggested) {
    let Suggested { name, from, to, services, flows, pairs, excess, examples, any_outside } = rule;
    let _ = writeln!(text, "  # {} between {}", counted(*flows, "flow"), counted(*pairs, "pair"));
    if *excess > 0 {
        let more = if *excess > examples.len() as u64 { ", …" } else { "" };
        let _ = writeln!(
            text,
            "  # allowed, too, and not seen: {}: {}{more}",
            counted(*excess, "pair"),
            examples.join(", ")
        );
    }
    if *any_outside {
        text.push_str("  # and any other address outside\n");
    }
    let quoted = |selector: &str| format!("'{}'", selector.replace('\'', "''"));
    let _ = writeln!(text, "  - name: {name}\n    allow: [{}]", services.join(", "));
    let _ = writeln!(text, "    from: {}\n    to: {}", quoted(from), quoted(to));
}
