//! Questions on a socket, with the asker's standard streams beside them.

use std::io::{BufReader, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::Request;
use crate::jail::protocol::{Speaker, read};

/// The byte before a question: streams go with it.
const FIRST: &[u8] = b"?";

/// Asks, and hands over the streams, if there are any.
pub(super) fn send(stream: &UnixStream, request: &Request, streams: Option<[BorrowedFd<'_>; 3]>) -> Result<(), String> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if let Some(streams) = &streams {
        // There is room for three.
        beside.push(SendAncillaryMessage::ScmRights(streams));
    }
    sendmsg(stream, &[IoSlice::new(FIRST)], &mut beside, SendFlags::NOSIGNAL)
        .map_err(|error| format!("ask the lab: {error}"))?;
    Speaker::new(stream).say(request)
}

/// A question, with the streams that came with it.
pub(super) fn receive(stream: &UnixStream) -> Result<(Request, Vec<OwnedFd>), String> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut first = [0];
    let failed = |error: rustix::io::Errno| format!("hear a question: {error}");
    recvmsg(stream, &mut [IoSliceMut::new(&mut first)], &mut beside, RecvFlags::CMSG_CLOEXEC).map_err(failed)?;
    let streams = beside.drain().filter_map(|message| {
        let RecvAncillaryMessage::ScmRights(streams) = message else { return None };
        Some(streams)
    });
    let streams = streams.flatten().collect();
    let request = read(&mut BufReader::new(stream))?.ok_or("hear a question: there is none")?;
    Ok((request, streams))
}
