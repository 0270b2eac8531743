//! Raises a lab of so many stations on one host, each with one address; says `built` when it stands, and takes it down at once.
//! With `bare`, as many network namespaces with nothing in them: what the kernel takes for these alone. For `scripts/bench-lab`.
#![allow(clippy::print_stdout, reason = "what it says is its purpose")]

use std::error::Error;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use nix::sched::{CloneFlags, unshare};

use lab::{Lab, Neighbours, Plan, Ports, StationSpec, jail};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("jail") => Ok(jail::enter(|_| match inside(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        })?),
        Some(count) => {
            let bare = arguments.get(2).map_or("whole", String::as_str);
            let status = jail::start(&["jail", count, bare])?.process.wait()?;
            Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        None => Err("how many stations?".into()),
    }
}

fn inside(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let count: u32 = arguments.get(2).ok_or("how many stations?")?.parse()?;
    if arguments.get(3).is_some_and(|word| word == "bare") {
        return bare(count);
    }
    let station = |number: u32| StationSpec {
        name: format!("vm-{number}"),
        host: "h1".to_owned(),
        addresses: vec![IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 98, 0, 0)) + number))],
    };
    let plan = Plan {
        hosts: vec!["h1".to_owned()],
        stations: (1..=count).map(station).collect(),
        // As the others do it.
        neighbours: Neighbours::Learned,
        ports: Ports::Open,
    };
    let lab = Lab::raise(&plan)?;
    println!("built");
    drop(lab);
    Ok(())
}

fn bare(count: u32) -> Result<(), Box<dyn Error>> {
    let new = |_| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        Ok(File::open("/proc/thread-self/ns/net")?)
    };
    let all = (0..count).map(new).collect::<Result<Vec<File>, Box<dyn Error>>>()?;
    println!("built");
    drop(all);
    Ok(())
}
