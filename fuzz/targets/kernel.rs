//! What the kernel tells: no datagram makes a decoder fail, and no logged packet the agent.
#![no_main]

mod config;

use agent_core::{Direction, Former, LogEvent, LogKind, Machine, packet};
use config::config;
use libfuzzer_sys::fuzz_target;
use nft::{Family, Table};

fuzz_target!(|bytes: &[u8]| {
    let tables = [Table::new(Family::Inet, "eastwest"), Table::new(Family::Netdev, "eastwest")];
    let mut machine = Machine::new(config(), None, Former::default());
    for logged in nft::decode::datagram(bytes, &tables) {
        let _ = packet::read(&logged.payload);
        let kind = LogKind::of_prefix(&logged.prefix).unwrap_or(LogKind::Deny);
        let direction = if logged.hook == 3 { Direction::Out } else { Direction::In };
        machine.handle_log(&LogEvent { kind, direction, mark: logged.mark, packet: logged.payload }, 0);
    }
    machine.handle_end();
});
