//! Real programs in the place of endpoints: how each ended, what it printed, and whether its traffic fared as the policy
//! says. Nobody knows beforehand what a program sends: the wire and the records tell, and the oracle judges each flow.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Stdio};
use std::thread::{self, JoinHandle};

use policy::{End, FlowService, Name, Timestamp};
use reports::event::FindingKind;
use wire::{Kind, Record};

use super::World;
use super::foreign::installed;
use super::programs::{Exit, Program, logged};
use super::throughout::managed;
use crate::judge::programs::{of_arrival, of_record};
use crate::probe::tuple::Tuple;
use crate::scenario::{Doing, Exec};
use crate::witness::account::LAST_RESORT;

/// What is kept of what a program prints, in bytes; the rest is read, and forgotten.
const MOST_KEPT: usize = 1 << 16;
/// What is shown of it where it is not as expected, in characters.
const MOST_SHOWN: usize = 600;

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Running {
    doing: Doing,
    exec: Exec,
    program: Program,
    /// The thread that hears what it prints, to its end.
    printed: JoinHandle<Vec<u8>>,
}

impl Running {
    /// Where it runs, and by which item.
    pub(super) fn at(&self) -> (Name, Doing) {
        (self.exec.at.clone(), self.doing.clone())
    }
}

impl World {
    /// Runs a program to its end, or until it listens where it is to go on.
    pub(super) fn exec(&mut self, doing: &Doing, exec: &Exec) -> Result<(), String> {
        for (address, service) in self.state.addresses(&exec.at).iter().zip(exec.listens.iter().cycle()) {
            self.prober.listeners.leave((*address, *service));
        }
        let running = self.start_program(doing, exec)?;
        self.ran.insert(exec.at.clone(), doing.clone());
        let Some(name) = &exec.name else { return self.finish_program(running) };
        if let Some(service) = exec.listens
            && !self.await_listening(&running, service)
        {
            let how = running.program.exit().map_or("it still runs".to_owned(), |exit| exit.to_string());
            let why = format!("it does not listen at {service}: {how}: {}", running.program.last_words());
            self.come_out(doing, why);
        }
        self.running.insert(name.clone(), running);
        Ok(())
    }

    /// Ends a program that goes on.
    pub(super) fn end_program(&mut self, name: &str) -> Result<(), String> {
        let running = self.running.remove(name).ok_or_else(|| format!("end {name}: it does not go on"))?;
        if running.program.exit().is_none() {
            running.program.ask_group_to_end().map_err(|error| format!("end {name}: {error}"))?;
        }
        self.finish_program(running)
    }

    fn start_program(&mut self, doing: &Doing, exec: &Exec) -> Result<Running, String> {
        let failed = |why: String| format!("start {} at {}: {why}", exec.program, exec.at);
        let full = match exec.program.contains('/') {
            true => self.beside.join(&exec.program),
            false => installed(&exec.program).ok_or_else(|| failed("it is not installed".to_owned()))?,
        };
        let folder = self.folder("program");
        let mut command = logged(&full, &folder).map_err(|error| failed(error.to_string()))?;
        command.args(&exec.arguments).current_dir(&self.beside).env("EASTWEST_VM", exec.at.as_str());
        command.stdout(Stdio::piped()).process_group(0);
        let station = self.lab.station(exec.at.as_str()).map_err(|error| error.to_string())?;
        let spawned = if exec.raw { station.spawn(command) } else { station.spawn_without_network_rights(command) };
        let mut child = spawned.map_err(|error| failed(error.to_string()))?;
        let output = child.stdout.take();
        let program = Program::new(child, folder);
        let hear = thread::Builder::new().name("printed".into()).spawn(move || output.map_or_else(Vec::new, hear));
        let printed = hear.map_err(|error| failed(error.to_string()))?;
        Ok(Running { doing: doing.clone(), exec: exec.clone(), program, printed })
    }

    /// Waits until something listens at a port of the endpoint; `false` where the program ends before, or the clock does.
    fn await_listening(&mut self, running: &Running, service: FlowService) -> bool {
        let Ok(station) = self.lab.station(running.exec.at.as_str()).cloned() else { return false };
        let listens = || station.enter(|| listens(service)).unwrap_or(false);
        self.await_word(LAST_RESORT, |_| listens() || running.program.exit().is_some()) && listens()
    }

    /// Waits for a program's end and for all that it printed; then says what was not as expected, of it and of its traffic.
    fn finish_program(&mut self, mut running: Running) -> Result<(), String> {
        let Running { doing, exec, program, .. } = &mut running;
        if !self.await_word(exec.within, |_| program.exit().is_some()) {
            self.come_out(doing, format!("it had not ended within {} s", exec.within.as_secs()));
        }
        let exit = program.exit();
        let words = program.last_words();
        program.kill_group().map_err(|error| format!("end {}: {error}", exec.program))?;
        self.await_word(LAST_RESORT, |_| running.printed.is_finished());
        let Running { doing, exec, printed, .. } = running;
        // What left the program's group may hold its output open for ever: nothing is known of it then.
        let printed = if printed.is_finished() { printed.join().ok() } else { None };
        if let Some(why) = exit.and_then(|exit| otherwise(&exec, exit, printed.as_deref(), &words)) {
            self.come_out(&doing, why);
        }
        self.look_at_programs()
    }

