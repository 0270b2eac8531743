//! The machine against a kernel that is a log of what it was asked, and a center that is a log of what it heard.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod views;
mod world;

use agent_core::{
    Config, Direction, Former, KernelRequest, Limits, LogEvent, LogKind, Machine, Numbering, State, Word,
};
use policy::{Action, End, FlowService, ServiceMatch, Verdict};
use views::{ANY, FINANCE, HR, rule, tcp, udp};
use wire::{Ack, AckResult, FromAgent, Kind, Record, ViewRule};
use world::{World, config, generation, web};

#[test]
fn a_ruleset_is_kept_before_it_is_applied_and_acknowledged_after() {
    let mut world = World::connected();
    // Marks of unknown origin may stand whether a table stands or not.
    world.check(&["keep 0", "apply 1", "sweep but 0", "keep 0", "hello 0"]);
    world.view(generation(1, vec![web()]));
    world.check(&["keep 1", "apply 2", "ack 1"]);
    // The same verdicts by the same rules: the kernel is not touched.
    world.view(generation(2, vec![web(), rule("never", Action::Deny, &[tcp(80, 80)], ANY)]));
    world.check(&["keep 2", "ack 2"]);
    // Another rule gives the same verdict.
    world.view(generation(3, vec![ViewRule { name: "site".into(), ..web() }]));
    world.check(&["keep 3", "apply 3", "ack 3"]);
}

#[test]
fn a_refused_ruleset_leaves_the_one_before_and_the_next_heals() {
    let mut world = World::connected();
    world.view(generation(1, vec![web()]));
    world.seen.clear();
    world.sick = true;
    world.view(generation(2, vec![]));
    world.check(&["keep 2", "refuse", "keep 1", "refused 2: no memory"]);
    assert_eq!(world.machine.facts().refused, Some((2, "no memory".into())));
    world.view(generation(3, vec![rule("ssh", Action::Allow, &[tcp(22, 22)], HR)]));
    // Its number is spent: what the kernel did in truth is not known when its answer is lost.
    world.check(&["keep 3", "apply 4", "ack 3"]);
    assert_eq!(world.machine.facts().refused, None);
}

#[test]
fn what_is_too_big_is_refused_whole_with_the_numbers() {
    let mut world = World::connected();
    world.view(generation(1, vec![web()]));
    world.seen.clear();
    let addresses =
        (0..agent_core::MOST_ADDRESSES as u32 + 1).map(|n| std::net::Ipv4Addr::from(0x0b00_0000 + n).into());
    let mut big = generation(2, vec![]);
    big.peers[0].addresses = addresses.collect();
    world.view(big);
    world.check(&["refused 2: this policy needs 200007 addresses of peers, and at most 200000 are possible"]);
    assert_eq!(world.machine.facts().generation, 1);
}

#[test]
fn a_policy_that_takes_most_numbers_is_applied_at_once() {
    let mut world = World::connected();
    world.seen.clear();
    let rules = |mark: char| -> Vec<ViewRule> {
        let ports = (1..=17_500).flat_map(|port| [tcp(port, port), udp(port)]);
        ports.enumerate().map(|(n, port)| rule(&format!("{mark}{n}"), Action::Allow, &[port], ANY)).collect()
    };
    world.view(generation(1, rules('a')));
    world.check(&["keep 1", "apply 2", "ack 1"]);
    // Both hold numbers until the one before is gone: what has no room beside it is refused.
    world.view(generation(2, rules('b')));
    let full = "refused 2: this policy needs 131056 outcomes, and at most 131055 are possible";
    world.check(&["sweep but 2", "keep 1", full]);
    world.view(generation(3, vec![web()]));
    world.seen.clear();
    world.view(generation(4, rules('b')));
    assert!(world.seen.contains(&"ack 4".to_owned()), "{:?}", world.seen);
}

