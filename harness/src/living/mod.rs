//! A living lab: a scenario's world before its first step, kept for as long as somebody wants it. Whoever holds its socket asks what
//! stands, has steps done, probes flows, and runs programs in its VMs.
//!
//! The world listens by itself, on a socket in a folder of the machine's: that gives the lab no way out, since a socket in the
//! file system belongs to no network namespace. Each connection carries one question.

mod capture;
mod exec;
mod fds;
mod hold;
mod rerun;
mod serve;
mod steps;
mod traffic;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::{IpAddr, Shutdown};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use policy::{FlowService, Name};
use reports::event::{Cell, Event, Finding};
use serde::{Deserialize, Serialize};

use crate::jail::protocol::read;
use crate::state::State;

pub use capture::Capture;
pub use hold::{Holding, hold, leave_terminal};
pub(crate) use serve::{pause, serve};
pub use traffic::{Talk, Talked};

/// What is asked of a living lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// What stands?
    Status,
    /// Do these steps, one or a list of them in the scenario language, and judge what they expect.
    Step {
        /// How mistakes name the text.
        file: PathBuf,
        /// The text.
        text: String,
    },
    /// Do the steps of a scenario from its own first state, which is reached by the difference from what stands.
    Rerun {
        /// The file: what it names lies beside it.
        file: PathBuf,
        /// Its text.
        text: String,
    },
    /// Probe a flow, in each family that both ends have.
    Probe {
        /// The source endpoint.
        source: String,
        /// The destination endpoint.
        destination: String,
        /// The service.
        service: FlowService,
    },
    /// Run a program in a VM, with the three streams that come with the question.
    Exec {
        /// The VM, or an outside endpoint.
        vm: String,
        /// The program and its arguments.
        command: Vec<String>,
        /// It begins a session, and with it a group, by itself.
        leads: bool,
    },
    /// Capture at a VM's wire, and write to the second of the streams that come with the question.
    Capture(Capture),
    /// Send traffic that nobody judges, or end it.
    Traffic(Talk),
    /// End.
    Down,
}

/// What a living lab answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What stands.
    Status(Standing),
    /// What came of the steps.
    Steps(Vec<Event>),
    /// The scenario needs a lab of its own, for this reason.
    Elsewhere(String),
    /// What came of the probes.
    Probed(Vec<Probed>),
    /// The program has ended with this code; 128 and the signal's number where a signal ended it.
    Ended(i32),
    /// What comes is captured from now on; how that ended follows.
    Capturing,
    /// What was captured.
    Captured {
        /// How many packets.
        packets: u64,
        /// How many more the kernel lost for want of room.
        lost: u64,
    },
    /// How its traffic stands.
    Traffic(Talked),
    /// The text, or a file that it names, has mistakes: those of each as people read them.
    Mistakes(Vec<String>),
    /// It ends.
    Down,
    /// It could not be done.
    Failed(String),
}

/// A probed flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probed {
    /// What was expected, by the oracle, and what was observed.
    pub cell: Cell,
    /// Where the two differ, and what the witnesses saw.
    pub findings: Vec<Finding>,
    /// Why: the rule that decides, and the rules passed over.
    pub why: String,
}

/// What stands in a living lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// The scenario's name.
    pub scenario: String,
    /// The generation that the center has published last; 0: none.
    pub generation: u64,
    /// How many steps have been done.
    pub steps: usize,
    /// The folder by which operators outside the lab speak with its center: `eastwest center --state`.
    pub center: Option<PathBuf>,
    /// The VMs and outside endpoints.
    pub stations: Vec<Station>,
}

/// A VM or an outside endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Station {
    /// Its name.
    pub name: String,
    /// The host on which it stands.
    pub host: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// A VM's labels.
    pub labels: BTreeMap<String, String>,
    /// How its agent stands to the center, and the generation that it has acknowledged; `None` where it has none.
    pub agent: Option<(String, u64)>,
}

/// A question to a living lab.
#[derive(Debug)]
pub struct Question(BufReader<UnixStream>);

impl Question {
    /// Asks a living lab by its socket; `streams` go with [`Request::Exec`] and [`Request::Capture`].
    ///
    /// # Errors
    /// When nobody listens there any more.
    pub fn ask(socket: &Path, request: &Request, streams: Option<[BorrowedFd<'_>; 3]>) -> Result<Self, String> {
        let stream = UnixStream::connect(socket).map_err(|error| format!("speak with the lab: {error}"))?;
        fds::send(&stream, request, streams)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Waits for an answer. Only a capture has two.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn answer(&mut self) -> Result<Answer, String> {
        read(&mut self.0)?.ok_or_else(|| "hear the lab's answer: it has ended".to_owned())
    }

    /// What ends it from any thread: the lab hears that nothing more is said, and answers.
    ///
    /// # Errors
    /// When the connection cannot be shared.
    pub fn ender(&self) -> Result<impl Fn() + Send + 'static, String> {
        let stream = self.0.get_ref().try_clone().map_err(|error| format!("share a connection: {error}"))?;
        // A lab that has gone has ended it.
        Ok(move || drop(stream.shutdown(Shutdown::Write)))
    }
}

/// An endpoint by its name; where there is none, what may be meant.
pub(crate) fn find<'s>(state: &'s State, name: &str) -> Result<&'s Name, String> {
    let known: Vec<&str> = state.endpoints().map(Name::as_str).collect();
    let help = policy::did_you_mean(name, &known).map(|help| format!(" ({help})")).unwrap_or_default();
    state.endpoints().find(|one| one.as_str() == name).ok_or(format!("find `{name}`{help}"))
}
