//! The keys that each mapping of a scenario may have, for its reader and for those that describe the format to others.

/// The keys of a scenario.
pub(crate) const SCENARIO: [&str; 10] =
    ["eastwest", "name", "topology", "policy", "steps", "slow", "soak", "exclusive", "heartbeat", "axes"];
pub(crate) const AXES: [&str; 2] = ["placement", "family"];
/// The one key of a policy that is written in a smaller size.
pub(crate) const SIZED: &str = "sized";

/// The keys of a topology.
pub(crate) const TOPOLOGY: [&str; 6] = ["hosts", "vms", "outside", "neighbours", "managed", "ports"];
pub(crate) const VM: [&str; 11] =
    ["host", "labels", "serves", "speaks", "addresses", "allowed", "mode", "dhcp", "agent", "clock", "eager"];
pub(crate) const OUTSIDE: [&str; 2] = ["host", "addresses"];
pub(crate) const AGENT: [&str; 5] = ["spool", "protocol", "ruleset", "exec", "needs"];
pub(crate) const EAGER: [&str; 2] = ["to", "udp"];

/// The one key of a matrix that stands in a file.
pub(crate) const CSV: &str = "csv";
pub(crate) const TABLE: [&str; 1] = [CSV];

/// The keys of a step.
pub(crate) const STEP: [&str; 9] =
    ["name", "do", "expect", "matrix", "known", "throughout", "repeat", "complete", "exclusive"];

/// The keys of an expectation beside which something stands; the first is the expectation itself.
pub(crate) const MARKED: [&str; 4] = ["expect", "known", "id", "owner"];

/// What can be done.
pub(crate) const VERBS: [&str; 34] = [
    "policy",
    "label",
    "move",
    "add",
    "remove",
    "open",
    "close",
    "send",
    "quarantine",
    "release",
    "kill",
    "stop",
    "start",
    "restart",
    "partition",
    "heal",
    "slow",
    "path",
    "exec",
    "end",
    "repeat",
    "expire",
    "clone",
    "reset",
    "publish",
    "tamper",
    "kept",
    "address",
    "interface",
    "mode",
    "suspend",
    "resume",
    "upgrade",
    "lapse",
];
/// What is told more behind the verb: `open NAME: …`.
pub(crate) const VERBS_OF_NAMES: [&str; 3] = ["open", "close", "send"];

pub(crate) const LABEL: [&str; 3] = ["vm", "set", "labels"];
pub(crate) const MOVE: [&str; 2] = ["vm", "to"];
pub(crate) const CLONE: [&str; 3] = ["vm", "as", "host"];
pub(crate) const PROCESS: [&str; 1] = ["agent"];
pub(crate) const PARTITION: [&str; 2] = ["a", "b"];
pub(crate) const SLOW: [&str; 2] = ["vm", "rate"];
pub(crate) const PATH: [&str; 5] = ["a", "b", "rate", "loss", "delay"];
pub(crate) const EXEC: [&str; 8] = ["vm", "run", "exits", "prints", "within", "raw", "meanwhile", "listens"];
pub(crate) const REPEAT: [&str; 2] = ["times", "do"];
pub(crate) const PUBLISH: [&str; 3] = ["policy", "refused", "refused-by-agents"];
pub(crate) const TAMPER: [&str; 2] = ["vm", "how"];
pub(crate) const KEPT: [&str; 2] = ["vm", "how"];
pub(crate) const ADDRESS: [&str; 3] = ["vm", "add", "drop"];
pub(crate) const INTERFACE: [&str; 3] = ["vm", "addresses", "gone"];
pub(crate) const MODE: [&str; 2] = ["vm", "mode"];
pub(crate) const SUSPEND: [&str; 2] = ["vm", "for"];
pub(crate) const RESUME: [&str; 2] = ["vm", "by"];
/// The keys of crafted packets, and of a flood.
pub(crate) const RAW: [&str; 7] = ["raw", "from", "to", "times", "family", "by", "over"];
pub(crate) const BULK: [&str; 7] = ["bulk", "from", "to", "service", "family", "least", "most"];
pub(crate) const FLOOD: [&str; 9] = ["flood", "from", "to", "packets", "family", "rate", "meanwhile", "all", "but"];
