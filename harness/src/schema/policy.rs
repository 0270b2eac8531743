//! What a policy may say.

use ::policy::{VERSION, keys};
use serde_json::{Value, json};

use super::form::{
    by_name, described, either, flag, list, name_but, number, object, object_with, of, one_key_of, one_or_many,
    some_of, text, with, words, written,
};

/// `any`, `tcp`, `udp/53`, `tcp/8000-8100`, `icmp/echo-request`, `proto/47`, or a name.
const SERVICE: &str = "^((tcp|udp)/[0-9]{1,5}(-[0-9]{1,5})?|icmp(v6)?/[a-z0-9-]+|proto/[0-9]{1,3}\
                       |[a-z0-9][a-z0-9._-]*)$";
const INSTANT: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+ ?([Zz]|[+-][0-9:]+)(\\[.+\\])?$";
/// The same, and so many seconds behind the publication.
const INSTANT_OR_SOON: &str =
    "^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+ ?([Zz]|[+-][0-9:]+)(\\[.+\\])?|\\+[0-9]{1,5}s)$";

/// The keys of a policy.
pub(super) fn object_of_keys() -> Value {
    let outage = either([json!({"enum": ["keep-last", "closed"]}), written("^lease +[0-9]+[smhd]$")]);
    let groups = either([of("selector"), some_of(of("addressRange"))]);
    let detectors = with(list(of("detector")), json!({"maxItems": keys::MOST_DETECTORS}));
    let rows = [
        ("eastwest", "The format of this file.", json!({"const": VERSION})),
        ("tier", "The name of this one among several policies in an order; left out, its file's.", of("name")),
        ("owns", "The VMs at whose ends it is evaluated; left out, at every end.", of("selector")),
        ("include", "Files beside this one whose services and groups it shares.", one_or_many(text())),
        ("services", "Names for services.", by_name(name_but(&keys::NO_SERVICES), of("services"))),
        (
            "groups",
            "Names for sets of endpoints: a selector, or a list of address ranges outside the inventory.",
            by_name(name_but(&keys::NO_GROUPS), groups),
        ),
        ("rules", "The rules, in order: the first that matches decides.", list(of("rule"))),
        ("default", "What a flow gets that no rule matches; left out, `deny`.", words(&keys::VERDICTS)),
        ("mode", "`monitor`: the whole policy only records.", words(&keys::MODES)),
        (
            "outage",
            "What an agent does without its center: `keep-last` (the default), `closed`, or such as `lease 10m`.",
            outage,
        ),
        ("detect", "Detectors: what is watched beside the rules.", detectors),
        ("tests", "What the policy is held against, such as `dept = hr -> app = db tcp/5432: reject`.", list(claim())),
    ];
    described(object(&keys::POLICY, &rows), "An ordered table of rules about flows between endpoints.")
}

/// What is said of parts of a policy; `soon`: whether a rule may end so many seconds after it is published.
pub(super) fn definitions(soon: bool) -> Vec<(&'static str, Value)> {
    let service = with(text(), json!({"pattern": SERVICE}));
    let service = described(service, "Such as `tcp/443`, `udp/53`, `icmp/echo-request`, `any`, or a service's name.");
    let range = written("^(not +)?[0-9A-Fa-f:.]+(/[0-9]{1,3})?$");
    let range = described(range, "An address or prefix, or an exception such as `not 10.9.3.0/24`.");
    let selector =
        "A set of endpoints, such as `dept = hr & app in (web, db)`, `any`, `vms`, `outside`, or a group's name.";
    vec![
        ("service", service),
        ("services", one_or_many(of("service"))),
        ("selector", described(with(text(), json!({"minLength": 1})), selector)),
        ("addressRange", range),
        ("name", with(text(), name_but(&[]))),
        ("time", described(written("^[0-9]+(ms|s|m|h|d)$"), "A time, such as `500ms`, `10s`, `5m`, `2h`, `1d`.")),
        ("rule", rule(soon)),
        ("detector", detector()),
    ]
}

