//! Two runs at once on one machine, one of them an ordinary user's, do not notice each other.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Nobody: an ordinary user of every machine.
const NOBODY: u32 = 65534;

/// A run of the departments with their sessions, moves and floods of probes; of another user where there may be one.
fn run(folder: &Path, other: bool) -> Child {
    let mut command = Command::new(folder.join("eastwest"));
    command
        .args(["run", "change", "departments", "scale"])
        .args(["--format", "json", "--seed", "7"])
        .current_dir(folder);
    if other {
        command.uid(NOBODY).gid(NOBODY).env("TMPDIR", folder);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A folder that everybody may enter, with the command and its scenarios: the checkout may lie where others may not look.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    copy(&source, folder.path());
    fs::copy(env!("CARGO_BIN_EXE_eastwest"), folder.path().join("eastwest")).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn neither_notices_the_other() {
    let folder = folder();
    let other = nix::unistd::geteuid().is_root();
    let both = [run(folder.path(), false), run(folder.path(), other)];
    for child in both {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}\n{why}");
        let report: serde_json::Value = serde_json::from_str(&said).unwrap();
        let scenarios = report["scenarios"].as_array().unwrap();
        assert!(scenarios.len() >= 7, "{said}");
        assert!(scenarios.iter().all(|one| one["findings"].as_array().unwrap().is_empty()), "{said}");
    }
}
