//! A shell in a VM with a terminal of its own, so that keys, jobs and the size of the window are as at any terminal.
//!
//! The terminal is a pair made here. Its far end is the program's; what is typed and what is shown is handed on at the near end.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use harness::living::{Answer, Request};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::garbled;
use super::place::{self, Place};
use crate::ending::{Ending, Failure, Outcome};

/// How long what the program has written last may take to be shown: what it left behind may hold its terminal for ever.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a shell reports for a command that SIGTERM ended.
const TERMINATED: i32 = 143;

/// Whether somebody sits at a terminal.
pub(super) fn is_here() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Runs a program in a VM with a terminal of its own.
pub(super) fn run(place: &Place, vm: String, program: Vec<String>) -> Outcome {
    let wrong = |error: io::Error| Failure::Environment(format!("make a terminal: {error}"));
    let (near, far) = pair().map_err(wrong)?;
    let size = |near: &OwnedFd| tcgetwinsize(io::stdin()).and_then(|size| tcsetwinsize(near, size));
    size(&near).map_err(|error| wrong(error.into()))?;
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    let own = crate::run::own_program()?.to_string_lossy().into_owned();
    let head = [own, "lab".into(), "terminal".into(), term, "--".into()];
    let request = Request::Exec { vm, command: head.into_iter().chain(program).collect(), leads: true };
    let mut question = place.question(&request, Some([far.as_fd(); 3]))?;
    drop(far);
    let raw = Raw::begin().map_err(wrong)?;
    let (copy, typed) = (|| near.try_clone().map_err(wrong), near.try_clone().map_err(wrong)?);
    attend(raw.0.clone(), copy()?, size).map_err(wrong)?;
    std::thread::spawn(move || io::copy(&mut io::stdin().lock(), &mut File::from(typed)));
    let shown = show(copy()?);
    let answer = place::answer(&mut question);
    let _shown = shown.recv_timeout(LAST_WORDS);
    drop(raw);
    let Answer::Ended(code) = answer? else { return Err(garbled()) };
    Ok(Ending::Other(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))))
}

/// Begins a session at the terminal that is the standard input, and becomes the program.
pub(super) fn become_program(term: &str, program: &[String]) -> Outcome {
    let wrong = |error: rustix::io::Errno| Failure::Environment(format!("begin a session at a terminal: {error}"));
    setsid().map_err(wrong)?;
    ioctl_tiocsctty(io::stdin()).map_err(wrong)?;
    let (name, arguments) = program.split_first().ok_or_else(|| Failure::Input("run no program".to_owned()))?;
    heed().map_err(|error| Failure::Environment(format!("heed signals: {error}")))?;
    let error = Command::new(name).args(arguments).env("TERM", term).exec();
    Err(Failure::Input(format!("run {name}: {error}")))
}

/// Whoever raised the lab may have ignored these signals, as `nohup` does, and a script for what it runs beside itself. What is
/// handled here is as ever in the program that this process becomes (execve(2)); what is ignored would stay so.
fn heed() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let stops = SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw());
    let all = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), stops];
    all.into_iter().try_for_each(|kind| signal(kind).map(drop))
}

/// A new terminal: the end that we hold, and that of the program.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let near = openpt(flags)?;
    grantpt(&near)?;
    unlockpt(&near)?;
    let far = ioctl_tiocgptpeer(&near, flags)?;
    Ok((near, far))
}

/// Our own terminal, which hands on every key; it is as it was when this is dropped.
struct Raw(Termios);

impl Raw {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore(&self.0);
    }
}

/// A terminal that has gone needs nothing.
fn restore(before: &Termios) {
    let _gone = tcsetattr(io::stdin(), OptionalActions::Now, before);
}

/// Shows what comes; tells when nothing more does.
fn show(near: OwnedFd) -> Receiver<()> {
    let (over, shown) = channel::<()>();
    std::thread::spawn(move || {
        let (mut near, mut out, mut bytes) = (File::from(near), io::stdout().lock(), [0; 4096]);
        // The far end's last holder has gone when this fails.
        while let Ok(length @ 1..) = near.read(&mut bytes) {
            if out.write_all(&bytes[..length]).and_then(|()| out.flush()).is_err() {
                break;
            }
        }
        drop(over);
    });
    shown
}

/// Hands on the size of the window when it changes; and where this process is asked to end, leaves the terminal as it was.
fn attend(
    before: Termios,
    near: OwnedFd,
    size: impl Fn(&OwnedFd) -> rustix::io::Result<()> + Send + 'static,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let (mut sized, mut ended) = (signal(SignalKind::window_change())?, signal(SignalKind::terminate())?);
    let mut hung_up = signal(SignalKind::hangup())?;
    drop(inside);
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    // A window without a size keeps that which it had.
                    _ = sized.recv() => drop(size(&near)),
                    _ = ended.recv() => break,
                    _ = hung_up.recv() => break,
                }
            }
        });
        restore(&before);
        std::process::exit(TERMINATED);
    });
    Ok(())
}
