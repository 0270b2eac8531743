//! The real center on loopback, with callers that stand for agents and operators.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    reason = "a test looks for one event, and tells its figure"
)]

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use center::{CenterError, ServeOptions, serve};
use policy::{End, Family, Mode, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use wire::admin::{self, AdminClient, AdminError};
use wire::channel::{self, ChannelError, Credentials, Session};
use wire::{
    Ack, AckResult, CenterEvent, Direction, FlowEnd, FromAgent, FromCenter, Hello, InventoryFile, JoinToken, Kind,
    PROTOCOL, Presence, Record, RecordKey, RecordQuery, SEALS, Suspension, View,
};

const HEARTBEAT: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(20);
const POLICY: &str = "\
eastwest: policy/v1
rules:
  - name: web-to-db
    allow: tcp/5432
    from: app = web
    to: app = db
default: deny
";

struct Center {
    address: SocketAddr,
    admin: AdminClient,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<(), CenterError>>,
}

async fn start(state: &Path) -> Center {
    let (ready, is_ready) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut options = ServeOptions::new(state.to_owned(), "127.0.0.1:0".parse().unwrap());
    options.heartbeat = HEARTBEAT;
    let serving = tokio::spawn(async move {
        let on_ready = |address| ready.send(address).expect("the test waits");
        serve(options, on_ready, async { drop(stopped.await) }).await
    });
    let address = is_ready.await.unwrap();
    let admin = admin::connect(&ServeOptions::admin_socket(state)).await.unwrap();
    Center { address, admin, stop: Some(stop), serving }
}

impl Center {
    async fn stop(mut self) {
        drop(self.stop.take());
        drop(self.admin);
        self.serving.await.unwrap().unwrap();
    }

    async fn credentials(&mut self, vm: &str) -> Credentials {
        let token = self.admin.token(vm, Duration::from_secs(60)).await.unwrap();
        enrol(self.address, &token).await.unwrap()
    }
}

async fn enrol(center: SocketAddr, token: &str) -> Result<Credentials, ChannelError> {
    let token: JoinToken = token.parse().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    let enrolled = channel::enrol(center, &token, request.der().to_vec()).await?;
    let channel::Enrolled { vm: _, certificate, authority } = enrolled;
    Ok(Credentials { certificate, authority, key: key.serialize_der() })
}

fn inventory(web: &str, db: &str) -> InventoryFile {
    let text = format!(
        r#"{{"managed": ["10.98.0.0/16"], "record_all": true, "vms": {{
            "web": {{"labels": {{"app": "web"}}, "addresses": [{web}]}},
            "db": {{"labels": {{"app": "db"}}, "addresses": [{db}], "allowed": ["10.98.0.0/16"]}}}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn ordinary() -> InventoryFile {
    inventory("\"10.98.0.1\"", "\"10.98.0.2\"")
}

fn hello(addresses: &[&str]) -> Hello {
    Hello {
        protocol: PROTOCOL,
        capabilities: Vec::new(),
        version: "test".into(),
        boot: "b1".into(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        generation: 0,
    }
}

async fn join(center: SocketAddr, credentials: &Credentials) -> Session {
    let mut session = channel::connect(center, credentials).await.unwrap();
    session.sender.send(FromAgent::Hello(hello(&[]))).await.unwrap();
    let welcome = next(&mut session).await;
    assert!(matches!(welcome, FromCenter::Welcome { protocol: PROTOCOL, .. }), "{welcome:?}");
    session
}

/// The next word that is no heartbeat; heartbeats are answered as an agent does.
async fn next(session: &mut Session) -> FromCenter {
    let hear = async {
        loop {
            match session.receiver.receive().await.unwrap().expect("the session goes on") {
                // The center may have ended the session since; why is still to be heard.
                FromCenter::Heartbeat { .. } => drop(session.sender.send(FromAgent::Heartbeat).await),
                word => return word,
            }
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.expect("a word in time")
}

async fn view(session: &mut Session) -> View {
    match next(session).await {
        FromCenter::View(view) => *view,
        other => panic!("not a view: {other:?}"),
    }
}

async fn ack(session: &Session, generation: u64) {
    session.sender.send(FromAgent::Ack(Ack { generation, result: AckResult::InForce })).await.unwrap();
}

fn record(vm: &str, sequence: u64) -> Record {
    let end = |address: &str, port| FlowEnd { vm: None, address: address.parse().unwrap(), port };
    Record {
        key: RecordKey { vm: vm.into(), boot: "b1".into(), sequence },
        kind: Kind::Deny,
        direction: Direction::In,
        source: end("10.98.0.1", 40000),
        destination: end("10.98.0.2", 23),
        family: Family::V4,
        protocol: Protocol::Tcp,
        icmp_type: 0,
        icmp_id: 0,
        tcp_sequence: Some(7),
        payload: Vec::new(),
        verdict: policy::Verdict::Deny,
        rule: "default".into(),
        admitted_by: None,
        end: End::Destination,
        would: None,
        monitor: false,
        generation_first: 1,
        generation_last: 1,
        packets: 1,
        detail: String::new(),
        stamp: sequence,
    }
}

async fn event(events: &mut (impl Stream<Item = Result<CenterEvent, AdminError>> + Unpin)) -> CenterEvent {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time").unwrap().unwrap()
}

/// The next event for which `pick` gives something.
async fn until<T>(
    events: &mut (impl Stream<Item = Result<CenterEvent, AdminError>> + Unpin),
    mut pick: impl FnMut(CenterEvent) -> Option<T>,
) -> T {
    loop {
        if let Some(found) = pick(event(events).await) {
            return found;
        }
    }
}

fn presence(event: &CenterEvent, vm: &str) -> Option<(Presence, u64)> {
    match event {
        CenterEvent::Agent(state) if state.vm == vm => Some((state.presence, state.acked)),
        CenterEvent::Agent(_)
        | CenterEvent::Record(_)
        | CenterEvent::Published { .. }
        | CenterEvent::Alert { .. }
        | CenterEvent::Missed { .. } => None,
    }
}

#[tokio::test]
async fn a_policy_reaches_an_agent_and_its_answer_the_watchers() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    assert_eq!(center.admin.apply_inventory(ordinary()).await, Ok(1));
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    assert_eq!(presence(&event(&mut events).await, "db"), Some((Presence::Offline, 0)));
    assert_eq!(presence(&event(&mut events).await, "web"), Some((Presence::Unenrolled, 0)));
    assert_eq!(event(&mut events).await, CenterEvent::Published { generation: 1 });
    let mut session = join(center.address, &credentials).await;
    assert_eq!(presence(&event(&mut events).await, "db"), Some((Presence::Online, 0)));

    assert_eq!(center.admin.publish(POLICY).await, Ok(2));
    assert_eq!(event(&mut events).await, CenterEvent::Published { generation: 2 });
    let first = view(&mut session).await;
    let addresses: Vec<IpAddr> = vec!["10.98.0.2".parse().unwrap()];
    assert_eq!((first.generation, first.vm.as_str(), &first.addresses), (2, "db", &addresses));
    assert_eq!((first.center, first.record_all), (Some(center.address), true));
    assert_eq!(first.rules.len(), 1);
    assert_eq!((first.rules[0].inbound, first.rules[0].outbound), (Some(0), None));
    ack(&session, 2).await;
    assert_eq!(presence(&event(&mut events).await, "db"), Some((Presence::Online, 2)));

    assert_eq!(center.admin.quarantine("db").await, Ok(3));
    assert!(view(&mut session).await.quarantined);
    let refused = Ack { generation: 3, result: AckResult::Refused { reason: "no".into() } };
    session.sender.send(FromAgent::Ack(refused)).await.unwrap();
    let refused = |event| match event {
        CenterEvent::Agent(state) => state.refused.map(|refused| (state.acked, refused)),
        _ => None,
    };
    assert_eq!(until(&mut events, refused).await, (2, (3, "no".into())));
    drop(session);
    let offline = |event| presence(&event, "db").filter(|(presence, _)| *presence == Presence::Offline);
    assert_eq!(until(&mut events, offline).await, (Presence::Offline, 2));
    drop(events);
    center.stop().await;
}

#[tokio::test]
async fn records_are_kept_exactly_once_and_in_order_across_sessions() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    for (batch, up_to) in [(1..=600, 600), (301..=1000, 1000), (1..=1000, 1000)] {
        let mut session = join(center.address, &credentials).await;
        let records = batch.map(|sequence| record("db", sequence)).collect();
        session.sender.send(FromAgent::Records(records)).await.unwrap();
        assert_eq!(next(&mut session).await, FromCenter::Stored { boot: "b1".into(), up_to });
    }
    let sequence = |event| match event {
        CenterEvent::Record(record) => Some(record.key.sequence),
        _ => None,
    };
    for expected in 1..=1000 {
        assert_eq!(until(&mut events, sequence).await, expected);
    }
    let query = RecordQuery { kind: Some(Kind::Deny), port: Some(23), limit: 990, ..RecordQuery::default() };
    let after = center.admin.records(query.clone()).await.unwrap().last().unwrap().id;
    let query = RecordQuery { after, limit: 0, ..query };
    let stored = center.admin.records(query.clone()).await.unwrap();
    let sequences: Vec<u64> = stored.iter().map(|stored| stored.record.key.sequence).collect();
    assert_eq!(sequences, (991..=1000).collect::<Vec<_>>());
    assert_eq!(stored[0].record, record("db", 991));
    for none in [
        RecordQuery { vm: Some("web".into()), ..query.clone() },
        RecordQuery { rule: Some("web-to-db".into()), ..query.clone() },
        RecordQuery { port: Some(24), ..query.clone() },
        RecordQuery { kind: Some(Kind::Cut), ..query.clone() },
        RecordQuery { address: Some("10.98.0.3".parse().unwrap()), ..query },
    ] {
        assert_eq!(center.admin.records(none.clone()).await.unwrap(), [], "{none:?}");
    }
    drop(events);
    center.stop().await;
}

#[tokio::test]
async fn a_thousand_records_reach_a_watcher_soon() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    let session = join(center.address, &credentials).await;
    let begun = Instant::now();
    for batch in 0..10 {
        let records = (1..=100).map(|sequence| record("db", 100 * batch + sequence)).collect();
        session.sender.send(FromAgent::Records(records)).await.unwrap();
    }
    let last = |event| matches!(event, CenterEvent::Record(record) if record.key.sequence == 1000).then_some(());
    until(&mut events, last).await;
    eprintln!("1,000 records stored and told in {:?}", begun.elapsed());
    drop((session, events));
    center.stop().await;
}

#[tokio::test]
async fn a_token_is_good_once_and_only_for_its_center() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    let refused = |result: Result<_, ChannelError>| match result.err() {
        Some(ChannelError::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    };
    assert!(matches!(center.admin.token("db", PATIENCE).await, Err(AdminError::Refused(_))));
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let token = center.admin.token("db", PATIENCE).await.unwrap();
    let credentials = enrol(center.address, &token).await.unwrap();
    assert_eq!(refused(enrol(center.address, &token).await.map(drop)), "the join token was used already");
    let late = center.admin.token("db", Duration::ZERO).await.unwrap();
    assert_eq!(refused(enrol(center.address, &late).await.map(drop)), "the join token has expired");
    let parsed: JoinToken = late.parse().unwrap();
    let invented = JoinToken { secret: [7; 32], ..parsed.clone() };
    assert_eq!(refused(enrol(center.address, &invented.to_string()).await.map(drop)), "nobody made this join token");
    let elsewhere = JoinToken { authority: [7; 32], ..parsed };
    let error = enrol(center.address, &elsewhere.to_string()).await.map(drop).unwrap_err();
    assert!(matches!(&error, ChannelError::Unavailable(text) if text.contains("authority")), "{error:?}");

    drop(join(center.address, &credentials).await);
    center.credentials("db").await;
    let replaced = channel::connect(center.address, &credentials).await.map(drop);
    assert!(refused(replaced).contains("enrol again"));
    center.stop().await;
}

#[tokio::test]
async fn a_second_session_of_one_key_is_refused_and_told() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    let mut session = join(center.address, &credentials).await;
    let alert = |event| match event {
        CenterEvent::Alert { vm, detail } => Some((vm, detail)),
        _ => None,
    };
    // A copy does not give up; each try is refused, and the first session goes on.
    for _ in 0..3 {
        let mut clone = channel::connect(center.address, &credentials).await.unwrap();
        clone.sender.send(FromAgent::Hello(hello(&[]))).await.unwrap();
        let word = tokio::select! {
            word = next(&mut clone) => word,
            word = next(&mut session) => panic!("the first session goes on: {word:?}"),
        };
        assert!(matches!(word, FromCenter::Refused { .. }));
    }
    assert_eq!(until(&mut events, alert).await.0, "db");
    let clones = async |admin: &mut AdminClient| admin.status().await.unwrap().agents[0].clones;
    assert_eq!(clones(&mut center.admin).await, 3);
    // A silent session gives way.
    let mut newer = channel::connect(center.address, &credentials).await.unwrap();
    newer.sender.send(FromAgent::Hello(hello(&[]))).await.unwrap();
    assert!(matches!(next(&mut newer).await, FromCenter::Welcome { .. }));
    // The next alert is that of the marker behind it: the copy was told of once.
    ack(&newer, 99).await;
    assert!(until(&mut events, alert).await.1.contains("generation 99"));
    center.credentials("db").await;
    assert_eq!(clones(&mut center.admin).await, 0, "a new key is in one place");
    drop((session, newer, events));
    center.stop().await;
    assert_eq!(audited(state.path(), "%second live session%").await, 1);
}

/// Lives on as who is never quarantined.
async fn live(mut session: Session) {
    while let Ok(Some(word)) = session.receiver.receive().await {
        match word {
            FromCenter::Heartbeat { .. } => drop(session.sender.send(FromAgent::Heartbeat).await),
            FromCenter::View(view) => assert!(!view.quarantined),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_copy_is_told_of_once_and_quarantined_until_the_vm_has_a_new_key() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut session = join(center.address, &credentials).await;
    assert!(!view(&mut session).await.quarantined);
    let living = tokio::spawn(live(session));
    for _ in 0..2 {
        let mut copy = channel::connect(center.address, &credentials).await.unwrap();
        copy.sender.send(FromAgent::Hello(Hello { boot: "b2".into(), ..hello(&["10.98.0.9"]) })).await.unwrap();
        assert!(matches!(next(&mut copy).await, FromCenter::Welcome { .. }));
        assert!(view(&mut copy).await.quarantined);
        ack(&copy, 3).await;
    }
    let agent = center.admin.status().await.unwrap().agents.remove(0);
    assert_eq!((agent.presence, agent.clones, agent.acked), (Presence::Online, 2, 0));
    let fresh = center.credentials("db").await;
    living.await.unwrap();
    assert_eq!(center.admin.status().await.unwrap().agents.remove(0).clones, 0);
    let mut session = join(center.address, &fresh).await;
    let own = view(&mut session).await;
    assert_eq!((own.quarantined, own.addresses.len()), (false, 1), "what the copy observed is not the VM's");
    drop(session);
    center.stop().await;
    assert_eq!(audited(state.path(), "%cloned%").await, 1);
}

/// A policy of more than an HTTP/2 window, and with a rule that says which.
fn large(which: usize) -> String {
    let rule = |number| format!("  - {{name: {}-{number}, allow: tcp/{}}}\n", "x".repeat(380), 1000 + which);
    format!("eastwest: policy/v1\nrules:\n{}default: deny\n", (0..8000).map(rule).collect::<String>())
}

#[tokio::test]
async fn what_was_published_while_a_view_was_under_way_is_skipped_but_for_the_newest() {
    const TIMES: usize = 8;
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut session = join(center.address, &credentials).await;
    // It lives, and takes nothing.
    let sender = session.sender.clone();
    let living = tokio::spawn(async move {
        let mut beat = tokio::time::interval(HEARTBEAT);
        while sender.send(FromAgent::Heartbeat).await.is_ok() {
            beat.tick().await;
        }
    });
    let mut newest = 0;
    for which in 0..TIMES {
        newest = center.admin.publish(&large(which)).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.last() != Some(&newest) {
        seen.push(view(&mut session).await.generation);
    }
    assert!(seen.len() <= 3, "of {TIMES} views, these were sent: {seen:?}");
    living.abort();
    drop(session);
    center.stop().await;
}

#[tokio::test]
async fn a_silent_agent_is_stale_since_its_last_word_until_it_speaks() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    let stale = |event| match event {
        CenterEvent::Agent(state) => state.stale_since.map(|since| (state.presence, since)),
        _ => None,
    };
    let online = |event| presence(&event, "db").filter(|(presence, _)| *presence == Presence::Online);
    let mut session = join(center.address, &credentials).await;
    until(&mut events, online).await;
    let (presence, first) = until(&mut events, stale).await;
    assert_eq!(presence, Presence::Stale);
    session.sender.send(FromAgent::Heartbeat).await.unwrap();
    until(&mut events, online).await;
    let (_, second) = until(&mut events, stale).await;
    assert!(first < second, "it was heard between {first} and {second}");
    // The session ends at last, and whether the agent lives is as unknown as before.
    let ended = async { while let Ok(Some(_)) = session.receiver.receive().await {} };
    tokio::time::timeout(PATIENCE, ended).await.expect("no session is for ever");
    let agent = center.admin.status().await.unwrap().agents.remove(0);
    assert_eq!((agent.presence, agent.stale_since), (Presence::Stale, Some(second)));
    // Who is not connected holds up nothing: an address changes its owner.
    let swapped = inventory("\"10.98.0.2\"", "\"10.98.0.3\"");
    center.admin.apply_inventory(swapped).await.unwrap();
    assert_eq!(center.admin.status().await.unwrap().held.len(), 0);
    drop((session, events));
    center.stop().await;
}

/// How many notes for the auditors read like this.
async fn audited(state: &Path, like: &str) -> i64 {
    let url = format!("sqlite://{}", state.join("center.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query_scalar("SELECT count(*) FROM audit WHERE detail LIKE ?").bind(like).fetch_one(&pool).await.unwrap()
}

#[tokio::test]
async fn an_enrolment_whose_answer_was_lost_is_done_again_by_the_same_key_alone() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let token = center.admin.token("db", PATIENCE).await.unwrap();
    let token: JoinToken = token.parse().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    // A request that is no good costs no token.
    assert!(channel::enrol(center.address, &token, request[1..].to_vec()).await.is_err());
    let lost = channel::enrol(center.address, &token, request.clone()).await.unwrap();
    let enrolled = channel::enrol(center.address, &token, request.clone()).await.unwrap();
    assert_eq!((enrolled.vm.as_str(), &enrolled.authority), ("db", &lost.authority));
    let other = enrol(center.address, &token.to_string()).await.map(drop).unwrap_err();
    assert!(matches!(&other, ChannelError::Refused(reason) if reason == "the join token was used already"), "{other}");
    let credentials =
        Credentials { certificate: enrolled.certificate, authority: enrolled.authority, key: key.serialize_der() };
    drop(join(center.address, &credentials).await);
    // Another enrolment of the VM ends what the first token was good for.
    let newer = center.credentials("db").await;
    assert!(channel::enrol(center.address, &token, request).await.is_err());
    drop(join(center.address, &newer).await);
    center.stop().await;
    for (like, count) in [("enrolled", 2), ("enrolled again%", 1), ("enrolment refused: the join token was used%", 2)] {
        assert_eq!(audited(state.path(), like).await, count, "{like}");
    }
}

#[tokio::test]
async fn a_view_goes_out_under_the_authoritys_seal_to_those_who_take_it() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut session = channel::connect(center.address, &credentials).await.unwrap();
    let greeting = Hello { capabilities: vec!["another".into(), SEALS.into()], ..hello(&[]) };
    session.sender.send(FromAgent::Hello(greeting)).await.unwrap();
    next(&mut session).await;
    let FromCenter::Sealed(sealed) = next(&mut session).await else { panic!("not sealed") };
    assert_eq!((sealed.view.vm.as_str(), sealed.view.generation), ("db", 2));
    assert_eq!(sealed.seal.view().unwrap(), sealed.view);
    assert!(sealed.seal.holds(&credentials.authority));
    assert!(!sealed.seal.holds(&credentials.certificate), "another key");
    let mut other = sealed.seal.clone();
    *other.bytes.last_mut().unwrap() ^= 1;
    assert!(!other.holds(&credentials.authority), "other bytes");
    drop(session);
    center.stop().await;
}

#[tokio::test]
async fn a_restarted_center_knows_what_it_knew() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let credentials = center.credentials("db").await;
    center.admin.publish(POLICY).await.unwrap();
    center.admin.quarantine("db").await.unwrap();
    let mut session = join(center.address, &credentials).await;
    let before = view(&mut session).await;
    center.stop().await;

    let mut center = start(state.path()).await;
    let mut session = join(center.address, &credentials).await;
    let after = view(&mut session).await;
    assert_eq!(after, View { center: after.center, now: after.now, ..before });
    assert_eq!(center.admin.publish(POLICY).await, Ok(4));
    let history = center.admin.history().await.unwrap();
    assert_eq!(history.iter().map(|version| version.generation).collect::<Vec<_>>(), [4, 2]);
    drop(session);
    center.stop().await;
}

#[tokio::test]
async fn a_reused_address_waits_for_every_connected_agent() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut session = join(center.address, &credentials).await;
    assert_eq!(view(&mut session).await.peers[0].addresses.len(), 1);
    ack(&session, 2).await;
    let swapped = inventory("\"10.98.0.2\"", "\"10.98.0.3\"");
    assert_eq!(center.admin.apply_inventory(swapped).await, Ok(3));
    let between = view(&mut session).await;
    assert_eq!((between.generation, between.peers[0].addresses.len()), (3, 0));
    assert_eq!(center.admin.status().await.unwrap().held.len(), 2);
    ack(&session, 3).await;
    let after = view(&mut session).await;
    let given: IpAddr = "10.98.0.2".parse().unwrap();
    assert_eq!((after.generation, after.peers[0].addresses.as_slice()), (4, [given].as_slice()));
    assert_eq!(center.admin.status().await.unwrap().held.len(), 0);
    drop(session);
    center.stop().await;
}

#[tokio::test]
async fn what_an_agent_says_of_itself_is_checked() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    let mut session = channel::connect(center.address, &credentials).await.unwrap();
    let greeting = hello(&["10.98.0.1", "10.98.0.9", "10.99.0.1", "10.98.0.2"]);
    session.sender.send(FromAgent::Hello(greeting)).await.unwrap();
    next(&mut session).await;
    let own: Vec<IpAddr> = ["10.98.0.2", "10.98.0.9"].map(|address| address.parse().unwrap()).to_vec();
    assert_eq!(view(&mut session).await.addresses, own);
    let alert = |event| match event {
        CenterEvent::Alert { vm, detail } => Some((vm, detail)),
        _ => None,
    };
    let expected = ("db".into(), "it observes 10.98.0.1, which belongs to `web`".into());
    assert_eq!(until(&mut events, alert).await, expected);
    ack(&session, 99).await;
    assert!(until(&mut events, alert).await.1.contains("generation 99"));
    session.sender.send(FromAgent::Records(vec![record("web", 1)])).await.unwrap();
    assert!(matches!(next(&mut session).await, FromCenter::Refused { .. }));
    assert_eq!(center.admin.records(RecordQuery::default()).await, Ok(Vec::new()));

    let mut old = channel::connect(center.address, &credentials).await.unwrap();
    old.sender.send(FromAgent::Hello(Hello { protocol: PROTOCOL + 1, ..hello(&[]) })).await.unwrap();
    assert!(matches!(next(&mut old).await, FromCenter::Refused { .. }));
    drop((session, old, events));
    center.stop().await;
}

