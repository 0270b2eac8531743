//! What can be done in a step.

use std::ops::RangeInclusive;

use ::policy::keys::MODES;
use serde_json::{Value, json};

use super::form::{
    Row, described, either, list, number, object, object_with, of, one_key_of, some_of, text, with, words, written,
};
use crate::scenario::read::{hostile, keys, local};

/// How often items are repeated.
const TIMES: RangeInclusive<u64> = 1..=1000;
const WHICH_VM: &str = "The name of a VM.";

pub(super) fn definitions() -> Vec<(&'static str, Value)> {
    vec![
        ("doing", doing()),
        ("process", process()),
        ("raw", raw()),
        ("flood", flood()),
        ("bulk", bulk()),
        ("exec", exec()),
    ]
}

/// An item: a text such as `heal` or `close NAME`, or a mapping of one key.
fn doing() -> Value {
    let rows: Vec<Row> = [state(), traffic(), processes(), paths(), agents()].concat();
    // A session is opened by its name: `open NAME: …`.
    let known: Vec<&str> = keys::VERBS.into_iter().filter(|verb| *verb != "open").collect();
    let of_names = json!({
        "^open [^ ]+$": described(written("->"), "Opens a long-lived session: `open NAME: a -> b tcp/443 v4`."),
        "^(close|send) .+": {"type": "null"},
    });
    let more = json!({"minProperties": 1, "maxProperties": 1, "patternProperties": of_names});
    let bare = written(&format!("^({})( |:|$)", keys::VERBS.join("|")));
    let means = "Such as `move: {vm: a, to: host}`, `open NAME: a -> b tcp/443`, `heal`.";
    described(either([bare, with(object(&known, &rows), more)]), means)
}

fn vm() -> Row {
    ("vm", WHICH_VM, of("text"))
}

/// A mapping of which every key must be there.
fn whole(keys: &[&str], rows: &[Row]) -> Value {
    object_with(keys, keys, rows)
}

/// What changes policy and inventory.
fn state() -> Vec<Row> {
    let set = ("set", "Labels that change.", of("labels"));
    let labels = ("labels", "Labels that replace all that there are.", of("labels"));
    let label = with(object_with(&["vm"], &keys::LABEL, &[vm(), set, labels]), one_key_of(&["set", "labels"]));
    let to = ("to", "The host to which it moves.", of("text"));
    let copy = ("as", "The copy's name.", of("name"));
    let host = ("host", "The copy's host.", of("text"));
    let publish = [
        ("policy", "What is given to the center: a file, a policy or any text.", json!({"type": ["string", "object"]})),
        ("refused", "What the center says when it refuses it.", text()),
        ("refused-by-agents", "What every agent says when it refuses it.", text()),
    ];
    let publish = object_with(&["policy"], &keys::PUBLISH, &publish);
    let add =
        [("add", "An address that the VM gets.", of("address")), ("drop", "One that it loses.", of("address")), vm()];
    let add = with(object_with(&["vm"], &keys::ADDRESS, &add), one_key_of(&["add", "drop"]));
    let second = [
        vm(),
        ("addresses", "The addresses of a second interface.", of("addresses")),
        ("gone", "`true`: it is taken away.", json!({"const": true})),
    ];
    let second = with(object_with(&["vm"], &keys::INTERFACE, &second), one_key_of(&["addresses", "gone"]));
    let mode = ("mode", "Whether the rules at its end act or only record.", words(&MODES));
    vec![
        ("policy", "Publishes a policy.", of("policyOrFile")),
        ("publish", "Publishes what must be refused.", with(publish, one_key_of(&["refused", "refused-by-agents"]))),
        ("label", "Changes labels.", label),
        ("move", "Moves a VM to another host.", whole(&keys::MOVE, &[vm(), to])),
        ("add", "Adds VMs, by name.", of("addedVms")),
        ("clone", "Starts a copy of a VM with a copy of its agent's folder.", whole(&keys::CLONE, &[vm(), copy, host])),
        ("remove", "Removes a VM with all that runs in it.", of("text")),
        ("address", "Gives a VM an address late, or takes it again.", add),
        ("interface", "Gives a VM a second interface, or takes it again.", second),
        ("mode", "Has the rules at a VM's end only record, or act again.", whole(&keys::MODE, &[vm(), mode])),
        ("quarantine", "Quarantines a VM at the center.", of("text")),
        ("release", "Releases a VM from its quarantine.", of("text")),
        ("expire", "Waits until this rule has ended.", of("text")),
        ("reset", "Restores the end of an earlier step.", of("text")),
    ]
}

