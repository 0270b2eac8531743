//! How many flows a second are read, judged and counted on one processor, beside the plain evaluation rule by rule in
//! the same run; and the most memory that was held.
//!
//! `bench-replay FLOWS [RULES]` reads VPC flow logs: a block of two hundred thousand lines, again and again. In the one
//! measurement the lines are of as many different flows, so that hardly any was seen lately; in the other they are of ten
//! thousand, of which some speak more often than others.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on has failed")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures memory and time")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, Read};
use std::time::Duration;

use policy::classify::Classifier;
use policy::{Flow, Inventory, Name, Policy, Timestamp, Vm};
use replay::{Bench, Bounds, Judge, Reader, Replay};

const VMS: u32 = 2000;
const APPS: u32 = 100;
const LINES: u32 = 200_000;
/// So many flows are judged rule by rule.
const PLAINLY: usize = 20_000;

/// The same bytes again and again, so often.
struct Again<'a> {
    block: &'a [u8],
    at: usize,
    times: u64,
}

impl Read for Again<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Again<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        // As large as a buffered file gives them.
        let end = self.block.len().min(self.at + 64 * 1024);
        Ok(if self.times == 0 { &[] } else { &self.block[self.at..end] })
    }

    fn consume(&mut self, read: usize) {
        self.at += read;
        if self.at == self.block.len() {
            (self.at, self.times) = (0, self.times.saturating_sub(1));
        }
    }
}

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }
}

fn address(vm: u32) -> [u8; 4] {
    [10, 98, (vm / 250) as u8, (vm % 250 + 1) as u8]
}

fn inventory() -> Inventory {
    let vm = |number: u32| {
        let labels = [("app", format!("app-{}", number % APPS)), ("env", format!("env-{}", number % 7))];
        let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value)).into();
        let vm = Vm { labels, addresses: vec![address(number).into()], managed: true, ..Vm::default() };
        (format!("vm-{number}").parse::<Name>().unwrap(), vm)
    };
    Inventory { managed: vec!["10.98.0.0/16".parse().unwrap()], vms: (0..VMS).map(vm).collect() }
}

fn policy(rules: u32) -> Policy {
    let mut text = String::from("eastwest: policy/v1\ngroups: {office: [10.9.0.0/16]}\nrules:\n");
    for rule in 0..rules {
        let (from, to, port) = (rule % APPS, rule / 7 % APPS, 1024 + rule * 13 % 40_000);
        let _ = match rule % 10 {
            0 => writeln!(text, "  - {{name: r-{rule}, deny: tcp/{port}, from: office, to: app = app-{to}}}"),
            1 => {
                writeln!(text, "  - {{name: r-{rule}, allow: tcp/{port}-{}, from: env = env-{}}}", port + 20, rule % 7)
            }
            _ => {
                writeln!(text, "  - {{name: r-{rule}, allow: tcp/{port}, from: app = app-{from}, to: app = app-{to}}}")
            }
        };
    }
    text.push_str("default: deny\n");
    policy::parse("bench", &text).unwrap()
}

/// Lines of which nine of ten are between VMs, on ports of which most are some rule's; of so many different flows.
fn lines(flows: u32, rules: u32) -> String {
    let mut text = String::new();
    let mut which = Dice(11);
    for line in 0..LINES {
        let flow = if flows == LINES { line } else { which.below(flows).min(which.below(flows)) };
        let dice = &mut Dice(u64::from(flow).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let source = match dice.below(10) {
            0 => [10, 9, dice.below(256) as u8, dice.below(256) as u8],
            _ => address(dice.below(VMS)),
        };
        let [source, destination] = [source, address(dice.below(VMS))].map(std::net::Ipv4Addr::from);
        let port = 1024 + dice.below(rules) * 13 % 40_000 + dice.below(2);
        let _ = writeln!(
            text,
            "2 111122223333 eni-0a1b2c3d4e5f60718 {source} {destination} {} {port} 6 {} 4249 1764237600 1764237660 ACCEPT OK",
            60_000 + dice.below(5000),
            1 + dice.below(50)
        );
    }
    text
}

/// The processor's time that this process has had: what others take of the machine is not in it.
fn time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// The most memory that this process has held, in MiB.
fn high_water() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u32>().unwrap());
    let (flows, rules) = (args.next().unwrap_or(1_000_000), args.next().unwrap_or(1000));
    let (inventory, policy) = (inventory(), policy(rules));
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let begun = time();
    let classifier = Classifier::new(&policy, &inventory, now);
    println!("{rules} rules over {VMS} VMs compiled in {:.2} s of the processor", (time() - begun).as_secs_f64());
    let mut rate = 0.0;
    for different in [LINES, 10_000] {
        let block = lines(different, rules);
        let input = Again { block: block.as_bytes(), at: 0, times: u64::from(flows / LINES) };
        let mut reader = Reader::new(input, None).unwrap();
        let mut replay =
            Replay::new(Bench { policy: &policy, judge: &classifier }, None, &inventory, Bounds::default());
        let begun = time();
        let mut seen = Vec::new();
        while reader.read_some(&mut seen).unwrap() {
            replay.see_all(&seen);
        }
        let seconds = (time() - begun).as_secs_f64();
        let (read, held) = (reader.account().flows, replay.held());
        rate = read as f64 / seconds;
        println!(
            "{read} flows, {different} of them different: {rate:.0} a second; {} pairs held, {:.0} MiB at most",
            held.0,
            high_water()
        );
    }
    if std::env::args().nth(3).is_some() {
        return;
    }
    let block = lines(LINES, rules);
    let mut reader = Reader::new(block.as_bytes(), None).unwrap();
    let sample: Vec<Flow> = (0..LINES).map(|_| reader.read().unwrap().unwrap().flow).collect();
    let begun = time();
    let rulings: Vec<_> =
        sample.iter().take(PLAINLY).map(|flow| oracle::evaluate(&policy, &inventory, flow, now)).collect();
    let plainly = PLAINLY as f64 / (time() - begun).as_secs_f64();
    let begun = time();
    let judged: Vec<_> = sample.iter().map(|flow| Judge::judge(&classifier, flow)).collect();
    let judging = f64::from(LINES) / (time() - begun).as_secs_f64();
    let same = |(ruling, judged): (&policy::Ruling, &replay::Judged)| {
        ruling.verdict == judged.verdict && ruling.rule == judged.by.name(&policy) && ruling.end == judged.end
    };
    let alike = rulings.iter().zip(&judged).filter(|both| same(*both)).count();
    println!(
        "judging alone: {judging:.0} a second; rule by rule: {plainly:.0} a second, {alike} of {PLAINLY} judged alike"
    );
    println!("the latter replay is {:.0} times as fast as judging rule by rule", rate / plainly);
}