#[tokio::test]
async fn addresses_that_change_between_hellos_are_taken_at_once_where_they_may() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let (db, web) = (center.credentials("db").await, center.credentials("web").await);
    let mut events = center.admin.watch().await.unwrap();
    let (mut db, mut web) = (join(center.address, &db).await, join(center.address, &web).await);
    let own = |view: &View| view.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let peer = |view: &View| view.peers[0].addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!((own(&view(&mut db).await), peer(&view(&mut web).await)), ("10.98.0.2".into(), "10.98.0.2".into()));
    let tell = |all: &[&str]| FromAgent::Addresses(all.iter().map(|address| address.parse().unwrap()).collect());
    // One of the inventory's, a late one, one of another's, one outside what is allowed.
    db.sender.send(tell(&["10.98.0.2", "10.98.0.77", "10.98.0.1", "10.99.0.1"])).await.unwrap();
    let both = "10.98.0.2 10.98.0.77";
    assert_eq!((own(&view(&mut db).await), peer(&view(&mut web).await)), (both.into(), both.into()));
    let alert = |event| match event {
        CenterEvent::Alert { vm, detail } => Some((vm, detail)),
        _ => None,
    };
    let expected = ("db".into(), "it observes 10.98.0.1, which belongs to `web`".into());
    assert_eq!(until(&mut events, alert).await, expected);
    db.sender.send(tell(&["10.98.0.2"])).await.unwrap();
    let after = (view(&mut db).await, view(&mut web).await);
    assert_eq!((own(&after.0), peer(&after.1)), ("10.98.0.2".into(), "10.98.0.2".into()));
    assert_eq!(center.admin.status().await.unwrap().held.len(), 1, "nobody has it before all have let go of it");
    ack(&db, after.0.generation).await;
    ack(&web, after.1.generation).await;
    let released = |event| match event {
        CenterEvent::Agent(agent) => (agent.vm == "web" && agent.acked == after.1.generation).then_some(()),
        _ => None,
    };
    until(&mut events, released).await;
    assert_eq!(center.admin.status().await.unwrap().held.len(), 0);
    drop((db, web, events));
    center.stop().await;
}

