//! The inner side of a run: the process that owns one scenario's world, and what it says on its control socket.

pub(crate) mod course;
pub(crate) mod halt;
mod keep;
pub(crate) mod protocol;
pub(crate) mod reach;

use std::io::BufReader;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use lab::jail::JailContext;

use self::protocol::{FromJail, Order, Speaker, read};
use crate::living;

/// What a jail ends with when the environment cannot hold it.
const ENVIRONMENT: u8 = 3;

/// The hidden `eastwest jail` subcommand: takes one order from the control socket (its standard input), carries it out
/// in namespaces of its own, and reports in lines of JSON. To be called while the process has a single thread.
#[must_use]
pub fn jail_main() -> ExitCode {
    match lab::jail::enter(world) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("cannot {error}");
            ExitCode::from(ENVIRONMENT)
        }
    }
}

fn world(context: JailContext) -> ExitCode {
    match obey(&context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("cannot {error}");
            ExitCode::FAILURE
        }
    }
}

fn obey(context: &JailContext) -> Result<(), String> {
    let listening: UnixStream = context.control.try_clone().map_err(|error| format!("share the control: {error}"))?;
    let mut speaker = Speaker::new(&context.control);
    speaker.say(&FromJail::Ready)?;
    let mut listening = BufReader::new(listening);
    let order: Option<Order> = read(&mut listening)?;
    let order = order.ok_or("hear an order")?;
    match (&order.reach, &order.lab) {
        (Some(probing), _) => reach::run(&order, probing, &context.scratch, &mut speaker),
        (None, Some(socket)) => living::serve(&order, socket, &context.scratch, &mut speaker),
        (None, None) => {
            let _listens = halt::listen(listening, &order, context.scratch.clone())?;
            course::run(&order, &context.scratch, &mut speaker)
        }
    }
}
