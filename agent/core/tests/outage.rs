//! What holds without the center: the machine's time is an argument, so each row is a history with instants.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;
mod world;

use agent_core::{Action, Config, State};
use policy::{FlowService, Outage};
use wire::View;
use world::{World, config, generation, web};

const LEASE: Outage = Outage::Lease(600);

fn with_center() -> Config {
    Config { center: Some("10.98.255.254:7443".parse().unwrap()), ..config(2047) }
}

fn under(outage: Outage) -> View {
    View { outage, ..generation(4, vec![web()]) }
}

/// What a life begins with.
fn kept(outage: Outage, over: bool) -> Option<State> {
    Some(State { view: Some(under(outage).into()), over, ..State::default() })
}

/// One thing that happens, and when.
#[derive(Clone, Copy, Debug)]
enum Event {
    Up,
    Heard,
    Down,
    View,
    Tick,
}
use Event::{Down, Heard, Tick, Up, View as Sent};

/// `open` where the kept rule lets traffic pass, or the rule that denies it.
fn verdict(world: &World) -> String {
    let program = world.machine.program().unwrap();
    let mark = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    let word = agent_core::Word(mark & agent_core::Word::MASK);
    let own = world.kernel.as_ref().unwrap();
    assert!(own.center.is_some(), "the center's channel passes whatever holds");
    match word.action() {
        Some(Action::Allow) => "open".to_owned(),
        _ => program.outcomes[&word.number()].rule.clone(),
    }
}

/// A life with its events; after each, what holds and when the machine wants to be woken.
fn check(name: &str, begin: (Config, Option<State>), rows: &[(u64, Event, &str, Option<u64>)]) -> World {
    let outage = begin.1.as_ref().and_then(|state| state.view.as_ref()).map_or(Outage::KeepLast, |view| view.outage);
    let mut world = World::of(begin.0, begin.1);
    for (now, event, holds, wakes) in rows {
        match event {
            Up => world.machine.handle_connected(Vec::new()),
            Heard => world.machine.handle_heard(*now),
            Down => world.machine.handle_disconnected(),
            Sent => {
                world.machine.handle_heard(*now);
                world.machine.handle_view(under(outage), *now);
            }
            Tick => world.machine.handle_tick(*now),
        }
        world.pump(*now);
        let told = (verdict(&world), world.machine.poll_timeout(*now));
        assert_eq!(told, ((*holds).to_owned(), *wakes), "{name}: {event:?} at {now}");
        assert_eq!(world.machine.facts().over, *holds == "eastwest/closed", "{name}: {event:?} at {now}");
    }
    world
}

const CLOSED: &str = "eastwest/closed";

#[test]
fn the_last_policy_is_kept_for_ever() {
    let rows = [(0, Tick, "open", None), (10, Up, "open", None), (20, Sent, "open", None), (30, Down, "open", None)];
    check("keep-last", (with_center(), kept(Outage::KeepLast, false)), &rows);
}

#[test]
fn closed_comes_three_heartbeats_after_the_last_word() {
    let rows = [
        (0, Tick, "open", Some(6_000)),
        (5_999, Tick, "open", Some(6_000)),
        (6_000, Tick, CLOSED, None),
        // The session alone opens nothing: the policy may be another by now.
        (7_000, Up, CLOSED, None),
        (7_001, Heard, CLOSED, None),
        (7_002, Tick, CLOSED, None),
        (7_003, Sent, "open", None),
        (9_000, Heard, "open", None),
        (9_500, Down, "open", Some(15_000)),
        (14_999, Tick, "open", Some(15_000)),
        // A session in which the center does not speak is none.
        (14_999, Up, "open", Some(15_000)),
        (15_000, Tick, CLOSED, None),
    ];
    check("closed", (with_center(), kept(Outage::Closed, false)), &rows);
    let soon = [(100, Up, "open", Some(6_000)), (101, Heard, "open", None), (60_000, Tick, "open", None)];
    check("closed, and the center is there", (with_center(), kept(Outage::Closed, false)), &soon);
}