fn rule(soon: bool) -> Value {
    let instant = if soon { INSTANT_OR_SOON } else { INSTANT };
    let rows = [
        ("name", "Unique in the policy; records and reports call the rule by it.", of("name")),
        ("allow", "The services that pass.", of("services")),
        ("deny", "The services that are dropped.", of("services")),
        (
            "reject",
            "The services that are answered: TCP by RST, everything else by ICMP administratively prohibited.",
            of("services"),
        ),
        ("pass", "The services that are left to the next tier.", of("services")),
        ("from", "The sources; left out, `any`.", of("selector")),
        ("to", "The destinations; left out, `any`.", of("selector")),
        (
            "within",
            "A label's key: both ends must carry it with the same value.",
            with(text(), json!({"minLength": 1})),
        ),
        ("at", "The ends at which the rule exists; left out, `both`.", words(&keys::ENDS)),
        ("log", "`true`: record allowed flows too.", flag()),
        (
            "mode",
            "`monitor`: the verdict is as though the rule were absent, and what it would have decided is recorded.",
            words(&keys::MODES),
        ),
        ("until", "An instant with date, time and zone, after which the rule no longer exists.", written(instant)),
        ("note", "A text for people.", text()),
    ];
    let actions: Vec<&str> = keys::ACTIONS.iter().map(|(word, _)| *word).collect();
    let rule = object_with(&["name"], &keys::RULE, &rows);
    described(with(rule, one_key_of(&actions)), "A rule has a name and one action, whose value is its services.")
}

/// `FROM -> TO SERVICE: VERDICT`, which YAML takes for a key with its value.
fn claim() -> Value {
    let verdict = "(allow|deny|reject)( +by +[^ ]+)?( +at +(source|destination))?";
    let mapped = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "patternProperties": {"^.+->.+ [^ ]+$": written(&format!("^{verdict}$"))},
        "additionalProperties": false,
    });
    either([written(&format!("^.+->.+ [^ ]+: *{verdict}$")), mapped])
}

fn detector() -> Value {
    let [ports, peers, connections, bytes] = keys::COUNTED;
    let volume = with(
        json!({"type": ["integer", "string"], "minimum": 1}),
        json!({"pattern": "^[0-9]+[kMG]?$", "description": "So many bytes; k, M and G are powers of 1024."}),
    );
    let counted = |unit: &'static str, form: Value| {
        let rows = [(unit, "The number that is reached.", form), ("within", "The time in which it is.", of("time"))];
        object_with(&[unit, "within"], &[unit, "within"], &rows)
    };
    let rows = [
        ("name", "Unique among rules and detectors; records bear `eastwest/detect/NAME`.", of("name")),
        ("scan", "Distinct destination ports that one source tries at one VM.", counted(ports, number(&keys::COUNTS))),
        ("sweep", "Distinct peers that one VM tries.", counted(peers, number(&keys::COUNTS))),
        ("flood", "New connections of one source to one VM.", counted(connections, number(&keys::COUNTS))),
        ("volume", "Bytes that one VM sends to another; `from` must say VMs.", counted(bytes, volume)),
        ("from", "The sources that count; left out, `any`.", of("selector")),
        ("to", "The destinations that count; left out, `any`.", of("selector")),
        ("then", "What is done when the number is reached.", json!({"enum": keys::RESPONSES})),
        ("for", "How long, with `intercept` and `quarantine`.", of("time")),
    ];
    let timed = json!({
        "if": {"properties": {"then": {"const": keys::RESPONSES[0]}}},
        "then": {"properties": {"for": false}},
        "else": {"required": ["for"]},
    });
    let detector = object_with(&["name", "then"], &keys::DETECTOR, &rows);
    let detector = with(with(detector, one_key_of(&keys::WATCHES)), timed);
    described(detector, "What one source tries within a time, and what is done about it.")
}
