//! Breaking a part of the lab behind the judge's back: the harness must notice by its evidence alone.

use std::str::FromStr;

use lab::{Cut, Place};
use serde::{Deserialize, Serialize};

use super::World;
use crate::evidence::Probe;

/// The VM or the endpoint that the break is about, where it is about one.
const VICTIM: &str = "liar";

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sabotage {
    /// No listener listens.
    DeadListener,
    /// Listeners take what comes, and answer nothing.
    MuteListener,
    /// No path leads from the VM `liar` to any other VM.
    NoRoute,
    /// The VM `liar` loses its link.
    LinkDown,
    /// The tap at the VM `liar` sees nothing.
    DeafTap,
    /// What is to be cut stays whole.
    WholePaths,
    /// A VM that sends from the first has its network before its agent.
    BornWired,
    /// Ports that are to be guarded are open.
    OpenPorts,
    /// The agent of the VM `liar` lives and does nothing.
    FrozenAgent,
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "dead-listener" => Ok(Self::DeadListener),
            "mute-listener" => Ok(Self::MuteListener),
            "no-route" => Ok(Self::NoRoute),
            "link-down" => Ok(Self::LinkDown),
            "deaf-tap" => Ok(Self::DeafTap),
            "whole-paths" => Ok(Self::WholePaths),
            "born-wired" => Ok(Self::BornWired),
            "open-ports" => Ok(Self::OpenPorts),
            "frozen-agent" => Ok(Self::FrozenAgent),
            other => Err(format!("nothing known as `{other}` can be broken")),
        }
    }
}

impl World {
    /// Breaks what is to be broken from the start.
    pub(super) fn break_raised(&mut self) -> Result<(), String> {
        match self.programs.sabotage {
            Some(Sabotage::NoRoute) => {
                let others = self.state.endpoints().filter(|name| name.as_str() != VICTIM);
                let other = others.map(|name| Place::Station(name.to_string())).collect();
                let one = vec![Place::Station(VICTIM.to_owned())];
                self.prober.unaware = true;
                self.lab.cut(Cut::Silent { one, other }).map(drop).map_err(|error| error.to_string())
            }
            Some(Sabotage::LinkDown) => {
                self.prober.unaware = true;
                self.lab.cut(Cut::LinkDown(VICTIM.to_owned())).map(drop).map_err(|error| error.to_string())
            }
            Some(Sabotage::DeafTap) => {
                self.taps.close(VICTIM);
                Ok(())
            }
            Some(Sabotage::FrozenAgent) => {
                let victim = self.agents.iter().find(|(vm, _)| vm.as_str() == VICTIM);
                victim.map_or(Ok(()), |(_, agent)| agent.freeze()).map_err(|error| format!("freeze an agent: {error}"))
            }
            Some(
                Sabotage::DeadListener
                | Sabotage::MuteListener
                | Sabotage::WholePaths
                | Sabotage::OpenPorts
                | Sabotage::BornWired,
            )
            | None => Ok(()),
        }
    }

    /// Breaks what has just been prepared for a batch.
    pub(super) fn break_prepared(&mut self, probes: &[Probe]) {
        if self.programs.sabotage == Some(Sabotage::DeadListener) {
            probes.iter().for_each(|probe| self.prober.listeners.close(probe.destination_address));
        }
        self.prober.listeners.mute = self.programs.sabotage == Some(Sabotage::MuteListener);
    }
}
