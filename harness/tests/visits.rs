//! In which order the states of a scenario are visited, and by which ways.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use harness::plan::{PlannedStep, Visits, plan};
use harness::scenario::parse;
use harness::state::{State, Transition};
use policy::Timestamp;

/// Two neighbouring states, a step that goes forward only, and three more states.
const SIX: &str = "
eastwest: scenario/v1
topology:
  hosts: [h1, h2]
  vms:
    a: {host: h1, labels: {app: a}}
    b: {host: h1, labels: {app: b}}
policy: {rules: [{name: shell, allow: tcp/22}], default: deny}
steps:
  - name: one
    do: [label: {vm: a, set: {tier: front}}]
    expect: ['a -> b tcp/22: allow']
  - name: two
    do: [move: {vm: b, to: h2}]
    expect: ['a -> b tcp/22: allow']
  - name: sent
    do: [send: a -> b tcp/22]
    expect: ['a -> b tcp/22: allow']
  - name: three
    do: [label: {vm: a, set: {app: c}}, quarantine: a]
    expect: ['a -> b tcp/22: deny by eastwest/quarantine']
  - name: four
    do: [release: a, remove: b, add: {d: {host: h2}}, policy: {rules: [], default: deny}]
    expect: ['a -> d tcp/22: deny']
  - name: five
    do: [reset: one]
    expect: same as one
";

fn planned(text: &str) -> Vec<PlannedStep> {
    let scenario = parse("visits.yaml", text, &mut |_| Err("no such file".to_owned())).unwrap();
    plan(&scenario, Timestamp::UNIX_EPOCH)
}

fn names(steps: &[PlannedStep]) -> Vec<&str> {
    steps.iter().map(|step| &*step.name).collect()
}

/// Whether the differences lead from the state before the first step to that of each.
fn walked<'a>(mut here: &'a State, steps: &'a [PlannedStep]) {
    for step in steps {
        for act in step.prelude.iter().chain(&step.acts) {
            let expected = Transition::between(here, &act.state);
            assert_eq!(act.transition, expected, "{}: {}", step.name, act.doing.text);
            here = &act.state;
        }
        assert!(*here == *step.state, "the items of `{}` do not lead to its state", step.name);
    }
}

#[test]
fn neighbouring_states_change_places_and_all_others_stay() {
    let written = planned(SIX);
    for (visits, order) in [
        (Visits::Squashed, ["two", "one", "sent", "five", "three", "four"]),
        (Visits::Shuffled(1), ["two", "one", "sent", "five", "three", "four"]),
        (Visits::Shuffled(2), ["two", "one", "sent", "four", "five", "three"]),
    ] {
        let steps = visits.arrange(&written).unwrap();
        assert_eq!(names(&steps), order, "{visits}");
        walked(&written[0].before, &steps);
        // What is judged is the step's own, in its own state.
        for step in &steps {
            let own = written.iter().find(|other| other.name == step.name).unwrap();
            assert!(step.cells == own.cells && step.state == own.state && step.index == own.index, "{}", step.name);
        }
        // The step that goes forward only begins where it was written to begin.
        assert_eq!(steps[2].prelude.len(), 1);
        assert_eq!(steps[2].acts, written[2].acts);
    }
    assert!(Visits::Written.arrange(&written).is_none());
}

#[test]
fn chance_never_gives_the_written_order_and_is_repeatable() {
    let written = planned(SIX);
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let visits = Visits::Shuffled(seed);
        let steps = visits.arrange(&written).unwrap();
        assert_eq!(names(&steps[..3]), ["two", "one", "sent"]);
        assert_ne!(names(&steps[3..]), ["three", "four", "five"]);
        assert_eq!(visits.arrange(&written).unwrap(), steps);
        seen.insert(names(&steps).join(" "));
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
}

#[test]
fn publications_are_doubled_and_nothing_else_is() {
    let steps = Visits::Doubled.arrange(&planned(SIX)).unwrap();
    let acts: Vec<usize> = steps.iter().map(|step| step.acts.len()).collect();
    // A move is no news for the center, a session's traffic neither.
    assert_eq!(acts, [2, 1, 1, 4, 8, 2]);
    walked_twice(&steps);
}

/// The second of two publications makes no difference to what stands.
fn walked_twice(steps: &[PlannedStep]) {
    for pair in steps.iter().flat_map(|step| step.acts.windows(2)) {
        if let [first, second] = pair
            && first.doing == second.doing
        {
            assert_eq!(first.state, second.state);
            assert!(second.transition.added.is_empty() && second.transition.removed.is_empty());
            assert_eq!(first.transition.policy, second.transition.policy);
        }
    }
}

#[test]
fn restarts_come_before_steps_that_begin_settled() {
    let text =
        format!("{SIX}  - name: open\n    do: ['open talk: a -> b tcp/22']\n  - name: closed\n    do: [close: talk]\n");
    let steps = Visits::Restarts(3).arrange(&planned(&text)).unwrap();
    let preludes: Vec<bool> = steps.iter().map(|step| !step.prelude.is_empty()).collect();
    assert_eq!(preludes, [true, true, true, true, true, true, true, false]);
    assert!(steps.iter().all(|step| step.prelude.iter().all(|act| act.state == step.before)));
}

#[test]
fn what_cannot_be_ordered_otherwise_stays_as_it_is_written() {
    let one = SIX.split("  - name: two").next().unwrap();
    let sent = format!("{one}  - name: two\n    do: [send: a -> b tcp/22]\n");
    let shown =
        format!("{one}  - name: two\n    do: [move: {{vm: b, to: h2}}]\n    throughout: ['a -> b tcp/22: allow']\n");
    let scanned = SIX.replace(
        "default: deny}\nsteps",
        "default: deny, detect: [{name: s, scan: {ports: 9, within: 9s}, then: alert}]}\nsteps",
    );
    for text in [one, &sent, &shown] {
        for visits in [Visits::Shuffled(1), Visits::Squashed] {
            assert!(visits.arrange(&planned(text)).is_none(), "{visits}: {text}");
        }
        let without_news = text.replace("label: {vm: a, set: {tier: front}}", "move: {vm: a, to: h2}");
        assert!(Visits::Doubled.arrange(&planned(&without_news)).is_none(), "{without_news}");
    }
    // With a detector in it, the first policy is no state: four, which has another, and five begin and end with one.
    assert!(Visits::Squashed.arrange(&planned(&scanned)).is_none());
}

#[test]
fn an_order_says_how_it_is_asked_for() {
    for (visits, name, options) in [
        (Visits::Written, "written", None),
        (Visits::Shuffled(7), "shuffled 7", Some("--order shuffled --seed 7")),
        (Visits::Squashed, "squashed", Some("--order squashed")),
        (Visits::Doubled, "doubled", Some("--order doubled")),
        (Visits::Restarts(9), "restarts 9", Some("--order restarts --seed 9")),
    ] {
        assert_eq!((visits.to_string().as_str(), visits.options().as_deref()), (name, options));
    }
}
