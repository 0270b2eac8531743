//! The Debian package: it is one to dpkg-deb, and holds what it should. Where there is no dpkg-deb, that is said.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

/// What must be in the package.
const HELD: [&str; 12] = [
    "./usr/bin/eastwest",
    "./usr/lib/systemd/system/eastwest-agent.service",
    "./usr/lib/systemd/system/eastwest-center.service",
    "./usr/share/man/man1/eastwest.1.gz",
    "./usr/share/man/man1/eastwest-agent-run.1.gz",
    "./usr/share/bash-completion/completions/eastwest",
    "./usr/share/zsh/vendor-completions/_eastwest",
    "./usr/share/fish/vendor_completions.d/eastwest.fish",
    "./usr/share/eastwest/schemas/policy.schema.json",
    "./usr/share/eastwest/schemas/scenario.schema.json",
    "./usr/share/doc/eastwest/copyright",
    "./usr/share/doc/eastwest/changelog.gz",
];

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The package, built into a folder from the program that is tested.
fn built(folder: &Path) -> String {
    let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/deb"));
    script.arg(folder).env("EASTWEST_BIN", env!("CARGO_BIN_EXE_eastwest")).env("SOURCE_DATE_EPOCH", "1700000000");
    said(&mut script).trim().to_owned()
}

#[test]
fn dpkg_takes_the_package_and_finds_all_in_it() {
    for tool in ["dpkg-deb", "ar", "tar", "gzip"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("skipped: there is no {tool} here");
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let package = built(&folder.path().join("one"));
    let info = said(Command::new("dpkg-deb").args(["--info", &package]));
    let version = format!("Version: {}", env!("CARGO_PKG_VERSION"));
    for field in ["Package: eastwest", &version, "Architecture: ", "Depends: libc6 (>= 2.", "Installed-Size: "] {
        assert!(info.contains(field), "no `{field}` in\n{info}");
    }
    let contents = said(Command::new("dpkg-deb").args(["--contents", &package]));
    for held in HELD {
        let line = contents.lines().find(|line| line.ends_with(&format!(" {held}"))).unwrap_or_default();
        let mode = if held.contains("/bin/") { "-rwxr-xr-x" } else { "-rw-r--r--" };
        assert!(line.starts_with(mode) && line.contains(" 0/0 "), "{held}: `{line}` in\n{contents}");
    }
    let root = folder.path().join("root");
    said(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root));
    for unit in ["agent", "center"] {
        let text =
            std::fs::read_to_string(root.join(format!("usr/lib/systemd/system/eastwest-{unit}.service"))).unwrap();
        assert!(text.contains("ExecStart=/usr/bin/eastwest ") && !text.contains("/usr/local/"), "{text}");
    }
    let again = built(&folder.path().join("two"));
    assert!(std::fs::read(package).unwrap() == std::fs::read(again).unwrap(), "the same program gives another package");
}
