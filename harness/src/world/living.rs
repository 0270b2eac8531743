//! What a living lab asks of its world beside steps and probes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use policy::Name;

use super::World;
use crate::living::Station;
use crate::state::State;

impl World {
    /// Hears what the center has told, while no step is under way: it belongs to none.
    pub(crate) fn idle(&mut self) {
        self.await_word(Duration::ZERO, |_| true);
        self.account.turn();
    }

    /// The generation that the center has published last.
    pub(crate) fn published(&self) -> u64 {
        self.account.published
    }

    /// How an endpoint stands.
    pub(crate) fn stands(&self, state: &State, name: &Name) -> Option<Station> {
        let station = self.lab.station(name.as_str()).ok()?;
        let labels =
            state.vms.get(name).map(|vm| vm.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        let agent = self.account.agents.get(name.as_str()).filter(|_| state.is_managed(name));
        Some(Station {
            name: name.to_string(),
            host: station.host(),
            addresses: station.addresses(),
            labels: labels.into_iter().flatten().collect(),
            agent: agent.map(|agent| (format!("{:?}", agent.presence).to_lowercase(), agent.acked)),
        })
    }

    /// The names of the endpoints, by their addresses.
    pub(crate) fn names(&self) -> BTreeMap<IpAddr, String> {
        let named =
            |name: &Name| self.state.addresses(name).iter().map(move |address| (*address, name.to_string())).collect();
        self.state.endpoints().flat_map::<Vec<_>, _>(|name| named(name)).collect()
    }
}
