//! Exercising open sessions, and what the witnesses say of them.

use std::collections::BTreeMap;

use super::World;
use crate::evidence::{Fence, SessionEvidence, Wire};
use crate::plan::{PlannedSession, PlannedStep};
use crate::probe::session::Session;
use crate::probe::tuple::Tuple;
use crate::scenario::SessionClaim;
use crate::witness::account::LAST_RESORT;
use crate::witness::taps::Taps;
use crate::witness::testimony::{Sources, testimony};

/// Messages each way on each session before it is judged.
const MESSAGES: u64 = 2;

impl World {
    /// Traffic both ways on each planned session, and a fence behind it.
    pub(super) fn exercise(&mut self, step: &PlannedStep) -> Result<BTreeMap<String, Exercised>, String> {
        let mut exercised = BTreeMap::new();
        self.taps.drain().map_err(|error| error.to_string())?;
        for planned in &step.sessions {
            let Some(session) = self.sessions.get_mut(&planned.name) else { continue };
            session.complete(&mut self.prober.listeners);
            let (stood, before) = (session.stands(), on_the_wire(session, &self.taps));
            let owes = session.owes() && planned.expected == SessionClaim::Alive;
            session.send(MESSAGES);
            if step.wants_path_mtu(&planned.name) {
                session.send_long();
            }
            let (source, destination) = (session.probe.source.clone(), session.probe.destination.clone());
            let is_cut = self.lab.path_is_cut(&source, &destination);
            let fence = match is_cut {
                true => Fence::Lost,
                false => self.prober.fences.run(&self.lab, &source, &destination).map_err(|error| error.to_string())?,
            };
            session.look();
            exercised.insert(planned.name.clone(), Exercised { fence, stood, before });
            if self.lab.quality(&source, &destination).loss > 0 || owes && !is_cut {
                self.await_exchange(&planned.name);
            }
        }
        Ok(exercised)
    }

    /// On a path that loses some, or was cut, TCP sends again of its own accord: waits until all has come, or an end is broken.
    fn await_exchange(&mut self, name: &str) {
        let Some(mut session) = self.sessions.remove(name) else { return };
        self.await_word(LAST_RESORT, |_| {
            session.look();
            session.is_through()
        });
        self.sessions.insert(name.to_owned(), session);
    }

    pub(super) fn session_evidence(
        &mut self,
        step: &PlannedStep,
        all: &BTreeMap<String, Exercised>,
    ) -> Vec<SessionEvidence> {
        let taken_out = self.taken_out();
        let Self { sessions, last, taps, account, .. } = self;
        let sources = Sources { managed: last, taps, account, taken_out: &taken_out, published: account.published };
        let one = |planned: &PlannedSession| {
            let session = sessions.get_mut(&planned.name)?;
            let exercised = all.get(&planned.name).copied().unwrap_or_default();
            Some(one_session(&planned.name, session, exercised, &sources))
        };
        step.sessions.iter().filter_map(one).collect()
    }
}

/// How a session was when traffic was sent on it.
#[derive(Clone, Copy)]
pub(super) struct Exercised {
    fence: Fence,
    stood: bool,
    /// What the wire had seen of it in this step.
    before: Wire,
}

impl Default for Exercised {
    fn default() -> Self {
        Self { fence: Fence::Lost, stood: false, before: Wire::default() }
    }
}

fn on_the_wire(session: &Session, taps: &Taps) -> Wire {
    taps.wire((&session.probe.source, &session.probe.destination), &session.tuple)
}

fn one_session(name: &str, session: &mut Session, exercised: Exercised, sources: &Sources<'_>) -> SessionEvidence {
    let Exercised { fence, stood, before } = exercised;
    let now = on_the_wire(session, sources.taps);
    session.look();
    let (forward, backward) = session.reckon();
    let (client_reset, server_reset) = session.broken();
    let (client_path_mtu, server_path_mtu) = session.path_mtus();
    let about = |record: &&wire::Record| {
        let tuple = Tuple::of_record(record);
        tuple == session.tuple || tuple.reversed() == session.tuple
    };
    let records: Vec<&wire::Record> = sources.account.records.iter().filter(about).collect();
    let end = |vm: &String| sources.managed.get(vm).map(|one| testimony(vm, one, &records, None));
    SessionEvidence {
        name: name.to_owned(),
        probe: session.probe.clone(),
        sent_forward: forward.sent,
        received_forward: forward.received,
        sent_backward: backward.sent,
        received_backward: backward.received,
        client_reset,
        server_reset,
        client_path_mtu,
        server_path_mtu,
        source_end: end(&session.probe.source),
        destination_end: end(&session.probe.destination),
        published: sources.published,
        fence,
        stood,
        wire: Wire {
            left_source: now.left_source - before.left_source,
            reached_destination: now.reached_destination - before.reached_destination,
            left_destination: now.left_destination - before.left_destination,
            reached_source: now.reached_source - before.reached_source,
        },
        tap_losses: sources.taps.lost(),
        taken_out: [&session.probe.source, &session.probe.destination]
            .into_iter()
            .any(|name| sources.taken_out.contains(name)),
    }
}
