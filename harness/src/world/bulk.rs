//! Bulk transfers between endpoints.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use policy::FlowService;
use socket2::{SockAddr, Type};

use super::World;
use crate::evidence::Client as Learned;
use crate::probe::bulk::{Bulk, Carried};
use crate::probe::client::Client;
use crate::probe::listener::socket;
use crate::probe::tuple::Tuple;
use crate::scenario::{BulkTransfer, Doing, Speech};

/// How long a transfer may take before the clock ends the wait for it: longer than it gives itself.
const LONGEST: Duration = Duration::from_secs(310);

impl World {
    /// Carries bytes from one endpoint to another. A probe goes before it: where the flow is not let through, nothing of it is
    /// begun, and no clock is waited for.
    pub(super) fn bulk(&mut self, doing: &Doing, transfer: &BulkTransfer) -> Result<(), String> {
        let wanted = self.wanted(&transfer.stream)?;
        let probe = self.probe(wanted);
        self.prober.prepare(&self.lab, std::slice::from_ref(&probe))?;
        let attempts = self.prober.run(&self.lab, vec![probe.clone()]);
        self.known.extend(attempts.iter().map(|attempt| attempt.tuple));
        if attempts.iter().any(|attempt| attempt.learned != Learned::Answered) {
            self.come_out(doing, "the flow is not let through: nothing was carried".to_owned());
            return Ok(());
        }
        let place = (probe.destination_address, probe.service);
        self.prober.listeners.leave(place);
        let station = |name: &str| self.lab.station(name).cloned().map_err(|error| error.to_string());
        let (source, destination) = (station(&probe.source)?, station(&probe.destination)?);
        let failed = |error: std::io::Error| format!("carry bytes: {error}");
        let listener = destination.enter(|| listener(place)).map_err(|error| error.to_string())?.map_err(failed)?;
        let ends = (probe.source_address, probe.destination_address);
        let ports = &mut self.prober.ports;
        let client = source.enter(|| Client::new(ports, ends, probe.service, Speech::Plain));
        let client = client.map_err(|error| error.to_string())?.ok_or("carry bytes by what has no ports")?;
        let client = client.map_err(failed)?;
        self.known.insert(Tuple::of_probe(&probe, client.port));
        let bulk = Bulk::begin(client.connect().map_err(failed)?, listener, transfer.bytes).map_err(failed)?;
        self.await_word(LONGEST, |_| bulk.is_over());
        match bulk.end() {
            Ok(carried) => {
                self.carried = Some(carried);
                misses(transfer, &carried).into_iter().for_each(|why| self.come_out(doing, why));
            }
            Err(why) => self.come_out(doing, why),
        }
        // Its ends have told of every byte: the taps, which have room for little of it, say nothing more.
        self.look_at_programs()?;
        if self.rounds.done.is_empty() { self.taps.clear().map_err(|error| error.to_string()) } else { Ok(()) }
    }
}

fn listener((address, service): (std::net::IpAddr, FlowService)) -> std::io::Result<TcpListener> {
    let FlowService::Tcp(port) = service else { return Err(std::io::ErrorKind::Unsupported.into()) };
    let socket = socket(address, Type::STREAM)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(SocketAddr::new(address, port)))?;
    socket.listen(1)?;
    Ok(socket.into())
}

/// What is wrong with how fast a transfer was.
fn misses(transfer: &BulkTransfer, carried: &Carried) -> Option<String> {
    let rate = carried.bytes as f64 * 8.0 / carried.seconds.max(1e-6);
    let told = |bound: &str, wanted: u64| format!("it carried {rate:.0} bits a second, {bound} {wanted}");
    let slow = transfer.least.filter(|least| rate < *least as f64).map(|least| told("less than", least));
    slow.or_else(|| transfer.most.filter(|most| rate > *most as f64).map(|most| told("more than", most)))
}
