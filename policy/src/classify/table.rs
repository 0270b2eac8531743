//! One policy over the classes of a [`Space`]: for each class a set of rules, so that the rules that hold for a flow are what
//! the sets of its source, its destination and its service share, and the first of them decides.

use super::bits::{Bits, Marked, WORD, least, ones, shared};
use super::endpoints::{Endpoint, Endpoints};
use super::judged::{Decider, Decision, EndJudged, Judged};
use super::pair::Pair;
use super::services::{Nature, ServiceClasses};
use super::terms::{Reference, Terms};
use crate::{Action, At, Builtin, End, Inventory, Mode, Policy, Rule, Timestamp, Verdict};

/// The classes that some policies and an inventory tell apart.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) endpoints: Endpoints,
    pub(crate) services: ServiceClasses,
}

impl Space {
    /// The classes that all these policies together tell apart, and each policy over them.
    pub(crate) fn of(policies: &[&Policy], inventory: &Inventory, now: Timestamp) -> (Self, Vec<Table>) {
        let mut terms = Terms::default();
        let references: Vec<Vec<Reference>> = policies.iter().map(|policy| terms.read(policy)).collect();
        let endpoints = Endpoints::of(inventory, &terms);
        let services = ServiceClasses::of(&terms.services());
        let space = Self { endpoints, services };
        let keys = terms.within().len();
        let tables = policies.iter().zip(references);
        let tables = tables.map(|(policy, references)| Table::of(policy, &space, (&references, keys), now)).collect();
        (space, tables)
    }
}

/// One policy, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// By class of endpoints: the rules whose `from` matches it.
    pub(crate) from: Vec<Marked>,
    /// The rules whose `to` matches it.
    pub(crate) to: Vec<Marked>,
    /// The rules whose `from` matches it and that hold at it as the source.
    at_source: Vec<Marked>,
    /// The rules whose `to` matches it and that hold at it as the destination.
    at_destination: Vec<Marked>,
    /// By class of endpoints: whether all rules whose `from` matches it hold at it as the source, and all whose `to` matches
    /// it as the destination.
    at_both: Vec<[bool; 2]>,
    /// By class of services: the rules that cover it.
    pub(crate) covering: Vec<Marked>,
    /// By rule: the classes of services that it covers.
    pub(crate) covered: Vec<Marked>,
    /// By `within` key: the rules that ask for it.
    within: Vec<Bits>,
    /// The rules that only record.
    pub(crate) monitors: Bits,
    /// Whether some rule, or the end of the policy, only records.
    records: bool,
    /// By rule: its verdict (`None`: it passes the flow on), and the first rule of the next tier.
    pub(crate) actions: Vec<(Option<Verdict>, usize)>,
    default: Verdict,
    mode: Mode,
    /// By rule: what makes it the same rule in another policy of the space.
    pub(crate) identities: Vec<Identity>,
}

/// All of a rule that a verdict depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    name: String,
    place: usize,
    reference: Reference,
    action: Action,
    ends: [bool; 2],
    monitors: bool,
    until: Option<Timestamp>,
}

impl Identity {
    fn of(rule: &Rule, reference: Reference) -> Self {
        Self {
            name: rule.full_name(),
            place: rule.place(),
            reference,
            action: rule.action,
            ends: [rule.at != At::Destination, rule.at != At::Source],
            monitors: rule.mode == Mode::Monitor,
            until: rule.until,
        }
    }
}

