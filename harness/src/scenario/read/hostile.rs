//! Reading what an ill-meaning or broken program does: crafted packets, and tampering with an agent's ruleset.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use policy::yaml::{self, Fields, Node};
use policy::{Family, Name, Problem};

use super::super::{Action, Crafted, Fate, Flooding, Keeping, Sending, Tampering};
use super::doing::Item;
use super::steps::Fold;
use super::{Reader, keys};

/// The most packets of one item, fragments not counted.
pub(crate) const MOST: u32 = 10_000;
/// The most datagrams of a flood.
pub(crate) const MOST_OF_A_FLOOD: u32 = 5_000_000;
/// What is done to an agent's ruleset.
pub(crate) const TAMPERINGS: [(&str, Tampering); 8] = [
    ("flush", Tampering::Flush),
    ("delete-rule", Tampering::DeleteRule),
    ("insert-accept", Tampering::InsertAccept),
    ("delete-table", Tampering::DeleteTable),
    ("add-element", Tampering::AddElement),
    ("foreign-table", Tampering::ForeignTable),
    ("fill-connections", Tampering::FillConnections),
    ("empty-connections", Tampering::EmptyConnections),
];
/// What became of what an agent kept.
pub(crate) const KEEPINGS: [(&str, Keeping); 3] =
    [("absent", Keeping::Absent), ("altered", Keeping::Altered), ("foreign", Keeping::Foreign)];
/// How crafted packets leave; whether by a socket.
pub(crate) const WAYS: [(&str, bool); 2] = [("socket", true), ("frame", false)];
/// What becomes of a flood.
pub(crate) const FATES: [(&str, Fate); 3] =
    [("delivered", Fate::Delivered), ("lost", Fate::Lost), ("revoked", Fate::Revoked)];
pub(crate) const FAMILIES: [(&str, Family); 2] = [("v4", Family::V4), ("v6", Family::V6)];

