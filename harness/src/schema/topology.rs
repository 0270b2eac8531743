//! What a topology may say.

use ::policy::keys::MODES;
use serde_json::{Value, json};

use super::form::{
    by_name, described, either, flag, list, number, object, object_with, of, one_or_many, some_of, text, with, words,
    written,
};
use crate::scenario::read::{agent, keys, speaks, topology};

/// A name, or one that stands for many: `web-[1..50]`.
const GENERATED: &str = "^([a-z0-9][a-z0-9._-]*)?(\\[[0-9]+\\.\\.[0-9]+\\][a-z0-9._-]*)?$";
/// The words that no endpoint can be named by.
const RESERVED: [&str; 2] = ["center", "default"];

pub(super) fn definitions() -> Vec<(&'static str, Value)> {
    let address =
        described(written("^[0-9A-Fa-f:.]+$"), "An address, such as `10.98.7.1`; quote one of IPv6 in a list.");
    let network = described(written("^[0-9A-Fa-f:.]+/[0-9]{1,3}$"), "A network, such as `10.98.0.0/16`.");
    let label = json!({"type": ["string", "number", "boolean", "null"]});
    let here: Vec<&str> = keys::VM.into_iter().filter(|key| *key != "eager").collect();
    vec![
        ("text", text()),
        ("texts", one_or_many(of("text"))),
        ("address", address),
        ("addresses", one_or_many(of("address"))),
        ("network", network),
        ("labels", described(json!({"type": "object", "additionalProperties": label}), "Labels, as keys and values.")),
        ("vm", vm(&here)),
        ("addedVm", vm(&keys::VM)),
        ("addedVms", by_name(generated(), of("addedVm"))),
        ("topology", described(topology(), "The hosts, and what stands on them.")),
    ]
}

fn generated() -> Value {
    json!({"pattern": GENERATED, "minLength": 1, "not": {"enum": RESERVED}})
}

/// A form, or nothing behind the key.
fn or_nothing(form: Value) -> Value {
    either([form, json!({"type": "null"})])
}

fn topology() -> Value {
    let hosts = with(some_of(of("name")), json!({"uniqueItems": true}));
    let outside =
        [("host", "The host at which it stands.", of("text")), ("addresses", "Its addresses.", of("addresses"))];
    let outside = object_with(&keys::OUTSIDE, &keys::OUTSIDE, &outside);
    let rows = [
        ("hosts", "Names of physical hosts: each a namespace with a bridge.", hosts),
        (
            "vms",
            "VMs by name; `web-[1..50]` stands for fifty that are alike.",
            or_nothing(by_name(generated(), of("vm"))),
        ),
        (
            "outside",
            "Endpoints that are no VMs, by name.",
            or_nothing(by_name(super::form::name_but(&RESERVED), outside)),
        ),
        (
            "neighbours",
            "`permanent` (the default), or `learned` for scenarios about ARP and neighbour discovery.",
            words(&topology::NEIGHBOURS),
        ),
        (
            "ports",
            "`guarded`: the hosts stop what a VM sends in another's name; `open` is the default.",
            words(&topology::PORTS),
        ),
        ("managed", "The managed networks; left out, the lab's pool.", list(of("network"))),
    ];
    object_with(&["hosts"], &keys::TOPOLOGY, &rows)
}

fn vm(known: &[&str]) -> Value {
    let spoken: Vec<&str> = speaks::SPEECHES.into_iter().map(|(word, _)| word).collect();
    let port = json!({"pattern": "^(tcp|udp)/[0-9]+$"});
    let speaks = or_nothing(by_name(port, json!({"enum": spoken})));
    let rows = [
        ("host", "The host on which it runs.", of("text")),
        ("labels", "Its labels in the center's inventory.", or_nothing(of("labels"))),
        (
            "serves",
            "Services that the VM's own programs listen on, which `any` includes, such as `tcp/5432`.",
            one_or_many(of("service")),
        ),
        ("addresses", "Its addresses; left out, one of each family from the pool.", of("addresses")),
        ("speaks", "What is spoken at ports of these: `tcp/443: tls`.", speaks),
        ("allowed", "Networks within which the center takes addresses that the agent observes.", list(of("network"))),
        ("mode", "`monitor`: the rules at this end only record.", words(&MODES)),
        ("dhcp", "`true`: DHCP clients in it may renew its address (`eastwest/address`).", flag()),
        ("agent", "`none`: the VM is unmanaged. A mapping starts the real agent with options of its own.", agent()),
        ("clock", "By how much its wall clock is wrong, such as `-1d` or `+90s`.", written("^[+-][0-9]+[smhd]$")),
        ("eager", "What a program in it sends from before the VM has a network.", eager()),
    ];
    described(object_with(&["host"], known, &rows), "A VM.")
}

fn agent() -> Value {
    let rows = [
        ("spool", "For how many records it has room while the center is away.", number(&(1..=u64::from(u32::MAX)))),
        (
            "protocol",
            "The protocol's version before this one: it speaks as an older build.",
            json!({"const": wire::PROTOCOL - 1}),
        ),
        ("ruleset", "A file of nftables rules that enforces here in our agent's place.", of("text")),
        ("exec", "A program that enforces here in our agent's place, with its arguments.", some_of(of("text"))),
        (
            "needs",
            "Programs without which `exec` is of no use: where one is not installed, the scenario is skipped.",
            one_or_many(of("text")),
        ),
    ];
    either([words(&agent::AGENTS), with(object(&keys::AGENT, &rows), json!({"minProperties": 1}))])
}

fn eager() -> Value {
    let rows = [
        ("to", "The endpoint to which it sends.", of("text")),
        ("udp", "The port to which it sends, of generated VMs that of the first.", number(&(1..=u64::from(u16::MAX)))),
    ];
    object_with(&keys::EAGER, &keys::EAGER, &rows)
}
