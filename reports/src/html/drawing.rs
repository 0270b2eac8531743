//! Hosts with their VMs, as a drawing, with an arrow for each pair of which something is not as expected; and as a table.

use std::collections::BTreeMap;

use super::markup::Markup;
use crate::event::FindingKind;
use crate::run::Scenario;
use crate::topology::{Topology, Vm};
use crate::words::{count, shortened};

/// The measures of the drawing.
const BOX: (i32, i32) = (156, 46);
const GAP: i32 = 12;
const HEAD: i32 = 26;
const BETWEEN: i32 = 84;
/// So many boxes stand below each other, and so many hosts beside each other.
const MOST_HIGH: usize = 6;
const MOST_WIDE: usize = 4;
/// How many arrows are drawn.
const MOST_ARROWS: usize = 24;
/// How many arrows at most have their word on them; of more, words would cover each other.
const MOST_WORDS: usize = 8;

/// A place in the drawing.
#[derive(Clone, Copy)]
struct Place {
    x: i32,
    y: i32,
}

/// What is drawn as a box.
struct Station<'a> {
    name: &'a str,
    host: &'a str,
    second: String,
    class: &'static str,
}

/// Where everything goes.
#[derive(Default)]
struct Plan<'a> {
    hosts: Vec<(&'a str, Place, (i32, i32))>,
    stations: Vec<(Station<'a>, Place)>,
    size: (i32, i32),
}

pub(super) fn write(section: &mut Markup, scenario: &Scenario) {
    let topology = &scenario.topology;
    if topology.is_empty() {
        return;
    }
    let plan = plan(topology);
    let arrows = arrows(scenario);
    section.within("figure", &[("class", "scroll"), ("tabindex", "0")], |figure| {
        drawing(figure, &plan, &arrows);
        figure.constant("<figcaption>What stands before the first step");
        let drawn = arrows.len().min(MOST_ARROWS);
        if drawn > 0 {
            figure.text(&format!(
                "; an arrow for each pair of which something is not as expected ({drawn} of {})",
                arrows.len()
            ));
        }
        figure.constant(".</figcaption>\n");
    });
    table(section, topology);
}

/// Each pair with findings about flows, and the kind that says most.
fn arrows(scenario: &Scenario) -> Vec<(&str, &str, FindingKind)> {
    let mut pairs: BTreeMap<(&str, &str), FindingKind> = BTreeMap::new();
    for finding in scenario.all_findings() {
        let (Some(source), Some(destination)) = (&finding.source, &finding.destination) else { continue };
        let kind = pairs.entry((source, destination)).or_insert(finding.kind);
        if *kind == FindingKind::Disagreement {
            *kind = finding.kind;
        }
    }
    pairs.into_iter().map(|((source, destination), kind)| (source, destination, kind)).collect()
}

fn stations(topology: &Topology) -> Vec<Station<'_>> {
    let vms = topology.vms.iter().map(|vm| Station {
        name: &vm.name,
        host: &vm.host,
        second: labels(vm),
        class: if vm.managed { "vm" } else { "vm bare" },
    });
    let outside = topology.outside.iter().map(|outside| Station {
        name: &outside.name,
        host: &outside.host,
        second: "outside".to_owned(),
        class: "vm outside",
    });
    vms.chain(outside).collect()
}

fn labels(vm: &Vm) -> String {
    let labels: Vec<String> = vm.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let agent = if vm.managed { "" } else { "no agent " };
    format!("{agent}{}", labels.join(" "))
}

