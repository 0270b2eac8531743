//! The threads that start programs inside stations. They live as long as the lab: a program that asked to be killed with
//! its parent is killed when the *thread* that started it ends.
//!
//! What a thread may not pass on, what it starts never gets: one of the two has given up for good what changes a network
//! or sends crafted packets (`capabilities(7)`, the bounding set).

use std::io;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use crate::error::{Doing, LabError, Result};
use crate::namespace::Namespace;

const NAME: &str = "spawner";
/// What programs without a network's rights go without.
const NETWORK: [CapabilitySet; 2] = [CapabilitySet::NET_ADMIN, CapabilitySet::NET_RAW];

struct Order {
    inside: Arc<Namespace>,
    command: Command,
    answer: Sender<Result<Child>>,
}

/// A handle to the threads, which end with the last handle.
#[derive(Debug, Clone)]
pub(crate) struct Spawner {
    all: Sender<Order>,
    without_network: Sender<Order>,
}

impl Spawner {
    /// Starts the threads.
    pub(crate) fn start() -> Result<Spawner> {
        Ok(Spawner { all: thread(&[])?, without_network: thread(&NETWORK)? })
    }

    /// Starts a program inside a namespace: the child inherits the spawning thread's, so no code runs between
    /// fork and exec, and the standard library can use its fast path whatever this process's size.
    pub(crate) fn spawn(&self, inside: Arc<Namespace>, command: Command) -> Result<Child> {
        order(&self.all, inside, command)
    }

    /// Starts one that can neither change its network nor send crafted packets, whoever it runs as.
    pub(crate) fn spawn_without_network_rights(&self, inside: Arc<Namespace>, command: Command) -> Result<Child> {
        order(&self.without_network, inside, command)
    }
}

fn thread(without: &'static [CapabilitySet]) -> Result<Sender<Order>> {
    let (orders, inbox) = mpsc::channel();
    let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
        let given_up = without.iter().try_for_each(|one| remove_capability_from_bounding_set(*one));
        work(&inbox, given_up.map_err(io::Error::from));
    });
    spawned.doing("start a spawner thread")?;
    Ok(orders)
}

fn order(thread: &Sender<Order>, inside: Arc<Namespace>, command: Command) -> Result<Child> {
    let (answer, result) = mpsc::channel();
    let gone = |_| LabError::ThreadGone(NAME);
    thread.send(Order { inside, command, answer }).map_err(|_| LabError::ThreadGone(NAME))?;
    result.recv().map_err(gone)?
}

/// Starts what is ordered; where a thread could not give up what it should have, nothing.
fn work(inbox: &Receiver<Order>, given_up: io::Result<()>) {
    while let Ok(mut order) = inbox.recv() {
        let program = order.command.get_program().to_string_lossy().into_owned();
        let spawn = || match &given_up {
            Ok(()) => order.command.spawn(),
            Err(error) => Err(io::Error::new(error.kind(), format!("give up the rights to the network: {error}"))),
        };
        let child = order.inside.enter(spawn).and_then(|child| child.doing(format!("start {program:?}")));
        if order.answer.send(child).is_err() {
            tracing::warn!(program, "a program was started that nobody waits for");
        }
    }
}
