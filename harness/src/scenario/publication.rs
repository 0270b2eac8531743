//! Policies that must be refused.

/// A policy that must be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its text; it need not be a policy.
    pub text: String,
    /// What the refusal says.
    pub refused: String,
    /// Who refuses it.
    pub by: Refuser,
}

/// Who refuses a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refuser {
    /// The center, so that no agent ever sees it.
    Center,
    /// Every agent that the center reaches; each keeps what it has.
    Agents,
}
