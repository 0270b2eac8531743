//! Reports: the stream of events of a run, and its folds into formats.
//!
//! The runner knows no format: it emits [`event::Event`]s. [`Run`] gathers a stream into one value, [`Terminal`] tells it
//! as it goes, [`Json`], [`Junit`], [`Tap`], [`Markdown`] and [`Github`] write it at the end, and [`Recorder`] keeps it
//! so that all can be rendered again.

mod causes;
pub mod delays;
pub mod event;
mod github;
mod json;
mod junit;
mod markdown;
mod recording;
mod run;
mod table;
mod tap;
mod terminal;
pub mod topology;
mod words;

pub use github::Github;
pub use json::Json;
pub use junit::Junit;
pub use markdown::Markdown;
pub use recording::{Recorder, Recording, RecordingError, read_recording};
pub use run::{Run, Scenario, Step, Totals};
pub use tap::Tap;
pub use terminal::{Manner, Terminal};
