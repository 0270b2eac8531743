//! The world's side of a living lab: it waits for questions, and answers one after another.

use std::fs::{self, Permissions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use policy::Name;
use reports::event::{Event, ScenarioId};

use super::steps::Course;
use super::{Answer, Request, Standing, exec, fds};
use crate::jail::course::raise;
use crate::jail::halt::halts;
use crate::jail::protocol::{FromJail, NoWorld, Order, Speaker};
use crate::plan::PlannedStep;
use crate::scenario::{beside, parse_living};
use crate::world::World;

/// How long somebody who has connected may take for the question.
const PATIENCE: Duration = Duration::from_secs(2);

/// Raises the scenario's first state and serves it until somebody asks it to end.
pub(crate) fn serve(order: &Order, socket: &Path, scratch: &Path, speaker: &mut Speaker<'_>) -> Result<(), String> {
    match served(order, socket, scratch, speaker) {
        Ok(()) => Ok(()),
        Err(none) => speaker.say(&none.word()),
    }
}

fn served(order: &Order, socket: &Path, scratch: &Path, speaker: &mut Speaker<'_>) -> Result<(), NoWorld> {
    let begun = Instant::now();
    let (scenario, fold) = parse_living(&order.scenario.file, &order.text, &mut beside(&order.path))
        .map_err(|errors| format!("read the scenario: {errors}"))?;
    let mut world = raise(order, &scenario, scratch)?;
    world.live();
    let mut course = Course::new(order.scenario.clone(), &scenario, fold);
    let listener = listen(socket)?;
    course.center = operated(&world, socket);
    speaker.tell(Event::LabReady {
        scenario: order.scenario.clone(),
        seconds: begun.elapsed().as_secs_f64(),
        vms: scenario.topology.vms.len(),
        hosts: scenario.topology.hosts.len(),
    })?;
    Ok(attend(&listener, socket, &mut world, &mut course)?)
}

/// Serves a run's world as it stands behind a step, until somebody asks it to end: then the run goes on.
pub(crate) fn pause(
    (id, step): (&ScenarioId, &PlannedStep),
    socket: &Path,
    world: &mut World,
    speaker: &mut Speaker<'_>,
) -> Result<(), String> {
    let listener = listen(socket)?;
    speaker.say(&FromJail::Paused(step.name.to_string()))?;
    attend(&listener, socket, world, &mut Course::paused(id.clone(), step))
}

/// The folder beside the socket at which operators find the center. A lab is one without it, too.
fn operated(world: &World, socket: &Path) -> Option<PathBuf> {
    let folder = socket.with_file_name("center");
    match world.let_operate(&folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            tracing::warn!(error, "the center is out of reach");
            None
        }
    }
}

fn listen(socket: &Path) -> Result<UnixListener, String> {
    let listener = UnixListener::bind(socket).map_err(|error| format!("listen at {}: {error}", socket.display()))?;
    fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(|error| format!("keep others out: {error}"))?;
    Ok(listener)
}

fn attend(listener: &UnixListener, socket: &Path, world: &mut World, course: &mut Course) -> Result<(), String> {
    while !halts() && wait(listener, course.traffic.patience())?.is_none_or(|asker| !answer(world, course, asker)) {
        course.send_traffic(world);
        world.idle();
    }
    // Where it fails, whoever looks finds nobody who listens.
    let _gone = fs::remove_file(socket);
    Ok(())
}

/// Somebody who asks, if anybody does within a while.
fn wait(listener: &UnixListener, milliseconds: u16) -> Result<Option<UnixStream>, String> {
    let mut ends = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    match poll(&mut ends, PollTimeout::from(milliseconds)) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => Ok(None),
        Ok(_) => Ok(listener.accept().ok().map(|(stream, _)| stream)),
        Err(error) => Err(format!("wait for questions: {error}")),
    }
}

/// Answers one question; gives whether it was the last.
fn answer(world: &mut World, course: &mut Course, asker: UnixStream) -> bool {
    let heard = asker.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string());
    let (request, streams) = match heard.and_then(|()| fds::receive(&asker)) {
        Ok(heard) => heard,
        Err(error) => {
            tracing::warn!(error, "a question was not heard");
            return false;
        }
    };
    let ends = matches!(request, Request::Down);
    if let Some(answer) = answered(world, course, request, streams, &asker) {
        // Somebody who does not wait for the answer does not want it.
        let _gone = Speaker::new(&asker).say(&answer);
    }
    ends
}

/// The answer; `None` where it comes later.
fn answered(
    world: &mut World,
    course: &mut Course,
    request: Request,
    streams: Vec<OwnedFd>,
    asker: &UnixStream,
) -> Option<Answer> {
    Some(match request {
        Request::Status => Answer::Status(Standing {
            scenario: course.id.name.clone(),
            generation: world.published(),
            steps: course.done,
            center: course.center.clone(),
            stations: course.state().endpoints().filter_map(|one: &Name| world.stands(course.state(), one)).collect(),
        }),
        Request::Step { file, text } => course.steps(world, &file, &text),
        Request::Rerun { file, text } => course.rerun(world, &file, &text),
        Request::Probe { source, destination, service } => course.probe(world, [&source, &destination], service),
        Request::Exec { vm, command, leads } => {
            return later(asker, |asker| exec::start(world, &vm, (&command, leads), streams, asker));
        }
        Request::Capture(order) => {
            return later(asker, |asker| course.captures.start(world, order, streams, asker));
        }
        Request::Traffic(talk) => course.talk(talk),
        Request::Down => Answer::Down,
    })
}

/// Has something begun that answers by itself; where it cannot be, that is the answer.
fn later(asker: &UnixStream, begin: impl FnOnce(UnixStream) -> Result<(), String>) -> Option<Answer> {
    let asker = asker.try_clone().map_err(|error| format!("share a connection: {error}"));
    asker.and_then(begin).err().map(Answer::Failed)
}
