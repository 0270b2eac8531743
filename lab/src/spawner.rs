//! The one thread that starts programs inside stations. It lives as long as the lab: a program that asked to
//! be killed with its parent is killed when the *thread* that started it ends.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::error::{Doing, LabError, Result};
use crate::namespace::Namespace;

const NAME: &str = "spawner";

struct Order {
    inside: Arc<Namespace>,
    command: Command,
    answer: Sender<Result<Child>>,
}

/// A handle to the spawner thread, which ends with the last handle.
#[derive(Debug, Clone)]
pub(crate) struct Spawner(Sender<Order>);

impl Spawner {
    /// Starts the thread.
    pub(crate) fn start() -> Result<Spawner> {
        let (orders, inbox) = mpsc::channel();
        thread::Builder::new().name(NAME.to_owned()).spawn(move || work(&inbox)).doing("start the spawner thread")?;
        Ok(Spawner(orders))
    }

    /// Starts a program inside a namespace: the child inherits the spawning thread's, so no code runs between
    /// fork and exec, and the standard library can use its fast path whatever this process's size.
    pub(crate) fn spawn(&self, inside: Arc<Namespace>, command: Command) -> Result<Child> {
        let (answer, result) = mpsc::channel();
        let order = Order { inside, command, answer };
        let gone = |_| LabError::ThreadGone(NAME);
        self.0.send(order).map_err(|_| LabError::ThreadGone(NAME))?;
        result.recv().map_err(gone)?
    }
}

fn work(inbox: &Receiver<Order>) {
    while let Ok(mut order) = inbox.recv() {
        let program = order.command.get_program().to_string_lossy().into_owned();
        let child =
            order.inside.enter(|| order.command.spawn()).and_then(|child| child.doing(format!("start {program:?}")));
        if order.answer.send(child).is_err() {
            tracing::warn!(program, "a program was started that nobody waits for");
        }
    }
}
