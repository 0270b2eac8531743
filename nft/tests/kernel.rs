//! The crate against the real kernel, inside a network namespace of the test's own.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, reason = "a test binary without harness")]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use nft::{
    Batch, Connection, ConnectionUpdate, CtKey, Direction, Edge, Element, Error, Expr, Family, Header, Hook, HookPoint,
    Log, LogOptions, LogReader, Meddling, MetaKey, Policy, Reject, SetKind, SetSpec, Socket, Table, Test, Type,
    Verdict,
};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

type Case = (&'static str, fn(&mut Socket));

const CASES: [Case; 10] = [
    ("a table with every expression is taken, and listed as given", every_expression),
    ("every kind of element comes back as it went", elements),
    ("a refused batch names the operation and changes nothing", refused),
    ("counters of elements rise only for their key", counters),
    ("ten thousand elements go through in one batch", many),
    ("a log message carries mark, prefix and packet, and gaps add up", logged),
    ("a connection's mark is set under a mask, and the connection forgotten", connections),
    ("a fence drops frames of one edge, and ends", fences),
    ("what the rules of other tables do to marks and addresses is told, and nothing else", others),
    ("the program nft lists the same", listing),
];

fn main() {
    enter();
    let mut socket = Socket::open().unwrap();
    for (name, case) in CASES {
        case(&mut socket);
        println!("ok: {name}");
    }
}

fn enter() {
    let user = nix::unistd::geteuid();
    if !user.is_root() {
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1")).unwrap();
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    up();
}

/// Brings the loopback interface up, by a request of its own.
fn up() {
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, send, socket};
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), SockProtocol::NetlinkRoute).unwrap();
    let mut message = Vec::new();
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&16_u16.to_ne_bytes());
    message.extend_from_slice(&1_u16.to_ne_bytes());
    message.extend_from_slice(&[0; 12]);
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    message.extend_from_slice(&1_u32.to_ne_bytes());
    send(fd.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
}

fn fresh(socket: &mut Socket, name: &str) -> Table {
    let table = Table::new(Family::Inet, name);
    let mut batch = Batch::new();
    batch.add_table(&table).delete_table(&table).add_table(&table);
    batch.commit(socket).unwrap();
    table
}

fn remove(socket: &mut Socket, table: &Table) {
    let mut batch = Batch::new();
    batch.delete_table(table);
    batch.commit(socket).unwrap();
}

fn output(batch: &mut Batch, table: &Table) {
    let hook = Hook { point: HookPoint::Output, priority: 0, policy: Policy::Accept };
    batch.add_base_chain(table, "out", &hook);
}

