//! What a topology needs of a machine, and whether that is there: asked before anything is raised.

use std::fs;

use nix::sys::resource::{Resource, getrlimit};

use crate::scenario::{AgentKind, Topology};

/// What a VM takes of the kernel's memory, and an agent beside it, in bytes: measured with labs of 100 to 1,000 VMs, rounded
/// down, so that nothing is refused that would do.
const OF_A_STATION: u64 = 400 << 10;
const OF_AN_AGENT: u64 = 3 << 20;
/// What the center and the harness take.
const AT_LEAST: u64 = 64 << 20;
/// Descriptors of the harness for each station (its namespace, wires and witnesses), and without any.
const DESCRIPTORS_OF_A_STATION: u64 = 5;
const DESCRIPTORS_AT_LEAST: u64 = 200;

/// So much memory, in bytes, and so many descriptors in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Means {
    memory: u64,
    descriptors: u64,
}

impl Means {
    /// What a topology needs.
    pub(crate) fn of(topology: &Topology) -> Self {
        let stations = (topology.vms.len() + topology.outside.len()) as u64;
        let agents = topology.vms.values().filter(|vm| vm.agent == AgentKind::Eastwest).count() as u64;
        Self {
            memory: AT_LEAST + stations * OF_A_STATION + agents * OF_AN_AGENT,
            descriptors: DESCRIPTORS_AT_LEAST + stations * DESCRIPTORS_OF_A_STATION,
        }
    }

    /// What this machine has left; what it does not tell is taken as enough.
    pub(crate) fn here() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let free = available(&read("/proc/meminfo")).unwrap_or(u64::MAX);
        let groups = read("/proc/self/cgroup");
        let group = own_group(&groups).and_then(|group| {
            let of = |file: &str| read(&format!("/sys/fs/cgroup{group}/{file}")).trim().parse::<u64>().ok();
            Some(of("memory.max")?.saturating_sub(of("memory.current")?))
        });
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard);
        Self { memory: free.min(group.unwrap_or(u64::MAX)), descriptors }
    }

    /// What is lacking of what is needed, with the numbers.
    pub(crate) fn lack(self, there: Self) -> Option<String> {
        let mib = |bytes: u64| bytes >> 20;
        if self.memory > there.memory {
            let (needed, there) = (mib(self.memory), mib(there.memory));
            return Some(format!(
                "it needs about {needed} MiB of memory, and there are {there} MiB: free some, raise the control group's limit, \
                 run fewer scenarios at once (`--jobs 1`), or make the topology smaller"
            ));
        }
        (self.descriptors > there.descriptors).then(|| {
            let (needed, there) = (self.descriptors, there.descriptors);
            format!(
                "it needs about {needed} file descriptors, and a process may have {there}: raise the limit (as root \
                 `ulimit -Hn {needed}`, or LimitNOFILE={needed} of the service), or make the topology smaller"
            )
        })
    }
}

/// The bytes that are available (`proc_meminfo(5)`).
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The control group of the unified hierarchy (`cgroups(7)`).
fn own_group(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_with_the_numbers() {
        let means = |memory: u64, descriptors: u64| Means { memory: memory << 20, descriptors };
        let rows = [
            (means(100, 300), means(100, 300), None),
            (means(101, 300), means(100, 300), Some("101 MiB of memory, and there are 100 MiB")),
            (means(100, 301), means(100, 300), Some("301 file descriptors, and a process may have 300")),
        ];
        for (needed, there, expected) in rows {
            let said = needed.lack(there);
            assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
            assert!(expected.is_none_or(|part| said.is_some_and(|said| said.contains(part))), "{expected:?}");
        }
    }

    #[test]
    fn the_kernel_is_understood() {
        assert_eq!(available("MemFree: 1 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemFree: 1 kB\n"), None);
        assert_eq!(own_group("1:name=x:/a\n0::/user.slice\n"), Some("/user.slice"));
    }
}
