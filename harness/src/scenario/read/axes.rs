//! Reading the axes, and what becomes of placements, addresses and expectations in one of their trials.

use std::net::IpAddr;

use policy::yaml::{self, Node};
use policy::{Family, Name, Span};

use super::super::axes::{FAMILIES, PLACEMENTS};
use super::super::{Axes, Choice, Claim, Placement};
use super::{Reader, keys};

impl Reader<'_> {
    /// `{placement: [one-host, spread], family: [v4, v6]}`.
    pub(super) fn axes(&mut self, node: &Node, hosts: &[Name]) -> Option<Axes> {
        let fields = self.fields(node, "`axes`", &keys::AXES, &[])?;
        let placement = fields.get("placement").map(|node| self.axis(node, &PLACEMENTS)).unwrap_or_default();
        let family = fields.get("family").map(|node| self.axis(node, &FAMILIES)).unwrap_or_default();
        let needs_two = |(_, one): &&(&str, Placement)| matches!(one, Placement::Spread | Placement::AfterMove);
        for (word, _) in PLACEMENTS.iter().filter(needs_two).filter(|(_, one)| placement.contains(one)) {
            if let Some(node) = fields.get("placement").filter(|_| hosts.len() < 2) {
                self.wrong(node.span, format!("`{word}` needs a second host"));
            }
        }
        Some(Axes { placement, family })
    }

    fn axis<T: Copy + PartialEq>(&mut self, node: &Node, known: &[(&str, T)]) -> Vec<T> {
        let mut values = Vec::new();
        for item in yaml::items(node, "a list of values", &mut self.problems).unwrap_or_default() {
            match yaml::word(item, known, &mut self.problems) {
                Some(value) if values.contains(&value) => self.wrong(item.span, "this stands here a second time"),
                Some(value) => values.push(value),
                None => {}
            }
        }
        if values.is_empty() {
            self.wrong(node.span, "an axis needs a value");
        }
        values
    }

    /// The host of the next VM of the file, in this trial.
    pub(super) fn placed(&mut self, written: Name, hosts: &[Name]) -> Name {
        let at = match self.variant.placement {
            Some(Placement::AsWritten | Placement::AfterMove) | None => return written,
            Some(Placement::OneHost) => 0,
            Some(Placement::Spread) => {
                self.dealt += 1;
                (self.dealt - 1) % hosts.len().max(1)
            }
        };
        hosts.get(at).cloned().unwrap_or(written)
    }

    /// The addresses that an endpoint has in this trial.
    pub(super) fn of_family(&mut self, mut addresses: Vec<IpAddr>, place: Span) -> Vec<IpAddr> {
        let Some(only) = self.variant.only() else { return addresses };
        let had = !addresses.is_empty();
        addresses.retain(|address| Family::of(*address) == only);
        if had && addresses.is_empty() {
            self.wrong(place, format!("in its trial of {only} alone, this has no address"));
        }
        addresses
    }

    /// Whether an expectation says anything of the family that is left in this trial.
    pub(super) fn concerns(&self, claim: &Claim) -> bool {
        let (Some(only), Claim::Flow(claim)) = (self.variant.only(), claim) else { return true };
        let exists = |choice: &Choice| match choice {
            Choice::One(service) => service.exists_in(only),
            Choice::Any => true,
        };
        let said = claim.family.or(claim.from.map(Family::of));
        said.is_none_or(|family| family == only) && claim.services.iter().any(exists)
    }
}