fn every_expression(socket: &mut Socket) {
    let table = fresh(socket, "t");
    let log = Log { group: 7, prefix: "p".to_owned(), snaplen: 64, threshold: 1 };
    let rules: Vec<Vec<Expr>> = vec![
        vec![Expr::Meta(MetaKey::Mark, 0), Expr::bits(0, 0, 0xfff, 0x8000_0000), Expr::SetMeta(MetaKey::Mark, 0)],
        vec![Expr::Ct(CtKey::State, None, 0), Expr::bits(0, 0, 1, 0), Expr::word(0, Test::NotEqual, 0), Expr::Counter],
        vec![Expr::Ct(CtKey::Source6, Some(Direction::Original), 0), Expr::Map { set: "m6".into(), key: 0, into: 4 }],
        vec![Expr::Ct(CtKey::Mark, None, 0), Expr::SetCtMark(0)],
        vec![
            Expr::Payload { base: Header::Transport, offset: 8, length: 4, into: 0 },
            Expr::equal(0, *b"EWB1"),
            Expr::Log(log),
        ],
        vec![Expr::Immediate(0, vec![1, 0, 0, 0]), Expr::Range(0, true, vec![0; 4], vec![9; 4])],
        vec![Expr::Limit { rate: 10, burst: 20, over: true }, Expr::Verdict(Verdict::Drop)],
        vec![Expr::Random { modulus: 100, into: 0 }, Expr::NetworkOrder(0), Expr::word(0, Test::Less, 3)],
        vec![Expr::DestinationType(0), Expr::word(0, Test::Equal, 5), Expr::Verdict(Verdict::Return)],
        vec![
            Expr::Meta(MetaKey::Transport, 0),
            Expr::equal(0, [6]),
            Expr::Lookup { set: "s".into(), key: 0, inverted: true },
            Expr::Reject(Reject::TcpReset),
        ],
        vec![Expr::Reject(Reject::Prohibited)],
        vec![Expr::Meta(MetaKey::Transport, 0), Expr::VerdictMap { set: "v".into(), key: 0 }],
        vec![Expr::jump("other")],
        vec![Expr::goto("other")],
    ];
    let mut batch = Batch::new();
    batch.add_chain(&table, "other").add_set(&table, &SetSpec::map("m6", &[Type::Ipv6], Type::Mark));
    batch.add_set(&table, &SetSpec::plain("s", Type::Protocol));
    batch.add_set(
        &table,
        &SetSpec { name: "v".into(), key: vec![Type::Protocol], kind: SetKind::Verdicts, interval: false, size: None },
    );
    batch.add_elements(&table, "v", &[Element::key([6]).verdict(Verdict::Goto("other".into()))]);
    output(&mut batch, &table);
    for rule in &rules {
        batch.add_named_rule(&table, "out", rule, "why");
    }
    batch.commit(socket).unwrap();
    let listed = socket.rules(&table).unwrap();
    assert_eq!(listed.len(), rules.len());
    for (rule, info) in rules.iter().zip(&listed) {
        assert_eq!((info.expressions.len(), info.comment.as_str()), (rule.len(), "why"), "{rule:?}");
    }
    let handles: Vec<u64> = listed.iter().map(|rule| rule.handle).collect();
    assert_eq!((socket.handles(&table, "out").unwrap(), socket.handles(&table, "other").unwrap()), (handles, vec![]));
    let mut batch = Batch::new();
    batch.replace_rule(&table, "out", listed.first().unwrap().handle, &[Expr::Counter]).commit(socket).unwrap();
    let replaced = socket.rules(&table).unwrap();
    assert_eq!(replaced.first().unwrap().expressions, ["counter"]);
    assert_eq!(replaced.get(1..), listed.get(1..));
    let chains = socket.chains(&table).unwrap();
    assert_eq!(chains.iter().filter(|chain| chain.hook == Some((3, 0)) && chain.policy == Some(1)).count(), 1);
    assert_eq!(socket.sets(&table).unwrap().len(), 3);
    remove(socket, &table);
    assert!(socket.tables(Family::Inet).unwrap().is_empty());
}

fn elements(socket: &mut Socket) {
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    batch.add_set(&table, &SetSpec::map("pair", &[Type::Mark, Type::Mark], Type::Mark));
    batch.add_set(&table, &SetSpec::ranges("net", Type::Ipv4, Type::Mark));
    batch.add_set(&table, &SetSpec::ranges("port", Type::Port, Type::Mark));
    batch.add_set(&table, &SetSpec::counted("hits", Type::Mark));
    let value = 7_u32.to_ne_bytes();
    let mut net = Element::range(&[0, 0, 0, 0], &[9, 255, 255, 255], Some(&value));
    net.extend(Element::range(&[10, 0, 0, 0], &[255; 4], Some(&value)));
    batch.add_elements(&table, "net", &net);
    batch.add_elements(&table, "port", &Element::range(&[0, 22], &[0, 22], Some(&value)));
    batch.add_elements(&table, "pair", &[Element::key([1, 0, 0, 0, 2, 0, 0, 0]).value(value)]);
    let long = "x".repeat(400);
    batch.add_elements(
        &table,
        "hits",
        &[Element::key(value).comment("deny no-telnet"), Element::key([8, 0, 0, 0]).comment(&long)],
    );
    batch.commit(socket).unwrap();
    assert_eq!(socket.elements(&table, "net").unwrap().len(), 3);
    let port = socket.elements(&table, "port").unwrap();
    assert!(port.iter().any(|one| one.key == [0, 23] && one.end));
    assert!(port.iter().any(|one| one.key == [0, 22] && !one.end && one.value.as_deref() == Some(&value)));
    assert_eq!(socket.elements(&table, "pair").unwrap().first().unwrap().key.len(), 8);
    let hits = nft::read_counters(socket, &table, "hits").unwrap();
    let seven = hits.iter().find(|one| one.key == 7).unwrap();
    assert_eq!((seven.comment.as_str(), seven.packets), ("deny no-telnet", 0));
    assert_eq!(hits.iter().find(|one| one.key == 8).unwrap().comment.len(), 250);
    remove(socket, &table);
}

