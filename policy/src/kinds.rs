//! Which VMs there can be, where nobody says which there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Inventory, Key, Mode, Name, Selector, Vm};

/// VMs that there can be: one of each kind of sources, and one of each kind of destinations; all with an agent.
#[derive(Default)]
pub(crate) struct Kinds {
    pub(crate) inventory: Inventory,
    /// The VMs that stand for sources.
    pub(crate) sources: BTreeSet<Name>,
    /// The VMs that stand for destinations.
    pub(crate) destinations: BTreeSet<Name>,
}

impl Kinds {
    /// One VM of every kind that these selectors of sources and of destinations can tell apart. `within` are the keys by whose
    /// values two VMs are compared.
    ///
    /// # Errors
    /// There are more than so many kinds.
    pub(crate) fn of<'s>(
        ends: [&BTreeSet<&'s Selector>; 2],
        within: &BTreeSet<&'s str>,
        most: usize,
    ) -> Result<Self, usize> {
        let mut kinds = Self::default();
        // What one end is asked to be, the other is compared with.
        let mut compared: BTreeMap<&str, Mentioned<'_>> = BTreeMap::new();
        ends.into_iter().flatten().for_each(|selector| mentioned(selector, &mut compared));
        compared.retain(|key, _| within.contains(key));
        for (end, selectors) in ends.into_iter().enumerate() {
            let first = kinds.inventory.vms.len();
            let labels = labels(selectors, (within, compared.clone()), most)?.into_iter().enumerate();
            let vms: Vec<(Name, Vm)> = labels.filter_map(|(number, labels)| vm(first + number, labels)).collect();
            let names = vms.iter().map(|(name, _)| name.clone()).collect();
            *(if end == 0 { &mut kinds.sources } else { &mut kinds.destinations }) = names;
            kinds.inventory.vms.extend(vms);
        }
        Ok(kinds)
    }
}

/// Labels of every kind, the fewest first.
fn labels<'s>(
    selectors: &BTreeSet<&'s Selector>,
    (within, mut keys): (&BTreeSet<&'s str>, BTreeMap<&'s str, Mentioned<'s>>),
    most: usize,
) -> Result<Vec<Labels>, usize> {
    let mut forms = Forms::default();
    let first: Vec<u32> = selectors.iter().map(|selector| forms.of(selector)).collect();
    let mut kinds = BTreeMap::from([((first, Vec::new()), BTreeMap::new())]);
    for key in within {
        keys.entry(key).or_default();
    }
    selectors.iter().for_each(|selector| mentioned(selector, &mut keys));
    for (key, mentioned) in &keys {
        let compared = within.contains(key);
        kinds = split(kinds, &mut forms, key, &mentioned.choices(compared), compared);
        if kinds.len() > most {
            return Err(most);
        }
    }
    let mut kinds: Vec<Labels> = kinds.into_values().collect();
    kinds.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    Ok(kinds)
}

type Labels = BTreeMap<Key, String>;

/// What is left of each selector, and the values of the keys that are compared; with labels that lead there.
type Left = BTreeMap<(Vec<u32>, Vec<usize>), Labels>;

/// Gives every kind every value of a key, and keeps those that differ.
fn split(kinds: Left, forms: &mut Forms, key: &str, choices: &[Option<String>], compared: bool) -> Left {
    let mut after = Left::new();
    for (number, choice) in choices.iter().enumerate() {
        let mut known = BTreeMap::new();
        for ((left, values), labels) in &kinds {
            let mut given =
                |form: &u32| *known.entry(*form).or_insert_with(|| forms.given(*form, key, choice.as_deref()));
            let left = left.iter().map(&mut given).collect();
            let values = values.iter().copied().chain(compared.then_some(number)).collect();
            after.entry((left, values)).or_insert_with(|| {
                let chosen = choice.clone().map(|value| (key.to_owned(), value));
                labels.clone().into_iter().chain(chosen).collect()
            });
        }
    }
    after
}

/// An address that hardly anybody uses outside: those of VMs are no others'.
fn vm(number: usize, labels: Labels) -> Option<(Name, Vm)> {
    let number = u32::try_from(number).ok()?;
    let v4 = Ipv4Addr::from(0xf0ea_0000 + number);
    let v6 = Ipv6Addr::from((0xfd5e_a57e_0000_0000_u128 << 64) + u128::from(number) + 1);
    let addresses = vec![IpAddr::from(v4), IpAddr::from(v6)];
    let name = format!("kind-{number:06}").parse().ok()?;
    Some((name, Vm { labels, addresses, managed: true, quarantined: false, mode: Mode::Enforce }))
}

/// What selectors ask of one key.
#[derive(Clone, Default)]
struct Mentioned<'s> {
    values: BTreeSet<&'s str>,
    had: bool,
}

