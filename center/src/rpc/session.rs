//! One agent's session: its answers and records in, the newest view out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_stream::Stream;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Response, Status, Streaming};
use wire::proto::{self, session_server::Session};
use wire::{FromAgent, FromCenter, PROTOCOL, Pulse, Record, SEALS, Suspension};

use super::outgoing::{Due, Outgoing};
use crate::hub::{Hub, HubError, now};
use crate::live::Seat;
use crate::pki::{fingerprint, identity};
use crate::store::Store;

/// How many messages may wait for an agent; views are not among them.
const QUEUE: usize = 4;
/// After so many heartbeats of silence a session ends; long before, its agent is stale.
pub(crate) const DEAD: u32 = 8;

/// The service.
pub(crate) struct SessionService<S> {
    pub(crate) hub: Arc<Hub<S>>,
    pub(crate) closing: watch::Receiver<bool>,
}

#[tonic::async_trait]
impl<S: Store> Session for SessionService<S> {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<proto::FromCenter, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<proto::FromAgent>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (vm, key, center) = self.caller(&request).await?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (due, views) = watch::channel(None);
        let (hub, incoming) = (self.hub.clone(), request.into_inner());
        let outgoing = Outgoing { hub: hub.clone(), words: receiver, views, center };
        let told = Told { left: MOST_TOLD, addresses: None, suspension: None };
        let talk = Talk { hub, incoming, sender, due, key, protocol: PROTOCOL, seals: false, told };
        tokio::spawn(talk.run(vm, self.closing.clone()));
        Ok(Response::new(Box::pin(outgoing.stream())))
    }
}

impl<S: Store> SessionService<S> {
    /// Who calls, by which certificate's fingerprint, and at which address of the center.
    async fn caller<T>(&self, request: &Request<T>) -> Result<(String, [u8; 32], Option<SocketAddr>), Status> {
        let connection = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        let connection = connection.ok_or_else(|| Status::unauthenticated("this is no TLS connection"))?;
        let certificates = connection.peer_certs();
        let certificate = certificates.as_ref().and_then(|certificates| certificates.first());
        let certificate = certificate.ok_or_else(|| Status::unauthenticated("a certificate is needed: enrol first"))?;
        let vm = identity(certificate).ok_or_else(|| Status::unauthenticated("the certificate names no VM"))?;
        let key = fingerprint(certificate);
        let known = self.hub.store.is_identity(&vm, key).await;
        if !known.map_err(|error| Status::internal(error.to_string()))? {
            return Err(Status::permission_denied(replaced(&vm)));
        }
        let local = connection.get_ref().local_addr();
        Ok((vm, key, local.map(|local| SocketAddr::new(local.ip().to_canonical(), local.port()))))
    }
}

fn replaced(vm: &str) -> String {
    format!("the certificate no longer stands for `{vm}`: enrol again")
}

/// Why a session ends.
enum Ending {
    /// The agent or the center is gone.
    Gone,
    /// The center ends it, and says why.
    Refused(String),
}

impl<E: std::error::Error> From<E> for Ending {
    fn from(error: E) -> Self {
        Self::Refused(error.to_string())
    }
}

struct Talk<S> {
    hub: Arc<Hub<S>>,
    incoming: Streaming<proto::FromAgent>,
    sender: mpsc::Sender<Result<proto::FromCenter, Status>>,
    due: watch::Sender<Option<Due>>,
    key: [u8; 32],
    protocol: u32,
    /// The agent takes its views under seal.
    seals: bool,
    told: Told,
}

/// What an agent tells of its machine may each time change what all others see: of more than so many changes between two
/// heartbeats, the newest is taken in at the next.
const MOST_TOLD: u32 = 8;

/// What an agent told of its machine and was not taken in yet.
struct Told {
    left: u32,
    addresses: Option<Vec<IpAddr>>,
    suspension: Option<Suspension>,
}

impl<S: Store> Talk<S> {
    async fn run(mut self, vm: String, mut closing: watch::Receiver<bool>) {
        let ending = match self.greeted(&vm).await {
            Ok(seat) => {
                let ending = tokio::select! {
                    ending = self.seated(&seat) => ending,
                    _ = closing.wait_for(|closing| *closing) => Ending::Gone,
                };
                if let Err(error) = self.hub.leave(seat).await {
                    tracing::error!(vm, %error, "a session's end was not noted");
                }
                ending
            }
            Err(ending) => ending,
        };
        if let Ending::Refused(reason) = ending {
            tracing::warn!(vm, reason, "a session was refused");
            // An agent that does not read loses only the reason.
            drop(self.sender.try_send(Ok(FromCenter::Refused { reason }.into())));
        }
    }

    /// The first word must be a hello.
    async fn greeted(&mut self, vm: &str) -> Result<Seat, Ending> {
        let hello = tokio::time::timeout(self.hub.heartbeat * DEAD, self.hear()).await;
        let FromAgent::Hello(hello) = hello?? else {
            return Err(Ending::Refused("the first word of a session is a hello".into()));
        };
        self.protocol = hello.protocol.min(PROTOCOL);
        self.seals = hello.capabilities.iter().any(|capability| capability == SEALS);
        self.hub.join(vm, &hello).await.map_err(|error: HubError| Ending::Refused(error.to_string()))
    }

