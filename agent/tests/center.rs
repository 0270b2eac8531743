//! The real agent and the real center in one namespace of their own: enrolment, views, records, a center that returns.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test binary without harness"
)]

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::{Connection, Honest, Options, Order};
use center::{ServeOptions, serve};
use nix::sched::{CloneFlags, unshare};
use rtnetlink::{LinkUnspec, LinkVeth};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt};
use wire::admin::{self, AdminClient, AdminError};
use wire::{CenterEvent, Kind, Record};

const ME: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
const INVENTORY: &str = r#"{"managed": ["10.98.0.0/16"], "record_all": true,
    "vms": {"web": {"labels": {"app": "web"}, "addresses": ["10.98.0.1"]}, "db": {"addresses": ["10.98.0.2"]}}}"#;
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes this program an agent, of the center and the state folder that it names: one that can be killed.
const CHILD: &str = "EASTWEST_TEST_AGENT";

fn main() {
    if let Ok(text) = std::env::var(CHILD) {
        let (center, state) = text.split_once(' ').unwrap();
        agent::run(&options(center.parse().unwrap(), state.into(), None), Honest, || println!("ready")).unwrap();
        return;
    }
    let user = nix::unistd::geteuid();
    if !user.is_root() {
        let group = nix::unistd::getegid();
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1")).unwrap();
        std::fs::write("/proc/self/setgroups", "deny").unwrap();
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1")).unwrap();
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(links());
    let folder = tempfile::tempdir().unwrap();
    life(&runtime, folder.path());
    println!("ok: enrolled, judged, reported, found its center again");
}

/// Loopback for the channel, and a wire that leads nowhere, so that packets are judged.
async fn links() {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    handle.link().set(LinkUnspec::new_with_index(1).up().build()).execute().await.unwrap();
    handle.link().add(LinkVeth::new("eth0", "far").build()).execute().await.unwrap();
    let index = |name| nix::net::if_::if_nametoindex(name).unwrap();
    for name in ["far", "eth0"] {
        handle.link().set(LinkUnspec::new_with_index(index(name)).up().build()).execute().await.unwrap();
    }
    let index = index("eth0");
    handle.address().add(index, IpAddr::V4(ME), 16).execute().await.unwrap();
}

/// A center in a thread of its own.
struct Center {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Center {
    fn start(state: PathBuf, listen: SocketAddr) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let on_ready = |address| ready.send(address).unwrap();
            runtime.block_on(serve(ServeOptions::new(state, listen), on_ready, async { drop(stopped.await) })).unwrap();
        });
        Self { address: is_ready.recv_timeout(PATIENCE).unwrap(), stop, thread }
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// An agent in a thread of its own; gives what it returned.
fn agent(center: SocketAddr, state: PathBuf, token: Option<String>) -> JoinHandle<Result<(), agent::Error>> {
    let (ready, is_ready) = mpsc::channel();
    let options = options(center, state, token);
    let thread = std::thread::spawn(move || agent::run(&options, Honest, || ready.send(()).unwrap()));
    is_ready.recv_timeout(PATIENCE).unwrap();
    thread
}

fn options(center: SocketAddr, state: PathBuf, token: Option<String>) -> Options {
    Options {
        center: Some(center),
        state,
        token,
        token_file: None,
        policy: None,
        clock_offset: 0,
        protocol: wire::PROTOCOL,
        spool: 65_536,
        epochs: 2047,
    }
}

/// An agent in a process of its own.
fn process(center: SocketAddr, state: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut child = command.env(CHILD, format!("{center} {}", state.display())).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

/// Waits until an agent says that it made so many records; what it made it has written before it says so.
fn made(state: &Path, records: u64) -> agent::Status {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match agent::status(state) {
            Ok(status) if status.facts.records >= records => return status,
            Ok(_) | Err(_) => std::thread::yield_now(),
        }
    }
    panic!("{records} records were not made");
}

fn policy(rule: &str) -> String {
    format!("eastwest: policy/v1\nrules:\n  - name: {rule}\n    allow: udp/53\n    to: any\ndefault: deny\n")
}

/// Sends one datagram; a deny shows as an error of the call, or not at all.
fn send(to: [u8; 4], port: u16) {
    let socket = UdpSocket::bind((ME, 0)).unwrap();
    let _denied = socket.send_to(b"hello", (Ipv4Addr::from(to), port));
}

fn life(runtime: &Runtime, folder: &Path) {
    let (center_state, agent_state) = (folder.join("center"), folder.join("agent"));
    let center = Center::start(center_state.clone(), "127.0.0.1:0".parse().unwrap());
    let address = center.address;
    let mut admin = operator(runtime, &center_state);
    let token = runtime.block_on(async {
        admin.apply_inventory(serde_json::from_str(INVENTORY).unwrap()).await.unwrap();
        admin.token("web", Duration::from_secs(60)).await.unwrap()
    });
    let first = runtime.block_on(admin.publish(&policy("first"))).unwrap();
    let mut events = runtime.block_on(admin.watch()).unwrap();
    let running = agent(address, agent_state.clone(), Some(token));
    runtime.block_on(acked(&mut events, first));
    for (to, port, kind, rule) in [
        ([10, 98, 0, 2], 53, Kind::Allow, "first"),
        ([10, 98, 0, 2], 54, Kind::Deny, "default"),
        ([10, 98, 0, 9], 53, Kind::Deny, "eastwest/unknown"),
    ] {
        send(to, port);
        let record = runtime.block_on(record(&mut events));
        assert_eq!((record.kind, record.rule.as_str(), record.destination.port), (kind, rule, port));
        assert_eq!((record.generation_first, record.generation_last), (first, first));
        assert_eq!(record.source.vm.as_deref(), Some("web"));
    }
    let status = agent::status(&agent_state).unwrap();
    assert!(status.running && status.vm == "web", "{status:?}");
    assert_eq!((status.connection, status.facts.generation), (Connection::Connected, first));
    // The center goes; what happens meanwhile is told after its return.
    drop((events, admin));
    center.stop();
    send([10, 98, 0, 2], 55);
    let center = Center::start(center_state.clone(), address);
    let mut admin = operator(runtime, &center_state);
    let mut events = runtime.block_on(admin.watch()).unwrap();
    let told = runtime.block_on(record(&mut events));
    assert_eq!((told.kind, told.destination.port, told.key.sequence), (Kind::Deny, 55, 4));
    // Another removes the table: the next view brings it back whole.
    lose_table();
    let second = runtime.block_on(admin.publish(&policy("second"))).unwrap();
    runtime.block_on(acked(&mut events, second));
    send([10, 98, 0, 2], 56);
    let told = runtime.block_on(record(&mut events));
    assert_eq!((told.kind, told.destination.port, told.generation_last), (Kind::Deny, 56, second));
    end(running);
    // The next life needs no token, and begins with what was kept.
    let running = agent(address, agent_state.clone(), None);
    send([10, 98, 0, 2], 53);
    let told = runtime.block_on(record(&mut events));
    assert_eq!((told.kind, told.rule.as_str(), told.generation_last), (Kind::Allow, "second", second));
    end(running);
    assert!(!agent::status(&agent_state).unwrap().running);
    drop((events, admin));
    center.stop();
    killed(runtime, (&center_state, &agent_state), address);
    without_a_center(address, &agent_state, second);
    by_its_own_socket(runtime, (&center_state, &agent_state), address);
}

/// The center is away, two lives of the agent are killed, and a third one lives: all records arrive, once and in order.
fn killed(runtime: &Runtime, (center_state, state): (&Path, &Path), address: SocketAddr) {
    let mut expected = Vec::new();
    let mut ports = 1000..;
    for life in 0..3 {
        let mut child = process(address, state);
        let mut sent = Vec::new();
        for port in ports.by_ref().take(20) {
            send([10, 98, 0, 2], port);
            sent.push(port);
        }
        let status = made(state, 20);
        expected.extend(sent.into_iter().zip(1..).map(|(port, sequence)| (status.boot.clone(), sequence, port)));
        if life < 2 {
            child.kill().unwrap();
            child.wait().unwrap();
            continue;
        }
        let center = Center::start(center_state.to_owned(), address);
        let mut admin = operator(runtime, center_state);
        let query = wire::RecordQuery { after: 0, ..wire::RecordQuery::default() };
        let mut events = runtime.block_on(admin.watch()).unwrap();
        send([10, 98, 0, 2], 999);
        while runtime.block_on(record(&mut events)).destination.port != 999 {}
        let stored = runtime.block_on(admin.records(query)).unwrap();
        let told = stored.into_iter().map(|stored| stored.record);
        let told = told.map(|record| (record.key.boot, record.key.sequence, record.destination.port));
        let told: Vec<_> = told.skip_while(|(boot, _, _)| *boot != expected[0].0).collect();
        assert_eq!(told[..told.len() - 1], expected);
        assert_eq!(told[told.len() - 1].2, 999);
        drop((events, admin));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM)
            .unwrap();
        assert!(child.wait().unwrap().success());
        center.stop();
    }
    let entries = std::fs::read_dir(state.join("spool")).unwrap().map(Result::unwrap);
    let segments = entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "seg"));
    let spool: u64 = segments.map(|entry| entry.metadata().unwrap().len()).sum();
    assert_eq!(spool, 0, "what is stored is not kept");
}