fn traffic() -> Vec<Row> {
    let send = either([of("text"), some_of(of("text")), of("raw"), of("flood"), of("bulk")]);
    let repeat = [("times", "How many times.", number(&TIMES)), ("do", "What is repeated.", list(of("doing")))];
    vec![
        ("close", "Closes sessions.", of("texts")),
        ("send", "Sends traffic, and claims nothing of its fate.", send),
        ("exec", "Runs a real program, and says what must come of it.", of("exec")),
        ("end", "Ends floods and programs that go on meanwhile.", of("texts")),
        ("repeat", "Does the items so many times over.", whole(&keys::REPEAT, &repeat)),
    ]
}

fn processes() -> Vec<Row> {
    vec![
        ("kill", "Kills agents or the center.", of("process")),
        ("stop", "Stops agents or the center.", of("process")),
        ("start", "Starts agents or the center.", of("process")),
        ("restart", "Restarts agents or the center.", of("process")),
    ]
}

fn process() -> Value {
    let agent = whole(&keys::PROCESS, &[("agent", "The VMs whose agents are meant.", of("texts"))]);
    either([json!({"const": "center"}), agent])
}

fn paths() -> Vec<Row> {
    let sides = [
        ("a", "Hosts, endpoints or `center` on one side.", of("texts")),
        ("b", "Those on the other side.", of("texts")),
    ];
    let rate = described(written("^([0-9]+(kbit|mbit|bit)|none)$"), "Such as `64kbit`; `none` ends it.");
    let rate = ("rate", "How much a second goes either way.", rate);
    vec![
        ("partition", "Cuts every path between two sides.", whole(&keys::PARTITION, &sides)),
        ("path", "Makes the path between two endpoints slow, long or lossy.", path()),
        ("heal", "Undoes every partition, and makes every path quick.", json!({"type": "null"})),
        ("slow", "Makes the path between a VM and the center slow.", whole(&keys::SLOW, &[vm(), rate])),
    ]
}

fn path() -> Value {
    let rows = [
        ("a", "One end.", of("text")),
        ("b", "The other end.", of("text")),
        ("rate", "How much a second goes either way, such as `10mbit`.", written("^[0-9]+ ?(bit|kbit|mbit)$")),
        ("loss", "How much is lost of what goes either way, such as `5%`.", written("^[0-9]+ ?%$")),
        ("delay", "How long each packet takes, such as `20ms`.", written("^[0-9]+ ?ms$")),
    ];
    object_with(&["a", "b"], &keys::PATH, &rows)
}

fn agents() -> Vec<Row> {
    let tamper = ("how", "What another process in the VM does to the ruleset.", words(&hostile::TAMPERINGS));
    let kept = ("how", "What became of it.", words(&hostile::KEEPINGS));
    let time = ("for", "For how long, such as `10m`.", written("^[0-9]+[smh]$"));
    let by = ("by", "What ends it.", words(&local::ENDINGS));
    vec![
        ("tamper", "Does to an agent's ruleset what another process could.", whole(&keys::TAMPER, &[vm(), tamper])),
        ("kept", "Changes what a dead agent kept for its next life.", whole(&keys::KEPT, &[vm(), kept])),
        ("suspend", "Gives an agent the order `eastwest agent suspend`.", whole(&keys::SUSPEND, &[vm(), time])),
        ("resume", "Ends a suspension, or waits for its end.", whole(&keys::RESUME, &[vm(), by])),
        ("upgrade", "Replaces an agent of the version before by one of the newest.", of("text")),
        ("lapse", "Waits until the policy of a VM is over that its center does not reach.", of("text")),
    ]
}

