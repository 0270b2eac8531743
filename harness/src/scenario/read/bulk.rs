//! Reading bulk transfers: sizes and rates.

use policy::yaml::{self, Fields, Node};
use policy::{FlowService, Problem};

use super::super::{Action, BulkTransfer, Stream};
use super::steps::Fold;
use super::{Reader, keys};

/// Units of a size, and the most that one transfer carries.
const SIZES: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const MOST: u64 = 4 << 30;
/// Units of a rate.
const RATES: [(&str, u64); 4] = [("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000), ("bit", 1)];

impl Reader<'_> {
    /// `send: {bulk: 8MiB, from: a, to: b, service: tcp/9000, least: 10mbit, most: 30mbit}`.
    pub(super) fn bulk_item(&mut self, node: &Node, fold: &Fold) -> Option<Action> {
        let fields = self.fields(node, "a bulk transfer", &keys::BULK, &["meanwhile"])?;
        let bytes = fields.require("bulk", &mut self.problems).and_then(|node| self.size(node));
        let (source, destination) = (self.endpoint(&fields, "from", fold), self.endpoint(&fields, "to", fold));
        let service = fields.require("service", &mut self.problems).and_then(|node| self.tcp(node));
        let (least, most) = (self.rate_of(&fields, "least"), self.rate_of(&fields, "most"));
        let (source, destination, service) = (source?, destination?, service?);
        let family = self.family_of(&fields, |_| true, fold.state.families(&source, &destination))?;
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            self.wrong(fields.span(), "`least` is more than `most`");
        }
        let stream = Stream { source, destination, service, family };
        Some(Action::Bulk(BulkTransfer { stream, bytes: bytes?, least, most }))
    }

    fn tcp(&mut self, node: &Node) -> Option<FlowService> {
        let text = yaml::text(node, "a TCP port, such as tcp/9000", &mut self.problems)?;
        let service = text.as_str().parse().ok().filter(|service| matches!(service, FlowService::Tcp(_)));
        if service.is_none() {
            self.wrong(text.span(), "expected a TCP port, such as tcp/9000");
        }
        service
    }

    fn size(&mut self, node: &Node) -> Option<u64> {
        let bytes = self.measured(node, "a size", &SIZES, "from 1KiB to 4GiB, such as 8MiB")?;
        if (1..=MOST).contains(&bytes) {
            return Some(bytes);
        }
        self.wrong(node.span, "a transfer has from 1KiB to 4GiB");
        None
    }

    fn rate_of(&mut self, fields: &Fields<'_>, key: &str) -> Option<u64> {
        fields.get(key).and_then(|node| self.measured(node, "a rate", &RATES, "such as 500kbit, 10mbit or 1gbit"))
    }

    /// A number with its unit.
    pub(super) fn measured(&mut self, node: &Node, what: &str, units: &[(&str, u64)], help: &str) -> Option<u64> {
        let text = yaml::text(node, what, &mut self.problems)?;
        let parts = units.iter().find_map(|(unit, times)| Some((text.as_str().strip_suffix(unit)?.trim(), *times)));
        let number = parts.and_then(|(number, times)| number.parse::<u64>().ok()?.checked_mul(times));
        if number.is_none() {
            let problem = Problem::new(text.span(), format!("`{}` is not {what}", text.as_str()));
            self.problems.report(problem.help(help));
        }
        number
    }
}
