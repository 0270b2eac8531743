//! How much memory the center holds, by the kernel's word.

use std::fs;

use super::World;

/// What makes the kernel forget how much a process once held.
const FORGET: &str = "5";

impl World {
    /// Begins to look for the most that the center holds.
    pub(super) fn forget_peak(&self) -> Result<(), String> {
        let Some(center) = &self.center else { return Ok(()) };
        let path = format!("/proc/{}/clear_refs", center.pid());
        fs::write(&path, FORGET).map_err(|error| format!("write {path}: {error}"))
    }

    /// The most that it has held since, in bytes.
    pub(super) fn center_peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.center.as_ref()?.pid())).ok()?;
        peak(&status)
    }
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_kernels_status() {
        let rows = [("VmRSS:\t 7 kB\nVmHWM:\t  2048 kB\n", Some(2 << 20)), ("VmHWM: lots\n", None), ("", None)];
        for (status, expected) in rows {
            assert_eq!(peak(status), expected, "{status}");
        }
    }
}