fn family() -> Row {
    ("family", "The one family that is meant.", words(&hostile::FAMILIES))
}

fn ends() -> [Row; 2] {
    [("from", "The sender.", of("text")), ("to", "The receiver.", of("text"))]
}

fn raw() -> Value {
    let [from, to] = ends();
    let rows = [
        (
            "raw",
            "The packets: `syn 1-1000`, `udp 53, bad checksum`, `arp 10.98.0.9`, `redirect about SESSION`.",
            text(),
        ),
        from,
        to,
        family(),
        ("times", "How many times they are sent.", number(&(1..=u64::from(hostile::MOST)))),
        (
            "by",
            "`socket`: by a raw IP socket, so that the sender's own policy judges them; left out, as frames.",
            words(&hostile::WAYS),
        ),
        ("over", "The sender's address whose interface they leave by.", of("address")),
    ];
    described(object_with(&["raw", "from", "to"], &keys::RAW, &rows), "Crafted packets.")
}

fn flood() -> Value {
    let [from, to] = ends();
    let most = u64::from(hostile::MOST_OF_A_FLOOD);
    let any = 1..=u64::from(u32::MAX);
    let rows = [
        ("flood", "UDP ports, such as `udp/9000-9099`.", written("^udp/[0-9]+(-[0-9]+)?$")),
        from,
        to,
        family(),
        ("packets", "How many datagrams at most.", number(&(1..=most))),
        ("rate", "So many a second, otherwise as fast as one thread sends.", number(&any)),
        ("meanwhile", "A name: it goes on until `end: NAME`.", of("text")),
        ("all", "What becomes of every datagram.", words(&hostile::FATES)),
        ("but", "Of all but so many.", number(&(0..=u64::from(u32::MAX)))),
    ];
    described(object_with(&["flood", "from", "to", "packets"], &keys::FLOOD, &rows), "Datagrams, without a pause.")
}

fn exec() -> Value {
    let code = either([number(&(0..=255)), json!({"const": "any"})]);
    let rows = [
        ("vm", "The endpoint in whose network it runs.", of("text")),
        ("run", "The program with its arguments; one with a `/` is found beside the scenario.", some_of(of("text"))),
        ("exits", "The exit code that it must end with, 0 where nothing is said; or `any`.", code),
        ("prints", "What must be in its standard output.", text()),
        ("within", "How long it may take, such as `30s`; otherwise a minute.", written("^[0-9]+s$")),
        ("raw", "`true`: it may change its network and send crafted packets.", json!({"type": "boolean"})),
        ("meanwhile", "A name: it goes on until `end: NAME`.", of("text")),
        ("listens", "The port at which it must listen before the step goes on.", written("^(tcp|udp)/[0-9]+$")),
    ];
    described(object_with(&["vm", "run"], &keys::EXEC, &rows), "A real program.")
}

fn bulk() -> Value {
    let [from, to] = ends();
    let rate = || written("^[0-9]+ ?(bit|kbit|mbit|gbit)$");
    let rows = [
        ("bulk", "How many bytes, such as `8MiB`.", written("^[0-9]+ ?(KiB|MiB|GiB)$")),
        from,
        to,
        family(),
        ("service", "The TCP port, such as `tcp/9000`.", written("^tcp/[0-9]+$")),
        ("least", "The least that it must carry a second, such as `10mbit`.", rate()),
        ("most", "The most that it may carry a second.", rate()),
    ];
    described(object_with(&["bulk", "from", "to", "service"], &keys::BULK, &rows), "Bytes over one connection.")
}