/// Hosts from left to right and in rows; on each its stations from top to bottom and in columns.
fn plan(topology: &Topology) -> Plan<'_> {
    let mut plan = Plan::default();
    let mut on: BTreeMap<&str, Vec<Station<'_>>> = BTreeMap::new();
    stations(topology).into_iter().for_each(|station| on.entry(station.host).or_default().push(station));
    let (mut x, mut y, mut row) = (0, 0, 0);
    for (number, host) in topology.hosts.iter().enumerate() {
        if number > 0 && number % MOST_WIDE == 0 {
            (x, y, row) = (0, y + row + GAP, 0);
        }
        let here = on.remove(host.as_str()).unwrap_or_default();
        let columns = here.len().div_ceil(MOST_HIGH).max(1);
        let rows = here.len().div_ceil(columns).max(1);
        let size = (GAP + columns as i32 * (BOX.0 + GAP), HEAD + rows as i32 * (BOX.1 + GAP));
        for (at, station) in here.into_iter().enumerate() {
            let (column, line) = ((at / rows) as i32, (at % rows) as i32);
            let place = Place { x: x + GAP + column * (BOX.0 + GAP), y: y + HEAD + line * (BOX.1 + GAP) };
            plan.stations.push((station, place));
        }
        plan.hosts.push((host, Place { x, y }, size));
        plan.size = (plan.size.0.max(x + size.0), plan.size.1.max(y + size.1));
        (x, row) = (x + size.0 + BETWEEN, row.max(size.1));
    }
    plan
}

fn drawing(figure: &mut Markup, plan: &Plan<'_>, arrows: &[(&str, &str, FindingKind)]) {
    // Arrows within a column swing out to the right of it.
    let (width, height) = (plan.size.0 + BETWEEN, plan.size.1 + 2);
    let view = format!("-1 -1 {width} {height}");
    let hosts = count(plan.hosts.len(), "host");
    let label =
        format!("Drawing of {hosts} with {}; the table below has the same", count(plan.stations.len(), "station"));
    let (width, height) = (width.to_string(), height.to_string());
    let attributes =
        [("role", "img"), ("aria-label", &*label), ("viewBox", &view), ("width", &width), ("height", &height)];
    figure.within("svg", &attributes, |svg| {
        for (name, place, size) in &plan.hosts {
            rectangle(svg, "host", *place, *size);
            text(svg, "name", Place { x: place.x + GAP, y: place.y + 17 }, &shortened(name, 20));
        }
        for (station, place) in &plan.stations {
            rectangle(svg, station.class, *place, BOX);
            text(svg, "name", Place { x: place.x + 8, y: place.y + 19 }, &shortened(station.name, 19));
            text(svg, "small", Place { x: place.x + 8, y: place.y + 36 }, &shortened(&station.second, 22));
        }
        let place =
            |name: &str| plan.stations.iter().find(|(station, _)| station.name == name).map(|(_, place)| *place);
        for (source, destination, kind) in arrows.iter().take(MOST_ARROWS) {
            if let (Some(from), Some(to)) = (place(source), place(destination)) {
                arrow(svg, from, to, (arrows.len() <= MOST_WORDS).then_some(*kind));
            }
        }
    });
}

fn rectangle(svg: &mut Markup, class: &'static str, place: Place, size: (i32, i32)) {
    let [x, y, width, height] = [place.x, place.y, size.0, size.1].map(|number| number.to_string());
    let attributes = [("class", class), ("x", &*x), ("y", &y), ("width", &width), ("height", &height), ("rx", "5")];
    svg.open("rect", &attributes).close("rect");
}

fn text(svg: &mut Markup, class: &'static str, place: Place, text: &str) {
    let (x, y) = (place.x.to_string(), place.y.to_string());
    svg.element("text", &[("class", class), ("x", &x), ("y", &y)], text);
}