impl Table {
    fn of(policy: &Policy, space: &Space, (references, keys): (&[Reference], usize), now: Timestamp) -> Self {
        let rules = || policy.rules.iter().zip(references);
        let size = policy.rules.len();
        let living = |rule: &Rule| rule.until.is_none_or(|until| now < until);
        let of = |holds: &dyn Fn(&Rule, &Reference) -> bool| {
            let mut bits = Bits::none(size);
            let held = rules().enumerate().filter(|(_, (rule, reference))| living(rule) && holds(rule, reference));
            held.for_each(|(number, _)| bits.put(number));
            bits
        };
        let endpoints = |holds: &dyn Fn(&Bits, &Rule, &Reference) -> bool| -> Vec<Marked> {
            let signatures = (0..space.endpoints.classes()).map(|class| space.endpoints.signature(class));
            signatures.map(|matched| of(&|rule, reference| holds(matched, rule, reference)).into()).collect()
        };
        let owned = |matched: &Bits, reference: &Reference| reference.owns.is_none_or(|owns| matched.has(owns));
        let classes = space.services.count();
        let covers = |class: usize, reference: &Reference| space.services.lists(class).has(reference.services);
        let monitors = of(&|rule, _| rule.mode == Mode::Monitor);
        let from = endpoints(&|matched, _, reference| matched.has(reference.from));
        let to = endpoints(&|matched, _, reference| matched.has(reference.to));
        let at_source = endpoints(&|matched, rule, reference| {
            matched.has(reference.from) && rule.at != At::Destination && owned(matched, reference)
        });
        let at_destination = endpoints(&|matched, rule, reference| {
            matched.has(reference.to) && rule.at != At::Source && owned(matched, reference)
        });
        Self {
            at_both: at_both([&from, &at_source], [&to, &at_destination]),
            from,
            to,
            at_source,
            at_destination,
            covering: (0..classes).map(|class| of(&|_, reference| covers(class, reference)).into()).collect(),
            covered: references.iter().map(|rule| Bits::of(classes, |class| covers(class, rule)).into()).collect(),
            within: (0..keys).map(|key| of(&|_, reference| reference.within == Some(key))).collect(),
            records: policy.mode == Mode::Monitor || !monitors.is_empty(),
            monitors,
            actions: actions(policy),
            default: policy.default,
            mode: policy.mode,
            identities: rules().map(|(rule, reference)| Identity::of(rule, *reference)).collect(),
        }
    }

    /// What it says of a flow.
    #[inline]
    pub(crate) fn judge(&self, pair: &Pair<'_>, class: usize, service: Nature) -> Judged {
        let source = self.end(pair, End::Source, class, service);
        let destination = if self.alike(pair) { source } else { self.end(pair, End::Destination, class, service) };
        Judged::of(source, destination)
    }

    /// Whether both ends say the same of every flow: they stand alike, and every rule for them holds at either.
    #[inline]
    fn alike(&self, pair: &Pair<'_>) -> bool {
        let (source, destination) = (pair.source, pair.destination);
        source.standing == destination.standing
            && self.at_both[source.class as usize][0]
            && self.at_both[destination.class as usize][1]
    }

    #[inline]
    fn end(&self, pair: &Pair<'_>, end: End, class: usize, service: Nature) -> Option<EndJudged> {
        let standing = pair.end(end).standing;
        if !standing.managed {
            return None;
        }
        if let Some(decision) = pair.builtin(end, service) {
            return Some(EndJudged { acted: decision, live: decision });
        }
        let live = self.first(pair, end, class, true);
        let acted = if standing.monitors {
            self.last(true, false)
        } else if self.records {
            self.first(pair, end, class, false)
        } else {
            live
        };
        Some(EndJudged { acted, live })
    }

    /// The first rule that decides at an end.
    #[inline]
    fn first(&self, pair: &Pair<'_>, end: End, class: usize, live: bool) -> Decision {
        let ([one, other], covering) = (self.sides(pair, end), &self.covering[class]);
        let mut start = 0;
        while let Some(number) =
            least([one, other, covering], start, |place, word| self.holding(pair, live, place, word))
        {
            match self.actions[number] {
                (Some(verdict), _) => return Decision { verdict, decider: Decider::Rule(super::narrow(number)) },
                (None, next) => start = next,
            }
        }
        self.last(self.ends_in_monitor(), live)
    }

    /// All rules that match a pair, whatever the service, and whether or not they hold at an end.
    pub(crate) fn meeting(&self, pair: &Pair<'_>) -> Vec<u32> {
        let [from, to] = [&self.from[pair.source.class as usize], &self.to[pair.destination.class as usize]];
        let kept = shared([from, to], 0).map(|(place, word)| (place, self.holding(pair, true, place, word)));
        kept.flat_map(|(place, word)| ones(word).map(move |bit| super::narrow(place * WORD + bit))).collect()
    }

    /// Whether a rule matches a pair for some service.
    pub(crate) fn meets(&self, pair: &Pair<'_>, rule: usize) -> bool {
        let met =
            self.matches(End::Source, pair.source, rule) && self.matches(End::Destination, pair.destination, rule);
        met && self.holding(pair, true, rule / WORD, 1 << (rule % WORD)) != 0
    }

