//! The state folder: open to its owner alone, since everything in it is the center's (keys, hashes of tokens, records).

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// What a center's folder holds.
const OURS: [&str; 2] = ["authority.der", "center.db"];

/// Makes the folder, or closes one that is empty or a center's already. Another folder that is open to others is left
/// as it is, and refused.
pub(crate) fn own(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let ours = OURS.iter().any(|name| folder.join(name).exists()) || fs::read_dir(folder)?.next().is_none();
    if ours {
        return fs::set_permissions(folder, Permissions::from_mode(0o700));
    }
    let text = format!("it is open to others (mode {mode:o}) and holds what is no center's: close it by `chmod 700`");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of a mode with one file, or none, becomes one of the other mode; 0 stands for a refusal.
    fn check(before: u32, file: Option<&str>, after: u32) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("state");
        fs::create_dir(&folder).unwrap();
        if let Some(file) = file {
            fs::write(folder.join(file), "").unwrap();
        }
        fs::set_permissions(&folder, Permissions::from_mode(before)).unwrap();
        let owned = own(&folder);
        let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        let expected = if after == 0 { (false, before) } else { (true, after) };
        assert_eq!((owned.is_ok(), mode), expected, "{before:o} with {file:?}: {owned:?}");
    }

    #[test]
    fn a_folder_is_closed_or_refused() {
        check(0o700, None, 0o700);
        check(0o700, Some("letters"), 0o700);
        check(0o500, Some("letters"), 0o500);
        check(0o755, None, 0o700);
        check(0o750, Some("center.db"), 0o700);
        check(0o701, Some("authority.der"), 0o700);
        check(0o755, Some("letters"), 0);
        check(0o704, Some("letters"), 0);
    }

    #[test]
    fn a_folder_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        own(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
