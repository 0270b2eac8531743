//! Reading what an ill-meaning or broken program does: crafted packets, and tampering with an agent's ruleset.

use policy::Name;
use policy::yaml::{self, Fields, Node};

use super::super::{Action, Crafted, Sending, Tampering};
use super::Reader;
use super::doing::Item;
use super::steps::Fold;

/// The most packets of one item, fragments not counted.
const MOST: u32 = 10_000;
const HOW: [(&str, Tampering); 6] = [
    ("flush", Tampering::Flush),
    ("delete-rule", Tampering::DeleteRule),
    ("insert-accept", Tampering::InsertAccept),
    ("delete-table", Tampering::DeleteTable),
    ("add-element", Tampering::AddElement),
    ("foreign-table", Tampering::ForeignTable),
];

impl Reader<'_> {
    pub(super) fn tamper_item(&mut self, item: &Item<'_>, fold: &Fold) -> Option<Action> {
        let node = self.node_of(item, "tamper: {vm: NAME, how: flush}")?;
        let fields = self.fields(node, "a `tamper`", &["vm", "how"], &["times", "table"])?;
        let vm = fields.require("vm", &mut self.problems);
        let vm = self.field_vm(vm, fold);
        let how = fields.require("how", &mut self.problems)?;
        let how = yaml::word(how, &HOW, &mut self.problems);
        Some(Action::Tamper { vm: vm?, how: how? })
    }

    /// `send: {raw: "syn 1-1000", from: a, to: b, times: 2, family: v6, by: socket}`.
    pub(super) fn raw_item(&mut self, node: &Node, fold: &Fold) -> Option<Action> {
        let known = ["raw", "from", "to", "times", "family", "by"];
        let fields = self.fields(node, "what is sent", &known, &["bulk", "flood", "rate"])?;
        let crafted = fields.require("raw", &mut self.problems).and_then(|node| self.crafted(node));
        let from = self.endpoint(&fields, "from", fold);
        let to = self.endpoint(&fields, "to", fold);
        let by_socket = fields
            .get("by")
            .map_or(Some(false), |node| yaml::word(node, &[("socket", true), ("frame", false)], &mut self.problems));
        let times =
            fields.get("times").map_or(Some(1), |node| yaml::parsed(node, "a number of times", &mut self.problems));
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
        let family = self.family_of(&fields, &crafted, fold.state.families(&from, &to))?;
        Some(Action::SendRaw(Sending { crafted, from, to, family, times, by_socket }))
    }

    fn crafted(&mut self, node: &Node) -> Option<Crafted> {
        let text = yaml::text(node, "a packet, such as `syn 1-1000`", &mut self.problems)?;
        let read = Crafted::parse(text.as_str());
        self.taken(text, read)
    }

    fn endpoint(&mut self, fields: &Fields<'_>, key: &str, fold: &Fold) -> Option<Name> {
        let node = fields.require(key, &mut self.problems)?;
        let text = yaml::text(node, "the name of an endpoint", &mut self.problems)?;
        let known: Vec<&str> = fold.state.endpoints().map(Name::as_str).collect();
        self.named(text, "endpoint", &known)
    }

    fn family_of(
        &mut self,
        fields: &Fields<'_>,
        crafted: &Crafted,
        common: Vec<policy::Family>,
    ) -> Option<policy::Family> {
        let families = [("v4", policy::Family::V4), ("v6", policy::Family::V6)];
        let named = fields.get("family").map(|node| yaml::word(node, &families, &mut self.problems));
        let named = match named {
            Some(None) => return None,
            Some(named) => named,
            None => None,
        };
        let fits = |wanted: Option<policy::Family>, family| wanted.is_none_or(|wanted| wanted == family);
        let found = common.into_iter().find(|&family| fits(named, family) && fits(crafted.family(), family));
        if found.is_none() {
            self.wrong(fields.span(), "the two have no family in common for this");
        }
        found
    }
}