#[tokio::test]
async fn a_center_speaks_with_agents_one_version_older_and_with_none_older_still() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let credentials = center.credentials("db").await;
    for (protocol, word) in
        [(PROTOCOL - 1, None), (PROTOCOL - 2, Some("no longer")), (PROTOCOL + 1, Some("update the center"))]
    {
        let mut session = channel::connect(center.address, &credentials).await.unwrap();
        session.sender.send(FromAgent::Hello(Hello { protocol, ..hello(&[]) })).await.unwrap();
        match (next(&mut session).await, word) {
            (FromCenter::Welcome { protocol: spoken, .. }, None) => {
                assert_eq!(spoken, protocol);
                let view = view(&mut session).await;
                ack(&session, view.generation).await;
            }
            (FromCenter::Refused { reason }, Some(word)) => assert!(reason.contains(word), "{reason}"),
            (other, _) => panic!("{protocol}: {other:?}"),
        }
        drop(session);
        tokio::time::timeout(PATIENCE, left(&mut center)).await.expect("the session ends");
    }
    center.stop().await;
}

/// Waits until the center's only agent is not there.
async fn left(center: &mut Center) {
    while center.admin.status().await.unwrap().agents[0].presence == Presence::Online {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_suspension_is_told_once_and_shown_until_it_ends_and_lifts_no_quarantine() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    center.admin.quarantine("db").await.unwrap();
    let credentials = center.credentials("db").await;
    let mut events = center.admin.watch().await.unwrap();
    let mut session = join(center.address, &credentials).await;
    assert!(view(&mut session).await.quarantined);
    let tell = |seconds| FromAgent::Suspension(Suspension { left: Duration::from_secs(seconds), by: "uid 7".into() });
    let alert = |event| match event {
        CenterEvent::Alert { vm, detail } => Some(format!("{vm} {detail}")),
        _ => None,
    };
    let begun = jiff::Timestamp::now().as_millisecond();
    session.sender.send(tell(600)).await.unwrap();
    assert_eq!(until(&mut events, alert).await, "db suspended locally for 600 s by uid 7: its rules only record");
    let agent = center.admin.status().await.unwrap().agents.remove(0);
    let until_then = agent.suspended_until.unwrap();
    assert!((begun + 600_000..begun + 600_000 + 20_000).contains(&until_then), "{begun} {until_then}");
    assert!(agent.quarantined);
    // Told again at the next session, and then its end.
    session.sender.send(tell(500)).await.unwrap();
    session.sender.send(tell(0)).await.unwrap();
    assert_eq!(until(&mut events, alert).await, "db its local suspension has ended");
    assert_eq!(center.admin.status().await.unwrap().agents.remove(0).suspended_until, None);
    drop((session, events));
    center.stop().await;
    assert_eq!(audited(state.path(), "suspended locally%").await, 1);
}

#[tokio::test]
async fn a_vm_in_monitor_gets_a_view_that_only_records() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    center.admin.publish(POLICY).await.unwrap();
    let (db, web) = (center.credentials("db").await, center.credentials("web").await);
    let (mut db, mut web) = (join(center.address, &db).await, join(center.address, &web).await);
    let modes = |view: &View| (view.mode, view.rules[0].mode);
    let acting = (Mode::Enforce, Mode::Enforce);
    assert_eq!((modes(&view(&mut db).await), modes(&view(&mut web).await)), (acting, acting));
    center.admin.set_mode("db", Mode::Monitor).await.unwrap();
    assert_eq!(modes(&view(&mut db).await), (Mode::Monitor, Mode::Monitor));
    assert_eq!(modes(&view(&mut web).await), acting);
    let Err(AdminError::Refused(_)) = center.admin.set_mode("nobody", Mode::Monitor).await else { panic!("accepted") };
    center.admin.apply_inventory(ordinary()).await.unwrap();
    assert_eq!(modes(&view(&mut db).await), acting, "what the inventory does not say is revoked");
    drop((db, web));
    center.stop().await;
}

