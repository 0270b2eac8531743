//! The agent that every target begins with.

use agent_core::{Config, Limits};

/// Its configuration: no center, no address, an empty spool.
pub fn config() -> Config {
    Config {
        vm: "a".into(),
        boot: "b".into(),
        version: "0".into(),
        center: None,
        heard_before: None,
        suspended: None,
        protocol: wire::PROTOCOL,
        addresses: Vec::new(),
        spool: Limits::default(),
        max_epoch: 2047,
    }
}
