//! The state folder: key, certificate, kept policy, status. Only its owner can read it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use agent_core::State;
use nix::fcntl::{Flock, FlockArg};
use wire::channel::{Credentials, Enrolled};

use crate::control;
use crate::error::Error;
use crate::kept::{self, Kept};
use crate::status::Status;

const KEY: &str = "key.der";
const CERTIFICATE: &str = "certificate.der";
const AUTHORITY: &str = "authority.der";
const VM: &str = "vm";
const STATE: &str = "state.json";
const HEARD: &str = "heard";
const SUSPENDED: &str = "suspended";
const SPOOL: &str = "spool";
const STATUS: &str = "status.json";
const STAMP: &str = "stamp";
const LOCK: &str = "lock";

/// Changes with each boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// An agent's state folder, held by one agent at a time.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Flock<File>,
}

/// Who this agent is.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The VM that the center enrolled.
    pub(crate) vm: String,
    /// What opens a session.
    pub(crate) credentials: Credentials,
}

impl Folder {
    /// Opens the folder, made if it is not there, and holds it until dropped.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |what| move |error| Error::File { what, path: path.to_owned(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the state folder"))?;
        let lock = private(&path.join(LOCK)).map_err(failed("lock the state folder"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|_| Error::Busy(path.to_owned()))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Waits until no agent holds the folder, which must be there, and holds it.
    pub(crate) fn wait_for(path: &Path) -> Result<Self, Error> {
        let failed = |error| Error::File { what: "lock the state folder", path: path.to_owned(), error };
        let lock = OpenOptions::new().read(true).write(true).open(path.join(LOCK)).map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Removes all that an agent keeps, and the folder, if nothing of others is in it.
    pub(crate) fn wipe(self) -> Result<(), Error> {
        let files = [KEY, CERTIFICATE, AUTHORITY, VM, STATE, SUSPENDED, HEARD, STATUS, STAMP, control::SOCKET, LOCK];
        for name in files {
            self.remove(name)?;
            self.remove(&format!("{name}.new"))?;
        }
        let spool = self.spool();
        match fs::remove_dir_all(&spool) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::File { what: "remove", path: spool, error });
            }
            Ok(()) | Err(_) => {}
        }
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
                Err(Error::File { what: "remove", path: self.path, error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Who this agent is, if it was enrolled.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Error> {
        let (Some(certificate), Some(authority)) = (self.read(CERTIFICATE)?, self.read(AUTHORITY)?) else {
            return Ok(None);
        };
        let (Some(key), Some(vm)) = (self.read(KEY)?, self.read(VM)?) else { return Ok(None) };
        let vm = String::from_utf8_lossy(&vm).into_owned();
        Ok(Some(Identity { vm, credentials: Credentials { certificate, authority, key } }))
    }

    /// The agent's own key (PKCS#8 DER), if it was made.
    pub(crate) fn key(&self) -> Result<Option<Vec<u8>>, Error> {
        self.read(KEY)
    }

    /// Keeps the agent's own key.
    pub(crate) fn keep_key(&self, key: &[u8]) -> Result<(), Error> {
        self.write(KEY, key)
    }

    /// Keeps what an enrolment gave. The certificate comes last: with it, the enrolment counts.
    pub(crate) fn keep_enrolment(&self, enrolled: &Enrolled) -> Result<(), Error> {
        let Enrolled { vm, certificate, authority } = enrolled;
        self.write(VM, vm.as_bytes())?;
        self.write(AUTHORITY, authority)?;
        self.write(CERTIFICATE, certificate)
    }

    /// What the last life kept.
    pub(crate) fn state(&self, identity: Option<&Identity>) -> Result<Kept, Error> {
        Ok(self.read(STATE)?.map_or(Kept::Nothing, |text| kept::read(&text, identity)))
    }

    /// Where records wait for the center.
    pub(crate) fn spool(&self) -> PathBuf {
        self.path.join(SPOOL)
    }

    /// Keeps the state, before the commit that relies on it.
    pub(crate) fn keep_state(&self, state: &State) -> Result<(), Error> {
        self.write(STATE, &self.json(STATE, state)?)
    }

    /// Forgets the state: the next life begins closed.
    pub(crate) fn forget_state(&self) -> Result<(), Error> {
        self.remove(STATE)
    }

    /// A suspension, as it was kept.
    pub(crate) fn suspended(&self) -> Option<String> {
        String::from_utf8(self.read(SUSPENDED).ok()??).ok()
    }

    /// Keeps a suspension.
    pub(crate) fn keep_suspended(&self, text: &str) -> Result<(), Error> {
        self.write(SUSPENDED, text.as_bytes())
    }

    /// Forgets a suspension.
    pub(crate) fn forget_suspended(&self) -> Result<(), Error> {
        self.remove(SUSPENDED)
    }

    /// When the center was last heard, as it was kept.
    pub(crate) fn heard(&self) -> Option<String> {
        String::from_utf8(self.read(HEARD).ok()??).ok()
    }

    /// Keeps when the center was last heard.
    pub(crate) fn keep_heard(&self, text: &str) -> Result<(), Error> {
        self.write(HEARD, text.as_bytes())
    }

    /// The number that marks what was judged: the same in every life of the agent since the machine booted.
    pub(crate) fn stamp(&self, fresh: u32) -> Result<u32, Error> {
        let boot = fs::read_to_string(BOOT).map_err(|error| Error::File { what: "read", path: BOOT.into(), error })?;
        if let Some((of, stamp)) =
            self.read(STAMP)?.and_then(|kept| serde_json::from_slice::<(String, u32)>(&kept).ok())
            && of == boot
            && stamp != 0
        {
            return Ok(stamp);
        }
        let stamp = fresh.max(1);
        self.write(STAMP, &self.json(STAMP, &(boot, stamp))?)?;
        Ok(stamp)
    }

    /// Writes the status for `eastwest agent status`.
    pub(crate) fn keep_status(&self, status: &Status) -> Result<(), Error> {
        self.write(STATUS, &self.json(STATUS, status)?)
    }

    fn json<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(value)
            .map_err(|error| Error::Content { path: self.path.join(name), reason: error.to_string() })
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { what: "remove", path, error })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        read(&self.path.join(name))
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path.join(name);
        let fresh = self.path.join(format!("{name}.new"));
        let write = || {
            let mut file = private(&fresh)?;
            file.set_len(0)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(|error| Error::File { what: "write", path: path.clone(), error })
    }
}

/// The status that the agent of a state folder wrote last, and whether that agent runs.
pub(crate) fn status(folder: &Path) -> Result<Status, Error> {
    let path = folder.join(STATUS);
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let text = read(&path)?.ok_or_else(|| Error::File { what: "read", path: path.clone(), error: missing() })?;
    let mut status: Status =
        serde_json::from_slice(&text).map_err(|error| Error::Content { path, reason: error.to_string() })?;
    status.running = is_held(&folder.join(LOCK));
    Ok(status)
}

fn is_held(lock: &Path) -> bool {
    let Ok(file) = File::open(lock) else { return false };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::File { what: "read", path: path.to_owned(), error }),
    }
}

/// A file that only its owner can read, also where one was left that others could.
fn private(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
    use super::*;

    #[test]
    fn what_was_left_open_is_closed() {
        let path = tempfile::tempdir().unwrap();
        let left = path.path().join("key.der.new");
        fs::write(&left, "a write that was torn").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o666)).unwrap();
        let folder = Folder::open(path.path()).unwrap();
        folder.keep_key(b"secret").unwrap();
        assert_eq!(folder.key().unwrap().unwrap(), b"secret");
        assert_eq!(fs::metadata(path.path().join(KEY)).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
