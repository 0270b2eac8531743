//! Recordings of each format, and the flows that are read of them: `tests/samples/NAME` gives what `NAME.expected` says.
//!
//! After a change that is meant, `BLESS=1 cargo test -p replay --test formats` writes those anew; read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the samples are files")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use replay::{Format, LONGEST_LINE, Note, Reader};

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut samples: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.extension().is_some_and(|extension| extension != "expected"));
    samples.sort();
    samples
}

/// All that is read of a recording, as text.
fn told(bytes: &[u8], format: Option<Format>) -> String {
    let mut reader = match Reader::new(bytes, format) {
        Ok(reader) => reader,
        Err(error) => return format!("cannot read it: {error}\n"),
    };
    let (mut text, mut whole) = (String::new(), true);
    loop {
        match reader.read() {
            Ok(None) => break,
            Ok(Some(seen)) => {
                let flow = seen.flow;
                let _ = write!(text, "{} -> {} {}", flow.source, flow.destination, flow.service);
                let _ = writeln!(text, " x{} at {:?} {:?}", seen.count, seen.when, seen.action);
            }
            Err(error) => {
                let _ = writeln!(text, "cannot read it: {error}");
                whole = false;
                break;
            }
        }
    }
    let account = reader.account();
    assert!(!whole || account.bytes == bytes.len() as u64, "all of it is read, and counted: {account:?}");
    text + &replay::account("sample", reader.format(), account)
}

#[test]
fn each_sample_gives_its_flows() {
    let samples = samples();
    assert!(samples.len() >= 12, "{} samples", samples.len());
    let mut wrong = Vec::new();
    for sample in samples {
        let told = told(&fs::read(&sample).unwrap(), None);
        let expected = PathBuf::from(format!("{}.expected", sample.display()));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &told).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", sample.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A recording that cannot be told, with a part of what is said of it.
fn check(bytes: &[u8], format: Option<Format>, said: &str) {
    let told = told(bytes, format);
    assert!(told.contains(said), "{told:?} does not say {said:?}");
}

#[test]
fn what_is_no_recording_is_said_to_be_none() {
    check(
        b"",
        None,
        "cannot read it: its format is not known: it is empty; the known ones are json (JSON lines with source",
    );
    check(b" \n\n", None, "it is empty");
    check(b"hello\n", None, "its format is not known: it begins with `hello`; the known ones are json");
    check(b"hello\n", None, "conntrack (conntrack -L), and --from names one");
    check(b"{\"a\": 1}\n", None, "it begins with `{\"a\": 1}`");
    check(&[0x1f, 0x8b, 8, 0], None, "it is packed by gzip: give what `zcat FILE` writes, by `-`");
    check(b"PAR1....", None, "it is Parquet");
    check(b"hello\n", Some(Format::Json), "1 of them could not be read\n  line 1: not one whole JSON object: hello");
    check(b"#path\tdns\n", Some(Format::Zeek), "`#path` is not conn: of Zeek's logs, conn.log holds flows");
    check(
        b"hello, who is there?",
        Some(Format::Pcap),
        "after 0 packets it cannot be read on: it begins like neither pcap",
    );
}

#[test]
fn a_line_that_does_not_end_is_counted_and_passed_over() {
    let good = "{\"source\":\"10.0.0.1\",\"destination\":\"10.0.0.2\",\"protocol\":\"tcp\",\"port\":1}";
    let text = format!("{good}\n{}\n{good}", "x".repeat(LONGEST_LINE * 3));
    let told = told(text.as_bytes(), None);
    assert!(told.contains("2 flows from 3 lines (json), 1 of them could not be read"), "{told}");
    assert!(told.contains("line 2: the line is longer than 65536 bytes"), "{told}");
}

#[test]
fn a_capture_that_makes_no_sense_ends_with_its_place() {
    let mut capture = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/frames.pcap")).unwrap();
    // The length of the second packet: header of the file, header and bytes of the first.
    let second = 24 + 16 + 54 + 8;
    capture[second..second + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut reader = Reader::new(capture.as_slice(), None).unwrap();
    assert!(reader.read().unwrap().is_some());
    let error = reader.read().unwrap_err().to_string();
    assert_eq!(
        error,
        "after 1 packets it cannot be read on: a packet of 4294967295 bytes, of which 262144 are the most"
    );
}

/// A capture of SYNs of so many flows, each from a port and address of its own.
fn syns(flows: u32) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    bytes.extend([0; 12]);
    bytes.extend(101_u32.to_le_bytes());
    for flow in 0..flows {
        bytes.extend([0; 8]);
        bytes.extend([40, 0, 0, 0, 40, 0, 0, 0]);
        bytes.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
        bytes.extend((0x0b00_0000 + flow / 8).to_be_bytes());
        bytes.extend([10, 98, 0, 1]);
        bytes.extend((1024 + (flow % 8) as u16).to_be_bytes());
        bytes.extend([1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

#[test]
fn flows_that_are_forgotten_are_counted() {
    for (flows, forgets) in [(10_000, false), (400_000, true)] {
        let bytes = syns(flows);
        let mut reader = Reader::new(bytes.as_slice(), None).unwrap();
        while reader.read().unwrap().is_some() {}
        let account = reader.account();
        assert_eq!((account.flows, account.bad), (u64::from(flows), 0));
        assert_eq!(account.noted(Note::Evicted) > 0, forgets);
        assert!(account.noted(Note::Evicted) >= u64::from(flows).saturating_sub(1 << 18));
    }
}

#[test]
fn only_the_first_bad_lines_are_shown_and_all_are_counted() {
    let text = "{\"source\":1}\n".repeat(1000);
    let told = told(text.as_bytes(), None);
    assert!(told.contains("1,000 of them could not be read") && told.contains("… and 995 more"), "{told}");
    assert_eq!(told.lines().filter(|line| line.trim_start().starts_with("line ")).count(), replay::MOST_SHOWN);
}