#[test]
fn views_that_come_while_the_kernel_works_are_squashed() {
    let mut machine = Machine::new(config(2047), None, Former::default());
    machine.poll_persist().unwrap();
    assert!(matches!(machine.poll_kernel(), Some(KernelRequest::Apply { .. })));
    machine.handle_connected(Vec::new());
    for number in 1..=3 {
        machine.handle_view(generation(number, vec![web()]), 0);
        assert_eq!(machine.poll_kernel(), None);
    }
    machine.handle_committed(0);
    assert_eq!(machine.poll_kernel(), Some(KernelRequest::Sweep { except: 0 }));
    machine.handle_swept(0);
    assert_eq!(machine.poll_kernel(), None, "the state comes first");
    assert_eq!(machine.poll_persist().unwrap().view.unwrap().generation, 3);
    assert!(matches!(machine.poll_kernel(), Some(KernelRequest::Apply { ruleset, .. }) if ruleset.epoch == 2));
    machine.handle_committed(0);
    assert!(matches!(machine.poll_send(), Some(FromAgent::Hello(_))));
    assert_eq!(machine.poll_send(), Some(FromAgent::Ack(Ack { generation: 3, result: AckResult::InForce })));
    assert_eq!(machine.poll_send(), None);
}

#[test]
fn a_number_is_used_again_after_a_sweep_alone() {
    let mut world = World::new(3, None);
    let mut expected = vec!["keep 0".to_owned(), "apply 1".to_owned(), "sweep but 0".to_owned()];
    // Epoch 1 may stand in marks until the sweep before its second use; that sweep leaves epoch 3.
    for (number, epoch, sweep) in
        [(1, 2, None), (2, 3, None), (3, 1, Some(3)), (4, 2, None), (5, 3, Some(2)), (6, 1, None), (7, 2, Some(1))]
    {
        world.view(generation(number, vec![ViewRule { name: format!("r{number}"), ..web() }]));
        if let Some(except) = sweep {
            expected.push(format!("sweep but {except}"));
        }
        expected.extend([format!("keep {number}"), format!("apply {epoch}")]);
    }
    let applied: Vec<_> = world.seen.iter().filter(|line| !line.starts_with("keep")).cloned().collect();
    let wanted: Vec<_> = expected.iter().filter(|line| !line.starts_with("keep")).cloned().collect();
    assert_eq!(applied, wanted);
}

#[test]
fn a_new_life_begins_with_what_was_kept() {
    let mut world = World::connected();
    world.view(generation(5, vec![web()]));
    let kept = world.kept.clone();
    let words = world.kernel.as_ref().unwrap().inbound.clone();
    // The kept policy, in a fresh epoch, under the same numbers.
    let mut next = World::new(2047, kept.clone());
    next.check(&["keep 5", "apply 3"]);
    assert_eq!(next.kernel.as_ref().unwrap().inbound, words);
    next.machine.handle_connected(Vec::new());
    next.pump(0);
    next.view(generation(5, vec![web()]));
    next.check(&["hello 5", "ack 5"]);
    // Through JSON goes all but the view, which its seal stands for.
    let seal = std::sync::Arc::new(wire::Seal { bytes: vec![0, 0x7f, 0xff], signature: vec![1] });
    let kept = State { seal: Some(seal), ..kept.unwrap() };
    let text = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<State>(&text).unwrap(), State { view: None, ..kept });
    // What stands is of unknown history: closed, and every old mark is wiped, also those that name epoch 1.
    let mut strange = World::new(2047, None);
    strange.check(&["keep 0", "apply 1", "sweep but 0", "keep 0"]);
    let closed = strange.kernel.as_ref().unwrap();
    assert!(closed.inbound.is_empty() && closed.default_in.action() == Some(agent_core::Action::Deny));
}

