//! Frames as a file that Wireshark and tcpdump read: pcapng
//! (<https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/>), little-endian, time in nanoseconds.

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;

/// Options of blocks: a name, the resolution of time as a negative power of ten, and flags.
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const FLAGS: u16 = 2;
const APPLICATION: u16 = 4;
const RECEIVED: u16 = 4;
const DROPPED: u16 = 5;

/// Which way a frame went, seen from the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It came in.
    In,
    /// It went out.
    Out,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    /// The place of its interface among those of the file.
    pub(crate) interface: usize,
    /// Which way it went.
    pub(crate) way: Way,
    /// Nanoseconds since the Unix epoch.
    pub(crate) stamp_ns: u64,
    /// Its length on the wire, in bytes.
    pub(crate) length: usize,
    /// As many of its bytes as were kept.
    pub(crate) bytes: Box<[u8]>,
}

/// A file with these interfaces, of whose frames at most `snap` bytes were kept.
pub(crate) fn pcapng(interfaces: &[&str], snap: usize, frames: &[Captured]) -> Vec<u8> {
    let mut file = head(interfaces, snap);
    frames.iter().for_each(|frame| file.extend(packet(frame)));
    file
}

/// What stands before the frames.
pub(crate) fn head(interfaces: &[&str], snap: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut section = Vec::new();
    section.extend(BYTE_ORDER.to_le_bytes());
    section.extend([1_u16, 0].map(u16::to_le_bytes).as_flattened());
    // How long the section is, nobody says.
    section.extend(u64::MAX.to_le_bytes());
    option(&mut section, APPLICATION, b"eastwest");
    block(&mut file, SECTION, section);
    for name in interfaces {
        let mut interface = Vec::new();
        interface.extend([ETHERNET, 0].map(u16::to_le_bytes).as_flattened());
        interface.extend(number(snap).to_le_bytes());
        option(&mut interface, NAME, name.as_bytes());
        option(&mut interface, RESOLUTION, &[9]);
        block(&mut file, INTERFACE, interface);
    }
    file
}

/// What may stand behind them: how many frames the first interface had, and how many it lost, until a time.
pub(crate) fn statistics(stamp_ns: u64, (frames, lost): (u64, u64)) -> Vec<u8> {
    let mut body: Vec<u8> = [0, (stamp_ns >> 32) as u32, stamp_ns as u32].map(u32::to_le_bytes).as_flattened().to_vec();
    option(&mut body, RECEIVED, &frames.to_le_bytes());
    option(&mut body, DROPPED, &lost.to_le_bytes());
    let mut file = Vec::new();
    block(&mut file, STATISTICS, body);
    file
}

/// One frame.
pub(crate) fn packet(frame: &Captured) -> Vec<u8> {
    let Captured { interface, way, stamp_ns, length, bytes } = frame;
    let (high, low) = ((stamp_ns >> 32) as u32, *stamp_ns as u32);
    let head = [number(*interface), high, low, number(bytes.len()), number(*length)];
    let mut body: Vec<u8> = head.map(u32::to_le_bytes).as_flattened().to_vec();
    body.extend(&**bytes);
    pad(&mut body);
    let way: u32 = match way {
        Way::In => 1,
        Way::Out => 2,
    };
    option(&mut body, FLAGS, &way.to_le_bytes());
    let mut file = Vec::new();
    block(&mut file, PACKET, body);
    file
}

/// An option behind those so far.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend([code, length].map(u16::to_le_bytes).as_flattened());
    body.extend(&value[..length.into()]);
    pad(body);
}

/// A block: its length stands at both ends. All blocks here end with options, and these with their end.
fn block(file: &mut Vec<u8>, kind: u32, mut body: Vec<u8>) {
    body.extend([0; 4]);
    let length = number(body.len() + 12).to_le_bytes();
    file.extend(kind.to_le_bytes());
    file.extend(length);
    file.extend(body);
    file.extend(length);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// No length here comes near the end of the range.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The types, and the bodies, of a file's blocks.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let mut found = Vec::new();
        while !file.is_empty() {
            let (kind, length) = (word(file), word(&file[4..]) as usize);
            assert_eq!(length % 4, 0, "a block's length is a multiple of four");
            assert_eq!(word(&file[length - 4..]) as usize, length, "and stands at both of its ends");
            found.push((kind, file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        found
    }

    #[test]
    fn a_file_is_of_whole_blocks() {
        let frame = |interface, way, length: usize| Captured {
            interface,
            way,
            stamp_ns: 0x0000_0001_0000_0002,
            length,
            bytes: vec![7; length.min(5)].into(),
        };
        let file = pcapng(&["hr-1", "web"], 5, &[frame(0, Way::In, 5), frame(1, Way::Out, 60)]);
        let blocks = blocks(&file);
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE, PACKET, PACKET]);
        assert!(blocks[2].1.windows(7).any(|seven| seven == b"\x02\0\x03\0web"), "an interface has its station's name");
        let head: Vec<u8> = [1_u32, 1, 2, 5, 60].map(u32::to_le_bytes).concat();
        assert_eq!(blocks[4].1[..20], head, "interface, time, bytes kept, bytes on the wire");
        assert_eq!(blocks[4].1[20..28], [7, 7, 7, 7, 7, 0, 0, 0]);
        assert_eq!(blocks[4].1[28..36], [2, 0, 4, 0, 2, 0, 0, 0], "which way it went");
    }

    #[test]
    fn a_file_may_end_with_what_was_lost() {
        let told = blocks(&statistics(0x0000_0001_0000_0002, (7, 9)));
        assert_eq!(told[0].0, STATISTICS);
        let body: Vec<u8> = [0_u32, 1, 2, 0x0008_0004, 7, 0, 0x0008_0005, 9, 0, 0].map(u32::to_le_bytes).concat();
        assert_eq!(told[0].1, body, "interface, time, frames, losses");
    }
}