fn refused(socket: &mut Socket) {
    let table = fresh(socket, "t");
    let before = socket.generation().unwrap();
    let mut batch = Batch::new();
    batch.add_chain(&table, "new").flush_chain(&table, "missing").add_rule(&table, "new", &[Expr::Counter]);
    let Err(Error::Refused(all)) = batch.commit(socket) else { panic!("a flush of nothing was granted") };
    assert_eq!(
        all.iter().map(|one| (one.operation.as_str(), one.errno)).collect::<Vec<_>>(),
        [("flush chain inet t missing", Errno::ENOENT)]
    );
    assert!(socket.chains(&table).unwrap().is_empty());
    assert_eq!(socket.generation().unwrap(), before);
    remove(socket, &table);
    assert!(socket.elements(&table, "none").unwrap_err().is_absent());
}

fn counters(socket: &mut Socket) {
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    batch.add_set(&table, &SetSpec::counted("hits", Type::Port));
    batch.add_elements(&table, "hits", &[Element::key([0x1b, 0x58]), Element::key([0x1b, 0x59])]);
    output(&mut batch, &table);
    let port = Expr::Payload { base: Header::Transport, offset: 2, length: 2, into: 0 };
    batch.add_rule(&table, "out", &[port, Expr::Lookup { set: "hits".into(), key: 0, inverted: false }, Expr::Counter]);
    batch.commit(socket).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for port in [7000, 7000, 7001, 7002] {
        udp.send_to(b"x", ("127.0.0.1", port)).unwrap();
    }
    let all = socket.elements(&table, "hits").unwrap();
    let of = |low| all.iter().find(|one| one.key == [0x1b, low]).unwrap().counter.unwrap().0;
    assert_eq!((of(0x58), of(0x59)), (2, 1));
    assert_eq!(socket.rules(&table).unwrap().first().unwrap().counter.unwrap().0, 3);
    remove(socket, &table);
}

fn many(socket: &mut Socket) {
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    batch.add_set(&table, &SetSpec::map("m", &[Type::Mark], Type::Mark));
    let all: Vec<_> = (0..10_000_u32).map(|n| Element::key(n.to_ne_bytes()).value(n.to_ne_bytes())).collect();
    batch.add_elements(&table, "m", &all);
    batch.commit(socket).unwrap();
    assert_eq!(socket.elements(&table, "m").unwrap().len(), 10_000);
    let at = |socket: &mut Socket, keys: std::ops::Range<u32>| {
        let keys: Vec<_> = keys.map(|n| Element::key(n.to_ne_bytes())).collect();
        socket.elements_at(&table, "m", &keys).unwrap()
    };
    let number = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap());
    let some = at(socket, 9_900..10_000).unwrap();
    let some: Vec<_> = some.iter().map(|one| (number(&one.key), number(one.value.as_deref().unwrap()))).collect();
    assert_eq!(some, (9_900..10_000).map(|n| (n, n)).collect::<Vec<_>>());
    assert_eq!((at(socket, 9_990..10_001), at(socket, 0..0)), (None, Some(Vec::new())));
    remove(socket, &table);
}

fn logged(socket: &mut Socket) {
    let mut reader = LogReader::open(LogOptions { group: 5, ..LogOptions::default() }).unwrap();
    assert!(LogReader::open(LogOptions { group: 5, ..LogOptions::default() }).is_err(), "two readers of a group");
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    output(&mut batch, &table);
    let log = |prefix: &str, threshold| Expr::Log(Log { group: 5, prefix: prefix.to_owned(), snaplen: 0, threshold });
    let mark = Expr::Immediate(0, 0xabc_u32.to_ne_bytes().to_vec());
    batch.add_rule(&table, "out", &[mark, Expr::SetMeta(MetaKey::Mark, 0), log("first", 0), log("second", 1)]);
    batch.commit(socket).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:7000").unwrap();
    udp.send_to(b"hello", ("127.0.0.1", 7000)).unwrap();
    let batch = reader.read_batch().unwrap().unwrap();
    let [first, second] = batch.packets.as_slice() else { panic!("{batch:?}") };
    assert_eq!((first.prefix.as_str(), second.prefix.as_str(), batch.lost), ("first", "second", 0));
    assert_eq!((first.mark, first.hook, first.protocol, first.out_index), (0xabc, 3, 0x0800, 1));
    assert_eq!(first.payload.get(28..), Some(&b"hello"[..]));
    assert!(first.uid.is_some());
    remove(socket, &table);
    drop((reader, udp));
    let small = LogOptions { group: 5, buffer: 1, threshold: 1, ..LogOptions::default() };
    overrun(socket, LogReader::open(small).unwrap());
}

