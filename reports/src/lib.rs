//! Reports: the stream of events of a run, and its folds into formats.
//!
//! The runner knows no format: it emits [`event::Event`]s. [`Run`] gathers a stream into one value, [`Terminal`] tells it
//! as it goes, [`Json`], [`Junit`], [`Tap`], [`Markdown`], [`Github`] and [`Html`] write it at the end, and [`Recorder`] keeps it
//! so that all can be rendered again.

mod causes;
mod compare;
pub mod delays;
pub mod diagnosis;
pub mod event;
mod explain;
mod github;
mod html;
mod json;
mod junit;
pub mod known;
mod markdown;
mod recording;
mod run;
mod table;
mod tap;
mod terminal;
pub mod topology;
mod words;

pub use github::Github;
pub use html::Html;
pub use json::Json;
pub use junit::Junit;
pub use markdown::Markdown;
pub use recording::{Recorder, Recording, RecordingError, read_recording};
pub use run::{Conclusion, Run, Scenario, Step, Totals};
pub use tap::Tap;
pub use terminal::{Manner, Terminal};
