//! The way to judgement: what the current epoch has judged, loopback, neighbours, the center and DHCP are let through, and the rest is sent
//! by way of `flow_*` to `judge_*`. TCP has a way of its own, past all that is none of it; what begins a flow goes through `begin_*` first,
//! where most of it is found by one rule (see `begin`).
use nft::{CtKey, Direction, Header, MetaKey};

use super::rules::{BARRIER_PORT, CUT, INVALID, NEW, RELATED, Rule, TCP, TRANSLATED, UDP, UNTRACKED};
use super::skeleton::{LOOPBACK, Side};

/// The rules of `in` and `out` behind those of the epoch.
pub(super) fn entry(side: Side) -> Vec<Rule> {
    let device = match side {
        Side::In => MetaKey::InType,
        Side::Out => MetaKey::OutType,
    };
    let mut rules = Vec::new();
    // The center begins no flow, and nothing else comes before these.
    rules.extend((side == Side::In).then(|| begins(side, Rule::new().transport(TCP).other_device(device, LOOPBACK))));
    rules.extend([
        Rule::new().device(device, LOOPBACK).accept(),
        Rule::new().transport(TCP).goto(&side.name("stream")),
        Rule::new().goto(&side.name("other")),
    ]);
    rules
}

/// What `entry` asks of all but TCP.
pub(super) fn other(side: Side) -> Vec<Rule> {
    let sentinel = Rule::new().transport(UDP).bytes(Header::Transport, 2, &BARRIER_PORT.to_be_bytes());
    let mut rules = vec![
        sentinel.bytes(Header::Transport, 8, b"EWB1").goto(&side.name("barrier")),
        Rule::new().jump(&side.name("neighbours")),
        unknown(side),
        Rule::new().ct_any(CtKey::State, RELATED).jump(&side.name("related")),
        Rule::new().jump(&side.name("center")),
        Rule::new().jump(&side.name("dhcp")),
    ];
    rules.extend(own_answers(side));
    rules.push(Rule::new().goto(&side.name("flow")));
    rules
}

/// A packet that begins a flow may be of the common case.
fn begins(side: Side, of: Rule) -> Rule {
    of.ct_any(CtKey::State, NEW).unjudged().ct_bits(CtKey::Status, TRANSLATED, 0).jump(&side.name("begin"))
}

/// What connection tracking makes nothing of.
fn unknown(side: Side) -> Rule {
    Rule::new().ct_any(CtKey::State, INVALID | UNTRACKED).goto(&side.name("invalid"))
}

fn own_answers(side: Side) -> Option<Rule> {
    (side == Side::Out).then(|| Rule::new().jump("answers"))
}

/// What `entry` asks of TCP.
pub(super) fn stream(side: Side) -> Vec<Rule> {
    let mut rules = vec![Rule::new().jump(&side.name("center"))];
    rules.extend((side == Side::Out).then(|| begins(side, Rule::new())));
    rules.push(unknown(side));
    rules.extend(own_answers(side));
    rules.push(Rule::new().goto(&side.name("flow")));
    rules
}

/// What a flow is that is to be judged.
pub(super) fn flow(side: Side) -> Vec<Rule> {
    // A cut is final for its stream, not for the ports: connection tracking keeps those for days.
    let cut = || Rule::new().ct_any(CtKey::Mark, CUT).protocol(TCP);
    let reopens = cut().ct_bits(CtKey::Status, TRANSLATED, 0).direction(Direction::Original).opening();
    vec![
        begins(side, Rule::new().transport(UDP)),
        reopens.goto(&side.name("judge")),
        cut().goto("late"),
        Rule::new().jump("shut"),
        Rule::new().goto(&side.name("fresh")),
    ]
}

/// Flows are judged by the way in which they were begun.
pub(super) fn fresh(side: Side) -> Vec<Rule> {
    let (forth, back) = match side {
        Side::In => ("judge_in", "judge_out"),
        Side::Out => ("judge_out", "judge_in"),
    };
    vec![
        Rule::new().ct_any(CtKey::Status, TRANSLATED).goto(&side.name("nat")),
        Rule::new().direction(Direction::Original).goto(forth),
        Rule::new().direction(Direction::Reply).goto(back),
        Rule::new().counter().drop(),
    ]
}
