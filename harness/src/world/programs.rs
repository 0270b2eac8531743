//! The programs under test: how center and agents are started, and where they write.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::sabotage::Sabotage;

/// How long the center may take until it says that it is ready.
const LAST_RESORT: Duration = Duration::from_secs(10);
/// How often a program that says nothing is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The most that is read of a ready line.
const LONGEST_LINE: usize = 4096;

/// The programs under test, and what is broken on purpose to test the harness itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Programs {
    /// The binary that holds `jail`, `center serve` and `agent run`.
    pub exe: PathBuf,
    /// Another binary for the agents (a saboteur).
    pub agent: Option<PathBuf>,
    /// Arguments of the other binary's `agent run` before its own (the saboteur's `--kind`).
    pub agent_args: Vec<String>,
    /// The only VM that runs the other binary; `None` for all of them.
    pub agent_only: Option<String>,
    /// What is broken in the lab, behind the judge's back.
    pub sabotage: Option<Sabotage>,
}

/// A running program with its folder.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// Its folder: state and log.
    pub(crate) folder: PathBuf,
}

impl Programs {
    /// The center's command line.
    pub(crate) fn center(&self, folder: &Path, listen: SocketAddr, heartbeat: Option<Duration>) -> io::Result<Command> {
        let mut command = logged(&self.exe, folder)?;
        command.args(["center", "serve", "--listen", &listen.to_string(), "--state"]).arg(folder.join("state"));
        if let Some(heartbeat) = heartbeat {
            command.arg("--heartbeat-ms").arg(heartbeat.as_millis().to_string());
        }
        command.stdout(Stdio::piped());
        Ok(command)
    }

    /// The command line of a VM's agent; `options` are its own.
    pub(crate) fn agent(&self, vm: &str, folder: &Path, options: &[&str]) -> io::Result<Command> {
        let other = self.agent.as_ref().filter(|_| self.agent_only.as_deref().is_none_or(|only| only == vm));
        let mut command = logged(other.unwrap_or(&self.exe), folder)?;
        command.args(["agent", "run"]);
        if other.is_some() {
            command.args(&self.agent_args);
        }
        command.args(options).arg("--state").arg(folder.join("state")).stdout(Stdio::null());
        Ok(command)
    }
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal(Signal),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "{signal}"),
        }
    }
}

/// A program whose standard error is its log.
pub(super) fn logged(program: &Path, folder: &Path) -> io::Result<Command> {
    fs::create_dir_all(folder.join("state"))?;
    let log: File = OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stderr(log);
    Ok(command)
}

impl Program {
    /// Takes charge of a started program.
    pub(crate) fn new(child: Child, folder: PathBuf) -> Self {
        Self { child, folder }
    }

    /// Waits until the program has written a line on its standard output.
    pub(crate) fn first_line(&mut self) -> Result<String, String> {
        let Some(mut output) = self.child.stdout.take() else { return Err("hear a program without a voice".into()) };
        let line = read_line(&mut output).map_err(|error| error.to_string())?;
        // Kept open: a program that writes on must not be ended by it.
        self.child.stdout = Some(output);
        if line.is_empty() { Err(format!("start the center: {}", self.last_words())) } else { Ok(line) }
    }

    /// Waits until a program of others is ready: it has written a line on its standard output, or has ended well. What it
    /// writes goes to its log.
    pub(super) fn ready(&mut self) -> Result<(), String> {
        let Some(output) = self.child.stdout.take() else { return Err("hear a program without a voice".into()) };
        let log = OpenOptions::new().append(true).open(self.folder.join("log")).map_err(|error| error.to_string())?;
        let (line, lines) = channel();
        let copying = thread::Builder::new().name("log".into()).spawn(move || copy(output, log, &line));
        copying.map_err(|error| format!("start a thread: {error}"))?;
        let begun = Instant::now();
        while begun.elapsed() < LAST_RESORT {
            if lines.recv_timeout(LOOK).is_ok() {
                return Ok(());
            }
            if let Some(end) = self.end() {
                return end;
            }
            // Where its output has ended and it has not, there is no event to wait for.
            let _ = poll(&mut [], PollTimeout::from(2_u8));
        }
        Err(format!("it has neither written a line nor ended: {}", self.last_words()))
    }

    /// How it has ended, if it has: well, or why not in its own words. It is left to be waited for, so that its number
    /// stands for its group until [`Self::kill_group`].
    pub(crate) fn end(&self) -> Option<Result<(), String>> {
        match self.exit()? {
            Exit::Code(0) => Some(Ok(())),
            other @ (Exit::Code(_) | Exit::Signal(_)) => Some(Err(format!("{other}: {}", self.last_words()))),
        }
    }

    /// As [`Self::end`], by its code or signal.
    pub(super) fn exit(&self) -> Option<Exit> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.leader()), flags) {
            Ok(WaitStatus::Exited(_, code)) => Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Exit::Signal(signal)),
            Ok(_) | Err(_) => None,
        }
    }

    /// SIGKILL to it and to what it has started in its group, and waits.
    pub(crate) fn kill_group(&mut self) -> io::Result<()> {
        killpg(self.leader(), Signal::SIGKILL)?;
        self.child.wait().map(drop)
    }

    /// SIGTERM to it and to what it has started in its group.
    pub(super) fn ask_group_to_end(&self) -> io::Result<()> {
        Ok(killpg(self.leader(), Signal::SIGTERM)?)
    }

    fn leader(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Its process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself; then why, in its own words.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{status}: {}", self.last_words()))
    }

    /// SIGSTOP: it lives, and does nothing.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGSTOP)?)
    }

    /// SIGKILL, and waits.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, and waits for its end; after the last resort, SIGKILL. `false`: it did not end by itself.
    pub(crate) fn stop(&mut self) -> io::Result<bool> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > LAST_RESORT {
                self.kill()?;
                return Ok(false);
            }
            // Waiting for a process by poll needs no more than a look now and then.
            let _ = poll(&mut [], PollTimeout::from(2_u8));
        }
        Ok(true)
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

/// Copies a program's words to its log, and tells of the first line's end.
fn copy(mut output: ChildStdout, mut log: File, line: &Sender<()>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        let words = buffer.get(..length).unwrap_or_default();
        // A log that cannot be written costs words, and no verdict.
        let _ = log.write_all(words);
        if words.contains(&b'\n') {
            // Once it is ready, nobody listens.
            let _ = line.send(());
        }
    }
}

fn read_line(output: &mut ChildStdout) -> io::Result<String> {
    let begun = Instant::now();
    let mut line = Vec::new();
    while begun.elapsed() < LAST_RESORT && line.len() < LONGEST_LINE {
        let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(100_u8))? == 0 {
            continue;
        }
        let mut byte = [0];
        if output.read(&mut byte)? == 0 || byte == *b"\n" {
            break;
        }
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
