//! From the newest aim to what is asked of the kernel.

use std::sync::Arc;

use wire::{Ack, AckResult, FromAgent, View};

use super::Machine;
use crate::compile::{self, Program};
use crate::deed::{Aim, Deed, Job};
use crate::outage::signed;
use crate::outcome::Numbering;
use crate::ruleset::MAX_EPOCH;

impl Machine {
    /// Looks at the newest wish, unless the kernel half is busy.
    pub(super) fn proceed(&mut self, now: u64) {
        if self.job.is_some() {
            return;
        }
        if self.unknown_marks && self.enforced.is_some() {
            self.job = Some(Job::Sweep);
            return;
        }
        let Some(mut aim) = self.wish.take() else { return };
        let Some(view) = aim.view.clone() else {
            let program = compile::closed(self.config.center, &mut self.numbering);
            return self.consider(program, aim, false);
        };
        // Once over, a policy is taken up again by the center's own word alone.
        aim.over |= !aim.ack && self.watch.is_over(view.outage, now);
        self.interceptions.end(signed(now), self.clock);
        let time = self.clock.map(|clock| signed(now) + clock);
        self.looked = time;
        let strange = self.is_anothers(&view);
        let past = self.numbering.len() > self.used();
        let program = match aim.over || strange {
            true => compile::over(&view, &mut self.numbering),
            false => compile::compile(&self.eased(self.interceptions.within(&view)), time, &mut self.numbering),
        };
        let program = program.map(|mut program| {
            let ruleset = Arc::make_mut(&mut program.ruleset);
            ruleset.center = self.config.center.or(view.center);
            if strange {
                ruleset.own.clear();
            }
            program
        });
        self.consider(program, aim, past);
    }

    /// Whether a view binds none of this machine's addresses: it is another machine's, of which this one is a copy, or the
    /// machine has got other addresses. It is closed then, and may speak to its center from the address that it has.
    pub(super) fn is_anothers(&self, view: &View) -> bool {
        let (seen, bound) = (&self.config.addresses, &view.addresses);
        self.config.center.is_some()
            && !seen.is_empty()
            && !bound.is_empty()
            && !seen.iter().any(|address| bound.contains(address))
    }

    /// Decides what a compiled aim asks of the kernel. `past`: before it was compiled, words of the past alone held numbers.
    fn consider(&mut self, program: Result<Program, compile::TooBig>, aim: Aim, past: bool) {
        self.starved |= past && program.as_ref().is_err_and(compile::TooBig::is_of_numbers);
        // Without words of the past, a policy that needs most numbers would be swept for again and again.
        let crowded = self.starved || past && self.crowded();
        match program {
            Ok(program) if self.stands(&program) && self.reborn(aim.view.as_deref()).is_empty() => self.extend(aim),
            Ok(_) | Err(_) if crowded || self.epochs.must_sweep(self.config.max_epoch) => {
                self.wish = Some(aim);
                self.job = Some(Job::Sweep);
            }
            Ok(program) => self.begin(program, aim),
            Err(reason) => self.refuse(&aim, &reason.to_string()),
        }
    }

    /// Whether numbers run short, and most are held by words of the past alone. A sweep frees them then, and no
    /// sooner: a swept mark still tells which rule had admitted its flow.
    pub(super) fn crowded(&self) -> bool {
        self.numbering.len() > Numbering::LIMIT / 2 && self.used() < self.numbering.len() / 2
    }

    /// How many numbers the program in force has.
    fn used(&self) -> usize {
        self.enforced.as_ref().map_or(0, |deed| deed.program.outcomes.len())
    }

    /// Whether a program asks of the kernel just what is in force.
    fn stands(&self, program: &Program) -> bool {
        self.enforced.as_ref().is_some_and(|deed| deed.program.ruleset.judges_as(&program.ruleset))
    }

    /// The ruleset in force serves a later generation too.
    fn extend(&mut self, aim: Aim) {
        let Some(view) = &aim.view else { return };
        let generation = view.generation;
        self.history.extend(view);
        self.refused = None;
        if aim.ack {
            self.answer(generation, AckResult::InForce);
        }
        if let Some(deed) = &mut self.enforced {
            self.dirty |= deed.aim.view != aim.view || deed.aim.seal != aim.seal || deed.aim.over != aim.over;
            deed.aim = aim;
        }
        self.hold_detectors();
    }

    /// A new epoch begins.
    fn begin(&mut self, mut program: Program, aim: Aim) {
        let epoch = self.epochs.give(self.config.max_epoch.min(MAX_EPOCH));
        Arc::make_mut(&mut program.ruleset).epoch = epoch;
        self.history.begin(epoch, aim.view.as_deref(), program.outcomes.clone());
        self.job = Some(Job::Apply(Box::new(Deed { program, aim })));
        self.dirty = true;
    }

    pub(super) fn refuse(&mut self, aim: &Aim, reason: &str) {
        self.refused = Some((aim.generation(), reason.to_owned()));
        if aim.ack {
            self.answer(aim.generation(), AckResult::Refused { reason: reason.to_owned() });
        }
    }

    pub(super) fn answer(&mut self, generation: u64, result: AckResult) {
        if self.connected {
            self.outbox.push_back(FromAgent::Ack(Ack { generation, result }));
        }
    }
}
