//! The datapath's figures: `scripts/bench-datapath` runs it and keeps what it prints as docs/benchmarks.md.
//!
//! An example of the agent's crate, for it needs the agent's kernel half and the wire of its kernel tests, and is none of
//! the command. Every ratio is of measurements taken in turn, on wires that stand side by side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    unreachable_pub,
    reason = "a program of measurements fails loudly"
)]
mod loads;
mod measure;
mod policy;
mod process;
mod statistics;
#[expect(dead_code, reason = "the kernel tests use all of it")]
#[path = "../../tests/kernel/world.rs"]
mod world;

use std::sync::Arc;
use std::time::Duration;

use agent_core::{Numbering, Ruleset, compile};
use measure::What;
use nft::Batch;
use statistics::{Ratio, ratio};
use world::{At, World};

/// How much is measured.
struct Extent {
    pairs: usize,
    /// Of what a demand is made of.
    demanded: usize,
    time: Duration,
    rules: &'static [u32],
    linear: u32,
}

const WHOLE: Extent = Extent {
    pairs: 20,
    demanded: 72,
    time: Duration::from_millis(220),
    rules: &[10, 1_000, 10_000, 100_000],
    linear: 10_000,
};
const SHORT: Extent =
    Extent { pairs: 20, demanded: 20, time: Duration::from_millis(60), rules: &[10, 10_000], linear: 10_000 };

fn main() {
    let mut arguments = std::env::args().skip(1);
    let agent = arguments.next().expect("the path of the command `eastwest`");
    let short = arguments.any(|argument| argument == "--short");
    let extent = if short { SHORT } else { WHOLE };
    let Extent { pairs, demanded, time, .. } = &extent;
    println!(
        "{pairs} interleaved pairs of {} ms each; {demanded} of what a demand is made of, the last three rows.\n",
        time.as_millis()
    );
    ratios(&extent);
    loads::print(extent.rules);
    process::print(&agent, extent.rules);
}

/// The ruleset of a policy.
fn ruleset(rules: u32, epoch: u16) -> Ruleset {
    let view = policy::view(rules);
    let program = compile(&view, None, &mut Numbering::default()).expect("a policy within the limits");
    Ruleset { epoch, ..Arc::unwrap_or_clone(program.ruleset) }
}

/// A wire without our tables.
fn bare() -> World {
    let world = World::new();
    world.enter(At::Vm);
    let mut socket = nft::Socket::open().unwrap();
    for table in [agent::kernel::table(), agent::kernel::devices()] {
        Batch::new().delete_table(&table).commit(&mut socket).unwrap();
    }
    world
}

/// A wire with the tables of a policy.
fn ours(rules: u32) -> World {
    let mut world = World::new();
    world.kernel.apply(&ruleset(rules, 1), None).unwrap();
    world
}

/// A wire with a ruleset for the program `nft`, where there is one.
fn listed(text: &str) -> Option<World> {
    let world = bare();
    world.enter(At::Vm);
    loads::nft(text).map(|_| world)
}

fn ratios(extent: &Extent) {
    let none = bare();
    let tracking = listed(policy::TRACKING);
    let linear = listed(&policy::list(extent.linear));
    let all: Vec<(u32, World)> = extent.rules.iter().map(|rules| (*rules, ours(*rules))).collect();
    let at = |rules: u32| all.iter().find(|(of, _)| *of == rules).map(|(_, world)| world);
    println!("| compared | throughput | packets/s | connections/s |\n|---|---|---|---|");
    let counted = |name: &str, one: Option<&World>, other: Option<&World>, count: usize| {
        let (Some(one), Some(other)) = (one, other) else { return [None; 3] };
        let all = [What::Throughput, What::Packets, What::Connections];
        let found = all.map(|what| pairs(one, other, what, (count, extent.time)));
        println!("| {name} | {} | {} | {} |", found[0], found[1], found[2]);
        found.map(Some)
    };
    let row = |name: &str, one, other| counted(name, one, other, extent.pairs);
    let demanded = |name: &str, one, other| counted(name, one, other, extent.demanded);
    row("no ruleset to itself (the noise)", Some(&none), Some(&none));
    row("connection tracking alone to no ruleset", tracking.as_ref(), Some(&none));
    for (rules, world) in &all {
        row(&format!("{rules} rules to no ruleset"), Some(world), Some(&none));
        row(&format!("{rules} rules to connection tracking alone"), Some(world), tracking.as_ref());
    }
    let flat = demanded("10,000 rules to 10", at(10_000), at(10));
    let to_none = demanded("10,000 rules to no ruleset, again", at(10_000), Some(&none));
    let to_list = demanded("10,000 rules to a list of 10,000", at(10_000), linear.as_ref());
    println!("\n| demand | held |\n|---|---|");
    for (what, place) in [("throughput", 0), ("connections a second", 2)] {
        if let Some(found) = flat[place] {
            println!("| 10,000 rules to 10, {what}: within 0.90–1.10 | {} |", settled(found, 0.90, 1.10));
        }
    }
    if let Some(found) = to_none[2] {
        println!(
            "| 10,000 rules to no ruleset, connections a second: at least 0.85 | {} |",
            settled(found, 0.85, f64::MAX)
        );
    }
    if let Some(found) = to_list[2] {
        println!(
            "| 10,000 rules to a list of as many, connections a second: at least 2 | {} |",
            settled(found, 2.0, f64::MAX)
        );
    }
    println!();
}

/// Whether the whole interval lies within bounds, or beside them; else the measurement does not tell.
fn settled(found: Ratio, least: f64, most: f64) -> String {
    let word = if found.low >= least && found.high <= most {
        "yes"
    } else if found.high < least || found.low > most {
        "no"
    } else {
        "unresolved"
    };
    format!("{word}: {found} over {} pairs", found.pairs)
}

/// One and the other in turn, each first every second time.
fn pairs(one: &World, other: &World, what: What, (count, time): (usize, Duration)) -> Ratio {
    let ratios: Vec<f64> = (0..count)
        .map(|pair| {
            let at = |world| measure::measure(world, what, time);
            if pair % 2 == 0 {
                let first = at(one);
                first / at(other)
            } else {
                let second = at(other);
                at(one) / second
            }
        })
        .collect();
    ratio(&ratios)
}