/// An arrow from box to box, with a word on it: from side to side, or out of the column and back into it.
fn arrow(svg: &mut Markup, from: Place, to: Place, kind: Option<FindingKind>) {
    let middle = BOX.1 / 2;
    let (start_y, end_y) = (from.y + middle - 6, to.y + middle + 6);
    let (start_x, end_x, turn) = match from.x.cmp(&to.x) {
        std::cmp::Ordering::Equal => (from.x + BOX.0, to.x + BOX.0, from.x + BOX.0 + 64),
        std::cmp::Ordering::Less => (from.x + BOX.0, to.x, i32::midpoint(from.x + BOX.0, to.x)),
        std::cmp::Ordering::Greater => (from.x, to.x + BOX.0, i32::midpoint(from.x, to.x + BOX.0)),
    };
    let curve = format!("M {start_x} {start_y} C {turn} {start_y} {turn} {end_y} {end_x} {end_y}");
    svg.open("path", &[("class", "arrow"), ("d", &curve)]).close("path");
    // The tip, at the end of the curve, which is level there.
    let back = if turn < end_x { end_x - 9 } else { end_x + 9 };
    let tip = format!("M {end_x} {end_y} L {back} {} L {back} {} Z", end_y - 5, end_y + 5);
    svg.open("path", &[("class", "tip"), ("d", &tip)]).close("path");
    let Some(kind) = kind else { return };
    // The middle of the curve lies three quarters of the way to its turn.
    let x = (start_x + end_x + 6 * turn) / 8;
    let place = Place { x, y: i32::midpoint(start_y, end_y) + 4 };
    let (x, y) = (place.x.to_string(), place.y.to_string());
    svg.element("text", &[("class", "word"), ("x", &x), ("y", &y), ("text-anchor", "middle")], kind.as_str());
}

/// All of it in words.
fn table(section: &mut Markup, topology: &Topology) {
    section.within("details", &[], |details| {
        let (hosts, vms) = (count(topology.hosts.len(), "host"), count(topology.vms.len(), "VM"));
        let outside = match topology.outside.len() {
            0 => String::new(),
            number => format!(", {}", count(number, "outside endpoint")),
        };
        details.element("summary", &[], &format!("{hosts}, {vms}{outside}"));
        details.constant("<div class=scroll tabindex=0>\n<table class=list>\n");
        details.constant(
            "<tr><th scope=col>name<th scope=col>host<th scope=col>addresses<th scope=col>labels<th scope=col>agent\n",
        );
        for vm in &topology.vms {
            row(details, (&vm.name, &vm.host), &vm.addresses);
            let labels: Vec<String> = vm.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            details.text(&labels.join(", ")).constant("<td>").text(if vm.managed { "yes" } else { "none" });
            details.constant("\n");
        }
        for outside in &topology.outside {
            row(details, (&outside.name, &outside.host), &outside.addresses);
            details.constant("<td>outside\n");
        }
        details.constant("</table>\n</div>\n");
    });
}

/// The first cells of a row; the next cell is begun.
fn row(details: &mut Markup, (name, host): (&str, &str), addresses: &[std::net::IpAddr]) {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    details.constant("<tr><th scope=row>").text(name).constant("<td>").text(host);
    details.constant("<td>").text(&addresses.join(", ")).constant("<td>");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row: hosts, VMs on each, and the size of the drawing.
    fn check(hosts: usize, vms: usize, expected: (i32, i32)) {
        let hosts: Vec<String> = (0..hosts).map(|number| format!("h{number}")).collect();
        let vm = |host: &String, number| Vm {
            name: format!("{host}-{number}"),
            host: host.clone(),
            labels: BTreeMap::new(),
            addresses: Vec::new(),
            managed: true,
        };
        let stand = hosts.iter().flat_map(|host| (0..vms).map(move |number| vm(host, number))).collect();
        let topology = Topology { hosts, vms: stand, outside: Vec::new() };
        let plan = plan(&topology);
        assert_eq!((plan.size, plan.stations.len()), (expected, plan.hosts.len() * vms));
        let mut places: Vec<_> = plan.stations.iter().map(|(_, place)| (place.x, place.y)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), plan.stations.len(), "no two boxes are at one place");
    }

    #[test]
    fn hosts_stand_beside_each_other_as_far_as_there_is_room() {
        check(0, 0, (0, 0));
        check(1, 0, (180, 84));
        check(1, 6, (180, 374));
        check(1, 7, (348, 258));
        check(4, 1, (972, 84));
        check(5, 1, (972, 180));
    }
}
