//! Reports: the stream of events of a run, and its folds into formats.

pub mod event;