#[test]
fn a_rule_ends_without_the_center() {
    let mut world = World::connected();
    let guest = ViewRule { until: Some(1_000_500), ..web() };
    world.view(generation(1, vec![guest.clone()]));
    world.seen.clear();
    assert_eq!(world.machine.poll_timeout(0), Some(500));
    world.machine.handle_tick(499);
    world.pump(499);
    world.check(&[]);
    world.machine.handle_tick(500);
    world.pump(500);
    world.check(&["keep 1", "apply 3"]);
    assert_eq!(world.machine.poll_timeout(500), None);
    // After a boot without the center's time the allow rule is taken as ended; with the time it is not.
    let mut next = World::new(2047, Some(State { view: Some(generation(1, vec![guest]).into()), ..State::default() }));
    assert!(next.kernel.as_ref().unwrap().inbound.values().all(|word| word.action() == Some(agent_core::Action::Deny)));
    next.machine.handle_connected(Vec::new());
    next.machine.handle_time(1_000_000, 10);
    next.pump(10);
    assert_eq!(next.machine.poll_timeout(10), Some(510));
    assert!(
        next.kernel.as_ref().unwrap().inbound.values().any(|word| word.action() == Some(agent_core::Action::Allow))
    );
}

#[test]
fn the_centers_time_is_carried_and_only_moves_on_within_a_session() {
    let guest = ViewRule { until: Some(1_000_500), ..web() };
    let with_clock = |words: &[(i64, u64)]| {
        let mut world = World::connected();
        world.machine.handle_time(1_000_000, 0);
        world.view(generation(1, vec![guest.clone()]));
        words.iter().for_each(|(center, now)| world.machine.handle_heartbeat(*center, *now));
        world.machine.poll_timeout(10)
    };
    // In time; on its way for 90 ms; the agent's clock was 90 ms slow; it stood still (a suspended VM).
    let rows: [(&[(i64, u64)], u64); 4] = [
        (&[(1_000_010, 10)], 500),
        (&[(1_000_010, 100)], 500),
        (&[(1_000_100, 10)], 410),
        (&[(1_000_010, 10), (1_003_000, 10)], 0),
    ];
    for (words, due) in rows {
        assert_eq!(with_clock(words), Some(due), "{words:?}");
    }
}

#[test]
fn a_machine_that_has_none_of_its_views_addresses_is_closed_but_for_its_center() {
    let center = Some("10.98.255.254:7443".parse().unwrap());
    let open = |seen: &[&str]| {
        let addresses = seen.iter().map(|address| address.parse().unwrap()).collect();
        let mut world = World::of(agent_core::Config { center, addresses, ..config(2047) }, None);
        world.machine.handle_connected(Vec::new());
        world.view(generation(1, vec![web()]));
        world
    };
    let allows = |world: &World| {
        let kernel = world.kernel.as_ref().unwrap();
        (kernel.inbound.values().any(|word| word.action() == Some(agent_core::Action::Allow)), kernel.own.is_empty())
    };
    let own = generation(1, vec![]).addresses[0].to_string();
    for (seen, wanted) in [
        (vec![own.as_str()], (true, false)),
        (vec!["192.0.2.1", own.as_str()], (true, false)),
        (vec![], (true, false)),
        (vec!["192.0.2.1"], (false, true)),
    ] {
        assert_eq!(allows(&open(&seen)), wanted, "{seen:?}");
    }
    let mut moved = open(&[&own]);
    moved.machine.handle_addresses(vec!["192.0.2.1".parse().unwrap()], 10);
    moved.pump(10);
    assert_eq!(allows(&moved), (false, true));
    moved.machine.handle_addresses(vec![own.parse().unwrap()], 20);
    moved.pump(20);
    assert_eq!(allows(&moved), (true, false));
}

#[test]
fn a_reborn_address_is_forgotten() {
    let mut world = World::connected();
    world.view(generation(1, vec![web()]));
    world.seen.clear();
    let mut reborn = generation(2, vec![web(), rule("db", Action::Allow, &[tcp(5432, 5432)], FINANCE)]);
    reborn.peers[3].vm = "other".into();
    world.view(reborn);
    world.check(&["keep 2", "apply 3 forget 10.98.0.5 forget fd98::5", "ack 2"]);
    // Also where the new owner gets just what the old one got.
    let mut alike = generation(3, vec![web(), rule("db", Action::Allow, &[tcp(5432, 5432)], FINANCE)]);
    alike.peers[3].vm = "third".into();
    world.view(alike);
    world.check(&["keep 3", "apply 4 forget 10.98.0.5 forget fd98::5", "ack 3"]);
}

