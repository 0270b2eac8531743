//! Recordings: bytes in, flows out, one at a time; what is held in between does not grow with the recording.

mod capture;
mod conntrack;
mod direction;
mod format;
mod json_lines;
mod packet;
mod pcap;
mod pcapng;
mod vpc;
mod zeek;

use std::io::{BufRead, Chain, Cursor, Read};
use std::net::IpAddr;

pub use format::{Format, NotKnown};

use crate::account::{Account, Wrong};
use crate::seen::Seen;
use crate::text::{self, LONGEST_LINE, Line};
use capture::Capture;
use vpc::Vpc;
use zeek::Zeek;

/// What an ICMP of the other family is.
const NO_SUCH_ICMP: Wrong = Wrong::Whole("ICMP is of IPv4 and ICMPv6 of IPv6");
/// So many flows are read together.
const SOME: usize = 256;
/// So much of a recording is looked at to tell its format.
const HEAD: u64 = 8192;

/// Why a recording cannot be read, or not be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes do not come.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is in no format that is known.
    #[error(transparent)]
    NotKnown(#[from] NotKnown),
    /// It cannot be read on from here.
    #[error("after {1} packets it cannot be read on: {0}")]
    Broken(String, u64),
}

/// Reads one recording.
pub struct Reader<R> {
    input: Chain<Cursor<Vec<u8>>, R>,
    format: Format,
    state: State,
    account: Account,
}

enum State {
    Lines { line: Vec<u8>, parser: Parser },
    Packets(Box<Capture>),
}

/// Who reads the lines.
enum Parser {
    Own,
    Center,
    Vpc(Vpc),
    Zeek(Zeek),
    ZeekJson,
    Conntrack,
}

impl Parser {
    fn line(&mut self, line: &[u8], account: &mut Account) -> Result<Option<Seen>, Wrong> {
        match self {
            Self::Own => json_lines::own(line, account),
            Self::Center => json_lines::center(line, account),
            Self::Vpc(vpc) => vpc.line(line, account),
            Self::Zeek(zeek) => zeek.line(line, account),
            Self::ZeekJson => zeek::json(line, account),
            Self::Conntrack => conntrack::line(line, account),
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Begins to read; the format is told by the first bytes unless it is given.
    ///
    /// # Errors
    /// When the format is not known, or nothing can be read.
    pub fn new(mut input: R, format: Option<Format>) -> Result<Self, ReadError> {
        let mut head = Vec::new();
        input.by_ref().take(HEAD).read_to_end(&mut head)?;
        let format = match format {
            Some(format) => format,
            None => Format::of(&head)?,
        };
        let lines = |parser| State::Lines { line: Vec::new(), parser };
        let state = match format {
            Format::Json => lines(Parser::Own),
            Format::Center => lines(Parser::Center),
            Format::Vpc => lines(Parser::Vpc(Vpc::new())),
            Format::Zeek if format::begins_json(&head) => lines(Parser::ZeekJson),
            Format::Zeek => lines(Parser::Zeek(Zeek::new())),
            Format::Conntrack => lines(Parser::Conntrack),
            Format::Pcap => State::Packets(Box::new(Capture::new())),
        };
        Ok(Self { input: Cursor::new(head).chain(input), format, state, account: Account::default() })
    }

    /// The format that is read.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What was read so far.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The next flows, a handful, in place of those that are there; none at the end. For those read before an error see what
    /// is there.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_some(&mut self, into: &mut Vec<Seen>) -> Result<bool, ReadError> {
        into.clear();
        while into.len() < SOME {
            let Some(seen) = self.read()? else { break };
            into.push(seen);
        }
        Ok(!into.is_empty())
    }

    /// The next flow; `None` at the end.
    ///
    /// # Errors
    /// When it cannot be read on. Single entries that cannot be read are counted instead, and passed over.
    pub fn read(&mut self) -> Result<Option<Seen>, ReadError> {
        let Self { input, state, account, format: _ } = self;
        let seen = match state {
            State::Packets(capture) => capture.read(input, account)?,
            State::Lines { line, parser } => next_of_lines(input, line, parser, account)?,
        };
        account.flows += u64::from(seen.is_some());
        Ok(seen)
    }
}

fn next_of_lines(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    parser: &mut Parser,
    account: &mut Account,
) -> Result<Option<Seen>, ReadError> {
    loop {
        match text::line(input, line)? {
            Line::None => return Ok(None),
            Line::TooLong(read) => {
                account.bytes += read;
                account.entries += 1;
                account.bad(format_args!("the line is longer than {LONGEST_LINE} bytes"), line);
                continue;
            }
            Line::Whole(read) => account.bytes += read as u64,
        }
        account.entries += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match parser.line(line, account) {
            Ok(None) => {}
            Ok(Some(seen)) => return Ok(Some(seen)),
            Err(wrong) => account.bad(wrong, line),
        }
    }
}

/// A protocol by its name or number.
fn protocol(text: &[u8]) -> Option<u8> {
    match text {
        b"tcp" => Some(6),
        b"udp" => Some(17),
        b"icmp" => Some(1),
        b"icmpv6" | b"icmp6" | b"ipv6-icmp" => Some(58),
        _ => text::number(text)?.try_into().ok(),
    }
}

fn same_family(source: IpAddr, destination: IpAddr) -> Result<(), Wrong> {
    let same = source.is_ipv4() == destination.is_ipv4();
    if same { Ok(()) } else { Err(Wrong::Whole("an IPv4 address speaks to an IPv6 one")) }
}
