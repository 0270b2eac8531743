//! Reading what a VM's own programs listen on, and what they speak there.

use std::collections::BTreeMap;

use policy::yaml::{self, Entry, Fields};
use policy::{FlowService, Problem};

use super::super::Speech;
use super::Reader;

/// The protocols, and whether each is spoken over TCP.
pub(crate) const SPEECHES: [(&str, (Speech, bool)); 4] = [
    ("http", (Speech::Http, true)),
    ("tls", (Speech::Tls, true)),
    ("redis", (Speech::Redis, true)),
    ("dns", (Speech::Dns, false)),
];

impl Reader<'_> {
    pub(super) fn serves(&mut self, fields: &Fields<'_>) -> Vec<FlowService> {
        let items = fields.get("serves").map(yaml::one_or_many).unwrap_or_default();
        let mut serves = Vec::new();
        for item in items {
            let Some(text) = yaml::text(item, "a service", &mut self.problems) else { continue };
            match text.as_str().parse::<FlowService>() {
                Ok(service) => serves.push(service),
                Err(error) => self.problems.report(Problem::within(text, error)),
            }
        }
        serves
    }

    /// `speaks: {tcp/80: http, udp/53: dns}`.
    pub(super) fn speaks(&mut self, fields: &Fields<'_>) -> BTreeMap<FlowService, Speech> {
        let entries = self.entries(fields, "speaks", "protocols by service").iter();
        entries.filter_map(|entry| self.spoken(entry)).collect()
    }

    fn spoken(&mut self, entry: &Entry) -> Option<(FlowService, Speech)> {
        let service = match entry.key.as_str().parse::<FlowService>() {
            Ok(service) => service,
            Err(error) => {
                self.problems.report(Problem::within(&entry.key, error));
                return None;
            }
        };
        let (speech, by_tcp) = yaml::word(&entry.value, &SPEECHES, &mut self.problems)?;
        let fits = match service {
            FlowService::Tcp(_) => by_tcp,
            FlowService::Udp(_) => !by_tcp,
            FlowService::Icmp(_) | FlowService::Icmpv6(_) | FlowService::Proto(_) => false,
        };
        if !fits {
            let over = if by_tcp { "TCP" } else { "UDP" };
            self.wrong(entry.key.span(), format!("this protocol is spoken over {over}"));
        }
        fits.then_some((service, speech))
    }
}
