//! The kernel's log, as the core takes it.
use agent_core::{Direction, LogEvent, LogKind};
use nft::{Error, LogOptions, LogPacket, LogReader};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::egress::TAGGED;
use super::rules::GROUP;

const OUTPUT_HOOK: u8 = 3;
/// The family of a device's chains: what they log begins with the frame's header.
const DEVICE: u8 = 5;
const FRAME_HEADER: usize = 14;
const TAG: usize = 4;

/// What one reading brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelBatch {
    /// The messages, in the kernel's order.
    pub events: Vec<LogEvent>,
    /// Messages that were lost before the last of these, exactly.
    pub lost: u64,
    /// Whether the kernel said that it had no room; what was lost then is counted with the next message.
    pub overrun: bool,
    /// Messages whose prefix is none of ours.
    pub foreign: u64,
}

/// The reader of the agent's log group.
#[derive(Debug)]
pub struct KernelLog {
    fd: AsyncFd<LogReader>,
}

impl KernelLog {
    /// Listens in the calling thread's network namespace; needs a runtime with I/O.
    ///
    /// # Errors
    /// When the kernel refuses, as it does where the group has a reader.
    #[expect(deprecated, reason = "the successor is unsafe; the reader owns one descriptor for all its life")]
    pub fn open() -> Result<Self, Error> {
        let reader = LogReader::open(LogOptions { group: GROUP, ..LogOptions::default() })?;
        let fd = AsyncFd::with_interest(reader, Interest::READABLE).map_err(|error| failed(&error))?;
        Ok(Self { fd })
    }

    /// Waits for messages. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&mut self) -> Result<KernelBatch, Error> {
        loop {
            let mut guard = self.fd.readable_mut().await.map_err(|error| failed(&error))?;
            match guard.get_inner_mut().read_batch()? {
                Some(batch) => return Ok(translate(batch)),
                None => guard.clear_ready(),
            }
        }
    }

    /// Reads what waits; `None` when nothing does.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn try_next(&mut self) -> Result<Option<KernelBatch>, Error> {
        Ok(self.fd.get_mut().read_batch()?.map(translate))
    }
}

fn translate(batch: nft::LogBatch) -> KernelBatch {
    let total = batch.packets.len();
    let events: Vec<_> = batch.packets.into_iter().filter_map(event).collect();
    let foreign = u64::try_from(total - events.len()).unwrap_or(0);
    KernelBatch { events, lost: batch.lost, overrun: batch.overrun, foreign }
}

fn event(packet: LogPacket) -> Option<LogEvent> {
    let direction = match (packet.family, packet.hook) {
        (DEVICE, _) | (_, OUTPUT_HOOK) => Direction::Out,
        (_, _) => Direction::In,
    };
    let kind = LogKind::of_prefix(&packet.prefix)?;
    let bytes = if packet.family == DEVICE { below(packet.payload) } else { packet.payload };
    Some(LogEvent { kind, direction, mark: packet.mark, packet: bytes })
}

/// What a frame carries.
fn below(mut frame: Vec<u8>) -> Vec<u8> {
    let tagged = frame.get(12..FRAME_HEADER).is_some_and(|kind| TAGGED.iter().any(|tag| kind == tag));
    let header = if tagged { FRAME_HEADER + TAG } else { FRAME_HEADER };
    frame.drain(..header.min(frame.len()));
    frame
}

pub(crate) fn failed(error: &std::io::Error) -> Error {
    let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
    Error::Io { what: "wait for the kernel", errno }
}
