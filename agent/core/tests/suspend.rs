//! What a suspension lets pass, when it ends, and who hears of it; and addresses that come between two hellos.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;
mod world;

use agent_core::{Action, Config, Suspended, Word};
use policy::{FlowService, Outage};
use wire::View;
use world::{World, config, generation, web};

/// What a flow that no rule allows gets: `deny default`, or the comment of what lets it pass.
fn told(world: &World) -> String {
    told_of(world, 22)
}

fn told_of(world: &World, port: u16) -> String {
    let mark = world.mark(true, "10.98.0.2", FlowService::Tcp(port));
    world.machine.program().unwrap().outcomes[&Word(mark & Word::MASK).number()].rule.clone()
}

fn suspended(until: u64) -> Suspended {
    Suspended { until, by: "uid 0".into() }
}

fn connected(config: Config, view: View) -> World {
    let mut world = World::of(config, None);
    world.machine.handle_connected(Vec::new());
    world.machine.handle_time(1_000_000, 0);
    world.machine.handle_view(view, 0);
    world.pump(0);
    world.seen.clear();
    world
}

#[test]
fn rules_only_record_until_the_time_is_over() {
    let mut world = connected(config(2047), generation(4, vec![web()]));
    assert_eq!(told(&world), "default");
    world.machine.handle_suspended(suspended(61_000), 1_000);
    world.pump(1_000);
    world.check(&["keep 4", "apply 3", "suspended 60s by uid 0"]);
    assert_eq!((told(&world).as_str(), told_of(&world, 80).as_str()), ("eastwest/monitor", "eastwest/monitor"));
    assert_eq!(world.machine.facts().suspended, Some(suspended(61_000)));
    assert!(world.machine.poll_timeout(1_000).unwrap() <= 61_000);
    world.machine.handle_tick(60_999);
    world.pump(60_999);
    assert_eq!(told(&world), "eastwest/monitor");
    world.machine.handle_tick(61_000);
    world.pump(61_000);
    assert_eq!((told(&world).as_str(), told_of(&world, 80).as_str()), ("default", "web"));
    assert_eq!(world.machine.facts().suspended, None);
    let details: Vec<&str> = world.records.iter().map(|record| record.detail.as_str()).collect();
    assert_eq!(details, ["for 60 s by uid 0", "ended: its time is over"]);
    assert!(world.records.iter().all(|record| record.rule == "eastwest/suspended"));
}

#[test]
fn an_order_ends_it_and_one_that_is_not_there_is_not_told_of() {
    let mut world = connected(config(2047), generation(4, vec![web()]));
    world.machine.handle_resumed("uid 0", 500);
    world.machine.handle_suspended(suspended(61_000), 1_000);
    world.machine.handle_resumed("uid 7", 2_000);
    world.pump(2_000);
    assert_eq!(told(&world), "default");
    let details: Vec<&str> = world.records.iter().map(|record| record.detail.as_str()).collect();
    assert_eq!(details, ["for 60 s by uid 0", "ended by uid 7"]);
}

#[test]
fn the_next_life_goes_on_with_it_and_tells_its_center() {
    let life = Config { suspended: Some(suspended(5_000)), ..config(2047) };
    let mut world = World::of(life, None);
    world.machine.handle_view(generation(4, vec![web()]), 0);
    world.pump(0);
    assert_eq!(told(&world), "eastwest/monitor");
    world.machine.handle_connected(Vec::new());
    world.machine.handle_time(1_000_000, 1_000);
    world.pump(1_000);
    assert!(world.seen.contains(&"suspended 4s by uid 0".to_owned()), "{:?}", world.seen);
    world.machine.handle_tick(5_000);
    world.pump(5_000);
    assert_eq!(told(&world), "default");
}

#[test]
fn neither_a_quarantine_nor_a_closing_is_lifted() {
    let view = generation(4, vec![web()]);
    let mut world = connected(config(2047), View { quarantined: true, ..view.clone() });
    world.machine.handle_suspended(suspended(600_000), 0);
    world.pump(0);
    assert_eq!(told(&world), "eastwest/quarantine");
    let with_center = Config { center: Some("10.98.255.254:7443".parse().unwrap()), ..config(2047) };
    let mut world = connected(with_center, View { outage: Outage::Closed, ..view });
    world.machine.handle_suspended(suspended(600_000), 0);
    world.machine.handle_disconnected();
    world.machine.handle_tick(60_000);
    world.pump(60_000);
    assert_eq!(told(&world), "eastwest/closed");
}

#[test]
fn addresses_that_change_within_a_session_are_told_at_once_and_the_newest_alone() {
    let mut world = connected(config(2047), generation(4, vec![web()]));
    let addresses = |last: u8| vec![[10, 98, 0, 1].into(), [10, 98, 0, last].into()];
    world.machine.handle_addresses(addresses(7), 1);
    world.machine.handle_addresses(addresses(8), 2);
    world.machine.handle_addresses(addresses(8), 3);
    world.pump(3);
    world.check(&["addresses [10.98.0.1, 10.98.0.8]"]);
    world.machine.handle_disconnected();
    world.machine.handle_addresses(addresses(9), 4);
    world.pump(4);
    world.check(&[]);
}

#[test]
fn an_older_protocol_tells_neither() {
    let mut world = connected(Config { protocol: 1, ..config(2047) }, generation(4, vec![web()]));
    world.machine.handle_addresses(vec![[10, 98, 0, 7].into()], 1);
    world.machine.handle_suspended(suspended(600_000), 2);
    world.pump(2);
    world.check(&["keep 4", "apply 3"]);
    assert_eq!(Action::Allow, Word(world.mark(true, "10.98.0.2", FlowService::Tcp(22))).action().unwrap());
}
