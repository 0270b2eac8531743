//! Recorded traffic before a draft policy: what it would allow, intercept, or judge otherwise than the policy in force.
//!
//! Bytes come in by [`Reader`], whatever the recording's format; flows go to [`Replay`], which asks a [`Judge`] and counts.
//! Neither holds more for a longer recording. Nothing here opens a file or asks a clock.

mod account;
mod json;
mod judge;
mod pairs;
mod party;
mod read;
mod remembered;
mod replay;
mod report;
mod seen;
mod show;
mod suggest;
mod table;
mod tally;
mod text;

pub use account::{Account, Bad, MOST_SHOWN, Note};
pub use judge::{Decider, Judge, Judged};
pub use read::{Format, NotKnown, ReadError, Reader};
pub use replay::{Bench, Replay};
pub use report::{Changes, PairRow, Report, RuleRow, Said};
pub use seen::{Recorded, Seen};
pub use show::{account, report};
pub use suggest::{Options, Suggested, Suggestion, suggest};
pub use tally::{Bounds, Change, Sums};
pub use text::LONGEST_LINE;
