//! When the center was last heard, kept for the agent's next life by a clock that outlives the agent, and ends with the
//! machine's own life: the time since the kernel started.

use std::fs;

use crate::folder::Folder;

/// A random text that names this life of the kernel.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// The seconds since the kernel started, times of sleep included.
const UPTIME: &str = "/proc/uptime";

/// How long ago the center was last heard, in milliseconds; `None` where that was in another life of the kernel, or is
/// not known.
pub(crate) fn before(folder: &Folder) -> Option<u64> {
    let kept = folder.heard()?;
    let (boot, heard) = kept.split_once(' ')?;
    let (this, now) = (boot_id()?, uptime()?);
    if boot != this {
        return None;
    }
    now.checked_sub(heard.trim().parse().ok()?)
}

/// Keeps that the center was heard so many milliseconds ago. A failure costs the next life its lease, and no more.
pub(crate) fn keep(folder: &Folder, ago: u64) {
    let Some((boot, now)) = boot_id().zip(uptime()) else { return };
    if let Err(error) = folder.keep_heard(&format!("{boot} {}\n", now.saturating_sub(ago))) {
        tracing::warn!("cannot {error}");
    }
}

/// This life of the kernel.
pub(crate) fn boot_id() -> Option<String> {
    Some(fs::read_to_string(BOOT).ok()?.trim().to_owned())
}

/// How long it lasts, in milliseconds.
pub(crate) fn uptime() -> Option<u64> {
    let text = fs::read_to_string(UPTIME).ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1000 + hundredths.parse::<u64>().ok()? * 10)
}
