//! What a living lab asks of its world beside steps and probes.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use policy::Name;

use super::{OPERATORS, World};
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
        let state = &self.state;
        let named = |name: &Name| {
            let addresses = state.addresses(name).iter();
            addresses.map(|address| (*address, name.to_string())).collect::<Vec<_>>()
        };
        state.endpoints().flat_map(named).collect()
    }

    /// Lets operators outside speak with the center, as if this folder were the center's own.
    pub(crate) fn let_operate(&self, folder: &Path) -> Result<(), String> {
        let wrong = |error: io::Error| format!("let operators speak with the center at {}: {error}", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
        let center = self.center.as_ref().ok_or("find the center")?;
        let center = center.folder.join("state").join(OPERATORS);
        UnixListener::bind(folder.join(OPERATORS)).and_then(|near| self.operator.relay(near, center)).map_err(wrong)
    }
}