impl Mentioned<'_> {
    /// No value, and then those that tell something apart; of a key that is compared two that nobody mentions.
    fn choices(&self, compared: bool) -> Vec<Option<String>> {
        let others = usize::from(self.had).max(2 * usize::from(compared));
        let numbered = std::iter::once("other".to_owned()).chain((2..).map(|number| format!("other-{number}")));
        let others = numbered.filter(|other| !self.values.contains(other.as_str())).take(others);
        let values = self.values.iter().map(|value| (*value).to_owned());
        std::iter::once(None).chain(values.chain(others).map(Some)).collect()
    }
}

fn mentioned<'s>(selector: &'s Selector, keys: &mut BTreeMap<&'s str, Mentioned<'s>>) {
    match selector {
        Selector::Has(key) => keys.entry(key).or_default().had = true,
        Selector::Equals(key, value) | Selector::Differs(key, value) => {
            keys.entry(key).or_default().values.insert(value);
        }
        Selector::In(key, values) => keys.entry(key).or_default().values.extend(values.iter().map(String::as_str)),
        Selector::Not(inner) => mentioned(inner, keys),
        Selector::And(parts) | Selector::Or(parts) => parts.iter().for_each(|part| mentioned(part, keys)),
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => {}
    }
}

/// What is left of a selector about VMs once some labels are known; the others by their numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Known(bool),
    Term(Selector),
    Not(u32),
    All(Vec<u32>),
    Some(Vec<u32>),
}

/// Forms by number, each once.
#[derive(Default)]
struct Forms {
    numbers: BTreeMap<Form, u32>,
    all: Vec<Form>,
}

impl Forms {
    fn number(&mut self, form: Form) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(form).or_insert_with_key(|form| {
            self.all.push(form.clone());
            next
        })
    }

    fn of(&mut self, selector: &Selector) -> u32 {
        match selector {
            Selector::Any | Selector::Vms => self.number(Form::Known(true)),
            Selector::Outside | Selector::Addresses(_) => self.number(Form::Known(false)),
            Selector::Has(_) | Selector::Equals(..) | Selector::Differs(..) | Selector::In(..) => {
                self.number(Form::Term(selector.clone()))
            }
            Selector::Not(inner) => {
                let inner = self.of(inner);
                self.negated(inner)
            }
            Selector::And(parts) => {
                let parts = parts.iter().map(|part| self.of(part)).collect();
                self.joined(parts, true)
            }
            Selector::Or(parts) => {
                let parts = parts.iter().map(|part| self.of(part)).collect();
                self.joined(parts, false)
            }
        }
    }

    /// What is left of a form when a key has a value, or none.
    fn given(&mut self, form: u32, key: &str, value: Option<&str>) -> u32 {
        match self.all[form as usize].clone() {
            Form::Known(_) => form,
            Form::Term(term) => match holds(&term, key, value) {
                Some(known) => self.number(Form::Known(known)),
                None => form,
            },
            Form::Not(inner) => {
                let inner = self.given(inner, key, value);
                self.negated(inner)
            }
            Form::All(parts) => {
                let parts = parts.into_iter().map(|part| self.given(part, key, value)).collect();
                self.joined(parts, true)
            }
            Form::Some(parts) => {
                let parts = parts.into_iter().map(|part| self.given(part, key, value)).collect();
                self.joined(parts, false)
            }
        }
    }

    fn negated(&mut self, inner: u32) -> u32 {
        match self.all[inner as usize] {
            Form::Known(known) => self.number(Form::Known(!known)),
            Form::Not(inner) => inner,
            Form::Term(_) | Form::All(_) | Form::Some(_) => self.number(Form::Not(inner)),
        }
    }

    /// All of some parts (`every`), or some of them.
    fn joined(&mut self, mut parts: Vec<u32>, every: bool) -> u32 {
        let known = |forms: &Self, part: u32, value| forms.all[part as usize] == Form::Known(value);
        if parts.iter().any(|&part| known(self, part, !every)) {
            return self.number(Form::Known(!every));
        }
        parts.retain(|&part| !known(self, part, every));
        parts.sort_unstable();
        parts.dedup();
        match parts.as_slice() {
            [] => self.number(Form::Known(every)),
            [only] => *only,
            _ if every => self.number(Form::All(parts)),
            _ => self.number(Form::Some(parts)),
        }
    }
}

/// Whether a term about one key holds; `None` where it is about another.
fn holds(term: &Selector, key: &str, value: Option<&str>) -> Option<bool> {
    match term {
        Selector::Has(asked) => (asked == key).then_some(value.is_some()),
        Selector::Equals(asked, wanted) => (asked == key).then_some(value == Some(wanted)),
        Selector::Differs(asked, other) => (asked == key).then_some(value != Some(other)),
        Selector::In(asked, wanted) => {
            (asked == key).then_some(value.is_some_and(|value| wanted.iter().any(|one| one == value)))
        }
        Selector::Any | Selector::Vms | Selector::Outside | Selector::Addresses(_) => None,
        Selector::Not(_) | Selector::And(_) | Selector::Or(_) => None,
    }
}