/// An IPv4 TCP SYN; `sequence` tells packets apart.
fn syn(source: [u8; 4], destination: [u8; 4], ports: (u16, u16), sequence: u32) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    bytes.extend(source);
    bytes.extend(destination);
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0; 12]);
    bytes
}

const ME: [u8; 4] = [10, 98, 0, 1];
const HR_2: [u8; 4] = [10, 98, 0, 2];
const OUTSIDE: [u8; 4] = [8, 8, 8, 8];

/// `KIND SOURCE > DESTINATION VERDICT RULE at END [was RULE] generations`.
fn told(record: &Record) -> String {
    let end = |end: &wire::FlowEnd| format!("{}({}):{}", end.vm.as_deref().unwrap_or("-"), end.address, end.port);
    let was = record.admitted_by.as_ref().map(|rule| format!(" was {rule}")).unwrap_or_default();
    let would =
        record.would.as_ref().map(|would| format!(" would {} {}", would.verdict, would.rule.as_deref().unwrap()));
    format!(
        "{:?} {} > {} {} {} at {}{was}{} {}-{}",
        record.kind,
        end(&record.source),
        end(&record.destination),
        record.verdict,
        record.rule,
        record.end,
        would.unwrap_or_default(),
        record.generation_first,
        record.generation_last
    )
}

#[test]
fn log_words_become_records_in_the_flows_direction() {
    let mut world = World::connected();
    world.view(generation(4, vec![web()]));
    let to_web = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    world.log(LogKind::Allow, Direction::In, to_web, &syn(HR_2, ME, (4000, 80), 1));
    let to_ssh = world.mark(false, "8.8.8.8", FlowService::Tcp(22));
    world.log(LogKind::Deny, Direction::Out, to_ssh, &syn(ME, OUTSIDE, (4001, 22), 2));
    world.view(generation(5, vec![web()]));
    world.log(LogKind::Deny, Direction::Out, to_ssh, &syn(ME, OUTSIDE, (4002, 22), 3));
    let unknown = world.mark(true, "10.98.7.7", FlowService::Tcp(80));
    world.log(LogKind::Deny, Direction::In, unknown, &syn([10, 98, 7, 7], ME, (4003, 80), 4));
    world.log(LogKind::Invalid, Direction::In, 0, &syn(HR_2, ME, (4004, 80), 5));
    // A cut on an answer: the packet leaves this machine, the flow came in.
    world.view(generation(6, vec![]));
    let cut = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    let answer = syn(ME, HR_2, (80, 4000), 6);
    world.log(LogKind::Was, Direction::Out, to_web, &answer);
    world.log(LogKind::Cut, Direction::Out, cut, &answer);
    world.log(LogKind::Deny, Direction::In, 0x0003_ffff | 2 << 20, &answer);
    world.machine.handle_lost(3);
    world.pump(0);
    let seen: Vec<_> = world.records.iter().map(told).collect();
    assert_eq!(
        seen,
        [
            "Allow hr-2(10.98.0.2):4000 > hr-1(10.98.0.1):80 allow web at destination 4-4",
            "Deny hr-1(10.98.0.1):4001 > -(8.8.8.8):22 deny default at source 4-4",
            "Deny hr-1(10.98.0.1):4002 > -(8.8.8.8):22 deny default at source 4-5",
            "Deny -(10.98.7.7):4003 > hr-1(10.98.0.1):80 deny eastwest/unknown at destination 4-5",
            "Invalid hr-2(10.98.0.2):4004 > hr-1(10.98.0.1):80 deny eastwest/invalid at destination 4-5",
            "Cut hr-2(10.98.0.2):4000 > hr-1(10.98.0.1):80 deny default at destination was web 6-6",
        ]
    );
    let packets: Vec<_> = world.records.iter().map(|record| record.packets).collect();
    assert_eq!(packets, [1, 1, 1, 1, 1, 1]);
    let keys: Vec<_> = world.records.iter().map(|record| (record.key.vm.as_str(), record.key.sequence)).collect();
    assert_eq!(keys, (1..=6).map(|sequence| ("hr-1", sequence)).collect::<Vec<_>>());
    assert_eq!((world.records[0].tcp_sequence, world.records[0].end), (Some(1), End::Destination));
}

