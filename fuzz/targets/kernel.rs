//! What the kernel tells: no datagram makes a decoder fail, and no logged packet the agent.
#![no_main]

use agent_core::{Config, Direction, Former, Limits, LogEvent, LogKind, Machine, packet};
use libfuzzer_sys::fuzz_target;
use nft::{Family, Table};

fuzz_target!(|bytes: &[u8]| {
    let tables = [Table::new(Family::Inet, "eastwest"), Table::new(Family::Netdev, "eastwest")];
    let config = Config {
        vm: "a".into(),
        boot: "b".into(),
        version: "0".into(),
        center: None,
        heard_before: None,
        addresses: Vec::new(),
        spool: Limits::default(),
        max_epoch: 2047,
    };
    let mut machine = Machine::new(config, None, Former::default());
    for logged in nft::decode::datagram(bytes, &tables) {
        let _ = packet::read(&logged.payload);
        let kind = LogKind::of_prefix(&logged.prefix).unwrap_or(LogKind::Deny);
        let direction = if logged.hook == 3 { Direction::Out } else { Direction::In };
        machine.handle_log(&LogEvent { kind, direction, mark: logged.mark, packet: logged.payload }, 0);
    }
    machine.handle_end();
});
