//! A detector as one VM's agent has it.

use policy::{Response, Watch};
use serde::{Deserialize, Serialize};

/// One detector that watches at this VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDetector {
    /// Its name; its records bear `eastwest/detect/NAME`.
    pub name: String,
    /// What it counts, and the number at which it fires.
    pub watch: Watch,
    /// The time within which the number must be reached, in milliseconds.
    pub within: u64,
    /// The peers that it is about, an index into the view's sets: of a sweep those that this VM tries, else those that
    /// try this VM.
    pub peers: u32,
    /// What follows.
    pub then: Response,
}
