//! What another process with the right to do so could do to an agent's ruleset, done from inside its VM.

use std::collections::{BTreeMap, BTreeSet};

use nft::{Batch, Element, Error, Expr, Family, Hook, HookPoint, Policy, RuleInfo, Socket, Table, Verdict};
use policy::Name;
use reports::event::FindingKind;

use super::{World, connections};
use crate::evidence::Undone;
use crate::scenario::{Doing, Tampering};
use crate::witness::account::{Account, LAST_RESORT};

/// The agent's table.
const OURS: &str = "eastwest";
/// Somebody else's, which the agent must leave alone.
const FOREIGN: &str = "foreign";
/// How the names of the maps from addresses to the VMs' classes begin: one of them is in force, another empty.
const PEERS: &str = "peers4";
/// The kernel's number of the hook that packets leave by.
const OUTPUT: u32 = 3;
/// 192.0.2.1: no lab's pool holds it.
const STRANGER: [u8; 4] = [192, 0, 2, 1];

impl World {
    /// Does it. What a living agent must undo is waited for; a foreign table must still be there when the step is judged.
    pub(super) fn tamper(&mut self, doing: &Doing, vm: &Name, how: Tampering) -> Result<(), String> {
        let mut socket = self.socket_of(vm)?;
        let failed = |error: Error| format!("tamper with the ruleset of {vm}: {error}");
        match how {
            Tampering::FillConnections => return connections::fill(&mut socket),
            Tampering::EmptyConnections => return connections::empty(&mut socket),
            Tampering::Flush | Tampering::DeleteRule | Tampering::InsertAccept => {}
            Tampering::DeleteTable | Tampering::AddElement | Tampering::ForeignTable => {}
        }
        let before = held(&mut socket).map_err(failed)?;
        tamper(&mut socket, how).map_err(failed)?;
        self.tampered.insert(vm.to_string());
        if how == Tampering::ForeignTable {
            self.foreign.insert(vm.clone(), doing.clone());
            return Ok(());
        }
        let whole = |_: &Account| held(&mut socket).is_ok_and(|now| now == before);
        if self.state.is_alive(vm) && !self.await_word(LAST_RESORT, whole) {
            self.come_out(doing, format!("the agent of {vm} did not bring its ruleset back"));
        }
        Ok(())
    }

    /// Whether the tables that are not the agents' own were left alone.
    pub(super) fn look_at_foreign(&mut self) -> Result<(), String> {
        for (vm, doing) in std::mem::take(&mut self.foreign) {
            let tables = self.socket_of(&vm)?.tables(Family::Inet).map_err(|error| error.to_string())?;
            if !tables.iter().any(|table| table == FOREIGN) {
                self.come_out(&doing, format!("the table `{FOREIGN}` of {vm} is gone, and is not the agent's"));
            }
        }
        Ok(())
    }

    /// An item came out otherwise than it should.
    pub(super) fn come_out(&mut self, doing: &Doing, why: String) {
        self.find(FindingKind::Unmet, doing, why);
    }

    /// An item brought this to light.
    pub(super) fn find(&mut self, kind: FindingKind, doing: &Doing, why: String) {
        self.undone.push(Undone { kind, line: doing.line, item: doing.text.clone(), why });
    }

    fn socket_of(&self, vm: &Name) -> Result<Socket, String> {
        let station = self.lab.station(vm.as_str()).map_err(|error| error.to_string())?;
        let socket = station.enter(Socket::open).map_err(|error| error.to_string())?;
        socket.map_err(|error| format!("look at the ruleset of {vm}: {error}"))
    }
}

/// What the kernel holds of the agent's table, apart from numbers and counts, in whichever of its maps of a kind.
fn held(socket: &mut Socket) -> Result<BTreeSet<String>, Error> {
    let ours = Table::new(Family::Inet, OURS);
    let mut all: BTreeSet<String> = socket.chains(&ours)?.iter().map(|chain| format!("{chain:?}")).collect();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for rule in socket.rules(&ours)? {
        let place = places.entry(rule.chain.clone()).or_default();
        all.insert(format!("{} {place} {:?}", rule.chain, rule.expressions));
        *place += 1;
    }
    for set in socket.sets(&ours)? {
        let elements = socket.elements(&ours, &set.name)?;
        all.extend(
            elements
                .iter()
                .map(|element| format!("{} {:?} {}", set.name.trim_end_matches("_b"), element.key, element.end)),
        );
        all.insert(format!("{set:?}"));
    }
    Ok(all)
}

/// The map of peers that is in force, and the class of one of them.
fn known_class(socket: &mut Socket, table: &Table) -> Result<(String, Vec<u8>), Error> {
    for set in socket.sets(table)?.into_iter().filter(|set| set.name.starts_with(PEERS)) {
        if let Some(class) = socket.elements(table, &set.name)?.into_iter().find_map(|element| element.value) {
            return Ok((set.name, class));
        }
    }
    Err(Error::Malformed("no peer whose class could be given away"))
}

