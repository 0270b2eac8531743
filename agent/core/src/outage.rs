//! How long a policy outlives the last word of its center.

use policy::Outage;

/// Three heartbeats of the center, in milliseconds: a silence of that length is no accident.
const GRACE: i64 = 6_000;
/// How long to wait, in milliseconds, before the kernel is asked once more for what it refused.
const AGAIN: i64 = 1_000;
/// The beginning of a lease is kept no seldomer than this, in milliseconds, and four times in a shorter lease.
const KEPT: i64 = 60_000;

/// What is known of the center's presence. All instants are by the agent's own clock, in milliseconds since this life's
/// start.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Without a center, there is none to be missed.
    has_center: bool,
    /// The center has spoken in the session that stands.
    speaks: bool,
    /// When the center was last heard: before 0 in a former life, `None` where that is not known.
    heard: Option<i64>,
    /// Not before this is the kernel asked again.
    again: i64,
    /// The instant that was last given out to be kept.
    kept: Option<i64>,
}

impl Watch {
    /// `before`: how long before this life's start the center was last heard.
    pub(crate) fn new(has_center: bool, before: Option<u64>) -> Self {
        Self { has_center, speaks: false, heard: before.map(|before| -signed(before)), again: 0, kept: None }
    }

    /// The center said something.
    pub(crate) fn heard(&mut self, now: u64) {
        self.speaks = true;
        self.heard = Some(signed(now));
    }

    /// The session ended.
    pub(crate) fn ended(&mut self) {
        self.speaks = false;
    }

    /// The kernel refused to close.
    pub(crate) fn refused(&mut self, now: u64) {
        self.again = signed(now).saturating_add(AGAIN);
    }

    /// When a policy is over if the center stays silent; `None` for never, and while the center speaks.
    pub(crate) fn deadline(&self, outage: Outage) -> Option<u64> {
        if self.speaks || !self.has_center {
            return None;
        }
        let end = match outage {
            Outage::KeepLast => return None,
            // An agent that begins its life has not missed a heartbeat yet.
            Outage::Closed => self.heard.unwrap_or_default().max(0) + GRACE,
            // A lease whose beginning is not known is over.
            Outage::Lease(seconds) => self.heard.map_or(0, |heard| heard + (1000 * i64::from(seconds)).max(GRACE)),
        };
        Some(u64::try_from(end.max(self.again)).unwrap_or_default())
    }

    /// When the center was last heard, if a next life of the agent needs to know it and what it would know is old.
    pub(crate) fn due(&mut self, outage: Outage) -> Option<u64> {
        let Outage::Lease(seconds) = outage else { return None };
        let heard = self.heard.filter(|heard| *heard >= 0)?;
        let fresh = (250 * i64::from(seconds)).min(KEPT);
        if self.kept.is_some_and(|kept| heard < kept + fresh) {
            return None;
        }
        self.kept = Some(heard);
        u64::try_from(heard).ok()
    }

    /// Whether a policy is over.
    pub(crate) fn is_over(&self, outage: Outage, now: u64) -> bool {
        self.deadline(outage).is_some_and(|end| end <= now)
    }
}

/// The agent's own clock as a signed number.
pub(crate) fn signed(now: u64) -> i64 {
    i64::try_from(now).unwrap_or(i64::MAX)
}
