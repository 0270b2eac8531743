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

impl LinkEvent {
    /// Whether the center sent another policy.
    pub(crate) fn is_change(&self) -> bool {
        matches!(self, Self::Heard(FromCenter::View(_) | FromCenter::Sealed(_)))
    }
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
    let (mut beats, mut pulse, mut bytes) = (heartbeats(HEARTBEAT), Pulse::default(), 0);
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
                // A view may be on its way for longer than a few heartbeats.
                let received = session.receiver.bytes();
                if std::mem::replace(&mut bytes, received) != received {
                    pulse.heard();
                }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use center::{ServeOptions, serve};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use wire::{Hello, JoinToken, PROTOCOL, admin};

    use super::*;

    const BEAT: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_secs(60);
    /// Of what comes from the center, so much passes …
    const PIECE: usize = 16 * 1024;
    /// … each time.
    const PACE: Duration = Duration::from_millis(10);

    /// A narrow way to the center.
    async fn narrow(center: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                relay(agent, TcpStream::connect(center).await.unwrap());
            }
        });
        address
    }

    fn relay(agent: TcpStream, center: TcpStream) {
        let ((mut from_agent, to_agent), (from_center, mut to_center)) = (agent.into_split(), center.into_split());
        tokio::spawn(async move { tokio::io::copy(&mut from_agent, &mut to_center).await });
        tokio::spawn(trickle(from_center, to_agent));
    }

    async fn trickle(mut from_center: OwnedReadHalf, mut to_agent: OwnedWriteHalf) {
        let (mut piece, mut pace) = (vec![0; PIECE], interval(PACE));
        while let Ok(length @ 1..) = from_center.read(&mut piece).await {
            pace.tick().await;
            to_agent.write_all(&piece[..length]).await.unwrap();
        }
    }

    async fn next(heard: &mut mpsc::Receiver<LinkEvent>) -> LinkEvent {
        match timeout(PATIENCE, heard.recv()).await.unwrap().unwrap() {
            LinkEvent::Down(reason) => panic!("cannot {reason}"),
            told @ (LinkEvent::Up(_) | LinkEvent::Heard(_)) => told,
        }
    }

    /// How many rules the view has.
    async fn rules(heard: &mut mpsc::Receiver<LinkEvent>) -> usize {
        loop {
            if let LinkEvent::Heard(FromCenter::View(view)) = next(heard).await {
                return view.rules.len();
            }
        }
    }

    async fn greet(queue: &mpsc::Sender<FromAgent>) {
        let (version, boot) = ("test".to_owned(), "b".to_owned());
        let (capabilities, addresses) = (Vec::new(), Vec::new());
        let hello = Hello { protocol: PROTOCOL, capabilities, version, boot, addresses, generation: 0 };
        queue.send(FromAgent::Hello(hello)).await.unwrap();
    }

    async fn credentials(center: SocketAddr, token: &str) -> Credentials {
        let key = rcgen::KeyPair::generate().unwrap();
        let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
        let token: JoinToken = token.parse().unwrap();
        let enrolled = channel::enrol(center, &token, request.der().to_vec()).await.unwrap();
        let (certificate, authority) = (enrolled.certificate, enrolled.authority);
        Credentials { certificate, authority, key: key.serialize_der() }
    }

    /// Three megabytes.
    fn policy() -> String {
        let rule = |number| format!("  - {{name: {}-{number}, allow: tcp/443}}\n", "x".repeat(380));
        format!("eastwest: policy/v1\nrules:\n{}default: deny\n", (0..8000).map(rule).collect::<String>())
    }

    #[tokio::test]
    async fn a_view_that_takes_many_heartbeats_arrives() {
        let state = tempfile::tempdir().unwrap();
        let (ready, is_ready) = oneshot::channel();
        let mut options = ServeOptions::new(state.path().to_owned(), "127.0.0.1:0".parse().unwrap());
        options.heartbeat = BEAT;
        tokio::spawn(serve(options, |address| ready.send(address).unwrap(), std::future::pending()));
        let center = is_ready.await.unwrap();
        let mut operator = admin::connect(&ServeOptions::admin_socket(state.path())).await.unwrap();
        operator
            .apply_inventory(serde_json::from_str(r#"{"managed": [], "vms": {"web": {}}}"#).unwrap())
            .await
            .unwrap();
        let token = operator.token("web", PATIENCE).await.unwrap();
        let credentials = credentials(center, &token).await;
        operator.publish(&policy()).await.unwrap();
        let (events, mut heard) = mpsc::channel(QUEUE);
        let way = (narrow(center).await, WallClock::default());
        tokio::spawn(keep(way, credentials, Backoff::new(1), events));
        // The link ends with its last queue.
        let LinkEvent::Up(queue) = next(&mut heard).await else { panic!("the link comes up first") };
        greet(&queue).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(rules(&mut heard).await, 8000);
        let took = begun.elapsed();
        assert!(took > BEAT * MISSED * 2, "the way was not narrow: {took:?}");
    }
}
