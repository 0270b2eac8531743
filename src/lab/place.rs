//! Where labs lie: a folder for each, which only its owner can enter.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::ending::Failure;
use harness::living::{Answer, Question, Request};

/// The socket's name in a lab's folder.
const SOCKET: &str = "socket";
/// What the process that holds the lab says beside the socket.
const LOG: &str = "log";
/// What that process holds open, and locked, for as long as it lives.
const LOCK: &str = "lock";

/// A lab's folder.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl Place {
    /// That of a lab with this name, whether it is up or not.
    pub(crate) fn of(name: &str) -> Result<Self, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 40 || name.starts_with('.') || !name.chars().all(plain) {
            let why = "up to 40 letters, digits, `-`, `_` and `.`; `--lab NAME` gives another";
            return Err(Failure::Input(format!("call a lab `{name}`: {why}")));
        }
        Ok(Self { name: name.to_owned(), folder: root()?.join(name) })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(SOCKET)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// Makes the folder, and a file that holds it for as long as anybody has it open.
    pub(crate) fn make(&self) -> Result<File, Failure> {
        let wrong = |error: std::io::Error| Failure::Environment(format!("make {}: {error}", self.folder.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(wrong)?;
        let lock = File::create(self.folder.join(LOCK)).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => {
                let name = &self.name;
                Err(Failure::Input(format!("raise `{name}`: it is up; `eastwest lab down --lab {name}` ends it")))
            }
            Err(TryLockError::Error(error)) => Err(wrong(error)),
        }
    }

    /// Whether somebody holds it.
    fn is_held(&self) -> bool {
        let Ok(lock) = File::open(self.folder.join(LOCK)) else { return false };
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// Waits until nobody holds it, and removes what is left.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        if let Ok(lock) = File::open(self.folder.join(LOCK)) {
            lock.lock_shared().map_err(|error| Failure::Fault(format!("wait for the lab's end: {error}")))?;
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::Fault(format!("remove {}: {error}", self.folder.display())))
            }
            Ok(()) | Err(_) => {
                // The folder of all labs stays while others are in it.
                let _stays = self.folder.parent().map(fs::remove_dir);
                Ok(())
            }
        }
    }

    /// Asks the lab; the streams go with the question to run a program. What it could not do is an error.
    pub(crate) fn ask(&self, request: &Request, streams: Option<[BorrowedFd<'_>; 3]>) -> Result<Answer, Failure> {
        answer(&mut self.question(request, streams)?)
    }

    /// Asks, and leaves the answer to be waited for.
    pub(crate) fn question(
        &self,
        request: &Request,
        streams: Option<[BorrowedFd<'_>; 3]>,
    ) -> Result<Question, Failure> {
        Question::ask(&self.socket(), request, streams).map_err(Failure::Environment)
    }
}

/// Waits for a lab's answer. What it could not do is an error.
pub(crate) fn answer(question: &mut Question) -> Result<Answer, Failure> {
    match question.answer().map_err(Failure::Environment)? {
        Answer::Failed(reason) => Err(Failure::Input(reason)),
        Answer::Mistakes(files) => Err(Failure::Told(files)),
        answer @ (Answer::Status(_)
        | Answer::Steps(_)
        | Answer::Elsewhere(_)
        | Answer::Probed(_)
        | Answer::Ended(_)
        | Answer::Capturing
        | Answer::Captured { .. }
        | Answer::Traffic(_)
        | Answer::Down) => Ok(answer),
    }
}

/// A place that is taken for as long as this is not ended.
pub(crate) struct Taken {
    pub(crate) place: Place,
    lock: Mutex<Option<File>>,
}

impl Taken {
    /// Takes the place of this name.
    pub(crate) fn take(name: &str) -> Result<Self, Failure> {
        let place = Place::of(name)?;
        let lock = Mutex::new(Some(place.make()?));
        Ok(Self { place, lock })
    }

    /// Leaves nothing behind.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.place.clear()
    }
}

/// The labs that are up, in the order of their names. What is left of others is removed.
pub(crate) fn all() -> Result<Vec<Place>, Failure> {
    let root = root()?;
    let wrong = |error: std::io::Error| Failure::Environment(format!("read {}: {error}", root.display()));
    let mut places = Vec::new();
    let names = fs::read_dir(&root).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let names: Vec<OsString> = names.map_err(wrong)?;
    for name in names {
        let name = name.to_string_lossy().into_owned();
        let place = Place { folder: root.join(&name), name };
        if place.is_held() {
            places.push(place);
        } else {
            place.clear()?;
        }
    }
    places.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(places)
}

/// The lab that is meant: the one of this name, or the only one.
pub(crate) fn meant(name: Option<&str>) -> Result<Place, Failure> {
    let mut up = all()?;
    let names = || up.iter().map(|place| format!("`{}`", place.name)).collect::<Vec<_>>().join(", ");
    match (name, up.len()) {
        (_, 0) => Err(Failure::Input("find a lab: none is up; `eastwest lab up FILE` raises one".to_owned())),
        (None, 1) => Ok(up.remove(0)),
        (None, _) => Err(Failure::Input(format!("choose between labs: `--lab NAME` says which of {}", names()))),
        (Some(name), _) => match up.iter().find(|place| place.name == name) {
            Some(place) => Ok(place.clone()),
            None => Err(Failure::Input(format!("find the lab `{name}`: those that are up are {}", names()))),
        },
    }
}

/// The folder of all labs of this user.
fn root() -> Result<PathBuf, Failure> {
    let uid = fs::metadata("/proc/self").map_err(|error| Failure::Environment(format!("read /proc: {error}")))?.uid();
    let path = std::env::temp_dir().join(format!("eastwest-labs-{uid}"));
    let wrong = |cause: String| Failure::Environment(format!("keep labs in {}: {cause}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| wrong(error.to_string()))?;
    let found = fs::symlink_metadata(&path).map_err(|error| wrong(error.to_string()))?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o077 != 0 {
        return Err(wrong("it is not this user's alone; remove it, or set TMPDIR".to_owned()));
    }
    Ok(path)
}
