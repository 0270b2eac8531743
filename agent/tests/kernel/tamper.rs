//! What another process may do to our tables, and that nothing of it lasts.
use std::collections::BTreeSet;

use agent::kernel::{KernelWatch, devices, table};
use nft::{Batch, Element, Expr, Family, Hook, HookPoint, Policy, SetSpec, Socket, Table, Type, Verdict};

use crate::rulesets::{ALLOW, DENY, open};
use crate::world::{At, World};

type Deed = (&'static str, fn(&mut Batch), &'static str);

/// What is done, and the beginning of what is told of it.
const DEEDS: [Deed; 11] = [
    ("flush a chain", |batch| drop_in(batch.flush_chain(&table(), "decide_in")), "delete rule in decide_in"),
    ("insert an accept", |batch| accept(batch, "judge_in"), "add rule in judge_in"),
    ("flush a map", |batch| drop_in(batch.flush_set(&table(), "arriving")), "delete elements in arriving"),
    ("add an element", |batch| element(batch, "peers4"), "add elements in peers4"),
    ("add an element where nobody looks", |batch| element(batch, "peers4_b"), "add elements in peers4_b"),
    ("add a chain", |batch| chain(batch, Policy::Drop), "add chain strange"),
    ("add a set", |batch| set(batch), "add set strange"),
    ("open the last look", |batch| look(batch), "add rule in judged"),
    ("forget our addresses", |batch| drop_in(batch.flush_set(&devices(), "own4")), "delete elements in own4"),
    ("delete the table", |batch| drop_in(batch.delete_table(&table())), "delete"),
    ("delete the devices' table", |batch| drop_in(batch.delete_table(&devices())), "delete"),
];

/// The batch is at hand where it was given.
fn drop_in(_: &mut Batch) {}

fn accept(batch: &mut Batch, chain: &str) {
    batch.add_rule(&table(), chain, &[Expr::Verdict(Verdict::Accept)]);
}

fn look(batch: &mut Batch) {
    batch.add_rule(&devices(), "judged", &[Expr::Verdict(Verdict::Accept)]);
}

fn element(batch: &mut Batch, map: &str) {
    let value = (1_u32 | 1 << 30).to_ne_bytes();
    batch.add_elements(&table(), map, &[Element::key([9, 9, 9, 9]).value(value)]);
}

fn chain(batch: &mut Batch, policy: Policy) {
    let hook = Hook { point: HookPoint::Input, priority: -5, policy };
    batch.add_base_chain(&table(), "strange", &hook);
}

fn set(batch: &mut Batch) {
    let spec = SetSpec::plain("strange", Type::Mark);
    batch.add_set(&table(), &spec);
}

/// Everything that the kernel holds of ours but its numbers and counts, and which of the banks is in force.
fn held(socket: &mut Socket) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for table in [table(), devices()] {
        for (place, rule) in socket.rules(&table).unwrap_or_default().into_iter().enumerate() {
            all.insert(format!("{place} {} {:?}", rule.chain, rule.expressions));
        }
        all.extend(socket.chains(&table).unwrap_or_default().iter().map(|chain| format!("{chain:?}")));
        for set in socket.sets(&table).unwrap_or_default() {
            let elements = socket.elements(&table, &set.name).unwrap();
            let elements = elements.iter().filter(|_| set.name != "banks");
            let map = set.name.trim_end_matches("_b");
            all.extend(elements.map(|one| format!("{map} {:?} {:?} {}", one.key, one.value, one.end)));
            all.insert(format!("{set:?}"));
        }
    }
    all
}

pub(crate) fn undone(world: &mut World) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let ruleset = open(1, ALLOW, DENY);
    world.kernel.apply(&ruleset, None).unwrap();
    world.enter(At::Vm);
    let mut watch = KernelWatch::open(&mut world.kernel).unwrap();
    let mut stranger = Socket::open().unwrap();
    let before = held(&mut stranger);
    for (deed, act, told) in DEEDS {
        let mut batch = Batch::new();
        act(&mut batch);
        batch.commit(&mut stranger).unwrap();
        assert_ne!(held(&mut stranger), before, "{deed} changes nothing");
        let foreign = runtime.block_on(watch.next()).unwrap();
        assert!(foreign.changes.iter().any(|change| change.starts_with(told)), "{deed}: {foreign:?}");
        world.kernel.repair(&ruleset).unwrap();
        assert_eq!(held(&mut stranger), before, "{deed}");
        // Our own repair is no news.
        let own = runtime.block_on(watch.next()).unwrap();
        assert_eq!((own.count, own.overrun), (0, false), "{deed}: {own:?}");
    }
    let other = Table::new(Family::Inet, "other");
    let mut batch = Batch::new();
    batch.add_table(&other).commit(&mut stranger).unwrap();
    let foreign = runtime.block_on(watch.next()).unwrap();
    assert_eq!((foreign.count, foreign.tables), (0, vec!["add table inet other".to_owned()]));
    world.kernel.repair(&ruleset).unwrap();
    assert!(stranger.tables(Family::Inet).unwrap().contains(&"other".to_owned()), "it is none of ours");
}