    /// Whether a rule's side matches an endpoint.
    pub(crate) fn matches(&self, end: End, endpoint: &Endpoint, rule: usize) -> bool {
        let sets = if end == End::Source { &self.from } else { &self.to };
        sets[endpoint.class as usize].bits().has(rule)
    }

    /// Whether everything that one rule matches another does, by what they speak of alone: where it says no, it may yet be.
    pub(crate) fn covers(&self, wide: usize, narrow: usize) -> bool {
        let ends = |sets: &[Marked]| sets.iter().map(Marked::bits).all(|set| !set.has(narrow) || set.has(wide));
        let within = self.within.iter().all(|key| !key.has(wide) || key.has(narrow));
        within && self.covered[narrow].bits().is_in(self.covered[wide].bits()) && ends(&self.from) && ends(&self.to)
    }

    /// The sets of rules that hold at an end for the source and for the destination.
    #[inline]
    fn sides(&self, pair: &Pair<'_>, end: End) -> [&Marked; 2] {
        let (source, destination) = (pair.source.class as usize, pair.destination.class as usize);
        match end {
            End::Source => [&self.at_source[source], &self.to[destination]],
            End::Destination => [&self.from[source], &self.at_destination[destination]],
        }
    }

    /// Which of a word of rules hold: their `within` is kept, and they act.
    #[inline]
    fn holding(&self, pair: &Pair<'_>, live: bool, place: usize, mut word: u64) -> u64 {
        for (key, within) in self.within.iter().enumerate() {
            if !pair.equal(key) {
                word &= !within.words()[place];
            }
        }
        if live { word } else { word & !self.monitors.words()[place] }
    }

    /// What is said where no rule decides, at an end that only records or not.
    pub(crate) fn last(&self, records: bool, live: bool) -> Decision {
        if records && !live {
            return Decision { verdict: Verdict::Allow, decider: Decider::Builtin(Builtin::Monitor) };
        }
        Decision { verdict: self.default, decider: Decider::Default }
    }

    /// Whether no rule, nor the end of the policy, only records.
    pub(crate) fn acts(&self) -> bool {
        !self.records
    }

    /// Whether the end of the policy only records.
    pub(crate) fn ends_in_monitor(&self) -> bool {
        self.mode == Mode::Monitor
    }

    /// Whether two policies say the same where no rule decides.
    pub(crate) fn ends_as(&self, other: &Self) -> bool {
        (self.default, self.mode) == (other.default, other.mode)
    }

    /// Whether a rule between the classes of two endpoints asks for equal values of a `within` key.
    pub(crate) fn compares(&self, pair: &Pair<'_>, key: usize) -> bool {
        let (from, to) = (&self.from[pair.source.class as usize], &self.to[pair.destination.class as usize]);
        let within = self.within[key].words();
        shared([from, to], 0).any(|(place, word)| word & within[place] != 0)
    }

    /// All rules that hold for a pair at an end, whatever the service, in their order.
    pub(crate) fn holding_at(&self, pair: &Pair<'_>, end: End, live: bool) -> Vec<u32> {
        let words = shared(self.sides(pair, end), 0);
        let kept = words.map(|(place, word)| (place, self.holding(pair, live, place, word)));
        kept.flat_map(|(place, word)| ones(word).map(move |bit| super::narrow(place * WORD + bit))).collect()
    }
}

/// By class of endpoints: whether the rules that match it as the source, and as the destination, are those that hold at it.
fn at_both([from, at_source]: [&[Marked]; 2], [to, at_destination]: [&[Marked]; 2]) -> Vec<[bool; 2]> {
    let same = |(all, held): (&Marked, &Marked)| all.bits() == held.bits();
    let ends = from.iter().zip(at_source).zip(to.iter().zip(at_destination));
    ends.map(|(source, destination)| [same(source), same(destination)]).collect()
}

/// By rule: its verdict, and the first rule of the next tier.
fn actions(policy: &Policy) -> Vec<(Option<Verdict>, usize)> {
    let mut next = policy.rules.len();
    let mut place = policy.rules.last().map_or(0, Rule::place);
    let mut actions: Vec<(Option<Verdict>, usize)> = Vec::with_capacity(policy.rules.len());
    for (number, rule) in policy.rules.iter().enumerate().rev() {
        if rule.place() != place {
            (next, place) = (number + 1, rule.place());
        }
        actions.push((rule.action.verdict(), next));
    }
    actions.reverse();
    actions
}
