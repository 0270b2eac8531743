//! Bugs of a compiler: what an agent would do whose compiler takes a policy for another one. Nothing tells where they are.

use agent::Edge;
use policy::{Action, Mode, ServiceMatch};
use wire::{Outside, View, ViewRule};

/// One bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Bug {
    /// A range of ports ends one early.
    RangeEndLost,
    /// A range of ports begins one late.
    RangeStartLost,
    /// Of several services the last is forgotten.
    LastServiceLost,
    /// UDP's ports are taken for TCP's.
    UdpAsTcp,
    /// `ICMPv6` is forgotten.
    Icmpv6Lost,
    /// The last VM of a set is forgotten.
    LastPeerLost,
    /// The exceptions of a group of addresses are forgotten.
    ExceptionsLost,
    /// What holds for all addresses outside holds for none.
    OutsideLost,
    /// Rules that deny come before those that allow.
    DenyFirst,
    /// The last rule is forgotten.
    LastRuleLost,
    /// What a rule passes on, nobody passes on.
    PassLost,
    /// A rule that passes leaves all tiers.
    PassLeavesAll,
    /// A rule that only records acts.
    MonitorActs,
    /// What holds at this machine as the source is taken from what holds for it as the destination.
    OutboundAsInbound,
}

/// An agent with such a compiler.
#[derive(Debug)]
pub struct Miscompiler(pub Bug);

impl Edge for Miscompiler {
    fn view(&mut self, mut view: View) -> View {
        match self.0 {
            Bug::LastPeerLost => {
                view.sets
                    .iter_mut()
                    .filter(|set| set.vms.len() > 1)
                    .for_each(|set| set.vms.truncate(set.vms.len() - 1));
            }
            Bug::ExceptionsLost => view.sets.iter_mut().for_each(|set| all_of_groups(&mut set.outside)),
            Bug::OutsideLost => {
                view.sets
                    .iter_mut()
                    .filter(|set| set.outside == Outside::All)
                    .for_each(|set| set.outside = Outside::None);
            }
            Bug::DenyFirst => view.rules.sort_by_key(|rule| (rule.tier, rule.action == Action::Allow)),
            Bug::LastRuleLost => view.rules.truncate(view.rules.len().saturating_sub(1)),
            Bug::PassLost => view.rules.retain(|rule| rule.action != Action::Pass),
            Bug::PassLeavesAll => view.rules.iter_mut().for_each(|rule| rule.tier = 0),
            Bug::MonitorActs => view.rules.iter_mut().for_each(|rule| rule.mode = Mode::Enforce),
            Bug::OutboundAsInbound => view.rules.iter_mut().for_each(|rule| rule.outbound = rule.inbound),
            Bug::RangeEndLost | Bug::RangeStartLost | Bug::LastServiceLost | Bug::UdpAsTcp | Bug::Icmpv6Lost => {
                view.rules.iter_mut().for_each(|rule| self.services(rule))
            }
        }
        view
    }
}

impl Miscompiler {
    fn services(&self, rule: &mut ViewRule) {
        if self.0 == Bug::LastServiceLost && rule.services.len() > 1 {
            rule.services.pop();
        }
        if self.0 == Bug::Icmpv6Lost {
            rule.services.retain(|item| !matches!(item, ServiceMatch::Icmpv6(_)));
        }
        for item in &mut rule.services {
            let ServiceMatch::Ports { tcp, first, last } = item else { continue };
            *last -= u16::from(self.0 == Bug::RangeEndLost && first < last);
            *first += u16::from(self.0 == Bug::RangeStartLost && first < last);
            *tcp |= self.0 == Bug::UdpAsTcp;
        }
    }
}

/// Groups without what is taken out of them.
fn all_of_groups(outside: &mut Outside) {
    if let Outside::Groups(groups) = outside {
        groups.iter_mut().for_each(|group| std::sync::Arc::make_mut(group).excludes.clear());
    }
}