/// Received and lost together are what the rule counted.
fn overrun(socket: &mut Socket, mut reader: LogReader) {
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    output(&mut batch, &table);
    let log = Log { group: 5, prefix: "x".to_owned(), snaplen: 0, threshold: 0 };
    batch.add_rule(&table, "out", &[Expr::Log(log), Expr::Counter]);
    batch.commit(socket).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:7000").unwrap();
    let (mut received, mut lost, mut overrun) = (0, 0, false);
    let mut read = |reader: &mut LogReader| {
        while let Some(batch) = reader.read_batch().unwrap() {
            received += batch.packets.len() as u64;
            lost += batch.lost;
            overrun |= batch.overrun;
        }
    };
    for _ in 0..500 {
        udp.send_to(&[0; 1000], ("127.0.0.1", 7000)).unwrap();
    }
    read(&mut reader);
    udp.send_to(b"last", ("127.0.0.1", 7000)).unwrap();
    read(&mut reader);
    let counted = socket.rules(&table).unwrap().first().unwrap().counter.unwrap().0;
    assert!(overrun && lost > 0, "nothing was lost: {received}");
    assert_eq!(received + lost, counted);
    remove(socket, &table);
}

fn connections(socket: &mut Socket) {
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    output(&mut batch, &table);
    batch.add_rule(&table, "out", &[Expr::Immediate(0, 0x8010_0007_u32.to_ne_bytes().to_vec()), Expr::SetCtMark(0)]);
    batch.commit(socket).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let six = UdpSocket::bind("[::1]:0").unwrap();
    six.send_to(b"x", "[::1]:9").unwrap();
    let _stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let find = |all: Vec<Connection>| all.into_iter().find(|one| one.original.destination_port == port);
    let all = socket.connections().unwrap();
    assert!(all.iter().any(|one| one.original.destination == IpAddr::from(Ipv6Addr::LOCALHOST)));
    let one = find(all).unwrap();
    assert_eq!((one.original.source, one.mark), (IpAddr::from(Ipv4Addr::LOCALHOST), 0x8010_0007));
    socket.update_connection(&one, ConnectionUpdate { mask: 0x7ff0_0000, value: 0 }).unwrap();
    assert_eq!(find(socket.connections().unwrap()).unwrap().mark, 0x8000_0007);
    socket.delete_connection(&one).unwrap();
    assert_eq!(find(socket.connections().unwrap()), None);
    assert!(socket.delete_connection(&one).unwrap_err().is_absent());
    remove(socket, &table);
}

fn fences(socket: &mut Socket) {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let to = receiver.local_addr().unwrap();
    let arrives = || {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sent = (0..200).filter(|_| sender.send_to(b"x", to).is_ok()).count();
        let mut buffer = [0; 4];
        (sent, std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count())
    };
    assert_eq!(arrives().1, 200);
    nft::fence_device(socket, "cut", "lo", Edge::Both, 100).unwrap();
    assert_eq!(arrives().1, 0);
    nft::unfence(socket, "cut").unwrap();
    nft::unfence(socket, "cut").unwrap();
    nft::fence_device(socket, "loss", "lo", Edge::Ingress, 50).unwrap();
    let (_, some) = arrives();
    assert!((50..150).contains(&some), "{some} of 200 at half loss");
    nft::unfence(socket, "loss").unwrap();
    nft::fence_macs(socket, "split", &[[2, 0, 0, 0, 0, 1]], &[[2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]]).unwrap();
    nft::unfence(socket, "split").unwrap();
    assert_eq!(arrives().1, 200);
}

