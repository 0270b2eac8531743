//! JSON Schemas (draft 2020-12) of the files that people write, for editors to complete and check them.
//!
//! Which keys and words there are comes from the readers, what they mean is told here. A schema says less than the
//! reader: it knows shapes, and no names, services or selectors. What a reader takes, its schema takes too, but for rare
//! spellings such as `true` in quotes.

mod doing;
mod form;
mod policy;
mod steps;
mod topology;

use serde_json::{Value, json};

use self::form::{described, object, with};
use crate::scenario::read::keys;
use crate::scenario::{FAMILIES, PLACEMENTS};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a policy file.
#[must_use]
pub fn policy() -> Value {
    let head = json!({
        "$schema": DRAFT,
        "title": "eastwest policy/v1",
        "required": ["eastwest"],
        "$defs": definitions(policy::definitions(false)),
    });
    with(policy::object_of_keys(), head)
}

/// The schema of a scenario file.
#[must_use]
pub fn scenario() -> Value {
    let mut all = policy::definitions(true);
    all.push(("policy", policy::object_of_keys()));
    all.extend(topology::definitions());
    all.extend(steps::definitions());
    all.extend(doing::definitions());
    let head = json!({
        "$schema": DRAFT,
        "title": "eastwest scenario/v1",
        "required": ["eastwest", "topology"],
        "$defs": definitions(all),
    });
    with(scenario_of_keys(), head)
}

fn definitions(all: Vec<(&str, Value)>) -> Value {
    Value::Object(all.into_iter().map(|(name, form)| (name.to_owned(), form)).collect())
}

fn axes() -> Value {
    let rows = [
        ("placement", "On which hosts VMs stand.", form::some_of(form::words(&PLACEMENTS))),
        ("family", "Which addresses endpoints have.", form::some_of(form::words(&FAMILIES))),
    ];
    object(&keys::AXES, &rows)
}

fn scenario_of_keys() -> Value {
    let heartbeat = json!({"type": "string", "pattern": "^[0-9]+ms$"});
    let rows = [
        ("eastwest", "The format of this file.", json!({"const": "scenario/v1"})),
        ("name", "What reports call the scenario; left out, the file's name.", form::text()),
        ("topology", "What stands before the first step.", form::of("topology")),
        (
            "policy",
            "The policy: a file beside the scenario, or the policy itself. Left out, agents stay closed.",
            form::of("policyOrFile"),
        ),
        (
            "steps",
            "The states, in order; they accumulate. A file without steps serves `reach`, and as an inventory.",
            form::list(form::of("step")),
        ),
        ("slow", "Left out when a folder is run, unless `--slow` or the file's own name asks for it.", form::flag()),
        ("soak", "As `slow`, for what takes longer still: `--soak`, or the file's own name.", form::flag()),
        ("exclusive", "Nothing else runs beside it.", form::flag()),
        ("axes", "Along which the file is varied: each combination is a trial of its own.", axes()),
        (
            "heartbeat",
            "How often center and agents say that they live, such as `500ms`; 2 seconds where it is left out.",
            heartbeat,
        ),
    ];
    described(object(&keys::SCENARIO, &rows), "A topology, and a series of states with the expectation of each.")
}
