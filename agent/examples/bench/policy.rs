//! A policy of a given number of rules, as a view for the agent and as the list that a person would write for `nft`.
use std::fmt::Write as _;

use serde_json::{Value, json};
use wire::View;

/// The port that the last rule opens to the peer.
pub const PORT: u16 = 7000;

/// What a rule allows, and to whom: every fourth names a range of ports, every third a group of addresses.
fn rule(number: u32, last: bool) -> (Vec<String>, u16, u16) {
    if last {
        return (vec!["10.98.0.2/32".to_owned()], PORT, PORT);
    }
    let [_, a, b, c] = number.to_be_bytes();
    let first = u16::try_from(number % 50_000).unwrap_or(0) + 8_000;
    let groups = if number.is_multiple_of(3) { 4 } else { 1 };
    let sources = (0..groups).map(|one| format!("10.{}.{b}.{c}/32", 100 + 8 * one + a)).collect();
    (sources, first, if number.is_multiple_of(4) { first + 8 } else { first })
}

/// The view of the VM whose peer is let in by the last of `rules` rules.
pub(crate) fn view(rules: u32) -> View {
    let group =
        |number: u32, includes: &[String]| json!({"name": format!("g{number}"), "includes": includes, "excludes": []});
    let mut sets = vec![json!({"vms": [0], "outside": "None"})];
    let mut all = Vec::new();
    for number in 0..rules {
        let (sources, first, last) = rule(number, number + 1 == rules);
        let set = if number + 1 == rules { 0 } else { sets.len() };
        if set > 0 {
            sets.push(json!({"vms": [], "outside": {"Groups": [group(number, &sources)]}}));
        }
        all.push(json!({
            "name": format!("r{number}"), "action": "allow", "inbound": set, "outbound": Value::Null,
            "services": [{"ports": {"tcp": true, "first": first, "last": last}}, {"ports": {"tcp": false, "first": first, "last": last}}],
            "log": false, "mode": "enforce", "until": Value::Null,
        }));
    }
    let view = json!({
        "generation": 1, "vm": "vm", "addresses": ["10.98.0.1", "fd98::1"], "center": Value::Null,
        "managed": ["10.98.0.0/16", "fd98::/48"], "peers": [{"vm": "peer", "addresses": ["10.98.0.2", "fd98::2"]}],
        "sets": sets, "rules": all, "default": "deny", "mode": "enforce", "quarantined": false, "record_all": false, "now": 0,
    });
    serde_json::from_value(view).unwrap()
}

/// Connection tracking alone: what is established passes, and so does all else.
pub const TRACKING: &str = "table inet written {\n chain in {\n type filter hook input priority 0; policy accept;\n ct state established,related accept\n }\n chain out {\n type filter hook output priority 0; policy accept;\n ct state established,related accept\n }\n}\n";

/// The same rules, one after the other.
pub(crate) fn list(rules: u32) -> String {
    let mut text = "table inet written {\n chain in {\n type filter hook input priority 0; policy drop;\n iif lo accept\n ct state established,related accept\n meta l4proto ipv6-icmp accept\n".to_owned();
    for number in 0..rules {
        let (sources, first, last) = rule(number, number + 1 == rules);
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        // Each anonymous set makes the program slower: a rule for each address is what loads in bearable time.
        for source in sources {
            let _ = writeln!(text, " ip saddr {source} tcp dport {ports} accept");
        }
    }
    let _ = writeln!(text, " ip saddr 10.98.0.2 udp dport {PORT} accept");
    text.push_str(" }\n}\n");
    text
}