#[tokio::test]
async fn bad_input_is_refused_whole() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    let twice = inventory("\"10.98.0.2\", \"fe80::1\"", "\"10.98.0.2\", \"10.99.0.1\"");
    let Err(AdminError::Refused(reasons)) = center.admin.apply_inventory(twice).await else { panic!("accepted") };
    assert_eq!(reasons.lines().count(), 3, "{reasons}");
    let Err(AdminError::Refused(reasons)) = center.admin.publish("rules: 7").await else { panic!("accepted") };
    assert!(!reasons.is_empty());
    let claim = format!("{POLICY}tests: [\"web -> db tcp/1: allow\"]\n");
    let Err(AdminError::Refused(reasons)) = center.admin.publish(&claim).await else { panic!("accepted") };
    assert!(reasons.contains("the inventory has no VM `web`"), "{reasons}");
    assert!(matches!(center.admin.quarantine("db").await, Err(AdminError::Refused(_))));
    assert_eq!(center.admin.status().await.unwrap().generation, 0);
    let other = serve(ServeOptions::new(state.path().to_owned(), center.address), |_| (), async {}).await;
    assert!(matches!(other, Err(CenterError::Busy(_))), "{other:?}");
    center.stop().await;
}

#[tokio::test]
async fn a_new_certificate_ends_the_session_of_the_old_one() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let stolen = center.credentials("db").await;
    let mut thief = join(center.address, &stolen).await;
    let fresh = center.credentials("db").await;
    assert!(matches!(next(&mut thief).await, FromCenter::Refused { .. }));
    assert!(channel::connect(center.address, &stolen).await.is_err());
    drop(join(center.address, &fresh).await);
    drop(thief);
    center.stop().await;
}