fn others(socket: &mut Socket) {
    let (ours, theirs) = (fresh(socket, "ours"), fresh(socket, "theirs"));
    let mut batch = Batch::new();
    output(&mut batch, &ours);
    output(&mut batch, &theirs);
    let read = [Expr::Ct(CtKey::Mark, None, 0), Expr::Meta(MetaKey::Mark, 0), Expr::Counter];
    batch.add_rule(&theirs, "out", &read).add_rule(&ours, "out", &[Expr::Meta(MetaKey::Mark, 0), Expr::SetCtMark(0)]);
    batch.commit(socket).unwrap();
    assert_eq!(socket.others(std::slice::from_ref(&ours)).unwrap(), [], "who reads marks does nobody harm");
    let mut batch = Batch::new();
    let write = [Expr::Meta(MetaKey::Mark, 0), Expr::SetCtMark(0), Expr::SetMeta(MetaKey::Mark, 0)];
    batch.add_rule(&theirs, "out", &write).add_rule(&theirs, "out", &write);
    batch.commit(socket).unwrap();
    let mut expected =
        vec![("inet theirs".to_owned(), Meddling::ConnectionMark), ("inet theirs".to_owned(), Meddling::PacketMark)];
    assert_eq!(socket.others(std::slice::from_ref(&ours)).unwrap(), expected);
    let nft = |command: &str| Command::new("nft").arg(command).status().is_ok_and(|status| status.success());
    let table = "table ip nat { chain out { type nat hook output priority -100; tcp dport 81 redirect to :80; }; }";
    if nft(&format!("add {table}")) {
        expected.push(("ip nat".to_owned(), Meddling::Translation));
        assert_eq!(socket.others(std::slice::from_ref(&ours)).unwrap(), expected);
        let chain = |what| format!("{{ chain out {{ type filter hook output priority -150; {what}; }}; }}");
        assert!(nft(&format!("add table ip life {}", chain("ip ttl set 9"))), "it is none of ours");
        assert_eq!(socket.others(std::slice::from_ref(&ours)).unwrap(), expected);
        for (family, what) in
            [("ip", "ip daddr set 10.0.0.9"), ("ip6", "ip6 saddr set fd00::9"), ("inet", "udp dport set 9")]
        {
            assert!(nft(&format!("add table {family} re {}", chain(what))));
            let told = socket.others(std::slice::from_ref(&ours)).unwrap();
            assert!(told.contains(&(format!("{family} re"), Meddling::Rewriting)), "{what}: {told:?}");
            assert!(nft(&format!("delete table {family} re")));
        }
        assert!(nft("delete table ip nat") && nft("delete table ip life"));
    } else {
        println!("   skipped: the program nft is not here, or the kernel translates nothing");
    }
    remove(socket, &ours);
    remove(socket, &theirs);
}

fn listing(socket: &mut Socket) {
    if Command::new("nft").arg("--version").output().is_err() {
        println!("   skipped: the program nft is not here");
        return;
    }
    let table = fresh(socket, "t");
    let mut batch = Batch::new();
    batch.add_set(&table, &SetSpec::map("m", &[Type::Mark], Type::Mark));
    batch.add_elements(&table, "m", &[Element::key(5_u32.to_ne_bytes()).value(6_u32.to_ne_bytes()).comment("five")]);
    batch.add_set(&table, &SetSpec::ranges("net", Type::Ipv4, Type::Mark));
    batch.add_elements(&table, "net", &Element::range(&[10, 0, 0, 0], &[10, 0, 0, 255], Some(&6_u32.to_ne_bytes())));
    batch.add_set(&table, &SetSpec::counted("hits", Type::Mark));
    batch.add_elements(&table, "hits", &[Element::key(9_u32.to_ne_bytes()).comment("deny x")]);
    output(&mut batch, &table);
    let log = Log { group: 98, prefix: "in deny".to_owned(), snaplen: 96, threshold: 0 };
    batch.add_rule(&table, "out", &[Expr::Limit { rate: 20_000, burst: 40_000, over: false }, Expr::Log(log)]);
    batch.commit(socket).unwrap();
    let listed = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    for part in [
        r#"elements = { 0x00000005 comment "five" : 0x00000006 }"#,
        "10.0.0.0/24 : 0x00000006",
        r#"elements = { 0x00000009 counter packets 0 bytes 0 comment "deny x" }"#,
        "limit rate 20000/second burst 40000 packets log prefix \"in deny\" group 98 snaplen 96",
        "type filter hook output priority filter; policy accept;",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    remove(socket, &table);
}
