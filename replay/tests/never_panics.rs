//! No bytes make a reader panic, and each ends with what it was given.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::BufReader;

use proptest::prelude::*;
use replay::{Format, Reader};

const SAMPLES: [(Format, &[u8]); 11] = [
    (Format::Json, include_bytes!("samples/own.jsonl")),
    (Format::Center, include_bytes!("samples/center.jsonl")),
    (Format::Vpc, include_bytes!("samples/vpc-v2.log")),
    (Format::Vpc, include_bytes!("samples/vpc-v5.log")),
    (Format::Zeek, include_bytes!("samples/zeek.log")),
    (Format::Zeek, include_bytes!("samples/zeek.jsonl")),
    (Format::Conntrack, include_bytes!("samples/conntrack.txt")),
    (Format::Conntrack, include_bytes!("samples/conntrack-extended.txt")),
    (Format::Pcap, include_bytes!("samples/frames.pcap")),
    (Format::Pcap, include_bytes!("samples/frames.pcapng")),
    (Format::Pcap, include_bytes!("samples/loopback.pcap")),
];

/// Reads to the end: it comes, and no more flows than entries do.
fn check(bytes: &[u8], format: Option<Format>) {
    let Ok(mut reader) = Reader::new(bytes, format) else { return };
    let mut flows = Vec::new();
    while let Ok(Some(seen)) = reader.read() {
        flows.push(seen);
        assert!(seen.count > 0);
        assert_eq!(seen.flow.source.is_ipv4(), seen.flow.destination.is_ipv4());
    }
    let account = reader.account();
    assert_eq!(flows.len() as u64, account.flows);
    assert!(account.flows <= account.entries && account.bytes <= bytes.len() as u64);
    // In pieces that end anywhere, and several at once.
    let Ok(mut again) = Reader::new(BufReader::with_capacity(7, bytes), format) else { return };
    let (mut together, mut some) = (Vec::new(), Vec::new());
    while again.read_some(&mut some).unwrap_or_default() {
        together.append(&mut some);
    }
    together.append(&mut some);
    assert_eq!((together, again.account()), (flows, account));
}

/// A sample with some bytes cut, doubled or replaced.
fn mutated() -> impl Strategy<Value = (Format, Vec<u8>)> {
    let change = (any::<prop::sample::Index>(), 0usize..8, prop::collection::vec(any::<u8>(), 0..5));
    (prop::sample::select(SAMPLES.to_vec()), prop::collection::vec(change, 1..8)).prop_map(
        |((format, bytes), changes)| {
            let mut bytes = bytes.to_vec();
            for (place, cut, piece) in changes {
                let at = place.index(bytes.len());
                let end = (at + cut).min(bytes.len());
                bytes.splice(at..end, piece);
            }
            (format, bytes)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn on_changed_recordings((format, bytes) in mutated()) {
        check(&bytes, Some(format));
        check(&bytes, None);
    }

    #[test]
    fn on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), format in prop::sample::select(Format::ALL.to_vec())) {
        check(&bytes, Some(format));
        check(&bytes, None);
    }

    #[test]
    fn on_any_packet(link in prop::sample::select(vec![0u32, 1, 12, 101, 108, 113, 276]), packet in prop::collection::vec(any::<u8>(), 0..120), v6: bool) {
        let mut packet = packet;
        if matches!(link, 12 | 101) && let Some(first) = packet.first_mut() {
            *first = if v6 { 0x60 } else { 0x45 };
        }
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1];
        bytes.extend([0; 16]);
        bytes.extend(link.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&packet);
        check(&bytes, None);
    }
}