#[test]
fn a_lost_half_of_a_cut_does_not_speak_for_the_next() {
    let mut world = World::connected();
    world.view(generation(1, vec![web()]));
    let packet = syn(HR_2, ME, (4000, 80), 1);
    let by_web = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    world.log(LogKind::Was, Direction::In, by_web, &packet);
    world.view(generation(2, vec![ViewRule { name: "site".into(), ..web() }]));
    let by_site = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    world.view(generation(3, vec![]));
    let cut = world.mark(true, "10.98.0.2", FlowService::Tcp(80));
    world.log(LogKind::Was, Direction::In, by_site, &packet);
    world.log(LogKind::Cut, Direction::In, cut, &packet);
    assert_eq!(world.records[0].admitted_by.as_deref(), Some("site"));
    // Neither does the first one, which is past.
    world.log(LogKind::Cut, Direction::In, cut, &packet);
    assert_eq!(world.records[1].admitted_by, None);
}

#[test]
fn a_sentinel_gives_its_nonce() {
    let mut world = World::connected();
    let mut bytes = vec![0x45, 0, 0, 48, 0, 0, 0, 0, 64, 17, 0, 0];
    bytes.extend(HR_2);
    bytes.extend(ME);
    bytes.extend([0x10, 0, 0xfd, 0xe6, 0, 28, 0, 0]);
    bytes.extend(b"EWB1");
    bytes.extend(0..16);
    let word = agent_core::Builtin::Barrier.word();
    world.log(LogKind::Barrier, Direction::In, 1 << 20 | word.0, &bytes);
    let record = &world.records[0];
    assert_eq!((record.kind, record.rule.as_str()), (Kind::Barrier, "eastwest/barrier"));
    assert_eq!(record.detail, "000102030405060708090a0b0c0d0e0f");
    assert_eq!(record.destination.port, 64998);
}

#[test]
fn records_wait_for_the_center_and_the_loss_is_said() {
    const CAPACITY: usize = 1000;
    let spool = Limits { records: CAPACITY, ..Limits::default() };
    let mut world = World::of(Config { spool, ..config(2047) }, None);
    let word = agent_core::Builtin::Invalid.word();
    for sequence in 0..CAPACITY as u32 + 5 {
        let event = LogEvent {
            kind: LogKind::Invalid,
            direction: Direction::In,
            mark: word.0,
            packet: syn(HR_2, ME, (1, 2), sequence),
        };
        world.machine.handle_log(&event, 0);
    }
    assert_eq!((world.machine.facts().waiting, world.machine.facts().lost), (CAPACITY as u64, 5));
    world.machine.handle_connected(Vec::new());
    world.pump(0);
    assert_eq!(world.records.len(), CAPACITY);
    world.machine.handle_stored("another", 100);
    world.machine.handle_stored("b", 100);
    // What was not stored is sent again after the session broke, and the loss is said in its place.
    world.machine.handle_disconnected();
    world.records.clear();
    world.machine.handle_connected(Vec::new());
    world.pump(0);
    let sequences: Vec<_> = world.records.iter().map(|record| record.key.sequence).collect();
    assert_eq!(sequences, (101..=CAPACITY as u64 + 1).collect::<Vec<_>>());
    let last = world.records.last().unwrap();
    assert_eq!((last.kind, last.packets), (Kind::Gap, 5));
    world.machine.handle_stored("b", u64::MAX);
    assert_eq!(world.machine.facts().waiting, 0);
}

