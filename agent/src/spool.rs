//! The records on disk: segments that only grow, each entry with its length and a check, and one place for what stands
//! behind them: losses that are not said yet, and the account.
//!
//! Records are written when they are made and before they are sent, and are not synced: an agent that is killed loses none
//! that it has read from the kernel. A power cut may lose what the kernel has not written out yet, which is commonly the
//! last 30 seconds; the end of a segment that it tore is cut off. Syncing each batch would cost the packets' path a disk's
//! patience, and the view and the counts, on which what passes depends, are synced.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use agent_core::{Former, SpoolChange, Tail};
use wire::Record;

/// A segment that has grown to this is followed by another.
const SEGMENT: u64 = 1024 * 1024;
/// No segment is longer; what is, no agent wrote.
const LONGEST: u64 = 4 * SEGMENT;
/// How many segments are read: more than the records' bound fills.
const MOST: usize = 256;
/// The name of what stands behind the records.
const TAIL: &str = "tail";
/// Before each entry: its length and its check, four bytes each.
const HEAD: usize = 8;

/// The spool's folder.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    segments: VecDeque<Segment>,
    /// The newest segment, open.
    file: Option<File>,
    length: u64,
    next: u64,
    /// What former lives left, until this one has written it anew.
    former: Vec<PathBuf>,
    /// The last deed failed; it is said once.
    fails: bool,
}

#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// How many of its entries are still needed. Those that could not be written count, too.
    entries: usize,
}

