//! Settling once more: what was undecided, and what a path may have lost.

use policy::{FlowService, Verdict};

use super::World;
use crate::evidence::{Client, Evidence, Probe};
use crate::witness::testimony::is_undecided;

/// How often what a path may have lost is sent once more, until it is answered.
const TRIES_WHERE_SOME_ARE_LOST: usize = 40;

impl World {
    /// Settles what is undecided once more, with fresh sockets (semantics 23, 31); how many it were. Where others enforce,
    /// no record can decide: there silence must be met twice, and is not counted. Nor is what a path loses, which is asked
    /// until it is answered.
    pub(super) fn settle_again(&mut self, made: &mut [Evidence]) -> Result<u64, String> {
        let is_foreign = |name: &str| name.parse().is_ok_and(|name| self.state.is_foreign(&name));
        let foreign = |probe: &Probe| is_foreign(&probe.source) || is_foreign(&probe.destination);
        let is_open = |evidence: &Evidence| is_undecided(evidence, foreign(&evidence.probe));
        let open: Vec<usize> =
            (0..made.len()).filter(|&at| is_open(&made[at]) && !self.may_be_lost(&made[at].probe)).collect();
        let counted = open.iter().filter(|&&at| !foreign(&made[at].probe)).count() as u64;
        self.once_more(made, &open)?;
        for _ in 0..TRIES_WHERE_SOME_ARE_LOST {
            let lost: Vec<usize> = (0..made.len()).filter(|&at| self.is_lost(&made[at])).collect();
            if lost.is_empty() {
                break;
            }
            self.once_more(made, &lost)?;
        }
        Ok(counted)
    }

    fn may_be_lost(&self, probe: &Probe) -> bool {
        self.lab.quality(&probe.source, &probe.destination).loss > 0
    }

    /// Whether silence may be the path's doing: nothing says that the probe was dropped, which nobody answers, or rejected,
    /// which sockets without ports do not hear of.
    fn is_lost(&self, evidence: &Evidence) -> bool {
        let hears = matches!(evidence.probe.service, FlowService::Tcp(_) | FlowService::Udp(_));
        let explains = |verdict| match verdict {
            Verdict::Allow => false,
            Verdict::Deny => true,
            Verdict::Reject => !hears,
        };
        let ends = [&evidence.source_end, &evidence.destination_end];
        let mut records = ends.into_iter().flatten().flat_map(|end| &end.records);
        self.may_be_lost(&evidence.probe)
            && evidence.client == Client::Silence
            && !records.any(|record| explains(record.verdict))
    }

    /// Settles some once more, with fresh sockets.
    fn once_more(&mut self, made: &mut [Evidence], open: &[usize]) -> Result<(), String> {
        if open.is_empty() {
            return Ok(());
        }
        let fresh = open.iter().map(|&at| {
            self.next_probe += 1;
            Probe { id: self.next_probe, ..made[at].probe.clone() }
        });
        let fresh: Vec<Probe> = fresh.collect();
        for (&at, evidence) in open.iter().zip(self.settle(fresh)?) {
            made[at] = Evidence { again: true, ..evidence };
        }
        Ok(())
    }
}