#[tokio::test]
async fn silent_callers_of_one_address_take_no_room_from_others() {
    let state = tempfile::tempdir().unwrap();
    let center = start(state.path()).await;
    let call = async |from: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        socket.connect(center.address).await.unwrap()
    };
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(call("127.0.0.2").await);
    }
    let mut late = call("127.0.0.2").await;
    let closed = tokio::time::timeout(PATIENCE / 4, late.read(&mut [0; 1])).await.expect("closed at once");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    let mut other = call("127.0.0.3").await;
    other.write_all(b"this is no TLS").await.unwrap();
    assert!(other.read(&mut [0; 1]).await.unwrap() > 0, "it is answered by an alert");
    drop(silent);
    center.stop().await;
}

#[tokio::test]
async fn an_enrolment_is_short() {
    let state = tempfile::tempdir().unwrap();
    let mut center = start(state.path()).await;
    center.admin.apply_inventory(ordinary()).await.unwrap();
    let token = center.admin.token("db", PATIENCE).await.unwrap();
    let long = channel::enrol(center.address, &token.parse().unwrap(), vec![0; 100_000]).await;
    assert!(long.is_err(), "{long:?}");
    enrol(center.address, &token).await.expect("the token was not looked at");
    center.stop().await;
}

#[tokio::test]
async fn the_state_is_its_owners_alone() {
    let parent = tempfile::tempdir().unwrap();
    let state = parent.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    let center = start(&state).await;
    for (file, expected) in [(".", 0o700), ("admin.sock", 0o600), ("authority.key", 0o600)] {
        let mode = std::fs::metadata(state.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{file}");
    }
    center.stop().await;
    std::fs::write(parent.path().join("letters"), "").unwrap();
    std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = ServeOptions::new(parent.path().to_owned(), "127.0.0.1:0".parse().unwrap());
    let refused = serve(options, |_| (), async {}).await.unwrap_err();
    assert!(refused.to_string().contains("open to others (mode 755)"), "{refused}");
}
