//! The bytes that come from single senders: counted where a detector asks for it, in the first rule that a packet meets.
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_core::{Ruleset, Weight};
use nft::{Element, ElementInfo, Error, SetSpec, Type};

use super::apply::Kernel;
use super::rules::{IPV4, IPV6, Rule, table};

const SETS: [(&str, Type); 2] = [("volumes4", Type::Ipv4), ("volumes6", Type::Ipv6)];
/// No less than an element's bytes.
const ELEMENT_BYTES: usize = 80;

/// The sets, which stay; they are empty where nobody asks.
pub(crate) fn sets() -> [SetSpec; 2] {
    SETS.map(|(name, key)| SetSpec::counted(name, key))
}

/// The rules that count; none where nobody asks.
pub(crate) fn rules(ruleset: &Ruleset) -> Vec<Rule> {
    let families = [(IPV4, SETS[0].0, false), (IPV6, SETS[1].0, true)];
    let asked = |six: bool| ruleset.weighed.iter().any(|address| address.is_ipv6() == six);
    let families = families.into_iter().filter(|(_, _, six)| asked(*six));
    families.map(|(family, set, six)| Rule::new().family(family).weigh(six, set)).collect()
}

impl Kernel {
    /// Has the kernel count these senders alone. Counters of those that stay go on.
    pub(super) fn weigh(&mut self, ruleset: &Ruleset, previous: Option<&Ruleset>) -> Result<(), Error> {
        if previous.is_some_and(|previous| previous.weighed == ruleset.weighed) {
            return Ok(());
        }
        let held: BTreeSet<IpAddr> = self.weights()?.into_iter().map(|one| one.address).collect();
        let mut batch = nft::Batch::new();
        for (set, six) in [(SETS[0].0, false), (SETS[1].0, true)] {
            let of_set = |address: &&IpAddr| address.is_ipv6() == six;
            let gone: Vec<Element> =
                held.difference(&ruleset.weighed).filter(of_set).map(|ip| Element::address(*ip)).collect();
            let come: Vec<Element> =
                ruleset.weighed.difference(&held).filter(of_set).map(|ip| Element::address(*ip)).collect();
            self.in_parts(&mut batch, &gone, ELEMENT_BYTES, |batch, part| {
                batch.delete_elements(&table(), set, part);
            })?;
            self.in_parts(&mut batch, &come, ELEMENT_BYTES, |batch, part| {
                batch.add_elements(&table(), set, part);
            })?;
        }
        self.commit(&batch)
    }

    /// What was counted of each sender.
    ///
    /// # Errors
    /// When a listing fails for another reason than that the set is not there.
    pub fn weights(&mut self) -> Result<Vec<Weight>, Error> {
        let mut all = Vec::new();
        for (set, _) in SETS {
            match self.socket.elements(&table(), set) {
                Ok(elements) => all.extend(elements.into_iter().filter_map(weight)),
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

fn weight(element: ElementInfo) -> Option<Weight> {
    let (_, bytes) = element.counter?;
    let address = match element.key.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(element.key).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(element.key).ok()?)),
    };
    Some(Weight { address, bytes })
}
