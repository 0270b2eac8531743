//! The systemd units: what they promise is in them, and systemd understands them, where it is installed.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it left out")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/systemd").join(name)
}

/// The values of a key, in order.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn check(name: &str, rows: &[(&str, &[&str])]) {
    let text = std::fs::read_to_string(unit(name)).unwrap();
    for (key, expected) in rows {
        assert_eq!(values(&text, key), *expected, "{name}: {key}");
    }
    // What both have, whatever else they need.
    let hardened = [
        "DynamicUser",
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateTmp",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    ];
    for key in hardened {
        assert_eq!(values(&text, key), ["yes"], "{name}: {key}");
    }
    assert_eq!(values(&text, "ProtectSystem"), ["strict"], "{name}");
    assert_eq!(values(&text, "SystemCallFilter"), ["@system-service", "~@privileged @resources"], "{name}");
    assert_eq!(
        (values(&text, "Restart"), values(&text, "StartLimitIntervalSec")),
        (vec!["always"], vec!["0"]),
        "{name}"
    );
}

#[test]
fn the_agent_closes_the_machine_before_the_network_and_has_one_right() {
    check(
        "eastwest-agent.service",
        &[
            ("Type", &["notify"]),
            ("DefaultDependencies", &["no"]),
            ("Before", &["network-pre.target shutdown.target"]),
            ("Wants", &["network-pre.target"]),
            ("AmbientCapabilities", &["CAP_NET_ADMIN"]),
            ("CapabilityBoundingSet", &["CAP_NET_ADMIN"]),
            ("StateDirectory", &["eastwest/agent"]),
            ("StateDirectoryMode", &["0700"]),
            ("WantedBy", &["sysinit.target"]),
        ],
    );
    let text = std::fs::read_to_string(unit("eastwest-agent.service")).unwrap();
    for key in ["After", "Requires", "Wants", "Requisite", "BindsTo"] {
        let needs: Vec<&str> = values(&text, key).into_iter().flat_map(str::split_whitespace).collect();
        let network = |name: &&str| name.starts_with("network") && **name != *"network-pre.target";
        assert_eq!(needs.iter().find(|name| network(name)), None, "the agent waits for the network: {key}");
    }
}

#[test]
fn the_center_has_no_right_at_all() {
    check(
        "eastwest-center.service",
        &[
            ("AmbientCapabilities", &[""]),
            ("CapabilityBoundingSet", &[""]),
            ("ProtectKernelTunables", &["yes"]),
            ("StateDirectory", &["eastwest/center"]),
            ("WantedBy", &["multi-user.target"]),
        ],
    );
}

/// The units as they would be installed, with a program that is there.
fn installed(folder: &Path) -> Vec<PathBuf> {
    let copy = |name: &str| {
        let text = std::fs::read_to_string(unit(name)).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, text.replace("/usr/local/bin/eastwest", env!("CARGO_BIN_EXE_eastwest"))).unwrap();
        path
    };
    ["eastwest-agent.service", "eastwest-center.service"].map(copy).into()
}

#[test]
fn systemd_understands_them() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    };
    assert!(version.status.success());
    let folder = tempfile::tempdir().unwrap();
    for path in installed(folder.path()) {
        let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && said.is_empty(), "{}: {said}", path.display());
        // From 0 (nothing to hold against it) to 100.
        let threshold = ["security", "--offline=true", "--threshold=25"];
        let secure = Command::new("systemd-analyze").args(threshold).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&secure.stdout).into_owned();
        assert!(secure.status.success(), "{}: {said}", path.display());
    }
}
