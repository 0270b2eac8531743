//! The link to the center: connects, says what it is given, passes on what it hears, and connects again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use wire::channel::{self, ChannelError, Credentials, Session, WallClock};
use wire::{FromAgent, FromCenter, HEARTBEAT, MISSED, Pulse};

use crate::backoff::Backoff;

/// How long a connection may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many messages to the center may wait.
pub(crate) const QUEUE: usize = 64;

/// What the link tells.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A session stands; what is put into this queue is said in it.
    Up(mpsc::Sender<FromAgent>),
    /// The center said something.
    Heard(FromCenter),
    /// The session ended, or could not begin.
    Down(String),
}

/// Keeps a session with the center until whoever listens is gone.
pub(crate) async fn keep(
    (center, clock): (SocketAddr, WallClock),
    credentials: Credentials,
    mut backoff: Backoff,
    events: mpsc::Sender<LinkEvent>,
) {
    loop {
        let reason = match timeout(PATIENCE, channel::connect_by(clock, center, &credentials)).await {
            Ok(Ok(session)) => serve(session, &mut backoff, &events).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "reach the center: no answer".to_owned(),
        };
        if events.send(LinkEvent::Down(reason)).await.is_err() {
            return;
        }
        backoff.wait().await;
    }
}

/// One session, to its end; gives why it ended.
async fn serve(mut session: Session, backoff: &mut Backoff, events: &mpsc::Sender<LinkEvent>) -> String {
    let (queue, mut outgoing) = mpsc::channel(QUEUE);
    if events.send(LinkEvent::Up(queue)).await.is_err() {
        return String::new();
    }
    let (mut beats, mut pulse) = (heartbeats(HEARTBEAT), Pulse::default());
    loop {
        let step = tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => say(&session, message, beats.period()).await,
                None => Err("the agent ends".to_owned()),
            },
            message = session.receiver.receive() => {
                pulse.heard();
                if let Ok(Some(FromCenter::Welcome { heartbeat, .. })) = &message {
                    beats = heartbeats(*heartbeat);
                }
                hear(message, backoff, events).await
            }
            _ = beats.tick() => {
                pulse.beat();
                match pulse.is_lost() {
                    true => Err(format!("hear the center: it was silent for {MISSED} heartbeats")),
                    false => say(&session, FromAgent::Heartbeat, beats.period()).await,
                }
            }
        };
        if let Err(reason) = step {
            return reason;
        }
    }
}

fn heartbeats(every: Duration) -> Interval {
    let mut beats = interval(every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, and the hello must come first.
    beats.reset();
    beats
}

async fn say(session: &Session, message: FromAgent, beat: Duration) -> Result<(), String> {
    match timeout(beat * MISSED, session.sender.send(message)).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("reach the center: it takes nothing".to_owned()),
    }
}

async fn hear(
    message: Result<Option<FromCenter>, ChannelError>,
    backoff: &mut Backoff,
    events: &mpsc::Sender<LinkEvent>,
) -> Result<(), String> {
    let message = message.map_err(|error| error.to_string())?.ok_or("reach the center: it ended the session")?;
    match message {
        FromCenter::Refused { reason } => return Err(format!("be let in: {reason}")),
        FromCenter::Welcome { .. } => backoff.reset(),
        FromCenter::View(_) | FromCenter::Sealed(_) | FromCenter::Stored { .. } | FromCenter::Heartbeat { .. } => {}
    }
    events.send(LinkEvent::Heard(message)).await.map_err(|_| "the agent ends".to_owned())
}
