//! A steady conversation between the endpoints of a living lab, so that there is something to see. It is sent between
//! questions, never while a step or a probe is under way, and nobody judges it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::Name;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::{IteratorRandom, SliceRandom};
use serde::{Deserialize, Serialize};

use crate::evidence::Client;
use crate::plan::probed;
use crate::probe::ports::Ports;
use crate::state::State;
use crate::world::{Wanted, World};

/// The most flows of which a rotation consists; of more, some are drawn.
const MOST_FLOWS: usize = 4096;
/// The most flows that are sent before it ends by itself: agents, center and lab remember something of each.
const MOST_SENT: u64 = 1_000_000;
/// How long the lab waits for a question when there is nothing to send, in milliseconds.
const LOOK: u16 = 500;

/// What is to become of a lab's traffic.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Talk {
    /// Begin: so many flows a second, in an order by this seed.
    Start {
        /// Flows a second.
        rate: u32,
        /// The seed.
        seed: u64,
    },
    /// End.
    Stop,
    /// How does it stand?
    Status,
}

/// How a lab's traffic stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talked {
    /// It goes on with so many flows a second; 0: it does not.
    pub rate: u32,
    /// Of how many flows the rotation consists.
    pub flows: usize,
    /// Flows sent since it began.
    pub sent: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Refused: a reset, or an ICMP error.
    pub refused: u64,
    /// Silence.
    pub unanswered: u64,
    /// Those that could not be sent.
    pub failed: u64,
}

/// A lab's traffic.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    told: Talked,
    going: Option<Going>,
}

#[derive(Debug)]
struct Going {
    ports: Ports,
    rng: StdRng,
    /// The state whose flows these are.
    state: Arc<State>,
    rotation: Vec<Wanted>,
    next: usize,
    due: Instant,
}

impl Traffic {
    /// Does what it is told, and says how it stands then.
    pub(super) fn talk(&mut self, talk: Talk, state: &Arc<State>) -> Talked {
        match talk {
            Talk::Start { rate, seed } => {
                let mut rng = StdRng::seed_from_u64(seed);
                let rotation = rotation(state, &mut rng);
                self.told = Talked { rate: rate.max(1), flows: rotation.len(), ..Talked::default() };
                let (ports, state, due) = (Ports::of_traffic(), Arc::clone(state), Instant::now());
                self.going = Some(Going { ports, rng, state, rotation, next: 0, due });
            }
            Talk::Stop => self.stop(),
            Talk::Status => {}
        }
        self.told
    }

    fn stop(&mut self) {
        self.going = None;
        self.told.rate = 0;
    }

    /// For how many milliseconds a question may be waited for.
    pub(super) fn patience(&self) -> u16 {
        let left = self.going.as_ref().map(|going| going.due.saturating_duration_since(Instant::now()).as_millis());
        left.and_then(|left| u16::try_from(left).ok()).map_or(LOOK, |left| left.min(LOOK))
    }

    /// Sends one flow, if it is time for one. What was not sent in time is not made up for.
    pub(super) fn go(&mut self, world: &mut World, state: &Arc<State>) {
        let Some(going) = self.going.as_mut().filter(|going| going.due <= Instant::now()) else { return };
        going.due = Instant::now() + Duration::from_secs(1) / self.told.rate;
        if !Arc::ptr_eq(&going.state, state) {
            (going.state, going.rotation, going.next) = (Arc::clone(state), rotation(state, &mut going.rng), 0);
            self.told.flows = going.rotation.len();
        }
        let Some(wanted) = going.rotation.get(going.next) else { return };
        going.next = (going.next + 1) % going.rotation.len();
        self.told.sent += 1;
        match world.chat(wanted.clone(), &mut going.ports) {
            Ok(Client::Answered) => self.told.answered += 1,
            Ok(Client::Refused | Client::Reset | Client::Unreachable(_)) => self.told.refused += 1,
            Ok(Client::Silence) => self.told.unanswered += 1,
            Ok(Client::Failed(reason)) | Err(reason) => {
                tracing::warn!(reason, "a flow of the lab's traffic could not be sent");
                self.told.failed += 1;
            }
        }
        if self.told.sent >= MOST_SENT {
            self.stop();
        }
    }
}

/// The services that the policy names, from every endpoint to every other, in an order by chance.
fn rotation(state: &State, rng: &mut StdRng) -> Vec<Wanted> {
    let services = state.policy.as_ref().map(|policy| probed(&policy.policy)).unwrap_or_default();
    let pairs = state.endpoints().flat_map(|one| state.endpoints().map(move |other| (one, other)));
    let pairs = pairs.filter(|(one, other)| one != other);
    let flows = pairs.flat_map(|pair| services.iter().flat_map(move |&service| of_pair(state, pair, service)));
    let mut flows = flows.sample(rng, MOST_FLOWS);
    flows.shuffle(rng);
    flows
}

fn of_pair<'s>(
    state: &'s State,
    (source, destination): (&'s Name, &'s Name),
    service: policy::FlowService,
) -> impl Iterator<Item = Wanted> + 's {
    let families = state.families(source, destination).into_iter().filter(move |&family| service.exists_in(family));
    families.filter_map(move |family| {
        let (from, to) = (state.address(source, family)?, state.address(destination, family)?);
        Some(Wanted { source: source.to_string(), destination: destination.to_string(), from, to, service })
    })
}
