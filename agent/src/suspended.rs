//! A suspension, kept for the agent's next life by a clock that outlives the agent and ends with the machine's own life.

use agent_core::Suspended;

use crate::error::Error;
use crate::folder::Folder;
use crate::heard::{boot_id, uptime};

/// What an earlier life left and has not ended yet, by this life's clock, which begins with 0. After a restart of the
/// machine it has ended.
pub(crate) fn before(folder: &Folder) -> Option<Suspended> {
    let kept = folder.suspended()?;
    let mut words = kept.trim_end().splitn(3, ' ');
    let (boot, end, by) = (words.next()?, words.next()?.parse::<u64>().ok()?, words.next()?);
    let (this, now) = (boot_id()?, uptime()?);
    (boot == this && end > now).then(|| Suspended { until: end - now, by: by.to_owned() })
}

/// Keeps that the machine is suspended for so many milliseconds from now on.
pub(crate) fn keep(folder: &Folder, left: u64, by: &str) -> Result<(), Error> {
    let missing = || Error::System { what: "tell the time", error: std::io::Error::from(std::io::ErrorKind::NotFound) };
    let (boot, now) = boot_id().zip(uptime()).ok_or_else(missing)?;
    folder.keep_suspended(&format!("{boot} {} {by}\n", now.saturating_add(left)))
}
