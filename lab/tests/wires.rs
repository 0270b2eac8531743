//! Real packets over the lab's wires. Each test runs in a jail of its own: this program starts itself again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod jailed;
mod killed;
mod pathed;
mod slowed;
mod talk;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use killed::Victim;
use lab::jail::JailContext;
use libtest_mimic::{Arguments, Failed, Trial};

type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("stations_on_one_host_and_on_two_talk_in_every_protocol", jailed::all_talk),
    ("permanent_neighbours_are_quiet", jailed::quiet),
    ("learned_neighbours_talk", jailed::learned),
    ("a_marker_makes_the_round", jailed::marker),
    ("taps_see_both_directions_and_not_the_excepted_port", jailed::taps),
    ("an_injected_frame_arrives", jailed::inject),
    ("a_moved_station_keeps_its_connection_and_its_tap", jailed::relocate),
    ("a_link_without_carrier_heals", jailed::link_down),
    ("silent_cuts_cut_what_they_name_and_heal", jailed::cut),
    ("a_slow_path_holds_up_what_it_carries_and_nothing_else", slowed::slow),
    ("a_path_takes_its_time_and_no_other", pathed::delayed),
    ("a_path_loses_its_share_and_no_other", pathed::lossy),
    ("added_stations_talk_and_removed_ones_do_not", jailed::add_remove),
    ("addresses_change", jailed::set_addresses),
    ("programs_run_inside_their_station", jailed::spawn),
    ("names_may_be_long_and_must_be_single", jailed::names),
    ("ten_stations_are_quick", jailed::ten),
    ("a_thousand_stations_rise", jailed::thousand),
];

const DEATHS: &[(&str, Victim)] = &[
    ("nothing_is_left_when_the_parent_is_killed", Victim::Parent),
    ("nothing_is_left_when_the_outer_process_is_killed", Victim::Outer),
    ("nothing_is_left_when_process_1_is_killed", Victim::Init),
    ("nothing_is_left_when_the_world_is_killed", Victim::World),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("jail") => return inside(arguments.get(2).map_or("", String::as_str)),
        Some(killed::PARENT) => {
            killed::parent();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let jailed = TESTS.iter().map(|&(name, _)| Trial::test(name, move || outside(name)));
    let killed = DEATHS.iter().map(|&(name, victim)| Trial::test(name, move || killed::check(victim)));
    let doctor = Trial::test("the_doctor_finds_everything_here", healthy);
    let codes = Trial::test("the_exit_code_is_the_worlds", exit_codes);
    let trials = jailed.chain(killed).chain([doctor, codes]).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn outside(name: &str) -> Result<(), Failed> {
    let mut jail = lab::jail::start(&["jail", name])?;
    let status = jail.process.wait()?;
    if status.success() { Ok(()) } else { Err(format!("in the jail: {status}").into()) }
}

fn healthy() -> Result<(), Failed> {
    let checks = lab::doctor(&["jail"]);
    let missing: Vec<_> = checks.iter().filter(|check| !check.ok || check.detail.is_empty()).collect();
    // What paths are made of, by what it did: no check passes on a name alone.
    let says = |name: &str, words: &str| checks.iter().any(|check| check.name == name && check.detail.contains(words));
    let paths = says("paths that lose", " of 200 datagrams")
        && says("paths that carry little", "25000 bytes took")
        && says("paths that take their time", "ms where 5 are to be")
        && says("netem", "not ");
    if checks.len() == 19 && missing.is_empty() && paths { Ok(()) } else { Err(format!("{checks:#?}").into()) }
}

fn exit_codes() -> Result<(), Failed> {
    for (name, code) in [("exit-0", 0), ("exit-7", 7), ("signal-9", 137)] {
        let got = lab::jail::start(&["jail", name])?.process.wait()?.code();
        if got != Some(code) {
            return Err(format!("{name}: {got:?}").into());
        }
    }
    Ok(())
}

fn inside(name: &str) -> ExitCode {
    if let Some(code) = name.strip_prefix("exit-").and_then(|code| code.parse::<u8>().ok()) {
        return lab::jail::enter(|_| ExitCode::from(code)).unwrap();
    }
    let world = |context| match std::panic::catch_unwind(AssertUnwindSafe(|| run(name, context))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(101),
    };
    match lab::jail::enter(world) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cannot {error}");
            ExitCode::from(3)
        }
    }
}

fn run(name: &str, context: JailContext) {
    match TESTS.iter().find(|(known, _)| *known == name) {
        Some((_, test)) => test(),
        None if name == "signal-9" => nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap(),
        None => killed::world(context),
    }
}
