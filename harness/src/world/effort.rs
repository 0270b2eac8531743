//! What agents' processes have used of the processors.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};
use policy::Name;

use super::World;

/// Processor time by agent.
pub(super) type Efforts = BTreeMap<Name, Duration>;

impl World {
    /// What each living agent has used since it began.
    pub(super) fn efforts(&self) -> Efforts {
        let ticks =
            sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u32::try_from(ticks).ok()).unwrap_or(100);
        let used = |(vm, agent): (&Name, &super::Program)| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", agent.pid())).ok()?;
            Some((vm.clone(), Duration::from_secs(1) * ticks_of(&stat)? / ticks.max(1)))
        };
        self.agents.iter().filter_map(used).collect()
    }

    /// The share of one processor that the busiest agent used, of those that lived through all of it.
    pub(super) fn busiest(&self, before: &Efforts, seconds: f64) -> f64 {
        let used = |(vm, now): (&Name, &Duration)| Some(now.checked_sub(*before.get(vm)?)?.as_secs_f64());
        let most = self.efforts().iter().filter_map(used).fold(0.0, f64::max);
        if seconds > 0.0 { most / seconds } else { 0.0 }
    }
}

/// User and system time of a process, in clock ticks (`proc_pid_stat(5)`, fields 14 and 15; the name in field 2 may hold
/// spaces).
fn ticks_of(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_behind_a_name_of_any_kind() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 100 0 0 0 17 25 0 0 20 0 1 0 100 1000 10";
        assert_eq!(ticks_of(stat), Some(42));
        assert_eq!(ticks_of("42 (a) S 1"), None);
    }
}
