//! Deaths: whoever is killed, nothing of a jail is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::jail::JailContext;
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::jailed;

/// The arguments by which this program starts itself as a world that never ends, and as the parent of one.
pub(crate) const WORLD: &str = "a-world-that-stays";
pub(crate) const PARENT: &str = "a-parent-that-stays";

/// Who is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Victim {
    Parent,
    Outer,
    Init,
    World,
}

/// Raises stations with programs in them, says so, and stays.
pub(crate) fn world(mut context: JailContext) {
    let lab = jailed::small();
    let mut children = Vec::new();
    for station in lab.stations() {
        // An orphan beside the child: the shell ends, its sleeper is process 1's.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "sleep 1000 & echo; exec sleep 1000"]).stdout(Stdio::piped());
        let mut child = station.spawn(shell).unwrap();
        // The sleeper is there when the shell has said so.
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        children.push(child);
        let mut orphaning = Command::new("/bin/sh");
        orphaning.args(["-c", "sleep 1000 & true"]);
        assert!(station.spawn(orphaning).unwrap().wait().unwrap().success());
    }
    fs::write(context.scratch.join("state"), "state").unwrap();
    context.control.write_all(b"!").unwrap();
    drop(context.control.read(&mut [0]));
    children.iter_mut().for_each(|child| child.kill().unwrap());
}

/// The middle process of [`Victim::Parent`]: starts a jail and never ends.
pub(crate) fn parent() {
    let mut jail = lab::jail::start(&["jail", WORLD]).unwrap();
    jail.control.read_exact(&mut [0]).unwrap();
    std::io::stdout().write_all(b"!").unwrap();
    std::io::stdout().flush().unwrap();
    jail.process.wait().unwrap();
}

/// Kills one process, and demands that all others go.
pub(crate) fn check(victim: Victim) -> Result<(), Failed> {
    let mut parent = Command::new("/proc/self/exe").arg(PARENT).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    parent.stdout.take().ok_or("no standard output")?.read_exact(&mut [0])?;
    let family = descendants(parent.id());
    let spaces: BTreeSet<PathBuf> = family.iter().skip(1).filter_map(|&pid| space(pid)).collect();
    // Parent, outer, init, world; and in each of three stations two sleepers and an orphan.
    if family.len() < 4 + 3 * 3 || spaces.len() <= 3 {
        parent.kill()?;
        return Err(format!("a family too small: {family:?} in {spaces:?}").into());
    }
    let target = match victim {
        Victim::Parent => family[0],
        Victim::Outer => family[1],
        Victim::Init => family[2],
        Victim::World => family[3],
    };
    kill(Pid::from_raw(target.cast_signed()), Signal::SIGKILL)?;
    reap(&mut parent)?;
    let gone = || family.iter().all(|&pid| !is_alive(pid)) && spaces.is_disjoint(&all_spaces());
    let begin = Instant::now();
    while !gone() {
        if begin.elapsed() > Duration::from_secs(10) {
            let left: Vec<_> = family.iter().filter(|&&pid| is_alive(pid)).collect();
            return Err(format!("after the death of {victim:?} there are left {left:?}").into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn reap(parent: &mut Child) -> Result<(), Failed> {
    parent.wait()?;
    Ok(())
}

/// A process and what it started, and so on; breadth first, so the first four are the chain.
fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in pids() {
        if let Some((_, parent)) = state(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children.get(pid).into_iter().flatten().copied().collect::<Vec<_>>());
        next += 1;
    }
    family
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A process's state letter and parent.
fn state(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

fn space(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

fn all_spaces() -> BTreeSet<PathBuf> {
    pids().into_iter().filter_map(space).collect()
}
