//! Floods: alone, or while other things are done; and what became of their datagrams.

use std::time::Duration;

use lab::Station;

use super::World;
use crate::evidence::Fence;
use crate::probe::flood::{Flood, Sink};
use crate::scenario::{Doing, Fate, Flooding};

/// How long a flood may take.
const LONGEST: Duration = Duration::from_secs(300);

/// A flood that is under way.
#[derive(Debug)]
pub(crate) struct OnTheWay {
    doing: Doing,
    flooding: Flooding,
    flood: Flood,
    /// Where what is delivered is counted, if that is asked for.
    sink: Option<Sink>,
}

impl World {
    /// Begins a flood, and waits for its end unless it is to go on meanwhile.
    pub(super) fn flood(&mut self, doing: &Doing, flooding: &Flooding) -> Result<(), String> {
        let Flooding { from, to, ports, family, packets, rate, name, fate } = flooding;
        let address = |name: &policy::Name| {
            self.state.address(name, *family).ok_or_else(|| format!("find a {family} address of {name}"))
        };
        let ends = (address(from)?, address(to)?);
        let sink = fate.map(|_| Sink::open(self.station(to)?, (ends.1, *ports.start()).into())).transpose()?;
        let flood = Flood::begin(self.station(from)?, ends, ports.clone(), (u64::from(*packets), *rate))?;
        self.known.extend(&flood.tuples);
        let begun = OnTheWay { doing: doing.clone(), flooding: flooding.clone(), flood, sink };
        match name {
            Some(name) => drop(self.floods.insert(name.clone(), begun)),
            None => self.finish_flood(begun)?,
        }
        Ok(())
    }

    /// Ends a flood that goes on.
    pub(super) fn end_flood(&mut self, name: &str) -> Result<(), String> {
        let begun = self.floods.remove(name).ok_or_else(|| format!("end the flood {name}: it does not go on"))?;
        begun.flood.stop();
        self.finish_flood(begun)
    }

    fn finish_flood(&mut self, begun: OnTheWay) -> Result<(), String> {
        let OnTheWay { doing, flooding: Flooding { from, to, fate, .. }, flood, sink } = begun;
        if !self.await_word(LONGEST, |_| flood.is_over()) {
            return Err(format!("end a flood in {} s", LONGEST.as_secs()));
        }
        let flooded = flood.end()?;
        tracing::info!(packets = flooded.packets, seconds = flooded.seconds, "a flood was sent");
        self.flooded = Some(flooded);
        if let (Some(fate), Some(sink)) = (fate, sink) {
            // Behind the fence nothing of it is under way.
            let fence = self.prober.fences.run(&self.lab, from.as_str(), to.as_str());
            let delivered = sink.delivered(self.station(&to)?)?;
            let wanted = if fate == Fate::Delivered { flooded.packets } else { 0 };
            if fence.map_err(|error| error.to_string())? != Fence::Returned {
                self.come_out(&doing, "the fence behind it did not come back".to_owned());
            } else if delivered != wanted {
                let rate = flooded.packets as f64 / flooded.seconds.max(0.001);
                self.come_out(
                    &doing,
                    format!("{delivered} of {} were delivered, at {rate:.0} a second", flooded.packets),
                );
            }
            // Its ends have told of it; what the taps saw of it, and lost for its sake, speaks of nothing else.
            self.taps.clear().map_err(|error| error.to_string())?;
        }
        // A storm is told when it is over: till then nothing of its flows is told one by one.
        if self.floods.is_empty() { self.balance().map(drop) } else { Ok(()) }
    }

    fn station(&self, name: &policy::Name) -> Result<&Station, String> {
        self.lab.station(name.as_str()).map_err(|error| error.to_string())
    }
}
