//! Floods: alone, or while other things are done; and what became of their datagrams.

use std::time::{Duration, Instant};

use lab::Station;

use super::World;
use super::effort::Efforts;
use crate::evidence::Fence;
use crate::probe::flood::{Delivered, Flood, Flooded, Sink};
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
    /// What agents had used of the processors when it began.
    efforts: Efforts,
}

/// The last change of policy or topology: from when it was asked for until every agent had acknowledged it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) begun: Instant,
    pub(super) acknowledged: Instant,
}

impl World {
    /// Begins a flood, and waits for its end unless it is to go on meanwhile.
    pub(super) fn flood(&mut self, doing: &Doing, flooding: &Flooding) -> Result<(), String> {
        let begun = self.begin_flood(doing, flooding)?;
        match &flooding.name {
            Some(name) => drop(self.floods.insert(name.clone(), begun)),
            None => self.finish_flood(begun)?,
        }
        Ok(())
    }

    pub(super) fn begin_flood(&mut self, doing: &Doing, flooding: &Flooding) -> Result<OnTheWay, String> {
        let Flooding { from, to, ports, family, packets, rate, fate, .. } = flooding;
        let address = |name: &policy::Name| {
            self.state.address(name, *family).ok_or_else(|| format!("find a {family} address of {name}"))
        };
        let ends = (address(from)?, address(to)?);
        let sink = fate.map(|_| Sink::open(self.station(to)?, (ends.1, *ports.start()).into())).transpose()?;
        let efforts = self.efforts();
        let flood = Flood::begin(self.station(from)?, ends, ports.clone(), (u64::from(*packets), *rate))?;
        self.known.extend(&flood.tuples);
        Ok(OnTheWay { doing: doing.clone(), flooding: flooding.clone(), flood, sink, efforts })
    }

    /// Ends a flood that goes on.
    pub(super) fn end_flood(&mut self, name: &str) -> Result<(), String> {
        let begun = self.floods.remove(name).ok_or_else(|| format!("end the flood {name}: it does not go on"))?;
        self.stop_floods(vec![begun])
    }

    /// Ends floods: accounts do not balance while one of them goes on.
    pub(super) fn stop_floods(&mut self, begun: Vec<OnTheWay>) -> Result<(), String> {
        begun.iter().for_each(|one| one.flood.stop());
        begun.into_iter().try_for_each(|one| self.finish_flood(one))
    }

    fn finish_flood(&mut self, begun: OnTheWay) -> Result<(), String> {
        let OnTheWay { doing, flooding: Flooding { from, to, fate, but, .. }, flood, sink, efforts } = begun;
        if !self.await_word(LONGEST, |_| flood.is_over()) {
            return Err(format!("end a flood in {} s", LONGEST.as_secs()));
        }
        let flooded = flood.end()?;
        tracing::info!(packets = flooded.packets, seconds = flooded.seconds, "a flood was sent");
        self.flooded = Some(flooded);
        self.busiest = self.busiest(&efforts, flooded.seconds);
        if let (Some(fate), Some(sink)) = (fate, sink) {
            // Behind the fence nothing of it is under way.
            let fence = self.prober.fences.run(&self.lab, from.as_str(), to.as_str());
            let came = sink.delivered(self.station(&to)?)?;
            let why = match fence.map_err(|error| error.to_string())? {
                Fence::Returned => self.misses((fate, but), &flooded, came),
                Fence::Lost | Fence::NotNeeded => Some("the fence behind it did not come back".to_owned()),
            };
            why.into_iter().for_each(|why| self.come_out(&doing, why));
            self.look_at_programs()?;
            // Its ends have told of it; what the taps saw of it, and lost for its sake, speaks of nothing else.
            self.taps.clear().map_err(|error| error.to_string())?;
        }
        // A storm is told when it is over: till then nothing of its flows is told one by one.
        if self.floods.is_empty() {
            self.balance()?;
        }
        // An ordinary user's taps have room for little of a flood. Where rounds went on beside it, they need what was seen.
        if self.rounds.done.is_empty() { self.taps.clear().map_err(|error| error.to_string()) } else { Ok(()) }
    }

    /// What is wrong with what came of a flood.
    fn misses(&mut self, (fate, but): (Fate, u32), flooded: &Flooded, came: Delivered) -> Option<String> {
        let wanted = match fate {
            Fate::Delivered => flooded.packets,
            Fate::Lost => 0,
            Fate::Revoked => return self.outlives(flooded, came),
        };
        let rate = flooded.packets as f64 / flooded.seconds.max(0.001);
        let told = || format!("{} of {} were delivered, at {rate:.0} a second", came.packets, flooded.packets);
        (came.packets.abs_diff(wanted) > u64::from(but)).then(told)
    }

    /// What is wrong with a flow that a change was to end; where nothing is, how long it outlived the change is a figure.
    fn outlives(&mut self, flooded: &Flooded, came: Delivered) -> Option<String> {
        let Some(changed) = self.changed else { return Some("nothing was changed while it went on".to_owned()) };
        let (Some(last), 0) = (came.last, came.unread) else {
            return Some(format!("{} were delivered, and {} of them found no room", came.packets, came.unread));
        };
        let last = flooded.begun + last;
        if changed.begun <= flooded.begun || last < flooded.begun {
            return Some("nothing was changed while it went on".to_owned());
        }
        if last >= changed.acknowledged {
            let late = last.duration_since(changed.acknowledged).as_secs_f64() * 1e3;
            return Some(format!("one was delivered that was sent {late:.1} ms after the last acknowledgement"));
        }
        if flooded.begun + Duration::from_secs_f64(flooded.seconds) <= changed.acknowledged {
            return Some("none was sent after the last acknowledgement: end it later".to_owned());
        }
        self.outlived.push(last.saturating_duration_since(changed.begun));
        None
    }

    fn station(&self, name: &policy::Name) -> Result<&Station, String> {
        self.lab.station(name.as_str()).map_err(|error| error.to_string())
    }
}
