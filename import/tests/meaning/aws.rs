//! AWS, on cases written by hand: `tests/aws/NAME.yaml`, with lines `# allow: A -> B tcp/80` as those of Kubernetes have.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use import::{Options, Source};
use policy::{Family, FlowService};
use serde_json::Value;

use crate::aws_reference::Account;
use crate::kubernetes::said;
use crate::reading::{self, World, family};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws")
}

/// What is wrong with a case; and how many flows it was asked about.
fn check(name: &str) -> (Vec<String>, usize) {
    let source = |name: &str| Source { name: name.to_owned(), text: fs::read_to_string(folder().join(name)).unwrap() };
    let case = source(name);
    let text = case.text.clone();
    let sources: Vec<Source> = said(&text, "with").into_iter().map(source).chain([case]).collect();
    let family = said(&text, "family").first().map(|word| if *word == "v4" { Family::V4 } else { Family::V6 });
    let imported = import::security_groups(&sources, Options { hosts: 3, family });
    let imported = imported
        .unwrap_or_else(|files| panic!("{name}: {}", files.iter().map(policy::render_plain).collect::<String>()));
    let mut account = Account::default();
    for source in &sources {
        serde_saphyr::from_multiple::<Value>(&source.text).unwrap().iter().for_each(|file| account.add(file));
    }
    let world = reading::read(&imported.scenario);
    let (mut wrong, count) = differences(&account, &world);
    for (word, passes) in [("allow", true), ("deny", false)] {
        wrong.extend(
            said(&text, word).into_iter().filter(|line| !holds((&account, &world), line, passes)).map(str::to_owned),
        );
    }
    let untold = said(&text, "note").into_iter().filter(|note| !imported.notes.iter().any(|one| one.contains(note)));
    wrong.extend(untold.map(|note| format!("no note says `{note}`: {:?}", imported.notes)));
    (wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect(), count)
}

/// Whether a line that was written by hand holds for both.
fn holds((account, world): (&Account, &World), line: &str, passes: bool) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [source, "->", destination, services @ ..] = words.as_slice() else { panic!("{line}") };
    let destinations = world.addresses(destination);
    let pairs = world.addresses(source).into_iter().flat_map(|one| destinations.iter().map(move |other| (one, *other)));
    let mut asked = pairs
        .filter(|(one, other)| family(*one, *other).is_some())
        .flat_map(|pair| services.iter().map(move |service| (pair, service.parse::<FlowService>().unwrap())))
        .peekable();
    assert!(asked.peek().is_some(), "{line} asks nothing");
    asked.all(|((one, other), service)| {
        (account.passes(one, other, service), world.passes(one, other, service)) == (passes, passes)
    })
}

fn differences(account: &Account, world: &World) -> (Vec<String>, usize) {
    let vms: BTreeSet<IpAddr> = world.inventory.vms.values().flat_map(|vm| vm.addresses.iter().copied()).collect();
    assert_eq!(world.inventory.vms.len(), account.instances.len(), "a VM for each instance");
    let outside = ["203.0.113.9", "10.9.9.9", "198.51.100.77", "2001:db8:99::1", "2600:1f00::1"];
    let mut ends: BTreeSet<IpAddr> = outside.iter().map(|address| address.parse().unwrap()).collect();
    ends.extend(world.outside.values().flatten());
    ends.extend(&vms);
    let ports = [1, 21, 22, 23, 53, 79, 80, 81, 442, 443, 444, 1023, 1024, 5432, 65535];
    let mut services: Vec<FlowService> =
        ports.iter().flat_map(|port| [FlowService::Tcp(*port), FlowService::Udp(*port)]).collect();
    services.extend([0, 3, 8, 13].map(FlowService::Icmp));
    services.extend([1, 128].map(FlowService::Icmpv6));
    services.extend([47, 50, 132].map(FlowService::Proto));
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (source, destination) in ends.iter().flat_map(|one| ends.iter().map(move |other| (*one, *other))) {
        let Some(family) = family(source, destination) else { continue };
        if !vms.contains(&source) && !vms.contains(&destination) {
            continue;
        }
        for service in services.iter().copied().filter(|service| service.exists_in(family)) {
            count += 1;
            let said = (account.passes(source, destination, service), world.passes(source, destination, service));
            if said.0 != said.1 {
                wrong.push(format!("{source} -> {destination} {service}: AWS and the import say {said:?}"));
            }
        }
    }
    (wrong, count)
}

#[test]
fn each_case_means_what_aws_says() {
    let mut cases: Vec<String> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    cases.retain(|name| !name.starts_with('_'));
    cases.sort();
    assert!(cases.len() >= 12, "{} cases", cases.len());
    let (mut wrong, mut flows) = (Vec::new(), 0);
    for case in &cases {
        let (differences, count) = check(case);
        wrong.extend(differences.into_iter().take(8));
        flows += count;
    }
    assert!(wrong.is_empty(), "{} differences\n{}", wrong.len(), wrong.join("\n"));
    println!("{} cases, {flows} flows", cases.len());
}
