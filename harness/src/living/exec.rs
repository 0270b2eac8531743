//! Programs that people run in a living lab's VMs.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::Answer;
use crate::jail::protocol::Speaker;
use crate::world::World;

/// What a shell reports for a child that a signal ended, less the signal.
const SIGNALLED: i32 = 128;

/// Starts a program with the asker's streams. The asker hears of its end; and where the asker goes, the program is ended.
pub(super) fn start(
    world: &mut World,
    vm: &str,
    (command, leads): (&[String], bool),
    streams: Vec<OwnedFd>,
    asker: UnixStream,
) -> Result<(), String> {
    let [input, output, errors]: [OwnedFd; 3] =
        streams.try_into().map_err(|_| "run a program without its three streams".to_owned())?;
    let (program, arguments) = command.split_first().ok_or("run no program")?;
    let mut command = Command::new(program);
    command.args(arguments).env("EASTWEST_VM", vm);
    if !leads {
        command.process_group(0);
    }
    command.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::from(errors));
    let (child, runs) = world.start_in(vm, command)?;
    let watched = asker.try_clone().map_err(|error| format!("share a connection: {error}"))?;
    // A question is heard with patience; whether the asker is still there, without.
    watched.set_read_timeout(None).map_err(|error| format!("wait for the asker: {error}"))?;
    let leader = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    let failed = |error| format!("start a thread: {error}");
    named("asker").spawn(move || end_with(watched, child, leader, runs)).map_err(failed)?;
    named("program").spawn(move || tell_of(leader, &asker)).map_err(failed)?;
    Ok(())
}

/// Once the asker has gone, or was told of the program's end, ends what is left of its group. The leader is waited for
/// behind that: until then its number stands for no other.
fn end_with(mut asker: UnixStream, mut child: Child, leader: Pid, _runs: Option<Arc<()>>) {
    // Nothing more is said: the stream ends.
    let _gone = asker.read(&mut [0]);
    let _ended = killpg(leader, Signal::SIGKILL);
    // One that leads no group yet is ended all the same.
    let _ended = child.kill();
    let _waited = child.wait();
}

/// Tells how a program ended, and leaves it to be waited for.
fn tell_of(leader: Pid, asker: &UnixStream) {
    let answer = match waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
        Ok(WaitStatus::Exited(_, code)) => Answer::Ended(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => Answer::Ended(SIGNALLED + signal as i32),
        Ok(_) => Answer::Failed("wait for the program's end".to_owned()),
        Err(error) => Answer::Failed(format!("wait for the program: {error}")),
    };
    // An asker that has gone wants to know nothing.
    let _gone = Speaker::new(asker).say(&answer);
    let _closed = asker.shutdown(std::net::Shutdown::Both);
}
