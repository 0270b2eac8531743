//! Kernel settings of a namespace, below `/proc/sys/net`.
//!
//! All namespaces have their folders at one place and under one name, and the kernel finds one the slower the more it remembers
//! (`proc_sys_compare`, which it asks of each). So a folder is looked up once for all settings, and in a `proc` of our own that is
//! left for another now and then, with all that it remembers.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::error::{LabError, Result};

/// So many namespaces are looked up in one `proc`.
const MOST: u32 = 64;

thread_local! {
    /// The `proc` in use, and for how many namespaces it is good yet.
    static PROC: RefCell<Option<(OwnedFd, u32)>> = const { RefCell::new(None) };
}

/// A kernel setting of a namespace.
pub(crate) struct Setting {
    /// Below `/proc/sys/net`.
    pub(crate) path: &'static str,
    /// What to write.
    pub(crate) value: &'static str,
    /// What to write where that is not valid: a user namespace does not know all groups.
    pub(crate) otherwise: &'static str,
}

pub(crate) const fn setting(path: &'static str, value: &'static str) -> Setting {
    Setting { path, value, otherwise: value }
}

/// Writes settings of the calling thread's namespace. One that this kernel or user namespace does not have is passed over.
pub(crate) fn apply<'s>(settings: impl Iterator<Item = &'s Setting>) -> Result<()> {
    let proc = take().map_err(|source| LabError::Kernel { doing: "find the kernel's settings".to_owned(), source })?;
    let written = write_all(&proc.0, settings);
    PROC.set(Some(proc));
    written
}

fn take() -> io::Result<(OwnedFd, u32)> {
    match PROC.take().filter(|(_, left)| *left > 0) {
        Some((proc, left)) => Ok((proc, left - 1)),
        None => Ok((own().or_else(|_| open("/proc", FOLDER, Mode::empty()))?, MOST)),
    }
}

/// A `proc` that nothing else looks into.
fn own() -> rustix::io::Result<OwnedFd> {
    let file_system = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&file_system)?;
    fsmount(&file_system, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Those of one folder that follow each other share its descriptor.
fn write_all<'s>(proc: &OwnedFd, settings: impl Iterator<Item = &'s Setting>) -> Result<()> {
    let mut last: Option<(&str, rustix::io::Result<OwnedFd>)> = None;
    for setting in settings {
        let (name, path) = setting.path.split_once('/').unwrap_or((".", setting.path));
        let folder = || openat(proc, format!("sys/net/{name}"), FOLDER, Mode::empty());
        let found = last.take().filter(|(known, _)| *known == name);
        let (_, folder) = last.insert(found.unwrap_or_else(|| (name, folder())));
        match folder.as_ref().map_err(|error| io::Error::from(*error)).and_then(|folder| setting.write(folder, path)) {
            Ok(()) => {}
            Err(error) if is_withheld(&error) => {
                tracing::debug!(setting.path, %error, "kernel setting passed over");
            }
            Err(source) => return Err(LabError::Kernel { doing: format!("set {}", setting.path), source }),
        }
    }
    Ok(())
}

impl Setting {
    fn write(&self, folder: &OwnedFd, path: &str) -> io::Result<()> {
        let mut file = File::from(openat(folder, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?);
        match file.write_all(self.value.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => file.write_all(self.otherwise.as_bytes()),
            written => written,
        }
    }
}

fn is_withheld(error: &io::Error) -> bool {
    [ErrorKind::NotFound, ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem].contains(&error.kind())
}
