//! Keeping the state where the disk may be full: what cannot be written is told, tried again, and never ends the agent.
//!
//! What is in force must not be newer than what is kept, or the next life takes marks in the kernel for its own. So where
//! the newest state cannot be written, the older one is removed, and the next life begins closed; where not even that can
//! be done, nothing new comes into force until it can.

use agent_core::State;

use crate::folder::Folder;

/// What became of the newest state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is on the disk.
    #[default]
    Whole,
    /// Nothing is: a next life begins closed.
    Nothing,
    /// An older one is, and cannot be removed: nothing may come into force.
    Older,
}

/// Keeps states, and remembers the one that it could not keep.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    unkept: Option<State>,
    kept: Kept,
}

impl Keeper {
    /// Keeps a state in place of all before it.
    pub(crate) fn keep(&mut self, folder: &Folder, state: State) -> Kept {
        self.unkept = Some(state);
        self.try_again(folder)
    }

    /// Tries once more to keep what could not be kept.
    pub(crate) fn try_again(&mut self, folder: &Folder) -> Kept {
        let Some(state) = &self.unkept else { return self.kept };
        let before = self.kept;
        self.kept = match folder.keep_state(state) {
            Ok(()) => {
                self.unkept = None;
                Kept::Whole
            }
            Err(error) => {
                let kept = if folder.forget_state().is_ok() { Kept::Nothing } else { Kept::Older };
                if kept != before {
                    tracing::error!("cannot {error}; it is tried again every second");
                }
                kept
            }
        };
        self.kept
    }

    /// What is on the disk.
    pub(crate) fn kept(&self) -> Kept {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
    use std::fs;

    use super::*;

    #[test]
    fn a_state_that_cannot_be_written_is_forgotten_and_written_later() {
        let path = tempfile::tempdir().unwrap();
        let (folder, mut keeper) = (Folder::open(path.path()).unwrap(), Keeper::default());
        let (kept, fresh) = (path.path().join("state.json"), path.path().join("state.json.new"));
        assert_eq!(keeper.keep(&folder, State::default()), Kept::Whole);
        // As on a full disk: there is no room for a new file, and the old one can be removed.
        fs::create_dir(&fresh).unwrap();
        assert_eq!(keeper.keep(&folder, State { over: true, ..State::default() }), Kept::Nothing);
        assert!(!kept.exists());
        assert_eq!(keeper.try_again(&folder), Kept::Nothing);
        // As on a disk that takes nothing at all.
        fs::create_dir_all(kept.join("stuck")).unwrap();
        assert_eq!(keeper.try_again(&folder), Kept::Older);
        fs::remove_dir_all(&kept).unwrap();
        fs::remove_dir(&fresh).unwrap();
        assert_eq!(keeper.try_again(&folder), Kept::Whole);
        assert!(fs::read_to_string(&kept).unwrap().contains("\"over\":true"), "an older state was written");
        assert_eq!((keeper.kept(), keeper.try_again(&folder)), (Kept::Whole, Kept::Whole));
    }
}
