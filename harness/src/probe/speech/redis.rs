//! RESP2, the protocol of Redis and of what speaks like it: the number is echoed.

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::encode::encode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};

use super::Turn;

/// More than a frame's own bytes that its length and marks need.
const AROUND: usize = 64;

fn bulk(text: &str) -> OwnedFrame {
    OwnedFrame::BulkString(text.as_bytes().to_vec())
}

fn bytes(frame: &OwnedFrame) -> Option<Vec<u8>> {
    let mut room = vec![0; frame.encode_len(false) + AROUND];
    let length = encode(&mut room, frame, false).ok()?;
    room.truncate(length);
    Some(room)
}

pub(super) fn question(id: u64) -> Result<Vec<u8>, String> {
    let frame = OwnedFrame::Array(vec![bulk("ECHO"), bulk(&id.to_string())]);
    bytes(&frame).ok_or_else(|| "make a Redis command".to_owned())
}

pub(super) fn answering(heard: &[u8]) -> Turn {
    let Ok(Some((frame, taken))) = decode(heard) else { return Turn::default() };
    let number = match &frame {
        OwnedFrame::Array(words) => match words.as_slice() {
            [command, number] if text(command) == Some("ECHO") => text(number).and_then(|id| id.parse().ok()),
            _ => None,
        },
        OwnedFrame::SimpleString(_)
        | OwnedFrame::Error(_)
        | OwnedFrame::Integer(_)
        | OwnedFrame::BulkString(_)
        | OwnedFrame::Null => None,
    };
    let answer =
        number.map_or_else(|| OwnedFrame::Error("ERR unknown command".to_owned()), |id: u64| bulk(&id.to_string()));
    Turn { say: bytes(&answer).unwrap_or_default(), number, taken }
}

pub(super) fn answer(heard: &[u8]) -> Turn {
    let Ok(Some((frame, taken))) = decode(heard) else { return Turn::default() };
    Turn { number: text(&frame).and_then(|id| id.parse().ok()), taken, ..Turn::default() }
}

fn text(frame: &OwnedFrame) -> Option<&str> {
    let OwnedFrame::BulkString(bytes) = frame else { return None };
    std::str::from_utf8(bytes).ok()
}