/// The kept policy, or closed; never open: lives that begin without the center, with what was kept present, altered, torn
/// and absent.
fn without_a_center(address: SocketAddr, state: &Path, generation: u64) {
    let file = state.join("state.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    let altered = kept.replacen("\"bytes\":\"08", "\"bytes\":\"09", 1);
    assert_ne!(altered, kept);
    for (name, text, expected, said) in [
        ("present", Some(kept.as_str()), generation, None),
        ("altered", Some(&altered), 0, Some("its seal is not")),
        ("torn", Some(&kept[..kept.len() / 2]), 0, Some("it cannot be read")),
        ("absent", None, 0, None),
    ] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let running = agent(address, state.to_owned(), None);
        let status = agent::status(state).unwrap();
        let refused = status.refused_kept.as_deref();
        assert_eq!(status.facts.generation, expected, "{name}");
        assert!(said.map_or(refused.is_none(), |said| refused.unwrap().contains(said)), "{name}: {refused:?}");
        assert_eq!(leaves(53), expected != 0, "{name}");
        end(running);
    }
}

/// Suspended, through a death too; resumed; and taken away, while it runs and while it does not.
fn by_its_own_socket(runtime: &Runtime, (center_state, state): (&Path, &Path), address: SocketAddr) {
    let center = Center::start(center_state.to_owned(), address);
    let mut admin = operator(runtime, center_state);
    let mut events = runtime.block_on(admin.watch()).unwrap();
    let newest = runtime.block_on(admin.publish(&policy("third"))).unwrap();
    let mut child = process(address, state);
    runtime.block_on(acked(&mut events, newest));
    assert!(!leaves(54));
    assert_eq!(agent::order(state, Order::Suspend { seconds: 600 }).unwrap(), "suspended\n");
    assert!(leaves(54));
    let told = runtime.block_on(alert(&mut events));
    assert!(told.starts_with("suspended locally for 600 s by uid ") || told.contains("for 599 s"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(agent::order(state, Order::Resume).is_err(), "nobody is there");
    let running = agent(address, state.to_owned(), None);
    assert!(leaves(54), "a death ends no suspension");
    let status = agent::status(state).unwrap();
    assert!(status.suspended.is_some_and(|ease| ease.by.starts_with("uid ")));
    assert_eq!(agent::order(state, Order::Resume).unwrap(), "not suspended\n");
    assert!(!leaves(54));
    assert_eq!(runtime.block_on(alert(&mut events)), "its local suspension has ended");
    assert!(agent::uninstall(state).unwrap());
    running.join().unwrap().unwrap();
    assert!(leaves(54), "its rules are gone");
    assert!(!state.exists(), "something of it stays");
    while runtime.block_on(record(&mut events)).rule != "eastwest/uninstalled" {}
    assert!(agent::uninstall(state).is_err(), "there is nothing to take away");
    let token = runtime.block_on(admin.token("web", Duration::from_secs(60))).unwrap();
    end(agent(address, state.to_owned(), Some(token)));
    assert!(!leaves(54));
    assert!(!agent::uninstall(state).unwrap(), "none ran");
    assert!(leaves(54) && !state.exists());
    drop((events, admin));
    center.stop();
}

/// What the center tells its watchers to look at next.
async fn alert(events: &mut (impl Stream<Item = Event> + Unpin)) -> String {
    loop {
        if let CenterEvent::Alert { detail, .. } = next(events).await {
            return detail;
        }
    }
}

/// Whether a datagram to `db` leaves this VM: the output hook's drop shows as an error of the call.
fn leaves(port: u16) -> bool {
    let socket = UdpSocket::bind((ME, 0)).unwrap();
    socket.send_to(b"hello", (Ipv4Addr::new(10, 98, 0, 2), port)).is_ok()
}

fn operator(runtime: &Runtime, state: &Path) -> AdminClient {
    runtime.block_on(admin::connect(&ServeOptions::admin_socket(state))).unwrap()
}

/// Removes the agent's table, as a careless flush of all tables does.
fn lose_table() {
    let mut batch = nft::Batch::new();
    batch.delete_table(&agent::kernel::table());
    batch.commit(&mut nft::Socket::open().unwrap()).unwrap();
}

/// Ends the agent as an operator would.
fn end(agent: JoinHandle<Result<(), agent::Error>>) {
    nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGTERM).unwrap();
    agent.join().unwrap().unwrap();
}

type Event = Result<CenterEvent, AdminError>;

async fn next(events: &mut (impl Stream<Item = Event> + Unpin)) -> CenterEvent {
    tokio::time::timeout(PATIENCE, events.next()).await.expect("the center tells").unwrap().unwrap()
}

/// Waits until the agent acknowledged a generation.
async fn acked(events: &mut (impl Stream<Item = Event> + Unpin), generation: u64) {
    loop {
        if let CenterEvent::Agent(agent) = next(events).await
            && agent.vm == "web"
            && agent.acked >= generation
        {
            return;
        }
    }
}

/// The next record.
async fn record(events: &mut (impl Stream<Item = Event> + Unpin)) -> Record {
    loop {
        if let CenterEvent::Record(record) = next(events).await {
            return *record;
        }
    }
}