impl Disk {
    /// Opens the folder, and reads what former lives left there, oldest first.
    pub(crate) fn open(path: PathBuf) -> (Self, Former) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        if let Err(error) = made {
            tracing::warn!("cannot make {}: {error}", path.display());
        }
        let mut numbered: Vec<(u64, PathBuf)> = match fs::read_dir(&path) {
            Ok(entries) => entries.flatten().filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect(),
            Err(_) => Vec::new(),
        };
        numbered.sort();
        let next = numbered.last().map_or(1, |(number, _)| number.saturating_add(1));
        let former: Vec<PathBuf> = numbered.into_iter().map(|(_, path)| path).collect();
        let records: Vec<Record> = former.iter().take(MOST).flat_map(|path| read(path)).collect();
        let tail = tail(&path.join(TAIL));
        let mut disk = Self { path, segments: VecDeque::new(), file: None, length: 0, next, former, fails: false };
        if records.is_empty() {
            disk.leave_former();
        }
        (disk, Former { records, tail })
    }

    /// Does what the core asks. A disk that fails costs what a killed agent would lose, and no more.
    pub(crate) fn carry_out(&mut self, change: &SpoolChange) {
        let done = self.append(&change.append).and_then(|()| self.note(change.tail.as_ref()));
        match (&done, self.fails) {
            (Err(error), false) => tracing::warn!("cannot keep records in {}: {error}", self.path.display()),
            (Ok(()), true) => tracing::info!("records are kept again in {}", self.path.display()),
            (Err(_), true) | (Ok(()), false) => {}
        }
        self.fails = done.is_err();
        self.forget(change.forget);
    }

    /// Writes entries, a segment's at a time.
    fn append(&mut self, entries: &[Vec<u8>]) -> io::Result<()> {
        let mut done = Ok(());
        let mut left = entries;
        while !left.is_empty() {
            let mut bytes = Vec::new();
            let room = SEGMENT.saturating_sub(self.length).max(1);
            let mut count = 0;
            while count < left.len() && (bytes.len() as u64) < room {
                bytes.extend(framed(&left[count]));
                count += 1;
            }
            left = &left[count..];
            let written = self.write(&bytes);
            if let Some(segment) = self.segments.back_mut() {
                segment.entries += count;
            }
            done = done.and(written);
        }
        if done.is_ok() && !entries.is_empty() {
            self.leave_former();
        }
        done
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() || self.length >= SEGMENT {
            let path = self.path.join(format!("{:012}.seg", self.next));
            self.next += 1;
            self.segments.push_back(Segment { path: path.clone(), entries: 0 });
            self.length = 0;
            self.file = None;
            self.file = Some(OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(bytes) {
            // A part of it would hide all that follows.
            file.set_len(self.length)?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Writes down what stands behind the records.
    fn note(&mut self, tail: Option<&Tail>) -> io::Result<()> {
        let Some(tail) = tail else { return Ok(()) };
        let (path, fresh) = (self.path.join(TAIL), self.path.join("tail.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&framed(&serde_json::to_vec(tail)?))?;
        fs::rename(fresh, path)
    }

    /// The oldest entries are no longer needed.
    fn forget(&mut self, mut count: usize) {
        while let Some(segment) = self.segments.front_mut() {
            let here = count.min(segment.entries);
            segment.entries -= here;
            count -= here;
            if segment.entries > 0 {
                return;
            }
            if self.segments.len() == 1 {
                return self.empty();
            }
            self.drop_oldest();
        }
    }

    /// The newest segment is used on, from its beginning.
    fn empty(&mut self) {
        if self.length > 0 && self.file.as_ref().is_some_and(|file| file.set_len(0).is_ok()) {
            self.length = 0;
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(Segment { path, .. }) = self.segments.pop_front()
            && let Err(error) = removed(&path)
        {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
    }

    /// What former lives left stands in this life's segments.
    fn leave_former(&mut self) {
        for path in std::mem::take(&mut self.former) {
            if let Err(error) = removed(&path) {
                tracing::warn!("cannot remove {}: {error}", path.display());
            }
        }
    }
}

/// The number of a segment.
fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".seg")?.parse().ok()
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A file's bytes; none of one that no agent wrote.
fn bytes(path: &Path) -> Vec<u8> {
    let is_ours = fs::metadata(path).is_ok_and(|data| data.len() <= LONGEST);
    if is_ours { fs::read(path).unwrap_or_default() } else { Vec::new() }
}

/// What stood behind the records; nothing, where it is not whole.
fn tail(path: &Path) -> Tail {
    let bytes = bytes(path);
    entry(&bytes).and_then(|(tail, _)| serde_json::from_slice(tail).ok()).unwrap_or_default()
}

/// The records of a file, up to the first that is not whole.
fn read(path: &Path) -> Vec<Record> {
    let bytes = bytes(path);
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while let Some((entry, behind)) = entry(rest) {
        let Ok(record) = Record::decoded(entry) else { break };
        records.push(record);
        rest = behind;
    }
    if !rest.is_empty() {
        tracing::warn!("the end of {} is torn: {} bytes are left out", path.display(), rest.len());
    }
    records
}

/// The first entry that stands whole in these bytes, and what is behind it.
fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let (entry, behind) = rest.split_at_checked(usize::try_from(number(0)?).ok()?)?;
    (number(4)? == check(entry)).then_some((entry, behind))
}

fn framed(entry: &[u8]) -> Vec<u8> {
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), &check(entry).to_le_bytes(), entry].concat()
}

/// FNV-1a: what a power cut tears is seen, and nobody who can write here is kept out.
fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
    use agent_core::{Limits, Spool};

    use super::*;

    /// Losses of so many packets, each a record of its own.
    fn change(losses: std::ops::RangeInclusive<u64>) -> SpoolChange {
        let mut spool = Spool::new("db".to_owned(), "b".to_owned(), Limits::default(), Former::default());
        losses.for_each(|packets| spool.lose(packets, "a test", 0));
        spool.poll_change().unwrap()
    }

    fn loss(packets: u64) -> Record {
        let mut spool = Spool::new("db".to_owned(), "b".to_owned(), Limits::default(), Former::default());
        spool.lose(packets, "a test", 0);
        spool.next_batch().unwrap().remove(0)
    }

    fn told(former: &Former) -> Vec<u64> {
        former.records.iter().chain(&former.tail.lost).map(|record| record.packets).collect()
    }

    fn files(path: &Path) -> Vec<(String, u64)> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())
        };
        let mut files: Vec<_> = fs::read_dir(path).unwrap().map(entry).filter(|(name, _)| name != TAIL).collect();
        files.sort();
        files
    }

    #[test]
    fn a_life_finds_what_the_last_one_wrote_up_to_what_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let (mut disk, former) = Disk::open(path.clone());
        assert!(former.records.is_empty());
        disk.carry_out(&change(1..=5));
        disk.carry_out(&SpoolChange { forget: 2, ..SpoolChange::default() });
        // What is stored may stand there until its segment is done with; the center knows each by its key.
        let (_, former) = Disk::open(path.clone());
        assert_eq!(told(&former), [1, 2, 3, 4, 5]);
        let segment = path.join("000000000001.seg");
        let whole = fs::read(&segment).unwrap();
        fs::write(&segment, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(told(&Disk::open(path.clone()).1), [1, 2, 3, 4]);
        let mut spoiled = whole.clone();
        let middle = spoiled.len() / 2;
        spoiled[middle] ^= 1;
        fs::write(&segment, &spoiled).unwrap();
        assert_eq!(told(&Disk::open(path.clone()).1), [1, 2]);
        fs::write(&segment, &whole).unwrap();
        // The next life writes anew what it found, and only then is the old gone.
        let (mut disk, _) = Disk::open(path.clone());
        disk.carry_out(&change(1..=3));
        assert_eq!(files(&path).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["000000000002.seg"]);
        disk.carry_out(&SpoolChange { forget: 3, ..SpoolChange::default() });
        assert_eq!(files(&path), [("000000000002.seg".to_owned(), 0)]);
    }

    #[test]
    fn segments_follow_one_another_and_go_when_they_are_done_with() {
        let folder = tempfile::tempdir().unwrap();
        let (mut disk, _) = Disk::open(folder.path().to_owned());
        let one = change(1..=1).append.remove(0);
        let count = 3 * usize::try_from(SEGMENT).unwrap() / one.len();
        disk.carry_out(&SpoolChange { append: vec![one; count], ..SpoolChange::default() });
        let sizes: Vec<u64> = files(folder.path()).into_iter().map(|(_, size)| size).collect();
        assert!(sizes.len() >= 3 && sizes.iter().all(|size| *size < SEGMENT + 200), "{sizes:?}");
        assert_eq!(Disk::open(folder.path().to_owned()).1.records.len(), count);
        disk.carry_out(&SpoolChange { forget: count - 1, ..SpoolChange::default() });
        assert_eq!(files(folder.path()).len(), 1);
        disk.carry_out(&SpoolChange { forget: 1, ..SpoolChange::default() });
        assert_eq!(files(folder.path())[0].1, 0);
    }

    #[test]
    fn what_stands_behind_the_records_has_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let (mut disk, _) = Disk::open(folder.path().to_owned());
        for lost in [[7, 8], [9, 0]] {
            let mut tail = Tail { boot: "b".to_owned(), sequence: lost[0], ..Tail::default() };
            tail.lost = lost.iter().filter(|packets| **packets > 0).map(|packets| loss(*packets)).collect();
            disk.carry_out(&SpoolChange { tail: Some(tail.clone()), ..SpoolChange::default() });
            assert_eq!(Disk::open(folder.path().to_owned()).1.tail, tail);
        }
        let path = folder.path().join("tail");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(Disk::open(folder.path().to_owned()).1.tail, Tail::default(), "a torn one is none");
    }
}