    /// The certificate is looked up once more: it may have been replaced between the call and the seat.
    async fn seated(&mut self, seat: &Seat) -> Ending {
        match self.hub.store.is_identity(seat.vm().as_str(), self.key).await {
            Ok(true) => {}
            Ok(false) => return Ending::Refused(replaced(seat.vm().as_str())),
            Err(error) => return error.into(),
        }
        let (protocol, heartbeat) = (self.protocol, self.hub.heartbeat);
        let welcome = FromCenter::Welcome { protocol, now: now(), heartbeat };
        match self.say(welcome).await {
            Ok(()) => self.talk(seat).await,
            Err(ending) => ending,
        }
    }

    async fn talk(&mut self, seat: &Seat) -> Ending {
        let mut snapshots = self.hub.snapshots();
        snapshots.mark_changed();
        let mut beat = tokio::time::interval(self.hub.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.reset();
        let (mut pulse, mut heard, mut stale) = (Pulse::default(), now(), false);
        loop {
            let step = tokio::select! {
                () = seat.signals().stop.notified() => Err(Ending::Refused("the session is superseded, or its VM removed".into())),
                () = seat.signals().nudge.notified() => self.beat(),
                message = self.hear() => match message {
                    Ok(message) => {
                        (pulse, heard) = (Pulse::default(), now());
                        seat.heard();
                        self.handle(seat, message).await
                    }
                    Err(ending) => Err(ending),
                },
                changed = snapshots.changed() => {
                    let (vm, snapshot) = (seat.vm().clone(), snapshots.borrow_and_update().clone());
                    self.due.send_replace(Some(Due { vm, snapshot, copy: seat.is_copy(), seals: self.seals }));
                    changed.map_err(|_| Ending::Gone)
                }
                _ = beat.tick() => {
                    pulse.beat();
                    self.told.left = MOST_TOLD;
                    match self.heed(seat).await {
                        Ok(()) => self.beat(),
                        Err(ending) => Err(ending),
                    }
                }
            };
            if let Err(ending) = step {
                return ending;
            }
            if stale != pulse.is_lost() {
                stale = pulse.is_lost();
                self.hub.silent(seat, stale.then_some(heard)).await;
            }
            if pulse.missed() >= DEAD {
                return Ending::Gone;
            }
        }
    }

    /// A heartbeat; where the queue is full, the agent hears enough of us.
    fn beat(&self) -> Result<(), Ending> {
        match self.sender.try_send(Ok(FromCenter::Heartbeat { now: now() }.into())) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Ending::Gone),
        }
    }

    async fn handle(&mut self, seat: &Seat, message: FromAgent) -> Result<(), Ending> {
        match message {
            FromAgent::Hello(_) => Err(Ending::Refused("a session has one hello".into())),
            // What a copy has in force says nothing of the VM.
            FromAgent::Ack(_) if seat.is_copy() => Ok(()),
            FromAgent::Ack(ack) => Ok(self.hub.acked(seat.vm(), &ack).await?),
            FromAgent::Records(records) => self.store(seat, records).await,
            FromAgent::Heartbeat => Ok(()),
            // A copy's addresses and state are not the VM's.
            FromAgent::Addresses(_) | FromAgent::Suspension(_) if seat.is_copy() => Ok(()),
            FromAgent::Addresses(addresses) => {
                self.told.addresses = Some(addresses);
                self.heed(seat).await
            }
            FromAgent::Suspension(suspension) => {
                self.told.suspension = Some(suspension);
                self.heed(seat).await
            }
        }
    }

    /// Takes in what the agent told of its machine, unless it has told too much since the last heartbeat.
    async fn heed(&mut self, seat: &Seat) -> Result<(), Ending> {
        if self.told.left == 0 {
            return Ok(());
        }
        if let Some(addresses) = self.told.addresses.take() {
            self.told.left -= 1;
            self.hub.observes(seat.vm(), &addresses).await?;
        }
        if let Some(suspension) = self.told.suspension.take() {
            self.told.left = self.told.left.saturating_sub(1);
            self.hub.suspended(seat.vm(), &suspension).await?;
        }
        Ok(())
    }

    /// Stores a batch, and says so; an agent sends no faster than this.
    async fn store(&mut self, seat: &Seat, records: Vec<Record>) -> Result<(), Ending> {
        let vm = seat.vm().as_str();
        if let Some(foreign) = records.iter().find(|record| record.key.vm != vm) {
            let detail = format!("it sent a record in the name of `{}`", foreign.key.vm);
            self.hub.alert(vm, detail.clone()).await?;
            return Err(Ending::Refused(detail));
        }
        let mut stored: BTreeMap<String, u64> = BTreeMap::new();
        for record in &records {
            let up_to = stored.entry(record.key.boot.clone()).or_default();
            *up_to = record.key.sequence.max(*up_to);
        }
        self.hub.append(records).await?;
        for (boot, up_to) in stored {
            self.say(FromCenter::Stored { boot, up_to }).await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<FromAgent, Ending> {
        match self.incoming.message().await {
            Ok(Some(message)) => Ok(FromAgent::try_from(message)?),
            Ok(None) | Err(_) => Err(Ending::Gone),
        }
    }

    /// Says something, and waits while the queue is full, but not for a dead agent.
    async fn say(&self, message: FromCenter) -> Result<(), Ending> {
        let sent = tokio::time::timeout(self.hub.heartbeat * DEAD, self.sender.send(Ok(message.into()))).await;
        sent.map_err(|_| Ending::Gone)?.map_err(|_| Ending::Gone)
    }
}
