//! The jail: one process tree with namespaces of its own, in which a lab lives and with which it dies.
//!
//! Three processes, all the same program started again:
//! - *outer*, started by [`start`]: leaves the machine's namespaces (through a user namespace if it must);
//! - *init*, process 1 inside: mounts what is private, then reaps every orphan and waits for the world;
//! - *world*, the only child that init knows: runs the caller's function. Children of the world are waited for by
//!   the world alone, so nobody steals an exit status.
//!
//! Death goes both ways: outer and init are killed with their parents, and when init ends the kernel kills
//! all that is inside, whereupon every namespace vanishes.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Gid, Uid, dup2_stdin};

use crate::doctor;
use crate::error::{Doing, LabError, Result};
use crate::message::Link;
use crate::netlink::{Batch, How, RouteSocket};

/// Names the stage to the program when it starts itself again. Children of the world do not inherit it.
const STAGE: &str = "eastwest-jail:";
const SELF: &str = "/proc/self/exe";
const SCRATCH: &str = "/run/eastwest";
/// All state of a world lives in memory, at most this much.
const SCRATCH_OPTIONS: &str = "size=1g,mode=0755";
const LOOPBACK: u32 = 1;
/// What a shell reports for a child that a signal ended, less the signal.
const SIGNALLED: u8 = 128;

/// What the world is given.
#[derive(Debug)]
pub struct JailContext {
    /// The other end of the stream that [`start`] returned.
    pub control: UnixStream,
    /// An empty folder of the jail's own, in memory.
    pub scratch: PathBuf,
}

/// A jail seen from outside.
#[derive(Debug)]
pub struct Jail {
    /// The outer process. Killing it clears everything; its exit code is the world's.
    pub process: Child,
    /// The stream to the world.
    pub control: UnixStream,
}

/// Starts this program again with these arguments, as the outer process of a jail: its main function must
/// answer them by [`enter`]. The jail dies with the *thread* that calls this, so that thread must live on. The
/// jail has a process group of its own: an interrupt from the terminal does not reach it.
pub fn start(arguments: &[&str]) -> Result<Jail> {
    launch(arguments, Purpose::World)
}

/// To be called first in a program that was started as a jail, while it has a single thread. Does what its
/// stage demands; only in the innermost process is the world called. The result is the process's exit code;
/// an error is to be told on the standard error.
pub fn enter(world: impl FnOnce(JailContext) -> ExitCode) -> Result<ExitCode> {
    let (stage, purpose) = stage();
    match (stage, purpose) {
        (Stage::Outer, Purpose::World) => outer(purpose),
        (Stage::Init, Purpose::World) => init(purpose),
        (Stage::World, Purpose::World) => Ok(world(context()?)),
        (Stage::Outer, Purpose::Doctor) => outer(purpose).or_else(|error| tell(io::stdin(), &error)),
        (Stage::Init, Purpose::Doctor) => init(purpose).or_else(|error| tell(io::stdout(), &error)),
        (Stage::World, Purpose::Doctor) => doctor::answer(context()?),
    }
}

/// Tells the doctor why there is no jail.
fn tell(control: impl AsFd, error: &LabError) -> Result<ExitCode> {
    let control = control.as_fd().try_clone_to_owned().doing("keep the control stream")?;
    doctor::tell_failure(&mut UnixStream::from(control), &error.to_string())?;
    Ok(ExitCode::FAILURE)
}

/// What a jail is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    World,
    Doctor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Outer,
    Init,
    World,
}

pub(crate) fn launch(arguments: &[&str], purpose: Purpose) -> Result<Jail> {
    let (control, theirs) = UnixStream::pair().doing("make a control stream")?;
    let process = Command::new(SELF)
        .arg0(name(Stage::Outer, purpose))
        .args(arguments)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()
        .doing("start a jail")?;
    Ok(Jail { process, control })
}

fn name(stage: Stage, purpose: Purpose) -> String {
    let stage = match stage {
        Stage::Outer => "outer",
        Stage::Init => "init",
        Stage::World => "world",
    };
    let purpose = match purpose {
        Purpose::World => "",
        Purpose::Doctor => "+doctor",
    };
    format!("{STAGE}{stage}{purpose}")
}

fn stage() -> (Stage, Purpose) {
    let own = env::args_os().next().unwrap_or_default();
    let known = [Stage::Outer, Stage::Init, Stage::World]
        .into_iter()
        .flat_map(|stage| [(stage, Purpose::World), (stage, Purpose::Doctor)]);
    known.into_iter().find(|&(stage, purpose)| own == *name(stage, purpose)).unwrap_or((Stage::Outer, Purpose::World))
}

