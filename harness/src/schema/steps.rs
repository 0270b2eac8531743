//! What a step may say, but for what is done in it.

use serde_json::{Value, json};

use super::form::{described, either, flag, list, number, object, object_with, of, text, with, words, written};
use crate::scenario::read::{keys, lines};

/// What begins an expectation that is one text: YAML makes a mapping of those that hold `: ` and are not quoted.
const BARE: &str = "^(generation acked by all|accounts balance$|center below .|.*:)";
/// A ticket, and a day.
const KNOWN: &str = "^\\S+ until [0-9]{4}-[0-9]{2}-[0-9]{2}$";
/// A session, an agent, a port, a record or a flow.
const ABOUT: &str = "^(\\S+|agent .+|port .+|reported once|not reported|.*->.*)$";

pub(super) fn definitions() -> Vec<(&'static str, Value)> {
    vec![
        ("policyOrFile", policy_or_file()),
        ("sized", sized()),
        ("expectation", expectation()),
        ("expectations", list(of("expectation"))),
        ("step", step()),
    ]
}

fn sized() -> Value {
    let means = "A file, or the text of a policy in a block, in which `rule-[1..5000]` stands for so many entries.";
    object(&[keys::SIZED], &[(keys::SIZED, means, json!({"type": "string"}))])
}

fn policy_or_file() -> Value {
    let sized = with(of("sized"), json!({"type": "object", "required": [keys::SIZED]}));
    let policy = with(of("policy"), json!({"type": "object"}));
    let one = either([of("text"), sized, policy]);
    let tiers = with(list(one.clone()), json!({"minItems": 1}));
    described(
        either([one, tiers]),
        "A file beside the scenario, the policy itself, or several of these in an order (tiers).",
    )
}

fn expectation() -> Value {
    let verdicts: Vec<&str> = lines::VERBS.iter().map(|(word, _)| *word).collect();
    let flow = written(&format!("^({})\\b|^\\?", verdicts.join("|")));
    let flow = described(flow, "Such as `allow by RULE`, `deny by RULE at source`, `unreachable`.");
    let session =
        described(written("^(alive|cut|path mtu)\\b"), "`alive`, `cut by RULE` or `path mtu 1400 at source`.");
    let claims = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "propertyNames": {"pattern": ABOUT},
        "patternProperties": {
            "^(not reported|reported|reported once)$":
                described(text(), "A record of the center: `a -> b tcp/23 deny by RULE at source`."),
            "^agent [^>]+$": described(words(&lines::STANDINGS), "How the agent stands to its center."),
            "^port [^>]+$": described(written("^stopped [0-9]+$"), "How many frames the host stopped: `stopped 3`."),
            "->": flow,
        },
        "additionalProperties": session,
    });
    let means = "Such as `a -> b tcp/443: allow by RULE`, `SESSION: alive`, `agent a: online`, `reported: …`.";
    described(either([written(BARE), claims, marked()]), means)
}

/// An expectation beside which something stands.
fn marked() -> Value {
    let [line, ..] = keys::MARKED;
    let rows = [
        (line, "The expectation.", written(BARE)),
        ("known", "It is known to fail, until that day ends.", written(KNOWN)),
        ("id", "What reports call the expectation.", text()),
        ("owner", "Whose it is.", text()),
    ];
    object_with(&[line], &keys::MARKED, &rows)
}

fn step() -> Value {
    let signs =
        "Rows speak to columns: + allow, x deny, ! reject, ? no claim, . itself; behind a sign the number of a note.";
    let table = described(written("->"), signs);
    let file = described(
        object(&keys::TABLE, &[(keys::CSV, "The file.", of("text"))]),
        "A table in a file beside the scenario.",
    );
    let file = either([file, written("\\.csv$")]);
    let table = either([table, file]);
    let matrix = json!({"type": "object", "propertyNames": {"pattern": "/"}, "additionalProperties": table});
    let notes =
        json!({"type": "object", "propertyNames": {"pattern": "^[0-9]+$"}, "additionalProperties": written(KNOWN)});
    let same = described(written("^same as ."), "The whole table of an earlier step.");
    let expect = either([of("expectations"), same, json!({"type": "null"})]);
    let rows = [
        ("name", "What reports call the step; unique in the scenario.", of("text")),
        ("do", "What is done first, in order.", list(of("doing"))),
        ("expect", "What holds then: a list, or `same as STEP`.", expect),
        ("matrix", "Truth tables by service.", matrix),
        (
            "known",
            "What cells of the matrices are known to fail by, by the numbers that they bear: `1: NET-12 until 2027-01-31`.",
            notes,
        ),
        ("throughout", "What is probed all the time while `do` runs.", of("expectations")),
        ("repeat", "How many times the step is gone through.", number(&(1..=1000))),
        ("complete", "`true`: every ordered pair must be listed.", flag()),
        ("exclusive", "`true`: nothing else runs beside this step.", flag()),
    ];
    described(object(&keys::STEP, &rows), "How one state becomes the next, and what holds in it.")
}