/// Changes the ruleset of the socket's namespace.
fn tamper(socket: &mut Socket, how: Tampering) -> Result<(), Error> {
    let ours = Table::new(Family::Inet, OURS);
    let mut batch = Batch::new();
    match how {
        Tampering::Flush => {
            for chain in socket.chains(&ours)? {
                batch.flush_chain(&ours, &chain.name);
            }
        }
        Tampering::DeleteRule => {
            let chain = base_chains(socket, &ours)?.into_iter().find(|(_, hook)| *hook == OUTPUT);
            let (chain, _) = chain.ok_or(Error::Malformed("no chain that packets leave by"))?;
            let rules: Vec<RuleInfo> = socket.rules(&ours)?.into_iter().filter(|rule| rule.chain == chain).collect();
            // Behind the last two, which only drop, and turn replies round, stands what judges new flows.
            let rule = rules.iter().rev().nth(2).or(rules.last());
            let rule = rule.ok_or(Error::Malformed("no rule in the chain that packets leave by"))?;
            batch.delete_rule(&ours, &chain, rule.handle);
        }
        Tampering::InsertAccept => {
            for (chain, _) in base_chains(socket, &ours)? {
                batch.insert_rule(&ours, &chain, &[Expr::Verdict(Verdict::Accept)]);
            }
        }
        Tampering::DeleteTable => drop(batch.delete_table(&ours)),
        Tampering::AddElement => {
            let (map, class) = known_class(socket, &ours)?;
            batch.add_elements(&ours, &map, &[Element::key(STRANGER).value(class)]);
        }
        Tampering::ForeignTable => {
            let foreign = Table::new(Family::Inet, FOREIGN);
            let hook = Hook { point: HookPoint::Input, priority: 10, policy: Policy::Accept };
            batch.add_table(&foreign).add_base_chain(&foreign, "in", &hook);
            batch.add_rule(&foreign, "in", &[Expr::Counter]);
        }
        Tampering::FillConnections | Tampering::EmptyConnections => {}
    }
    batch.commit(socket)
}

/// The chains that hang on hooks, with the hooks' numbers.
fn base_chains(socket: &mut Socket, table: &Table) -> Result<Vec<(String, u32)>, Error> {
    let chains = socket.chains(table)?.into_iter();
    Ok(chains.filter_map(|chain| Some((chain.name, chain.hook?.0))).collect())
}

#[cfg(test)]
mod tests {
    use nft::{SetSpec, Type};
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    /// What is left of a small table: its chains, the expressions of its rules, its peers.
    #[derive(Debug, PartialEq, Eq)]
    struct Left {
        tables: Vec<String>,
        rules: Vec<(String, Vec<String>)>,
        peers: Vec<Vec<u8>>,
    }

    fn lay(socket: &mut Socket) {
        let ours = Table::new(Family::Inet, OURS);
        let hook = |point| Hook { point, priority: 0, policy: Policy::Drop };
        let mut batch = Batch::new();
        batch.add_table(&ours).add_base_chain(&ours, "in", &hook(HookPoint::Input));
        batch.add_base_chain(&ours, "out", &hook(HookPoint::Output)).add_chain(&ours, "other");
        batch.add_set(&ours, &SetSpec::map(PEERS, &[Type::Ipv4], Type::Mark));
        batch.add_elements(&ours, PEERS, &[Element::key([10, 98, 0, 1]).value(7_u32.to_ne_bytes())]);
        for chain in ["in", "out", "other"] {
            batch.add_rule(&ours, chain, &[Expr::Counter]).add_rule(&ours, chain, &[Expr::Verdict(Verdict::Drop)]);
        }
        batch.commit(socket).unwrap();
    }

    fn left(socket: &mut Socket) -> Left {
        let ours = Table::new(Family::Inet, OURS);
        let tables = socket.tables(Family::Inet).unwrap();
        if !tables.iter().any(|table| table == OURS) {
            return Left { tables, rules: Vec::new(), peers: Vec::new() };
        }
        let rules = socket.rules(&ours).unwrap().into_iter().map(|rule| (rule.chain, rule.expressions)).collect();
        let peers = socket.elements(&ours, PEERS).unwrap().into_iter().map(|element| element.key).collect();
        Left { tables, rules, peers }
    }

    /// What tampering leaves of the table, in a namespace of its own.
    fn check(how: Option<Tampering>) -> Left {
        let run = move || {
            // As root alone; otherwise with a user namespace, in which this thread is root.
            let flags = if nix::unistd::geteuid().is_root() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
            unshare(flags | CloneFlags::CLONE_NEWNET).ok()?;
            let mut socket = Socket::open().unwrap();
            lay(&mut socket);
            if let Some(how) = how {
                tamper(&mut socket, how).unwrap();
            }
            Some(left(&mut socket))
        };
        let left = std::thread::spawn(run).join().unwrap();
        left.unwrap_or(Left { tables: Vec::new(), rules: Vec::new(), peers: Vec::new() })
    }

    #[test]
    fn each_way_really_changes_the_kernels_ruleset() {
        let whole = check(None);
        if whole.tables.is_empty() {
            return; // This machine gives no network namespace.
        }
        let counts = |left: &Left| {
            let of = |chain: &str| left.rules.iter().filter(|(of, _)| of == chain).count();
            (left.tables.len(), of("in"), of("out"), of("other"), left.peers.len())
        };
        assert_eq!(counts(&whole), (1, 2, 2, 2, 1));
        let rows = [
            (Tampering::Flush, (1, 0, 0, 0, 1)),
            (Tampering::DeleteRule, (1, 2, 1, 2, 1)),
            (Tampering::InsertAccept, (1, 3, 3, 2, 1)),
            (Tampering::DeleteTable, (0, 0, 0, 0, 0)),
            (Tampering::AddElement, (1, 2, 2, 2, 2)),
            (Tampering::ForeignTable, (2, 2, 2, 2, 1)),
        ];
        for (how, expected) in rows {
            assert_eq!(counts(&check(Some(how))), expected, "{how:?}");
        }
        let first = |left: &Left| left.rules.iter().find(|(chain, _)| chain == "in").cloned();
        assert_eq!(first(&check(Some(Tampering::InsertAccept))), Some(("in".to_owned(), vec!["immediate".to_owned()])));
    }
}