    /// Judges what was told, and what the wires have carried, of the traffic of programs so far, in the state as it stands.
    pub(super) fn look_at_programs(&mut self) -> Result<(), String> {
        if self.ran.is_empty() {
            return Ok(());
        }
        self.raise_barriers(&mut managed(&self.state, &self.account))?;
        self.taps.drain().map_err(|error| error.to_string())?;
        let now = self.state.now.unwrap_or_else(Timestamp::now);
        for (endpoint, doing) in self.ran.clone() {
            let records: Vec<Record> = self.of_programs(&endpoint).cloned().collect();
            let told = records.iter().filter_map(|record| of_record(&self.state, record, now));
            let arrived = self.arrivals(&endpoint);
            let leaked = arrived.iter().filter_map(|tuple| of_arrival(&self.state, &endpoint, tuple, now));
            let found: Vec<(FindingKind, String)> = told.chain(leaked).collect();
            found.into_iter().for_each(|(kind, why)| self.find(kind, &doing, why));
            self.known.extend(records.iter().map(Tuple::of_record).chain(arrived));
        }
        Ok(())
    }

    /// The records of an endpoint's flows that no probe has, and that did happen by the wire's word. What an agent
    /// intercepts at its own VM does not come to a wire.
    fn of_programs(&self, endpoint: &Name) -> impl Iterator<Item = &Record> {
        let own = self.state.addresses(endpoint);
        self.account.records.iter().filter(move |record| {
            let tuple = Tuple::of_record(record);
            let seen = self.taps.seen(&record.key.vm, &tuple);
            let happened = match record.end {
                End::Source => record.verdict != policy::Verdict::Allow || seen.left > 0,
                End::Destination => seen.reached > 0,
            };
            matches!(record.kind, Kind::Allow | Kind::Deny | Kind::Cut)
                && (own.contains(&tuple.source) || own.contains(&tuple.destination))
                && !self.is_known(&tuple)
                && (happened || self.taps.lost() > 0)
        })
    }

    /// The connections from an endpoint that came up to others and that no probe has.
    fn arrivals(&self, endpoint: &Name) -> Vec<Tuple> {
        let own = self.state.addresses(endpoint);
        let others = self.state.endpoints().filter(|other| *other != endpoint);
        let came = others.flat_map(|other| self.taps.came_up(other.as_str()));
        came.filter(|tuple| own.contains(&tuple.source) && !self.is_known(tuple)).copied().collect()
    }

    fn is_known(&self, tuple: &Tuple) -> bool {
        self.known.contains(tuple) || self.known.contains(&tuple.reversed())
    }
}

/// Reads what a program prints, to its end.
fn hear(mut output: ChildStdout) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = output.read(&mut buffer) {
        let room = MOST_KEPT - kept.len();
        kept.extend(&buffer[..length.min(room)]);
    }
    kept
}

/// What is wrong with how a program came out.
fn otherwise(exec: &Exec, exit: Exit, printed: Option<&[u8]>, words: &str) -> Option<String> {
    let Some(printed) = printed else { return Some("its output did not end with it".to_owned()) };
    let text = String::from_utf8_lossy(printed);
    let lacks = exec.prints.as_ref().filter(|wanted| !text.contains(wanted.as_str()));
    let ends = exec.exits.is_none_or(|wanted| exit == Exit::Code(wanted));
    let why = match (ends, lacks) {
        (true, None) => return None,
        (false, _) => format!("it ended by {exit}, not by {}", exec.exits.unwrap_or_default()),
        (true, Some(wanted)) => format!("it did not print `{wanted}`"),
    };
    let shown: String = text.chars().take(MOST_SHOWN).collect();
    Some(format!("{why}\nprinted: {}\nerrors: {words}", shown.trim_end()))
}

/// Whether anything listens at a port in the calling thread's network namespace (`proc_net(5)`: the local port in hexadecimal
/// behind the last colon of the second field, the state in the fourth).
fn listens(service: FlowService) -> bool {
    const LISTENS: &str = "0A";
    let (files, port, tcp) = match service {
        FlowService::Tcp(port) => (["tcp", "tcp6"], port, true),
        FlowService::Udp(port) => (["udp", "udp6"], port, false),
        FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => return false,
    };
    let port = format!(":{port:04X}");
    let is_there = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().is_some_and(|local| local.ends_with(&port));
        local && (!tcp || fields.nth(1) == Some(LISTENS))
    };
    let read = |file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
    files.into_iter().any(|file| read(file).lines().skip(1).any(is_there))
}
