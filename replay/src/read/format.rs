//! Which formats there are, and how a recording's first bytes tell its own.

use std::fmt;
use std::str::FromStr;

use super::vpc;
use crate::text::words;

/// A format of recorded traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// JSON lines of our own.
    Json,
    /// The center's records, as `eastwest center events --format json` writes them.
    Center,
    /// Packets: pcap or pcapng.
    Pcap,
    /// AWS VPC flow logs.
    Vpc,
    /// Zeek's conn.log, tab-separated or JSON.
    Zeek,
    /// `conntrack -L`, also with `-o extended`.
    Conntrack,
}

/// A recording in no format that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its format is not known: {0}; the known ones are {list}, and --from names one", list = Format::list())]
pub struct NotKnown(String);

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Json, Self::Center, Self::Pcap, Self::Vpc, Self::Zeek, Self::Conntrack];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Center => "center",
            Self::Pcap => "pcap",
            Self::Vpc => "vpc",
            Self::Zeek => "zeek",
            Self::Conntrack => "conntrack",
        }
    }

    fn long(self) -> &'static str {
        match self {
            Self::Json => "json (JSON lines with source, destination, protocol, port)",
            Self::Center => "center (eastwest center events --format json)",
            Self::Pcap => "pcap (pcap and pcapng)",
            Self::Vpc => "vpc (AWS VPC flow logs)",
            Self::Zeek => "zeek (conn.log)",
            Self::Conntrack => "conntrack (conntrack -L)",
        }
    }

    fn list() -> String {
        Self::ALL.map(Self::long).join(", ")
    }

    /// The format of a recording that begins so.
    pub(super) fn of(head: &[u8]) -> Result<Self, NotKnown> {
        const MAGICS: [[u8; 4]; 5] = [
            [0xa1, 0xb2, 0xc3, 0xd4],
            [0xd4, 0xc3, 0xb2, 0xa1],
            [0xa1, 0xb2, 0x3c, 0x4d],
            [0x4d, 0x3c, 0xb2, 0xa1],
            [0x0a, 0x0d, 0x0d, 0x0a],
        ];
        if MAGICS.iter().any(|magic| head.starts_with(magic)) {
            return Ok(Self::Pcap);
        }
        if head.starts_with(b"{\"event\":\"run-started\"") {
            return Err(NotKnown("it is the recording of a run, which tells of probes and of no traffic".to_owned()));
        }
        if let Some(help) = packed(head) {
            return Err(NotKnown(help.to_owned()));
        }
        let mut lines = head.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
        let Some(first) = lines.next() else { return Err(NotKnown("it is empty".to_owned())) };
        let holds = |part: &[u8]| first.windows(part.len()).any(|window| window == part);
        let has = |start: &[u8]| words(first).any(|word| word.starts_with(start));
        match first {
            _ if begins_json(first) && holds(b"\"id.orig_h\"") => Ok(Self::Zeek),
            _ if begins_json(first) && (holds(b"\"key\"") || holds(b"\"event\"")) => Ok(Self::Center),
            _ if begins_json(first) && holds(b"\"source\"") => Ok(Self::Json),
            [b'#', ..] if has(b"#separator") || has(b"#fields") => Ok(Self::Zeek),
            _ if vpc::is_header(first) || vpc::is_default(first) => Ok(Self::Vpc),
            _ if has(b"src=") && has(b"dst=") => Ok(Self::Conntrack),
            _ => {
                let text = String::from_utf8_lossy(first.get(..60).unwrap_or(first)).into_owned();
                let clean: String = text.chars().map(|c| if c.is_control() { '.' } else { c }).collect();
                Err(NotKnown(format!("it begins with `{}`", clean.trim_end())))
            }
        }
    }
}

/// Whether a text begins with an object of JSON.
pub(super) fn begins_json(head: &[u8]) -> bool {
    head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// What to do about a file that something else must unpack first.
fn packed(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("it is packed by gzip: give what `zcat FILE` writes, by `-`"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("it is packed by zstd: give what `zstdcat FILE` writes, by `-`"),
        [b'P', b'A', b'R', b'1', ..] => Some("it is Parquet: have the flow log written as text, or convert it"),
        [0x34, 0xcd, 0xb2, 0xa1, ..] | [0xa1, 0xb2, 0xcd, 0x34, ..] => {
            Some("it is a variant of pcap that is not read: `editcap FILE out.pcapng` turns it into one that is")
        }
        _ => None,
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.name() == text);
        found.ok_or_else(|| format!("there is no format `{text}`: one of {}", names()))
    }
}