impl Reader<'_> {
    pub(super) fn tamper_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "tamper: {vm: NAME, how: flush}")?;
        let fields = self.fields(node, "a `tamper`", &keys::TAMPER, &["times", "table"])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let how = fields.require("how", &mut self.problems)?;
        let how = yaml::word(how, &TAMPERINGS, &mut self.problems);
        Some(Action::Tamper { vm: vm?, how: how? })
    }

    /// `kept: {vm: a, how: altered}`.
    pub(super) fn kept_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "kept: {vm: NAME, how: absent}")?;
        let fields = self.fields(node, "what was kept", &keys::KEPT, &[])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let how = fields.require("how", &mut self.problems)?;
        let how = yaml::word(how, &KEEPINGS, &mut self.problems);
        Some(Action::Kept { vm: vm?, how: how? })
    }

    /// `send: {raw: "syn 1-1000", from: a, to: b, times: 2, family: v6, by: socket}`.
    pub(super) fn raw_item(&mut self, node: &Node, fold: &Fold) -> Option<Action> {
        let fields = self.fields(node, "what is sent", &keys::RAW, &["bulk", "rate"])?;
        let crafted = fields.require("raw", &mut self.problems).and_then(|node| self.crafted(node));
        let from = self.endpoint(&fields, "from", fold);
        let to = self.endpoint(&fields, "to", fold);
        let by_socket = fields.get("by").map_or(Some(false), |node| yaml::word(node, &WAYS, &mut self.problems));
        let times =
            fields.get("times").map_or(Some(1), |node| yaml::parsed(node, "a number of times", &mut self.problems));
        let over = fields.get("over").map(|node| yaml::parsed(node, "an address", &mut self.problems));
        let over: Option<IpAddr> = if let Some(over) = over { Some(over?) } else { None };
        let (crafted, from, to, by_socket, times) = (crafted?, from?, to?, by_socket?, times?);
        let packets = crafted.count().checked_mul(times).filter(|packets| (1..=MOST).contains(packets));
        if packets.is_none() {
            self.wrong(fields.span(), format!("one item sends 1 to {MOST} packets"));
            return None;
        }
        if by_socket && crafted.is_of_neighbours() {
            self.wrong(fields.span(), "what is about neighbours leaves as a frame, not by a socket");
            return None;
        }
        let quoted = crafted.about.as_ref().and_then(|name| fold.state.sessions.get(name)).map(|about| about.family);
        let family = self.family_of(
            &fields,
            |family| [crafted.family(), quoted, over.map(Family::of)].into_iter().flatten().all(|of| of == family),
            fold.state.families(&from, &to),
        )?;
        Some(Action::SendRaw(Sending { crafted, from, to, family, times, over, by_socket }))
    }

    /// `send: {flood: udp/9000-9099, from: a, to: b, packets: 150000, family: v6}`; with `meanwhile: NAME` it goes on until
    /// `end: NAME`.
    pub(super) fn flood_item(&mut self, node: &Node, fold: &Fold) -> Option<Action> {
        let fields = self.fields(node, "a flood", &keys::FLOOD, &["for"])?;
        let ports = fields.require("flood", &mut self.problems).and_then(|node| self.udp_ports(node));
        let (from, to) = (self.endpoint(&fields, "from", fold), self.endpoint(&fields, "to", fold));
        let node = fields.require("packets", &mut self.problems)?;
        let packets: u32 = yaml::parsed(node, "a number of packets", &mut self.problems)?;
        if !(1..=MOST_OF_A_FLOOD).contains(&packets) {
            self.wrong(node.span, format!("a flood has 1 to {MOST_OF_A_FLOOD} packets"));
            return None;
        }
        let rate: Option<std::num::NonZeroU32> =
            fields.get("rate").and_then(|node| yaml::parsed(node, "packets a second", &mut self.problems));
        let name = fields.get("meanwhile").and_then(|node| yaml::text(node, "a name", &mut self.problems));
        let fate = fields.get("all").and_then(|node| yaml::word(node, &FATES, &mut self.problems));
        let but: Option<u32> = fields.get("but").and_then(|node| yaml::parsed(node, "a number", &mut self.problems));
        let (ports, from, to) = (ports?, from?, to?);
        if but.is_some() && !matches!(fate, Some(Fate::Delivered | Fate::Lost)) {
            self.wrong(node.span, "`but` stands beside `all: delivered` or `all: lost`");
        }
        if fate.is_some() && ports.clone().count() > 1 {
            self.wrong(node.span, "what becomes of a flood is seen where it has one port");
        }
        if fate == Some(Fate::Revoked) && name.is_none() {
            self.wrong(node.span, "what is revoked goes on meanwhile: give it a name, by `meanwhile: NAME`");
        }
        let family = self.family_of(&fields, |_| true, fold.state.families(&from, &to))?;
        let (rate, name) = (rate.map(Into::into), name.map(|name| name.as_str().to_owned()));
        Some(Action::Flood(Flooding { from, to, ports, family, packets, rate, name, fate, but: but.unwrap_or(0) }))
    }

    fn udp_ports(&mut self, node: &Node) -> Option<RangeInclusive<u16>> {
        let text = yaml::text(node, "UDP ports, such as udp/9000-9099", &mut self.problems)?;
        let ports = text.as_str().strip_prefix("udp/").and_then(|ports| {
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
            (1..=last).contains(&first).then_some(first..=last)
        });
        if ports.is_none() {
            let problem = Problem::new(text.span(), format!("`{}` is no UDP port or range of them", text.as_str()));
            self.problems.report(problem.help("write such as udp/9000 or udp/9000-9099"));
        }
        ports
    }

    fn crafted(&mut self, node: &Node) -> Option<Crafted> {
        let text = yaml::text(node, "a packet, such as `syn 1-1000`", &mut self.problems)?;
        let read = Crafted::parse(text.as_str());
        self.taken(text, read)
    }

    pub(super) fn endpoint(&mut self, fields: &Fields<'_>, key: &str, fold: &Fold) -> Option<Name> {
        let node = fields.require(key, &mut self.problems)?;
        let text = yaml::text(node, "the name of an endpoint", &mut self.problems)?;
        let known: Vec<&str> = fold.state.endpoints().map(Name::as_str).collect();
        self.named(text, "endpoint", &known)
    }

    pub(super) fn family_of(
        &mut self,
        fields: &Fields<'_>,
        possible: impl Fn(policy::Family) -> bool,
        common: Vec<policy::Family>,
    ) -> Option<policy::Family> {
        let named = fields.get("family").map(|node| yaml::word(node, &FAMILIES, &mut self.problems));
        let named = match named {
            Some(None) => return None,
            Some(named) => named,
            None => None,
        };
        let fits = |family: &policy::Family| named.is_none_or(|named| named == *family) && possible(*family);
        let found = common.into_iter().find(fits);
        if found.is_none() {
            self.wrong(fields.span(), "the two have no family in common for this");
        }
        found
    }
}
