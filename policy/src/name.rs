//! Names of rules, groups, services, VMs and hosts, and keys of labels.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const LONGEST: usize = 400;

/// A name: `[a-z0-9][a-z0-9._-]*`, at most 400 characters. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name may not be empty")]
    Empty,
    /// The text is longer than 400 characters.
    #[error("a name has at most {LONGEST} characters, this one has {0}")]
    TooLong(usize),
    /// A character that a name may not hold, or not at its start.
    #[error("`{0}` may not stand {1} a name: use a-z, 0-9, and after the first character . _ -")]
    Character(char, &'static str),
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        let length = text.chars().count();
        if length > LONGEST {
            return Err(NameError::TooLong(length));
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !plain(first) {
            return Err(NameError::Character(first, "at the start of"));
        }
        match text.chars().find(|&c| !plain(c) && !matches!(c, '.' | '_' | '-')) {
            Some(c) => Err(NameError::Character(c, "in")),
            None => Ok(Self(text.into())),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The key of a label; like a label's value it is free text (semantics 2).
pub type Key = String;
