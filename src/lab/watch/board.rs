//! What is known of a lab that is watched: a plain value, changed by one thing that happened at a time.

use std::collections::{BTreeMap, VecDeque};

use harness::living::{Standing, Station};
use wire::{CenterEvent, Kind, Presence};

use crate::center::show;

/// Lines that are held of what happened; older ones go.
const MOST: usize = 500;

/// One rule's packets: by verdict and rule.
pub(super) type Counts = BTreeMap<(String, String), u64>;

/// The board.
#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) name: String,
    pub(super) scenario: String,
    pub(super) generation: u64,
    pub(super) stations: Vec<Station>,
    /// What happened, the newest last.
    pub(super) lines: VecDeque<Line>,
    pub(super) counts: Counts,
    /// Records that the center told of and that were not heard here.
    pub(super) missed: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// It tells of something that was let pass.
    pub(super) passed: bool,
}

impl Board {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// What stands.
    pub(super) fn stand(&mut self, standing: Standing) {
        self.scenario = standing.scenario;
        self.generation = self.generation.max(standing.generation);
        self.stations = standing.stations;
        self.stations.sort_by(|one, other| (&one.host, &one.name).cmp(&(&other.host, &other.name)));
    }

    /// Something that the center has told; whether something else may stand now.
    pub(super) fn take(&mut self, event: &CenterEvent) -> bool {
        match event {
            CenterEvent::Record(record) if record.kind == Kind::Barrier => return false,
            CenterEvent::Record(record) => {
                let counted = self.counts.entry((record.verdict.to_string(), record.rule.clone())).or_default();
                *counted += record.packets;
                self.say(show::event(event), record.kind == Kind::Allow);
            }
            CenterEvent::Published { generation } => {
                self.generation = self.generation.max(*generation);
                self.say(show::event(event), true);
                return true;
            }
            CenterEvent::Agent(state) => {
                let presence = match state.presence {
                    Presence::Unenrolled => "unenrolled",
                    Presence::Online => "online",
                    Presence::Stale => "stale",
                    Presence::Offline => "offline",
                };
                let Some(station) = self.stations.iter_mut().find(|station| station.name == state.vm) else {
                    return true;
                };
                station.agent = Some((presence.to_owned(), state.acked));
            }
            CenterEvent::Alert { .. } => self.say(show::event(event), false),
            CenterEvent::Missed { count } => self.missed += count,
        }
        false
    }

    fn say(&mut self, text: String, passed: bool) {
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { text: text.trim_end().to_owned(), passed });
    }
}