#[test]
fn records_made_before_the_agent_knows_its_name_bear_it() {
    let machine = Machine::new(Config { vm: String::new(), ..config(2047) }, None, Former::default());
    let mut world = World { machine, kernel: None, kept: None, records: Vec::new(), seen: Vec::new(), sick: false };
    world.pump(0);
    let mark = agent_core::Builtin::Invalid.word().0;
    let packet = syn(HR_2, ME, (1, 2), 3);
    world.machine.handle_log(&LogEvent { kind: LogKind::Invalid, direction: Direction::In, mark, packet }, 0);
    world.machine.handle_enrolled("hr-1");
    world.machine.handle_connected(Vec::new());
    world.pump(0);
    let vms: Vec<_> = world.records.iter().map(|record| record.key.vm.as_str()).collect();
    assert_eq!(vms, ["hr-1"]);
}

#[test]
fn what_others_change_is_told_and_laid_anew_once() {
    let mut world = World::connected();
    world.view(generation(4, vec![web()]));
    world.seen.clear();
    for (changes, ours, expected) in [(3, true, vec!["repair 2"]), (0, false, vec![])] {
        world.machine.handle_tampered(changes, "delete rule in judge_in".to_owned() + &"x".repeat(600), ours);
        world.pump(0);
        world.check(&expected);
        let told = world.records.pop().unwrap();
        assert_eq!((told.kind, told.rule.as_str(), told.packets), (Kind::Tamper, "eastwest/tamper", changes));
        assert_eq!((told.detail.len(), &told.detail[..11]), (512, "delete rule"));
    }
    world.view(generation(5, vec![web()]));
    world.check(&["keep 5", "ack 5"]);
}

#[test]
fn a_refused_repair_is_told_once_and_tried_again() {
    let mut world = World::connected();
    world.view(generation(4, vec![web()]));
    world.machine.handle_tampered(1, "delete rule in judge_in".to_owned(), true);
    world.seen.clear();
    let (refused, tried): (&[&str], &[&str]) = (&["refuse to repair"], &["repair 2"]);
    for (now, sick, seen) in
        [(0, true, refused), (999, true, &[]), (1_000, true, refused), (2_999, false, &[]), (3_000, false, tried)]
    {
        world.sick = sick;
        world.machine.handle_tick(now);
        world.pump(now);
        world.check(seen);
    }
    assert_eq!(world.machine.poll_timeout(3_000), None);
    let told: Vec<&str> = world.records.iter().map(|record| record.detail.as_str()).collect();
    assert_eq!(told, ["delete rule in judge_in", "what others changed cannot be undone: no memory"]);
}

#[test]
fn numbers_are_given_once_and_again_after_they_are_freed() {
    let mut numbering = Numbering::default();
    let outcome = |rule: &str| agent_core::Outcome::builtin(Verdict::Deny, rule, End::Source);
    let first = numbering.number(outcome("a")).unwrap().0;
    assert_eq!(numbering.number(outcome("a")).unwrap().0, first);
    for number in 1..Numbering::LIMIT {
        assert!(numbering.number(outcome(&number.to_string())).is_some());
    }
    assert_eq!(numbering.number(outcome("b")), None);
    numbering.retain(&[first].into());
    let freed = numbering.number(outcome("b")).unwrap().0;
    assert!(freed != first && Word::new(agent_core::Action::Deny, false, freed).number() == freed);
}

#[test]
fn a_long_comment_is_cut_and_still_tells_apart() {
    let mut one = agent_core::Outcome::builtin(Verdict::Deny, &"x".repeat(400), End::Source);
    let long = one.comment();
    one.rule.push('y');
    assert!(long.len() == 120 && one.comment().len() == 120 && long != one.comment());
    assert!(long.starts_with("deny xxx"));
}

#[test]
fn services_of_all_kinds_have_marks() {
    let mut world = World::connected();
    let services = [ServiceMatch::Icmp(Some(8)), ServiceMatch::Proto(47), udp(53)];
    world.view(generation(1, vec![rule("some", Action::Allow, &services, ANY)]));
    for service in [FlowService::Icmp(8), FlowService::Proto(47), FlowService::Udp(53)] {
        let word = Word(world.mark(true, "10.98.0.2", service) & Word::MASK);
        assert_eq!((word.action(), word.records()), (Some(agent_core::Action::Allow), true), "{service:?}");
    }
}
