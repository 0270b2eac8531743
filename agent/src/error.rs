//! Why an agent cannot run.

use std::path::PathBuf;

/// Why an agent cannot run; reads after "cannot".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the state, or one named on the command line, fails.
    #[error("{what} {}: {error}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which path.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("understand {}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another agent uses the state folder.
    #[error("use {}: another agent runs with it", .0.display())]
    Busy(PathBuf),
    /// The kernel half fails.
    #[error("program the kernel: {0}")]
    Kernel(#[from] nft::Error),
    /// The kernel refused the first ruleset, so nothing of ours is in force.
    #[error("close this machine: {0}")]
    Closed(String),
    /// The first start needs a token.
    #[error("enrol: the state folder holds no certificate, and no token is given (--token or --token-file)")]
    NoToken,
    /// The token is none.
    #[error("read the join token: {0}")]
    Token(#[from] wire::TokenError),
    /// A key or a certificate request cannot be made.
    #[error("make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// The channel fails for good.
    #[error("{0}")]
    Channel(#[from] wire::channel::ChannelError),
    /// The system fails.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: std::io::Error,
    },
}
