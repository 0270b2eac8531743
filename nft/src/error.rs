//! What can go wrong, said so that it reads after "cannot".
use nix::errno::Errno;

/// One operation of a batch that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The operation, as the batch describes it.
    pub operation: String,
    /// The kernel's error.
    pub errno: Errno,
    /// The kernel's own words, where it gave any.
    pub message: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.operation, self.errno.desc())?;
        match &self.message {
            Some(message) => write!(f, " ({message})"),
            None => Ok(()),
        }
    }
}

/// Why a conversation with the kernel failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{what}: {}", errno.desc())]
    Io {
        /// What was being done.
        what: &'static str,
        /// The error.
        errno: Errno,
    },
    /// The kernel refused the batch; nothing of it holds.
    #[error("change the kernel's tables: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    /// The batch is larger than the socket's send buffer.
    #[error("send a batch of {size} bytes: the socket takes {limit}")]
    TooLarge {
        /// The batch's bytes.
        size: usize,
        /// What the socket takes at once.
        limit: usize,
    },
    /// A listing changed under the reader too often.
    #[error("read a steady listing: it changed in each of {0} attempts")]
    Unsteady(u32),
    /// The kernel took a batch, and holds something else.
    #[error("find in {0} what was put there")]
    Unheld(String),
    /// The kernel's answer makes no sense.
    #[error("understand the kernel's answer: {0}")]
    Malformed(&'static str),
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Io { what, errno }
    }

    /// Whether the kernel says that the thing does not exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Io { errno, .. } => *errno == Errno::ENOENT,
            Self::Refused(all) => all.iter().all(|one| one.errno == Errno::ENOENT),
            Self::TooLarge { .. } | Self::Unsteady(_) | Self::Unheld(_) | Self::Malformed(_) => false,
        }
    }
}