#[test]
fn a_lease_counts_from_the_last_word() {
    let rows = [
        (1, Up, CLOSED, None),
        (2, Sent, "open", None),
        (90_000, Heard, "open", None),
        (700_000, Tick, "open", None),
        // The session ended long after the last word: what the link took for life was none.
        (700_001, Down, "open", Some(690_000)),
        (700_001, Tick, CLOSED, None),
    ];
    check("lease, unknown", (with_center(), kept(LEASE, false)), &rows);
    let before = |before| Config { heard_before: Some(before), ..with_center() };
    let rows = [
        (0, Tick, "open", Some(500_000)),
        (499_999, Tick, "open", Some(500_000)),
        (500_000, Tick, CLOSED, None),
        (500_001, Up, CLOSED, None),
        (500_002, Sent, "open", None),
        (500_003, Down, "open", Some(1_100_002)),
    ];
    check("lease, known", (before(100_000), kept(LEASE, false)), &rows);
    check("lease, known and over", (before(600_000), kept(LEASE, false)), &[(0, Tick, CLOSED, None)]);
    let rows = [(0, Tick, "open", Some(6_000)), (6_000, Tick, CLOSED, None)];
    check("a lease shorter than three heartbeats", (before(0), kept(Outage::Lease(1), false)), &rows);
}

#[test]
fn the_beginning_of_a_lease_is_kept_now_and_then() {
    for (outage, kept_at) in [
        (Outage::KeepLast, &[][..]),
        (Outage::Closed, &[]),
        (Outage::Lease(600), &[0, 60_000, 120_000]),
        (Outage::Lease(10), &[0, 2_500, 5_000, 7_500, 10_000]),
    ] {
        let mut world = World::of(with_center(), None);
        world.machine.handle_connected(Vec::new());
        let mut seen = Vec::new();
        for now in (0..=120_000).step_by(500).filter(|now| outage != Outage::Lease(10) || *now <= 10_000) {
            world.machine.handle_heard(now);
            if now == 0 {
                world.machine.handle_view(under(outage), now);
                world.pump(now);
            }
            seen.extend(world.machine.poll_heard());
            assert_eq!(world.machine.poll_heard(), None);
        }
        assert_eq!(seen, kept_at, "{outage:?}");
    }
}

#[test]
fn what_is_over_stays_over_in_the_next_life() {
    let world = check("closed", (with_center(), kept(Outage::Closed, false)), &[(6_000, Tick, CLOSED, None)]);
    let state = world.kept.clone().unwrap();
    assert!(state.over && state.view.is_some());
    let text = serde_json::to_string(&state).unwrap();
    let read = State { view: state.view, ..serde_json::from_str(&text).unwrap() };
    let rows = [(0, Tick, CLOSED, None), (1, Up, CLOSED, None), (2, Sent, "open", None)];
    let next = check("the next life", (with_center(), Some(read)), &rows);
    assert!(!next.kept.unwrap().over);
}

#[test]
fn an_agent_without_a_center_misses_none() {
    for outage in [Outage::Closed, LEASE] {
        check("from a file", (config(2047), kept(outage, true)), &[]);
        let mut world = World::of(config(2047), kept(outage, true));
        world.machine.handle_tick(1_000_000);
        world.pump(1_000_000);
        assert_eq!((world.machine.facts().over, world.machine.poll_timeout(1_000_000)), (false, None));
    }
}

#[test]
fn a_cut_is_an_epoch_and_the_record_tells_who_is_meant() {
    let mut world = World::of(with_center(), kept(Outage::Closed, false));
    world.check(&["keep 4", "apply 1"]);
    let open = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    world.machine.handle_tick(6_000);
    world.pump(6_000);
    world.check(&["keep 4", "apply 2"]);
    let shut = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    assert_ne!(open >> 20, shut >> 20, "every living flow is judged again");
    // A center that returns is told that nothing is in force.
    world.machine.handle_connected(Vec::new());
    world.pump(6_001);
    world.check(&["hello 0"]);
    world.machine.handle_heard(6_002);
    world.machine.handle_view(under(Outage::Closed), 6_002);
    world.pump(6_002);
    world.check(&["keep 4", "apply 3", "ack 4"]);
}

#[test]
fn a_kernel_that_does_not_close_is_asked_again_but_not_at_once() {
    let mut world = World::of(with_center(), kept(Outage::Closed, false));
    world.sick = true;
    world.machine.handle_tick(6_000);
    world.pump(6_000);
    assert_eq!(world.machine.poll_timeout(6_000), Some(7_000));
    world.machine.handle_tick(7_000);
    world.pump(7_000);
    assert!(world.machine.facts().over);
}

#[test]
fn a_refused_view_does_not_open_what_is_over() {
    let mut world = World::of(with_center(), kept(Outage::Closed, true));
    assert_eq!(verdict(&world), CLOSED);
    world.machine.handle_connected(Vec::new());
    world.machine.handle_heard(1);
    world.sick = true;
    world.machine.handle_view(under(Outage::Closed), 1);
    world.pump(1);
    world.machine.handle_tick(2);
    world.pump(2);
    assert_eq!((verdict(&world), world.machine.facts().over), (CLOSED.to_owned(), true));
}