fn again(stage: Stage, purpose: Purpose) -> Command {
    let mut command = Command::new(SELF);
    command.arg0(name(stage, purpose)).args(env::args_os().skip(1));
    command
}

// ---- outer ----

/// Leaves the machine's namespaces and starts init in those, holding its standard input as a life line.
fn outer(purpose: Purpose) -> Result<ExitCode> {
    leave_namespaces()?;
    die_with_parent(io::stdin().as_fd())?;
    let control = io::stdin().as_fd().try_clone_to_owned().doing("keep the control stream")?;
    let mut init = again(Stage::Init, purpose)
        .stdin(Stdio::piped())
        .stdout(control)
        .spawn()
        .doing("start the jail's process 1")?;
    let lifeline = init.stdin.take();
    let status = init.wait().doing("wait for the jail's process 1")?;
    drop(lifeline);
    Ok(code(status))
}

fn leave_namespaces() -> Result<()> {
    let flags = CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    if Uid::effective().is_root() && unshare(flags).is_ok() {
        return Ok(());
    }
    let (user, group) = (Uid::effective(), Gid::effective());
    unshare(flags | CloneFlags::CLONE_NEWUSER).doing("make a user namespace (see `eastwest doctor`)")?;
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ];
    for (path, value) in maps {
        fs::write(path, value).doing(format!("write {path}"))?;
    }
    Ok(())
}

/// Asks to be killed with the parent, and makes sure that it was alive: it holds the other end of this.
fn die_with_parent(held_by_parent: impl AsFd) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).doing("tie a process to its parent")?;
    let mut ends = [PollFd::new(held_by_parent.as_fd(), PollFlags::empty())];
    poll(&mut ends, PollTimeout::ZERO).doing("look for a parent")?;
    let gone = ends[0].revents().is_some_and(|events| events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR));
    if gone {
        return Err(io::Error::from(io::ErrorKind::BrokenPipe)).doing("find a living parent");
    }
    Ok(())
}

fn code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal().and_then(|signal| u8::try_from(signal).ok());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(SIGNALLED | signal.unwrap_or(0)))
}

// ---- init ----

/// Process 1: prepares the jail, starts the world, and reaps until it ends.
fn init(purpose: Purpose) -> Result<ExitCode> {
    die_with_parent(io::stdin().as_fd())?;
    prctl::set_name(c"jail-init").doing("name a process")?;
    mount_private()?;
    raise_limits()?;
    switch_on_loopback()?;
    let control = io::stdout().as_fd().try_clone_to_owned().doing("keep the control stream")?;
    let stderr = io::stderr().as_fd().try_clone_to_owned().doing("keep the standard error")?;
    let world = again(Stage::World, purpose).stdin(control).stdout(stderr).spawn().doing("start the jail's world")?;
    reap_until(world.id())
}

fn mount_private() -> Result<()> {
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).doing("keep mounts to the jail")?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), plain, none).doing("mount /proc in the jail")?;
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("jail"), "/run", Some("tmpfs"), plain, Some(SCRATCH_OPTIONS)).doing("mount /run in the jail")?;
    fs::create_dir(SCRATCH).doing("make the jail's folder")
}

/// Raises the limit of open files to what is permitted: a station takes two.
fn raise_limits() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).doing("read the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).doing("raise the limit of open files")
}

fn switch_on_loopback() -> Result<()> {
    let mut batch = Batch::default();
    let up = Link::existing(LOOPBACK).up().request();
    batch.push("switch on the jail's loopback", How::Change, up);
    RouteSocket::open().doing("open a routing socket")?.submit(batch)
}

fn reap_until(world: u32) -> Result<ExitCode> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw().cast_unsigned() == world => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw().cast_unsigned() == world => {
                let signal = u8::try_from(signal as i32).unwrap_or(0);
                return Ok(ExitCode::from(SIGNALLED | signal));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).doing("wait for the jail's world"),
        }
    }
}

// ---- world ----

/// Takes the control stream off the standard input, so that no child of the world inherits it.
fn context() -> Result<JailContext> {
    prctl::set_name(c"jail-world").doing("name a process")?;
    let control = io::stdin().as_fd().try_clone_to_owned().doing("take the control stream")?;
    let null = File::open("/dev/null").doing("open /dev/null")?;
    dup2_stdin(&null).doing("close the standard input")?;
    Ok(JailContext { control: UnixStream::from(control), scratch: Path::new(SCRATCH).to_owned() })
}
