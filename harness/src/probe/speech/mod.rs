//! What the two ends of a probe say to each other: a mark and a number, or a protocol that is really in use, which carries
//! the number. Bytes in, bytes out: nothing here has a socket.

mod dns;
mod http;
mod redis;
mod tls;

use crate::probe::nonce;
use crate::scenario::Speech;

/// The most that is kept of what an end hears while it is not whole: more is no answer to a probe.
const MOST: usize = 1 << 16;

/// What an end makes of what it has heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What it says to it.
    pub(crate) say: Vec<u8>,
    /// The number of a probe that it was asked with, or that it was answered with.
    pub(crate) number: Option<u64>,
    /// The bytes that it understood; the rest is not whole.
    taken: usize,
}

/// The end that asks.
#[derive(Debug)]
pub(crate) struct Asking {
    id: u64,
    heard: Vec<u8>,
    way: AskingWay,
}

#[derive(Debug)]
enum AskingWay {
    Plain,
    Http,
    Dns,
    Redis,
    Tls(Box<tls::Asking>),
}

/// The end that answers.
#[derive(Debug)]
pub(crate) struct Answering {
    heard: Vec<u8>,
    way: AnsweringWay,
}

#[derive(Debug)]
enum AnsweringWay {
    Plain,
    Http,
    Dns,
    Redis,
    Tls(Box<tls::Answering>),
}

impl Asking {
    /// Begins to ask; what is said first comes with it.
    pub(crate) fn begin(speech: Speech, id: u64) -> Result<(Self, Vec<u8>), String> {
        let (way, first) = match speech {
            Speech::Plain => (AskingWay::Plain, nonce::question(id).to_vec()),
            Speech::Http => (AskingWay::Http, http::question(id)),
            Speech::Dns => (AskingWay::Dns, dns::question(id)?),
            Speech::Redis => (AskingWay::Redis, redis::question(id)?),
            Speech::Tls => {
                let mut ends = tls::Asking::begin()?;
                let first = ends.first(id)?;
                (AskingWay::Tls(Box::new(ends)), first)
            }
        };
        Ok((Self { id, heard: Vec::new(), way }, first))
    }

    /// Hears what has come: what is said to it, and whether it is the answer. What makes no sense is as silence is.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        keep(&mut self.heard, bytes);
        let turn = match &mut self.way {
            AskingWay::Plain => plain(nonce::answered(&self.heard), &[]),
            AskingWay::Http => http::answer(&self.heard),
            AskingWay::Dns => dns::answer(&self.heard),
            AskingWay::Redis => redis::answer(&self.heard),
            AskingWay::Tls(ends) => ends.hear(&self.heard).unwrap_or_default(),
        };
        self.heard.drain(..turn.taken);
        (turn.say, turn.number == Some(self.id))
    }
}

impl Answering {
    /// Waits for a question.
    pub(crate) fn begin(speech: Speech) -> Result<Self, String> {
        let way = match speech {
            Speech::Plain => AnsweringWay::Plain,
            Speech::Http => AnsweringWay::Http,
            Speech::Dns => AnsweringWay::Dns,
            Speech::Redis => AnsweringWay::Redis,
            Speech::Tls => AnsweringWay::Tls(Box::new(tls::Answering::begin()?)),
        };
        Ok(Self { heard: Vec::new(), way })
    }

    /// Hears what has come: what is said to it, and the number of the question.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> (Vec<u8>, Option<u64>) {
        keep(&mut self.heard, bytes);
        let turn = match &mut self.way {
            AnsweringWay::Plain => {
                let id = nonce::asked(&self.heard);
                plain(id, &id.map(nonce::answer).unwrap_or_default())
            }
            AnsweringWay::Http => http::answering(&self.heard),
            AnsweringWay::Dns => dns::answering(&self.heard),
            AnsweringWay::Redis => redis::answering(&self.heard),
            AnsweringWay::Tls(ends) => ends.hear(&self.heard).unwrap_or_default(),
        };
        self.heard.drain(..turn.taken);
        (turn.say, turn.number)
    }
}

fn plain(number: Option<u64>, say: &[u8]) -> Turn {
    let taken = number.map_or(0, |_| nonce::LENGTH);
    Turn { say: number.map(|_| say.to_vec()).unwrap_or_default(), number, taken }
}

fn keep(heard: &mut Vec<u8>, bytes: &[u8]) {
    let room = MOST - heard.len();
    heard.extend(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets the two ends speak, in pieces of so many bytes, until the question is answered or nothing is said any more.
    fn converse(speech: Speech, piece: usize) -> (Option<u64>, bool) {
        let (mut asking, mut to_answering) = Asking::begin(speech, 7_000_000_007).unwrap();
        let mut answering = Answering::begin(speech).unwrap();
        let (mut number, mut answered) = (None, false);
        while !to_answering.is_empty() {
            let mut to_asking = Vec::new();
            for bytes in to_answering.chunks(piece) {
                let (say, heard) = answering.hear(bytes);
                to_asking.extend(say);
                number = number.or(heard);
            }
            to_answering.clear();
            for bytes in to_asking.chunks(piece) {
                let (say, is_answer) = asking.hear(bytes);
                to_answering.extend(say);
                answered |= is_answer;
            }
        }
        (number, answered)
    }

    #[test]
    fn each_speech_brings_the_number_there_and_back_whole_or_in_pieces() {
        for speech in [Speech::Plain, Speech::Http, Speech::Redis, Speech::Tls] {
            for piece in [1, 7, 1 << 14] {
                assert_eq!(converse(speech, piece), (Some(7_000_000_007), true), "{speech:?} by {piece}");
            }
        }
        assert_eq!(converse(Speech::Dns, 1 << 14), (Some(7_000_000_007), true));
    }

    #[test]
    fn what_makes_no_sense_is_neither_a_question_nor_an_answer() {
        let nonsense: [&[u8]; 4] = [b"", b"\x16\x03\x01\xff\xff", b"GET", &[0xff; 300]];
        for speech in [Speech::Plain, Speech::Http, Speech::Dns, Speech::Redis, Speech::Tls] {
            for bytes in nonsense {
                let heard = Answering::begin(speech).unwrap().hear(bytes).1;
                let (mut asking, _) = Asking::begin(speech, 9).unwrap();
                assert_eq!((heard, asking.hear(bytes).1), (None, false), "{speech:?} {bytes:?}");
            }
        }
    }

    #[test]
    fn the_answer_to_another_question_is_none() {
        for speech in [Speech::Plain, Speech::Http, Speech::Dns, Speech::Redis] {
            let (_, question) = Asking::begin(speech, 8).unwrap();
            let (answer, number) = Answering::begin(speech).unwrap().hear(&question);
            assert_eq!(number, Some(8), "{speech:?}");
            assert!(!Asking::begin(speech, 9).unwrap().0.hear(&answer).1, "{speech:?}");
        }
    }
}
