//! The datapath on real packets: a virtual machine's namespace with our tables, a peer's, a wire between them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test binary without harness"
)]
mod dhcp;
mod egress;
mod flows;
mod foreign;
mod large;
mod life;
mod places;
mod quiet;
mod rulesets;
mod tamper;
mod volume;
mod world;

use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::unistd::Pid;
use world::World;

type Case = (&'static str, fn(&mut World));

const CASES: [Case; 39] = [
    ("before the first ruleset nothing passes", flows::nothing_yet),
    ("every verdict, direction, family and protocol", flows::table),
    ("what is recorded, and what is not, is judged as random rulesets say", quiet::judged),
    ("rules of the past find no epoch", quiet::keyed),
    ("near misses: port, peer, direction", flows::near_misses),
    ("what comes for an address that is not bound here passes by no rule", places::unbound),
    ("what comes for a group is judged by that", places::groups),
    ("the center alone passes a closed machine", flows::center),
    ("a mark that a process set opens nothing", flows::spoofed_mark),
    ("errors about an allowed flow reach it, in old epochs too", flows::related),
    ("a redirect that quotes a living flow is invalid", flows::redirect),
    ("the middle of an unknown stream is invalid", flows::unknown_stream),
    ("what leaves has been judged, whatever socket it was sent by", egress::bypass),
    ("what leaves bears this machine's addresses alone", egress::spoofed),
    ("what leaves does not show what marks it as judged", egress::unseen),
    ("a new interface is looked at from its first frame on", egress::new_interface),
    ("who may renew an address may from a client's port to servers' ports", dhcp::renewed),
    ("and asks all servers by a frame, from its own address or from none", dhcp::broadcast),
    ("what others change is heard of, and undone whole", tamper::undone),
    ("a translated flow passes nowhere, whoever set that up", foreign::translated),
    ("nothing is forwarded, whoever set that up", foreign::forwarded),
    ("neighbours and groups carry nothing else", flows::neighbours),
    ("a process cannot send what the kernel alone may answer", flows::forged_answer),
    ("a cut is recorded once, resets both ends and is final", life::cut_tcp),
    ("after a cut the same ports begin anew", life::ports_again),
    ("an outbound stream is cut likewise", life::cut_outbound),
    ("a datagram flow is cut until the next epoch", life::cut_udp),
    ("fifty epochs lose nothing and record nothing", life::epochs),
    ("two thousand changes deny nothing that both sides allow", life::flips),
    ("so do two thousand changes of the services' ranges", life::slices),
    ("swept marks are judged again, and forgotten flows are unknown", life::sweep),
    ("a refused change leaves everything as it was", life::refused),
    ("what others say of sets in force misleads no repair", large::misled),
    ("a second start keeps policy, flows and counters", life::restart),
    ("outcomes come and go by difference, with a large map", life::difference),
    ("bytes are counted by sender where that is asked for", volume::counted),
    ("a ruleset that no batch can carry is in force whole", large::whole),
    ("one that is refused half-way leaves nothing", large::refused),
    ("rules that turn to other maps deny nothing that both sides allow", large::flips),
];

/// On one CPU everything on this wire has happened when a system call returns.
fn pin() {
    run_on(0..1);
}

/// Lets the calling thread go to the other CPUs, if there are any.
pub(crate) fn unpin() {
    run_on(1..CpuSet::count());
}

fn run_on(cpus: std::ops::Range<usize>) {
    let mut set = CpuSet::new();
    cpus.for_each(|cpu| set.set(cpu).unwrap());
    // On a machine with one CPU there is no other to go to.
    let _ = sched_setaffinity(Pid::from_raw(0), &set);
}

fn main() {
    pin();
    let user = nix::unistd::geteuid();
    if !user.is_root() {
        let group = nix::unistd::getegid();
        unshare(CloneFlags::CLONE_NEWUSER).unwrap();
        std::fs::write("/proc/self/uid_map", format!("0 {user} 1")).unwrap();
        std::fs::write("/proc/self/setgroups", "deny").unwrap();
        std::fs::write("/proc/self/gid_map", format!("0 {group} 1")).unwrap();
    }
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    for (name, case) in CASES {
        if only.as_ref().is_some_and(|word| !name.contains(word.as_str())) {
            continue;
        }
        case(&mut World::new());
        println!("ok: {name}");
    }
}
