//! What can be read without a jail.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Uid;

use super::Check;

/// A station takes two descriptors in the lab, and its agent and sockets some more.
const DESCRIPTORS: u64 = 4096;
/// Enough for a scenario of some dozens of VMs, in KiB.
const MEMORY: u64 = 512 << 10;

type Found = Result<String, String>;
/// A check's name, its attempt, and its remedy.
type Row = (&'static str, fn() -> Found, &'static str);

/// Reads everything.
pub(super) fn checks() -> Vec<Check> {
    let rows: [Row; 6] = [
        ("user namespaces", user_namespaces, "as root: sysctl -w user.max_user_namespaces=10000"),
        (
            "user namespaces for ordinary users",
            unprivileged,
            "as root: sysctl -w kernel.unprivileged_userns_clone=1, or run eastwest as root",
        ),
        (
            "user namespaces under AppArmor",
            apparmor,
            "Ubuntu restricts them; as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give the \
             eastwest program an AppArmor profile with the rule `userns`, or run it as root",
        ),
        ("open files", descriptors, "raise the hard limit: ulimit -Hn 65536, or LimitNOFILE= of the service"),
        ("marks and translation by other tables here", others, ""),
        ("free memory", memory, "free at least 512 MiB; a VM takes about 2 MiB with its agent"),
    ];
    rows.into_iter().map(|(name, look, remedy)| Check::of(name, look(), remedy)).collect()
}

fn user_namespaces() -> Found {
    if Uid::effective().is_root() {
        return Ok("not needed: running as root".to_owned());
    }
    match number("/proc/sys/user/max_user_namespaces") {
        Some(0) => Err("none may be made".to_owned()),
        Some(most) => Ok(format!("up to {most}")),
        None => Err("this kernel has none".to_owned()),
    }
}

fn unprivileged() -> Found {
    switch("/proc/sys/kernel/unprivileged_userns_clone", 1)
}

fn apparmor() -> Found {
    switch("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0)
}

/// A switch that some distributions have, and what it must be for an ordinary user.
fn switch(path: &str, wanted: u64) -> Found {
    match number(path) {
        _ if Uid::effective().is_root() => Ok("not needed: running as root".to_owned()),
        None => Ok("not restricted".to_owned()),
        Some(value) if value == wanted => Ok(format!("{path} is {value}")),
        Some(value) => Err(format!("{path} is {value}")),
    }
}

fn descriptors() -> Found {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    let told = format!("up to {hard}");
    if hard >= DESCRIPTORS { Ok(told) } else { Err(told) }
}

/// Of no concern to a lab, which has namespaces of its own; but an agent on this machine would meet them.
fn others() -> Found {
    let ours = [nft::Family::Inet, nft::Family::Netdev].map(|family| nft::Table::new(family, "eastwest"));
    let found = match nft::Socket::open().and_then(|mut socket| socket.others(&ours)) {
        Ok(found) => found,
        Err(error) => return Ok(format!("not looked at: cannot {error}")),
    };
    let word = |deed| match deed {
        nft::Meddling::ConnectionMark => "writes connection marks",
        nft::Meddling::PacketMark => "writes packet marks",
        nft::Meddling::Translation => "translates addresses",
        nft::Meddling::Rewriting => "writes addresses or ports into packets",
    };
    let told: Vec<String> = found.into_iter().map(|(table, deed)| format!("{table} {}", word(deed))).collect();
    Ok(if told.is_empty() { "none".to_owned() } else { format!("an agent here would meet: {}", told.join(", ")) })
}

fn memory() -> Found {
    let all = fs::read_to_string("/proc/meminfo").map_err(|error| error.to_string())?;
    let available = all
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .ok_or("the kernel does not tell")?;
    let told = format!("{} MiB", available >> 10);
    if available >= MEMORY { Ok(told) } else { Err(told) }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
